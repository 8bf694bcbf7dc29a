import pandas as pd
import pytest

from herbage.errors import TableInvalid
from herbage.photos.photo import PhotoFile
from herbage.tables.sidecar import read_sidecar
from herbage.tables.spreadsheet import CORNERS, TableFormat


def test_a_sidecar_gives_corners_to_the_photos_that_it_lists(tmp_path):
    files = [PhotoFile("farm/a.jpg", tmp_path / "a.jpg"), PhotoFile("b.jpg", tmp_path / "b.jpg")]
    sidecar = pd.DataFrame([["a.jpg", 0, 0, 9, 0, 9, 9, 0, 9]], columns=["image_path", *CORNERS])
    sidecar.to_csv(tmp_path / "side.csv", index=False)
    read = read_sidecar(tmp_path / "side.csv", files)
    first, second = read.files
    assert read.text == {}
    assert [(one.what, one.names) for one in read.remarks] == [("photos_without_row", ("b.jpg",))]
    assert first.corners == ((0, 0), (9, 0), (9, 9), (0, 9))
    assert second == files[1]
    with pytest.raises(TableInvalid, match="no image_path matches any of the photos"):
        read_sidecar(tmp_path / "side.csv", files[1:])
    sidecar.assign(Paddock=["Home"]).to_csv(tmp_path / "side.csv", index=False)
    read = read_sidecar(tmp_path / "side.csv", files, "Paddock")
    assert read.files[0].corners is not None
    assert read.text == {"farm/a.jpg": "Home"}
    renamed = sidecar.assign(Paddock=["Home"]).rename(columns={"image_path": "Bild"})
    renamed.to_csv(tmp_path / "theirs.csv", index=False)
    theirs = read_sidecar(tmp_path / "theirs.csv", files, "Paddock", TableFormat({"image_path": "Bild"}))
    assert (theirs.files, theirs.text) == (read.files, read.text)
    (tmp_path / "numbers.csv").write_text("image_path,Paddock\na.jpg,07\nb.jpg,\n")
    assert read_sidecar(tmp_path / "numbers.csv", files, "Paddock").text == {"farm/a.jpg": "07"}
    with pytest.raises(TableInvalid, match="lacks the column Field; its columns are image_path"):
        read_sidecar(tmp_path / "side.csv", files, "Field")
    sidecar.drop(columns="x3").to_csv(tmp_path / "side.csv", index=False)
    with pytest.raises(TableInvalid, match="lacks the column x3"):
        read_sidecar(tmp_path / "side.csv", files)


def test_rows_of_a_photo_that_agree_are_one_and_others_are_refused(tmp_path):
    """A table with a row per target has each photo five times."""
    files = [PhotoFile("a.jpg", tmp_path / "a.jpg"), PhotoFile("b.jpg", tmp_path / "b.jpg")]
    header, rows = (
        "image_path,target_name,State\n",
        [f"{p}.jpg,{t},Tas\n" for p in "ab" for t in ("GDM_g", "Dry_Total_g")],
    )
    (tmp_path / "long.csv").write_text(header + "".join(rows), "utf-8")
    read = read_sidecar(tmp_path / "long.csv", files, "State")
    assert (read.files, read.text, read.remarks) == (files, {"a.jpg": "Tas", "b.jpg": "Tas"}, ())
    (tmp_path / "long.csv").write_text(header + "".join(rows).replace("b.jpg,GDM_g,Tas", "b.jpg,GDM_g,Vic"), "utf-8")
    with pytest.raises(TableInvalid, match=r"b\.jpg has several values of State: Vic \(row 4\), Tas \(row 5\)"):
        read_sidecar(tmp_path / "long.csv", files, "State")
