"""The command that serves the web page and its API."""

import os
import signal
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, validators

from herbage.app.options import BackboneArguments, Model, Quiet
from herbage.app.terminal import begin, console


def serve(
    model: Model,
    *,
    host: str = "127.0.0.1",
    port: Annotated[int, Parameter(validator=validators.Number(gte=0, lte=65535))] = 8000,
    token: str | None = None,
    farm: Path | None = None,
    engine: BackboneArguments = BackboneArguments(),
    quiet: Quiet = False,
) -> int:
    """Serve the web page: drop photos or take them with a phone, and see their estimates and maps.

    Other programs use /api/predictions, documented at /openapi.json. For example:
        herbage serve model/
        herbage serve model/ --host 0.0.0.0 --token "$(openssl rand -hex 8)"
        herbage serve model/ --farm farm.gpkg
        curl -F photos=@a.jpg http://127.0.0.1:8000/api/predictions

    Parameters
    ----------
    host
        127.0.0.1 serves this computer only; 0.0.0.0 also serves other devices on the network, such as a phone.
    port
        The port; 0 takes a free one.
    token
        A secret that clients must send: by opening the printed address, or as `Authorization: Bearer TOKEN`.
    farm
        A farm file (GeoPackage) to which the page can save estimates, and whose season it shows; it may be new.
    """
    if farm is not None:
        from herbage.farm.schema import check_place

        check_place(farm)
    begin(quiet, model)
    from herbage.app.web.serving import serve as serve_forever
    from herbage.farm.farm import Farm
    from herbage.model.model import HerbageModel

    season = None if farm is None else Farm(farm)
    if season is not None:
        season.paddocks()  # those drawn in a GIS get their ids, and their shapes are checked before photos are taken
    opened = HerbageModel.from_pretrained(model)
    backbone = opened.open_backbone(**engine.options())
    try:
        serve_forever(
            opened, backbone, host=host, port=port, token=token, farm=season,
            announce=lambda text: print(text, flush=True),
        )  # fmt: skip
    except KeyboardInterrupt:
        # Exit at once: a normal exit would wait for the photo in progress.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        console.print("Stopped.")
        os._exit(130)
    return 0
