"""Open the port, and describe who can reach the server."""

import ipaddress
import os
import socket
from collections.abc import Callable
from urllib.parse import quote

import uvicorn

from herbage.app.web.api import make_app
from herbage.backbones.backbone import Backbone
from herbage.errors import InputInvalid
from herbage.farm.farm import Farm
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
    farm: Farm | None = None,
    announce: Callable[[str], None] = lambda message: None,
) -> None:
    """Serve the page and the API until interrupted; raises InputInvalid if the port could not be opened.

    Port 0 selects a free port. Estimates can be saved to the `farm`, if there is one. Once the port is open, `announce`
    is called with the address, who can reach it, and what is stored.
    """
    if token is not None and not token.strip():
        raise InputInvalid("`token` is empty, which would not protect the server; pass a token, or omit `token`.")
    app = make_app(model, backbone, token=token, hosts=LOCAL if host in LOCAL else None, farm=farm)
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1, server_header=False)
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as opened:
        if os.name == "posix":  # on Windows the option would let two servers open the same port
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            opened.bind((host, port))
            opened.listen(config.backlog)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputInvalid(f"Could not open port {port} on {host} ({reason}); choose another `port`.") from error
        announce(reach(host, opened.getsockname()[1], token, farm))
        uvicorn.Server(config).run(sockets=[opened])


def reach(host: str, port: int, token: str | None, farm: Farm | None = None) -> str:
    """A message with the server's addresses, who can reach it, and what is stored."""
    query = "" if token is None else f"?token={quote(token, safe='')}"
    stored = "photos are not stored"
    if farm is not None:
        stored += f", and estimates are saved to {farm.path} on request"
    if host in LOCAL:
        address = f"{_address(host, port)}{query}"
        return f"{address} is available on this computer only; {stored}. Press Ctrl-C to stop."
    names = sorted(_own_addresses(host)) if host in EVERYBODY else [host]
    where = "\n".join(f"  {_address(name, port)}{query}" for name in names)
    who = "everybody who can reach this computer over its networks"
    if token is not None:
        who += " and has the token"
    return f"Available to {who}, unencrypted; {stored}. Press Ctrl-C to stop.\n{where}"


def _own_addresses(host: str) -> set[str]:
    """Addresses to which this computer's host name resolves, without loopback; the host name if there are none."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(socket.gethostname(), None, family)}
    except OSError:
        found = set()
    reachable = {address for address in found if not ipaddress.ip_address(address.partition("%")[0]).is_loopback}
    return reachable or {socket.gethostname()}


def _address(host: str, port: int) -> str:
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
