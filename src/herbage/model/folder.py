"""A model's folder: fetched from the hub, kept from strangers' links, and never put where it would destroy anything."""

from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from herbage.errors import ModelInvalid, OutputExists
from herbage.files import is_taken, refuse_closed
from herbage.hub import hub_is_out_of_reach, pinned


def download(
    hub_id: str,
    *,
    revision: str | None,
    cache_dir: str | Path | None,
    token: str | bool | None,
    local_files_only: bool,
) -> Path:
    """The folder of a model of the hub, ID or ID@REVISION; raises ModelInvalid where there is none to be had."""
    name, named = pinned(hub_id)
    try:
        return Path(
            snapshot_download(
                name,
                revision=revision or named,
                cache_dir=cache_dir,
                token=token,
                local_files_only=local_files_only or hub_is_out_of_reach(),
            )
        )
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise ModelInvalid(f"{hub_id} is neither a model folder here nor a model that the hub gives.") from error


def refuse_place(place: Path, *, overwrite: bool, inputs: Sequence[str | Path] = (), option: str = "--model") -> None:
    """Raise OutputExists where a model folder may not be put: only a model is ever replaced, and only if told to.

    `inputs` are what the model is made from, and must not stand in its folder. Raises OSError where nothing can be
    written.
    """
    whole, where = place.resolve(), f"{option} {place}"
    if whole in (Path.cwd(), *Path.cwd().parents):
        raise OutputExists(f"{where} is the folder you stand in, or above it; name a folder of its own.")
    for one in inputs:
        if Path(one).resolve().is_relative_to(whole):
            raise OutputExists(f"{where} holds {one}, which the model is made from; name a folder of its own.")
    if is_taken(whole):
        if not ((whole / "config.json").is_file() and (whole / "model.safetensors").is_file()):
            raise OutputExists(f"{where} exists and is no herbage model, so it is never replaced; name another place.")
        if not overwrite:
            raise OutputExists(f"{where} exists already; give --overwrite to replace it, or another name.")
    refuse_closed(whole)


def refuse_links(folder: Path) -> None:
    """Raise ModelInvalid where a file of a model is a link to somewhere else, and so not the model's; the hub's cache
    has links of its own, to the blobs beside its snapshots.
    """
    whole = folder.resolve()
    own = whole.parent.parent if whole.parent.name == "snapshots" else whole
    for path in whole.iterdir():
        if path.is_symlink() and not path.resolve().is_relative_to(own):
            raise ModelInvalid(
                f"{folder / path.name} is a link that leads out of the model's folder; it is not opened."
            )


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a model's file; raises ModelInvalid where it is missing or damaged."""
    try:
        tensors: dict[str, Tensor] = load_file(path)
        return tensors
    except FileNotFoundError as error:
        raise ModelInvalid(f"{path.parent} is no whole model: it has no model.safetensors.") from error
    except (SafetensorError, OSError) as error:
        raise ModelInvalid(f"{path} is damaged: {error}.") from error
