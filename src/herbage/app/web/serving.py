"""Opening the port, and saying who can reach it."""

import ipaddress
import socket
from collections.abc import Callable
from urllib.parse import quote

import uvicorn

from herbage.app.web.api import make_app
from herbage.backbones.backbone import Backbone
from herbage.errors import InputInvalid
from herbage.model.model import HerbageModel

LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})
EVERYBODY = frozenset({"0.0.0.0", "::"})


def serve(
    model: HerbageModel,
    backbone: Backbone,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    announce: Callable[[str], None] = lambda said: None,
) -> None:
    """Answer on a port until interrupted; raises InputInvalid where the port cannot be had.

    `announce` is told where, and who can reach it, when the port is open. Port 0 takes a free one.
    """
    if token is not None and not token.strip():
        raise InputInvalid("--token is empty, which would protect nothing; give one, or leave --token out.")
    app = make_app(model, backbone, token=token, hosts=LOCAL if host in LOCAL else None)
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1, server_header=False)
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            opened.bind((host, port))
            opened.listen(config.backlog)
        except (OSError, OverflowError) as error:
            said = getattr(error, "strerror", None) or error
            raise InputInvalid(f"Port {port} of {host} cannot be had ({said}); give another --port.") from error
        announce(reach(host, opened.getsockname()[1], token))
        uvicorn.Server(config).run(sockets=[opened])


def reach(host: str, port: int, token: str | None) -> str:
    """Where the server answers, and whom, in words."""
    query = "" if token is None else f"?token={quote(token, safe='')}"
    if host in LOCAL:
        return f"{_address(host, port)}{query} answers this computer alone; photos are not kept. Ctrl-C ends it."
    names = sorted(_own_addresses(host)) if host in EVERYBODY else [host]
    where = "\n".join(f"  {_address(name, port)}{query}" for name in names)
    who = "everybody who can reach this computer over its networks"
    if token is not None:
        who += " and has the token"
    return f"Answers {who}, unencrypted; photos are not kept. Ctrl-C ends it.\n{where}"


def _own_addresses(host: str) -> set[str]:
    """This computer's addresses, as far as it knows them by its own name."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(socket.gethostname(), None, family)}
    except OSError:
        found = set()
    return {one for one in found if not ipaddress.ip_address(one.partition("%")[0]).is_loopback} or {
        socket.gethostname()
    }


def _address(host: str, port: int) -> str:
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
