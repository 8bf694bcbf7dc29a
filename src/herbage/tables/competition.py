"""Read the competition's test table."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from herbage.errors import TableInvalid
from herbage.photos.photo import PhotoFile
from herbage.remarks import Remark
from herbage.tables.matching import PhotoFinder, paths_of
from herbage.tables.spreadsheet import DEFAULT_FORMAT, TableFormat, read_frame
from herbage.tables.validation import check_columns, target_name_column


@dataclass(frozen=True)
class SubmissionTable:
    """The rows to fill in, and their photos, each once; photos that are missing are in the list too."""

    frame: pd.DataFrame
    files: Sequence[PhotoFile]
    remarks: tuple[Remark, ...] = ()

    @property
    def first_rows(self) -> pd.DataFrame:
        """The first row of each photo, in the order of `files`."""
        return self.frame.drop_duplicates("image_path")


def read_test_table(table: str | Path, photos: str | Path, how: TableFormat = DEFAULT_FORMAT) -> SubmissionTable:
    """Read a table of sample_id, image_path and target_name; raises TableInvalid, also if no photo is found."""
    import pandera.pandas as pa

    read = read_frame(table, how)
    frame, where = read.frame.drop(columns="target", errors="ignore"), read.where
    if set(read.frame.columns) == {"sample_id", "target"}:
        raise TableInvalid(f"{where} has the columns of a submission: expected the test table, usually test.csv.")
    columns = {"sample_id": pa.Column(str, unique=True), "target_name": target_name_column()}
    check_columns(frame, where, None, columns, unique=["image_path", "target_name"])
    for name in [name for name in how.measured if name in frame]:
        counts = frame.groupby("image_path")[name].nunique(dropna=False)
        if several := counts.index[counts > 1].tolist():
            raise TableInvalid(f"{where} has different values of {name} in the rows of {several[0]}.")
    finder = PhotoFinder(Path(photos), paths_of(frame), where)
    names = list(dict.fromkeys(frame["image_path"]))
    found = {name: finder.find(name) for name in names}
    if not any(found.values()):
        raise TableInvalid(f"None of the {len(names)} photos in {where} was found in {photos}: is `photos` correct?")
    files = [PhotoFile(name, found[name] or Path(photos) / name) for name in names]
    return SubmissionTable(frame, files, (*read.remarks, *finder.remarks()))
