"""The Hugging Face hub, seen from a machine that may have no network."""

import os
import socket
from urllib.parse import urlsplit


def hub_is_out_of_reach() -> bool:
    """Whether the hub's name cannot even be resolved, so that asking would only wait and retry.

    Behind a proxy names are resolved elsewhere, so there nothing is said.
    """
    from huggingface_hub import constants

    if any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")):
        return False
    try:
        socket.getaddrinfo(urlsplit(constants.ENDPOINT).hostname, 443)
    except OSError:
        return True
    return False
