"""Read the competition's test table."""

from pathlib import Path

import pandas as pd

from herbage.errors import TableInvalid
from herbage.photos.photo import PhotoFile
from herbage.tables.matching import PhotoFinder, paths_of
from herbage.tables.spreadsheet import read_frame
from herbage.tables.validation import check_columns, target_name_column


def read_test_table(table: str | Path, photos: str | Path) -> tuple[pd.DataFrame, list[PhotoFile]]:
    """Read a test table (columns sample_id, image_path, target_name); return it and its photos, each once.

    Missing photos stay in the list: their estimates will be the training mean. Raises TableInvalid if all are missing.
    """
    import pandera.pandas as pa

    read = read_frame(table)
    frame, where = read.frame.drop(columns="target", errors="ignore"), read.where
    columns = {"sample_id": pa.Column(str, unique=True), "target_name": target_name_column()}
    check_columns(frame, where, None, columns, unique=["image_path", "target_name"])
    finder = PhotoFinder(Path(photos), paths_of(frame), where)
    names = list(dict.fromkeys(frame["image_path"]))
    found = {name: finder.find(name) for name in names}
    if not any(found.values()):
        raise TableInvalid(f"None of the {len(names)} photos in {where} was found in {photos}: is `photos` correct?")
    return frame, [PhotoFile(name, found[name] or Path(photos) / name) for name in names]
