"""The command that serves the web page and its API."""

import os
import signal

from herbage.app.options import BackboneArguments, Model, Quiet
from herbage.app.terminal import console, log_to_console


def serve(
    model: Model,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    engine: BackboneArguments = BackboneArguments(),
    quiet: Quiet = False,
) -> int:
    """Serve the web page: drop photos or take them with a phone, and see their estimates and maps.

    Other programs use /api/predictions, documented at /openapi.json. For example:
        herbage serve model/
        herbage serve model/ --host 0.0.0.0 --token "$(openssl rand -hex 8)"
        curl -F photos=@a.jpg http://127.0.0.1:8000/api/predictions

    Parameters
    ----------
    host
        127.0.0.1 serves this computer only; 0.0.0.0 also serves other devices on the network, such as a phone.
    port
        The port; 0 takes a free one.
    token
        A secret that clients must send: by opening the printed address, or as `Authorization: Bearer TOKEN`.
    """
    from herbage.app.web.serving import serve as serve_forever
    from herbage.model.model import HerbageModel

    log_to_console(quiet)
    opened = HerbageModel.from_pretrained(model)
    backbone = opened.open_backbone(**engine.options())
    try:
        serve_forever(
            opened, backbone, host=host, port=port, token=token, announce=lambda text: print(text, flush=True)
        )
    except KeyboardInterrupt:
        # Exit at once: a normal exit would wait for the photo in progress.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        console.print("Stopped.")
        os._exit(130)
    return 0
