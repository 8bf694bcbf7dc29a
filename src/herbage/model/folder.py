"""A model's folder: download it and read its files."""

from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from herbage.errors import ModelInvalid
from herbage.hub import hub_is_unreachable, pinned


def download(
    hub_id: str,
    *,
    revision: str | None,
    cache_dir: str | Path | None,
    token: str | bool | None,
    local_files_only: bool,
) -> Path:
    """Download a model from the hub, ID or ID@REVISION, and return its folder; raises ModelInvalid."""
    name, named = pinned(hub_id)
    try:
        return Path(
            snapshot_download(
                name,
                revision=revision or named,
                cache_dir=cache_dir,
                token=token,
                local_files_only=local_files_only or hub_is_unreachable(),
            )
        )
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise ModelInvalid(
            f"{hub_id} is neither a model folder on this machine nor a model that could be loaded from the hub."
        ) from error


def refuse_links(folder: Path) -> None:
    """Raise ModelInvalid where a file of a model is a link that leads out of its folder.

    Links of the hub's cache, to the blobs next to its snapshots, are allowed.
    """
    whole = folder.resolve()
    own = whole.parent.parent if whole.parent.name == "snapshots" else whole
    for path in whole.iterdir():
        if path.is_symlink() and not path.resolve().is_relative_to(own):
            raise ModelInvalid(
                f"{folder / path.name} is a link that leads out of the model's folder, so it is not opened."
            )


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a model file; raises ModelInvalid where it is missing or damaged."""
    try:
        # Copies: while tensors map the file into memory, Windows does not let the model be replaced.
        return {name: tensor.clone() for name, tensor in load_file(path).items()}
    except FileNotFoundError as error:
        raise ModelInvalid(f"{path.parent} is not a complete model: it has no model.safetensors.") from error
    except (SafetensorError, OSError) as error:
        raise ModelInvalid(f"{path} is damaged: {error}.") from error
