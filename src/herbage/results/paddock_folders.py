"""Names of paddocks from the folders of photos."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from herbage.files import common_folder
from herbage.formatting import clean
from herbage.photos.photo import PhotoFile

NO_FOLDER = "(no folder)"
"""The paddock of photos that are directly in the folder that was given."""

CAMERA_FOLDER = re.compile(
    r"DCIM|[1-9]\d\d(MEDIA|CANON|EOS..|APPLE|CLOUD|NIKON|NCD..|ND\w{3}|D\d{4}|OLYMP|_PANA|GOPRO|MSDCF|_FUJI|PENTX|RICOH"
    r"|CASIO|LEICA|HASBL|SIGMA|KODAK|SSCAM|ANDRO|PHOTO|RECNX)",
    re.IGNORECASE,
)
"""Folders that cameras make: three digits and five letters (Design rule for Camera File system) of known makers."""

BELOW_DCIM = re.compile(r"[1-9]\d\d\w{5}|DJI_\w+|Camera", re.IGNORECASE)
"""Folders in DCIM, all of which belong to the camera."""


@dataclass(frozen=True)
class FolderPaddocks:
    """Paddocks by folder: the path below a common root, without the camera's own folders, which are in `dropped`."""

    names: dict[PurePath, str]
    dropped: list[str]
    is_list: bool

    @classmethod
    def of(cls, files: Sequence[PhotoFile], *, is_list: bool) -> "FolderPaddocks":
        """The paddocks of the photos in one folder, whose names are paths below it; or of a list of photos.

        The root of a list is the folder that contains the folders of all its paddocks.
        """
        found = dict.fromkeys(_folder(file, is_list) for file in files)
        folders = {folder: _without_camera_folders(folder) for folder in found}
        root = common_folder(own.parent for own in folders.values()) if is_list else PurePath()
        names = {folder: clean(own.relative_to(root).as_posix()) for folder, own in folders.items()}
        dropped = {part for folder, own in folders.items() for part in folder.parts[len(own.parts) :]}
        return cls(
            {folder: NO_FOLDER if name == "." else name for folder, name in names.items()}, sorted(dropped), is_list
        )

    def of_photo(self, file: PhotoFile) -> str:
        """The paddock of one of the photos."""
        return self.names[_folder(file, self.is_list)]


def _folder(file: PhotoFile, is_list: bool) -> PurePath:
    if not is_list:
        return PurePath(file.name).parent
    return PurePath(os.path.abspath(file.path.parent))  # noqa: PTH100  # unlike resolve, it does not follow links


def _without_camera_folders(folder: PurePath) -> PurePath:
    while CAMERA_FOLDER.fullmatch(folder.name) or (folder.parent.name == "DCIM" and BELOW_DCIM.fullmatch(folder.name)):
        folder = folder.parent
    return folder
