"""Find the photos that a table names."""

from pathlib import Path, PurePosixPath

from herbage.errors import TableInvalid


class PhotoFinder:
    """Finds an `image_path` in a folder, with or without the first component of the path."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise TableInvalid(f"`photos={root}`: expected a folder.")
        self.root = root

    def find(self, image_path: str) -> Path | None:
        path = PurePosixPath(str(image_path).replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or not path.parts:
            return None
        for parts in (path.parts, path.parts[1:]):
            candidate = self.root.joinpath(*parts)
            if parts and candidate.is_file():
                return candidate
        return None
