"""Names of models and backbones: local folders, or ids on the Hugging Face hub with pinned revisions."""

import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

from herbage.errors import BackboneInvalid, ModelInvalid, WeightsMissing

PINNED = {
    "facebook/dinov2-small": "ed25f3a31f01632728cabb09d1542f84ab7b0056",
    "facebook/dinov2-base": "f9e44c814b77203eaa57a6bdbbd535f21ede1415",
    "facebook/dinov2-large": "47b73eefe95e8d44ec3623f8890bd894b6ea2d6c",
    "facebook/dinov2-giant": "611a9d42f2335e0f921f1e313ad3c1b7178d206d",
}
"""Revisions of hub ids that are given without one, so that results do not change when a repository does."""


def pinned(name: str) -> tuple[str, str | None]:
    """Split ID or ID@REVISION into hub id and revision; None means the newest revision, or a local folder."""
    if Path(name).is_dir():
        return name, None
    hub_id, _, revision = name.partition("@")
    return hub_id, revision or PINNED.get(hub_id)


def is_hub_id(name: str) -> bool:
    """Whether a name has the form OWNER/NAME of a hub id, and not that of a local path."""
    is_path = name.startswith((".", "/", "~")) or name.endswith("/") or ":" in name  # C:/model on Windows
    return name.count("/") == 1 and not is_path


def hub_is_unreachable() -> bool:
    """Whether the hub's host name cannot be resolved, so that a request would only wait and retry.

    False behind a proxy, where the proxy resolves names.
    """
    from huggingface_hub import constants

    if any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")):
        return False
    try:
        socket.getaddrinfo(urlsplit(constants.ENDPOINT).hostname, 443)
    except OSError:
        return True
    return False


def check_backbone_name(name: str) -> None:
    """Check a backbone's name without loading anything; raises BackboneInvalid or WeightsMissing."""
    folder = Path(name).expanduser()
    if name == "texture" or (is_hub_id(name) and not folder.exists()):
        return
    if not folder.is_dir():
        raise WeightsMissing(f"`backbone`: the folder {name} does not exist. {how_to_get_weights(name)}")
    if not any((folder / record).is_file() for record in ("config.json", "openvino.json")):
        raise BackboneInvalid(
            f"`backbone`: {name} has neither config.json nor openvino.json; expected a folder saved by transformers or "
            f"by export."
        )


def check_model_name(name: str) -> None:
    """Check a model's name without loading anything; raises ModelInvalid where it cannot be a model."""
    folder = Path(name)
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise ModelInvalid(f"{name} is not a herbage model: it has no config.json.")
    elif folder.is_file():
        raise ModelInvalid(f"{name} is a file: expected a model, which is a folder or a hub id.")
    elif not is_hub_id(name) or not (_is_cached(name) or not hub_is_unreachable()):
        raise ModelInvalid(
            f"{name} is neither a model folder on this machine nor a model that could be loaded from the hub."
        )


def how_to_get_weights(name: str) -> str:
    """How to download a backbone's weights, as sentences for messages."""
    hub_id = name if is_hub_id(name) else "facebook/dinov2-giant"
    return (
        f"With network access, run `hf download {hub_id} --local-dir DIR` to download the weights, then pass "
        f'`backbone="DIR"`. Offline, copy DIR to this machine, or set HF_HOME to a cache that has the weights. '
        f'`backbone="texture"` needs no weights.'
    )


def _is_cached(hub_id: str) -> bool:
    """Whether the hub's cache has a folder for this repository."""
    from huggingface_hub import constants

    return (Path(constants.HF_HUB_CACHE) / f"models--{pinned(hub_id)[0].replace('/', '--')}").is_dir()
