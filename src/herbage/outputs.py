"""Check where results may be written: outputs are replaced only on request, folders only by the same kind of result."""

import errno
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from herbage.errors import OutputExists


@dataclass(frozen=True)
class FolderKind:
    """A kind of output folder: its name in messages, and sets of files; such a folder has all files of one set."""

    name: str
    marks: tuple[tuple[str, ...], ...]

    def matches(self, folder: Path) -> bool:
        """Whether the folder has all files of one of the sets."""
        return any(all((folder / name).is_file() for name in files) for files in self.marks)


MODEL_FOLDER = FolderKind("a herbage model", (("config.json", "model.safetensors"),))
EXPORT_FOLDER = FolderKind("an export", (("openvino.json",), ("onnx.json",), ("site.js", "model.json")))
DEMO_FOLDER = FolderKind("a demo", (("photos/sward_00.jpg",),))


def check_output_folder(place: Path, kind: FolderKind, *, overwrite: bool, parameter: str = "out") -> None:
    """Check that a folder may be written at `place`, before long work is done for it.

    Only a folder of the same kind is ever replaced, and only with `overwrite`. Raises OutputExists, or OSError where
    the place is not writable.
    """
    whole, where = place.resolve(), f"`{parameter}={place}`"
    if whole.exists() and not (whole.is_dir() and not any(whole.iterdir())):
        if not (whole.is_dir() and kind.matches(whole)):
            raise OutputExists(f"{where} exists and is not {kind.name}, so it is not replaced; choose another path.")
        if not overwrite:
            raise OutputExists(f"{where} already exists; pass `overwrite=True` to replace it, or choose another path.")
    check_writable(whole)


def check_model_place(
    place: Path, *, overwrite: bool, inputs: Sequence[str | Path] = (), parameter: str = "model"
) -> None:
    """Check that a model may be written at `place`; raises OutputExists, or OSError where it is not writable.

    `inputs` are the files and folders that the model is made from; they must not be inside its folder.
    """
    whole, where = place.resolve(), f"`{parameter}={place}`"
    if whole in (Path.cwd(), *Path.cwd().parents):
        raise OutputExists(f"{where} is the working directory, or contains it; choose a folder of its own.")
    for one in inputs:
        if Path(one).resolve().is_relative_to(whole):
            raise OutputExists(f"{where} contains {one}, which the model is made from; choose a folder of its own.")
    check_output_folder(place, MODEL_FOLDER, overwrite=overwrite, parameter=parameter)


def check_output_file(path: Path, *, overwrite: bool) -> None:
    """Check that a file may be written at `path`; raises OutputExists, or OSError where the place is not writable."""
    if path.is_dir():
        raise OutputExists(f"{path} is a folder; expected the name of a file to write.")
    if path.exists() and not overwrite:
        raise OutputExists(f"{path} already exists; pass `overwrite=True` to replace it, or choose another path.")
    check_writable(path)


def check_output_files(folder: Path, names: Iterable[str], *, overwrite: bool) -> None:
    """Check that files of these names may be written to a folder; raises as `check_output_file`."""
    for name in names:
        check_output_file(folder / name, overwrite=overwrite)


def check_writable(path: Path) -> None:
    """Raise OSError where nothing can be written at `path`; creates nothing."""
    parents = path.absolute().parents
    parent = next((folder for folder in parents if folder.exists()), parents[-1])  # Windows: a drive that is missing
    if not parent.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(parent))
    if not os.access(parent, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(parent))
