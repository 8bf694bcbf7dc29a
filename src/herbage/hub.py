"""The Hugging Face hub: which revision is meant, and whether it can be reached from here."""

import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

PINNED = {
    "facebook/dinov2-small": "ed25f3a31f01632728cabb09d1542f84ab7b0056",
    "facebook/dinov2-base": "f9e44c814b77203eaa57a6bdbbd535f21ede1415",
    "facebook/dinov2-large": "47b73eefe95e8d44ec3623f8890bd894b6ea2d6c",
    "facebook/dinov2-giant": "611a9d42f2335e0f921f1e313ad3c1b7178d206d",
}
"""What a hub id without a revision means: what stood there when this was written, and not what will stand there."""


def pinned(name: str) -> tuple[str, str | None]:
    """A hub id and its revision, from ID or ID@REVISION; None is the newest, and what a folder here has."""
    if Path(name).is_dir():
        return name, None
    hub_id, _, revision = name.partition("@")
    return hub_id, revision or PINNED.get(hub_id)


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
