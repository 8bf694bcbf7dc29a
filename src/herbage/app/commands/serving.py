"""The command that serves the web page and its API."""

import os
import signal

from herbage.app.options import Engine, Model, Quiet
from herbage.app.terminal import console, listen


def serve(
    model: Model,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    engine: Engine = Engine(),
    quiet: Quiet = False,
) -> int:
    """Open the page: drop photos or take them with a phone, and see their estimates and maps.

    Other programs ask it at /api/predictions; /openapi.json says how. For example:
        herbage serve model/
        herbage serve model/ --host 0.0.0.0 --token "$(openssl rand -hex 8)"
        curl -F photos=@a.jpg http://127.0.0.1:8000/api/predictions

    Parameters
    ----------
    host
        127.0.0.1 answers this computer alone; 0.0.0.0 answers everybody who can reach it, such as a phone.
    port
        Where to answer; 0 takes a free one.
    token
        What everybody has to give: by opening the address that is printed, or as `Authorization: Bearer TOKEN`.
    """
    from herbage.app.web.serving import serve as answer
    from herbage.model.model import HerbageModel

    listen(quiet)
    opened = HerbageModel.from_pretrained(model)
    backbone = opened.open_backbone(engine.backbone, device=engine.device, precision=engine.precision)
    try:
        answer(opened, backbone, host=host, port=port, token=token, announce=lambda said: print(said, flush=True))
    except KeyboardInterrupt:
        # At once: leaving in the usual way would wait for the photo that is in hand.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        console.print("Ended.")
        os._exit(130)
    return 0
