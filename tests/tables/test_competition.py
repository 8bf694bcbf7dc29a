import pandas as pd
import pytest

from herbage.errors import TableInvalid
from herbage.tables.competition import read_test_table
from herbage.targets import TARGETS


def test_a_test_table_lists_each_photo_once(weighed_photos):
    read = read_test_table(weighed_photos / "test.csv", weighed_photos)
    frame, files = read.frame, read.files
    assert len(frame) == 24 * len(TARGETS)
    assert len(files) == 24


def test_a_missing_test_photo_stays_in_the_list_unless_all_are_missing(weighed_photos, tmp_path):
    frame = pd.read_csv(weighed_photos / "test.csv")
    frame.loc[frame["image_path"] == "train/ID3.png", "image_path"] = "train/gone.png"
    frame.to_csv(tmp_path / "test.csv", index=False)
    files = read_test_table(tmp_path / "test.csv", weighed_photos).files
    assert len(files) == 24
    (tmp_path / "empty").mkdir()
    with pytest.raises(TableInvalid, match="None of the 24 photos in .* was found in .*: is `photos` correct"):
        read_test_table(tmp_path / "test.csv", tmp_path / "empty")
