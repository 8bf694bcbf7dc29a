import csv
import io
import unicodedata
import zipfile

import numpy as np
import openpyxl
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from herbage.errors import TableInvalid
from herbage.tables.spreadsheet import CORNERS, TableFormat, read_frame
from herbage.tables.weighed import read_weighed_table

PLAIN = "image_path;Paddock;Dry_Total_g\na.jpg;01;32,8\nb.jpg;1E2;54,9\n"


@pytest.fixture
def saved(tmp_path):
    """Writes a table under a name and returns its path."""

    def save(content, name="t.csv"):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path / name

    return save


@pytest.fixture
def workbook(tmp_path):
    """Writes a workbook; sheets are lists of rows by title."""

    def save(hidden=(), formats=None, **sheets):
        book = openpyxl.Workbook()
        book.remove(book.active)
        for title, rows in sheets.items():
            sheet = book.create_sheet(title)
            for row in rows:
                sheet.append(row)
            if title in hidden:
                sheet.sheet_state = "hidden"
            for place, number_format in (formats or {}).items():
                sheet[place].number_format = number_format
        book.save(tmp_path / "t.xlsx")
        return tmp_path / "t.xlsx"

    return save


def total(table, **how):
    return read_frame(table, TableFormat(**how)).frame["Dry_Total_g"].tolist()


def refusal(table, **how):
    with pytest.raises(TableInvalid) as caught:
        read_frame(table, TableFormat(**how))
    return str(caught.value)


@pytest.mark.parametrize("content", ["", "image_path\n", "\x00\xff"])
def test_an_unreadable_table_is_one_message(tmp_path, content):
    (tmp_path / "t.csv").write_text(content, "utf-8")
    with pytest.raises(TableInvalid):
        read_weighed_table(tmp_path / "t.csv", tmp_path)
    with pytest.raises(TableInvalid, match="does not exist"):
        read_weighed_table(tmp_path / "gone.csv", tmp_path)


def test_forms_of_csv_from_spreadsheets_are_read_or_refused(weighed_photos, tmp_path):
    lines = (weighed_photos / "wide.csv").read_text("utf-8").splitlines()
    (tmp_path / "bom.csv").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    assert len(read_weighed_table(tmp_path / "bom.csv", weighed_photos).files) == 24
    (tmp_path / "comma.csv").write_text("\n".join([lines[0], *(line + "," for line in lines[1:])]), "utf-8")
    with pytest.raises(TableInvalid, match="rows with more cells than its header"):
        read_weighed_table(tmp_path / "comma.csv", weighed_photos)
    european = "\n".join(lines).replace(",", ";").replace(".", ",").replace(",png", ".png")
    (tmp_path / "semicolon.csv").write_text(european, "utf-8")
    np.testing.assert_array_equal(
        read_weighed_table(tmp_path / "semicolon.csv", weighed_photos).grams,
        read_weighed_table(weighed_photos / "wide.csv", weighed_photos).grams,
    )


@pytest.mark.parametrize(("unit", "factor"), [("g", 1.0), ("g_per_m2", 4.0), ("kg_per_ha", 40.0)])
def test_a_workbook_with_other_names_and_units_is_equivalent(weighed_photos, tmp_path, unit, factor):
    wide = pd.read_csv(weighed_photos / "wide.csv")
    odd = pd.DataFrame({
        "Photo file": wide["image_path"], "State": wide["State"],
        "Sampling_Date": pd.to_datetime(wide["Sampling_Date"]), "yield, dry": wide["Dry_Total_g"] * factor,
    })  # fmt: skip
    odd.to_excel(tmp_path / "cuts.xlsx", index=False)
    names = {"image_path": "Photo file", "Dry_Total_g": "yield, dry"}
    read = read_weighed_table(
        tmp_path / "cuts.xlsx", weighed_photos, TableFormat(names), unit=unit, quadrat_area_m2=0.25
    )
    np.testing.assert_allclose(read.grams[:, 3], wide["Dry_Total_g"])
    assert read.frame["Sampling_Date"].iloc[0] == "2015-01-01"
    for wrong, message in (
        ({"Dry_Total_g": "dry"}, "lacks the column dry; its columns are Photo file"),
        ({**names, "State": "Sampling_Date"}, "already has the column State; rename or remove it"),
        ({**names, "GDM_g": "yield, dry"}, "`columns` maps two names to the same column"),
    ):
        with pytest.raises(TableInvalid, match=message):
            read_weighed_table(tmp_path / "cuts.xlsx", weighed_photos, TableFormat(wrong))


def test_a_state_called_na_is_a_state(weighed_photos, tmp_path):
    wide = pd.read_csv(weighed_photos / "wide.csv")
    wide.assign(State="NA").to_csv(tmp_path / "na.csv", index=False)
    assert read_weighed_table(tmp_path / "na.csv", weighed_photos).frame["State"].eq("NA").all()


def test_rows_have_the_numbers_of_a_spreadsheet(weighed_photos, tmp_path):
    lines = (weighed_photos / "wide.csv").read_text("utf-8").splitlines()
    lines[3:3] = ["", ",,"]
    lines[7] = lines[7].replace(lines[7].split(",")[-1], "-1")
    (tmp_path / "gaps.csv").write_text("\n".join(lines) + "\n\n", "utf-8")
    frame = pd.read_csv(tmp_path / "gaps.csv", skip_blank_lines=False)
    frame.to_excel(tmp_path / "gaps.xlsx", index=False)
    for name in ("gaps.csv", "gaps.xlsx"):
        with pytest.raises(TableInvalid, match=r"has 1 fault:\n  row 8, column \w+: negative grams"):
            read_weighed_table(tmp_path / name, weighed_photos)
    long = pd.read_csv(weighed_photos / "train.csv")
    of_third = long["image_path"] == long["image_path"].unique()[2]
    long.loc[of_third, list(CORNERS)] = [0, 0, 0, 0, 9, 9, 9, 9]
    with pytest.raises(
        TableInvalid, match=f"row {int(np.flatnonzero(of_third)[0]) + 2}: expected the quadrat's upper left, "
    ):
        read_weighed_table(long, weighed_photos)


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]), max_size=8).map(
    lambda text: unicodedata.normalize("NFC", text).strip().lstrip("#").strip()
)


@given(
    rows=st.lists(st.tuples(TEXTS, st.floats(0, 900)), min_size=1, max_size=5),
    signs=st.sampled_from([(",", "."), (",", ","), (";", "."), (";", ","), ("\t", "."), ("\t", ","), ("|", ".")]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
    above=st.sampled_from(["", "# written by a logger; 3 plots, 2 farms\n\n"]),
)
def test_a_table_is_read_back_whatever_wrote_it(tmp_path_factory, rows, signs, encoding, line_end, above):
    separator, decimal = signs
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, lineterminator="\n")
    writer.writerow(["Paddock, or plot; both|one", "Dry_Total_g", "image_path"])
    for number, (paddock, grams) in enumerate(rows):
        writer.writerow([paddock, f"{grams:.4f}".replace(".", decimal), f"{number}.jpg"])
    path = tmp_path_factory.mktemp("t") / "t.csv"
    path.write_bytes((above + text.getvalue()).replace("\n", line_end).encode(encoding))
    read = read_frame(path)
    assert read.remarks == ()
    assert read.frame["Paddock, or plot; both|one"].fillna("").tolist() == [paddock for paddock, _ in rows]
    assert read.frame["Dry_Total_g"].tolist() == pytest.approx([round(grams, 4) for _, grams in rows])
    first_row = 3 + above.count("\n") - 1
    assert read.frame.index.tolist() == [first_row - 2 + number for number in range(len(rows))]


def test_only_the_columns_of_numbers_are_numbers(saved):
    frame = read_frame(saved(PLAIN)).frame
    assert frame["Paddock"].tolist() == ["01", "1E2"]
    assert frame["Dry_Total_g"].tolist() == [32.8, 54.9]
    columns = {"Dry_Green_g": "Grün", "x1": "left"}
    frame = read_frame(saved("image_path;Grün;left;right\na.jpg;1,5;7; 08 \n"), TableFormat(columns)).frame
    assert frame.iloc[0].tolist() == ["a.jpg", 1.5, 7.0, "08"]
    texts = read_frame(saved("image_path,State,Sampling_Date,Code\na.jpg,NA,2025,1.0\n")).frame
    assert texts.iloc[0].tolist() == ["a.jpg", "NA", "2025", "1.0"]


COMMENTED = (
    "image_path,Paddock,Dry_Total_g\np/a_01.jpg,#1,5\n#p/a_02.jpg,2,6\n# p/a_03.jpg,2,7\n# farm B, next,\n"
    "#end\np/a_04.jpg,3,8\np/a_05.jpg,3,9\np/a_06.jpg,3,9\np/a_07.jpg,3,9\n#draft of p/a_08.jpg,3,9\n"
)


def test_rows_commented_out_are_left_out_and_named(saved, workbook):
    lines = list(csv.reader(COMMENTED.splitlines()))
    for table in (saved(COMMENTED), workbook(cuts=lines), saved(COMMENTED.replace(",", ";"))):
        read = read_frame(table)
        # The last row is no row of the table with a # before it, nor a comment: it is used, and its photo refused.
        assert read.frame["Paddock"].tolist() == ["#1", "3", "3", "3", "3", "3"]
        assert read.frame.index.tolist() == [0, 5, 6, 7, 8, 9]
        (remark,) = read.remarks
        assert (remark.what, remark.count) == ("commented_rows", 4)
        assert remark.names[0] == "row 3 (#p/a_02.jpg)"
        assert remark.is_warning


@pytest.mark.parametrize(
    "content",
    [
        "Plot,image_path,Dry_Total_g\n#1,a.jpg,5\n#2,b.jpg,6\nnone,c.jpg,7\n", "#,image_path,Dry_Total_g\n1,a.jpg,5\n#2,b.jpg,6\n3,c.jpg,7\n",
        "Note,image_path,Dry_Total_g\n,a.jpg,5\n#3: the fence is broken,b.jpg,6\n,c.jpg,7\n",
    ],
)  # fmt: skip
def test_a_sign_that_belongs_to_the_values_makes_no_comment(saved, content):
    read = read_frame(saved(content))
    assert read.frame["Dry_Total_g"].tolist() == [5, 6, 7]
    assert read.remarks == ()


def test_texts_that_look_equal_are_equal(saved, workbook):
    composed, decomposed = "Süd", unicodedata.normalize("NFD", "Süd")
    farms = [composed, decomposed, "S\u00adüd\u200b", "\ufeffSüd\u2060 "]
    rows = [["image_path", f"{decomposed}\u200b", "Dry_\u00adTotal_g"]]
    rows += [[f"{number}.jpg", farm, "5\u200b"] for number, farm in enumerate(farms)]
    text = "\n".join(",".join(row) for row in rows)
    for table in (saved(text), workbook(cuts=rows), pd.DataFrame(rows[1:], columns=rows[0])):
        read = read_frame(table, TableFormat({"Farm": decomposed}))
        assert read.frame["Farm"].tolist() == [composed] * 4
        assert read.frame["Dry_Total_g"].tolist() == [5] * 4


@pytest.mark.parametrize("separator", [";", "\t", "|"])
@pytest.mark.parametrize(("thousands", "sign"), [(",", "point"), (".", "comma")])
def test_thousands_are_not_taken_for_decimals(saved, separator, thousands, sign):
    text = "image_path;Paddock;Dry_Total_g\na.jpg;P0;1,563\nb.jpg;P0;987\nc.jpg;P0;2,613\n"
    table = saved(text.replace(",", thousands).replace(";", separator))
    assert f"row 2, column Dry_Total_g: '1{thousands}563' is 1" in refusal(table)
    assert total(table, decimal=sign) == [1563, 987, 2613]


def test_a_cell_of_another_column_of_numbers_decides_too(saved):
    table = saved("image_path;Dry_Total_g;Pre_GSHH_NDVI;Note\na.jpg;1.563;0,62;1,234.5\n")
    assert total(table) == [1563]
    assert "mixes decimal signs: '1,234.5' (row 2, column Note)" in refusal(table, columns={"Dry_Green_g": "Note"})


def test_a_file_separated_by_commas_has_points_unless_its_numbers_are_quoted(saved):
    assert total(saved("image_path,Dry_Total_g\na.jpg,12.345\n")) == [12.345]
    assert total(saved('image_path,Dry_Total_g\na.jpg,"32,8"\nb.jpg,"27,0"\n')) == [32.8, 27.0]
    assert "is 1563 with a decimal point" in refusal(saved('image_path,Dry_Total_g\na.jpg,"1,563"\n'))
    assert total(saved('image_path,Dry_Total_g\na.jpg,"1,563"\nb.jpg,987.5\n')) == [1563, 987.5]


def test_a_data_frame_follows_the_same_rules():
    frame = pd.DataFrame({
        "image_path": ["a.jpg", "b.jpg"], "Paddock": [1, 2], "Block": [1.0, np.nan], "Plot": ["01", None], "Ratio": [0.5, 1.0],
        "Day": [pd.Timestamp("2025-09-04"), pd.Timestamp("2025-09-05 10:12")], "Dry_Total_g": ["1.563,5", "n/a"], "x1": [3, 4], "Dry_Green_g": [5.5, -9999],
    })  # fmt: skip
    read = read_frame(frame)
    assert read.frame["Paddock"].tolist() == ["1", "2"]
    assert read.frame["Block"].iloc[0] == "1"
    assert read.frame["Block"].isna().tolist() == read.frame["Plot"].isna().tolist() == [False, True]
    assert read.frame["Plot"].iloc[0] == "01"
    assert read.frame["Ratio"].tolist() == ["0.5", "1"]
    assert read.frame["Day"].tolist() == ["2025-09-04", "2025-09-05 10:12:00"]
    np.testing.assert_array_equal(read.frame["Dry_Total_g"], [1563.5, np.nan])
    np.testing.assert_array_equal(read.frame["Dry_Green_g"], [5.5, np.nan])
    assert read.frame["x1"].dtype == float
    assert read.codes == {(1, "Dry_Total_g"): "n/a", (1, "Dry_Green_g"): "-9999"}
    assert "the table, row 2, column Dry_Total_g: '1,563'" in refusal(frame.assign(Dry_Total_g="1,563"))


def test_codes_for_missing_values_are_counted_and_empty_cells_are_not(saved):
    read = read_frame(
        saved("image_path,State,Dry_Total_g,Height_Ave_cm\na.jpg,NA,-9999,\nb.jpg,NA,NA,4\nc.jpg,NA,5,6\n")
    )
    (remark,) = read.remarks
    assert (remark.what, remark.count, remark.is_warning) == ("missing_codes", 2, False)
    assert remark.names == ("row 2, column Dry_Total_g (-9999)", "row 3, column Dry_Total_g (NA)")
    assert read.frame["State"].tolist() == ["NA"] * 3
    np.testing.assert_array_equal(read.frame["Dry_Total_g"], [np.nan, np.nan, 5])


def test_a_weight_that_is_often_a_code_is_named_and_used(saved):
    read = read_frame(saved("image_path,Dry_Total_g,Paddock\na.jpg,999,999\nb.jpg,1200,9999\n"))
    (remark,) = read.remarks
    assert (remark.what, remark.names) == ("possible_missing_codes", ("row 2, column Dry_Total_g (999)",))
    assert read.frame["Dry_Total_g"].tolist() == [999, 1200]


@pytest.mark.parametrize("cell", ["<0.1", "-", "12 g", "5-10", "12 %", "trace"])
def test_what_is_no_number_is_refused_by_name(weighed_photos, saved, cell):
    table = saved(f"image_path,Dry_Total_g\ntrain/ID0.png,30\ntrain/ID1.png,{cell}\n")
    with pytest.raises(
        TableInvalid, match=f"row 3, column Dry_Total_g: not a number .got '{cell}'., photo train/ID1.png"
    ):
        read_weighed_table(table, weighed_photos)


def test_cells_under_no_name_are_named(saved):
    table = saved("image_path,Paddock,Dry_Total_g,,\na.jpg,B0,32,8,\nb.jpg,B0,54,9,\n")
    message = refusal(table)
    assert "t.csv has cells in column D, which has no name (row 2: '8', row 3: '9')" in message
    assert "separate the cells with semicolons" in message
    assert "column D" in refusal(pd.read_csv(table))
    empty = saved("image_path,Dry_Total_g,,\na.jpg,32,,\n")
    assert list(read_frame(empty).frame.columns) == ["image_path", "Dry_Total_g"]


def test_the_row_numbers_that_pandas_and_r_add_are_no_column(tmp_path):
    frame = pd.DataFrame({"image_path": ["a.jpg", "b.jpg"], "Dry_Total_g": [5.0, 6.0]}, index=[3, 1])
    frame.to_csv(tmp_path / "t.csv")
    frame.to_excel(tmp_path / "t.xlsx")
    for table in (tmp_path / "t.csv", tmp_path / "t.xlsx", pd.read_csv(tmp_path / "t.csv")):
        assert list(read_frame(table).frame.columns) == ["image_path", "Dry_Total_g"]
    assert "column A" in refusal(frame.set_axis(["Unnamed: 0", "Dry_Total_g"], axis=1))


def test_two_columns_of_one_name_are_refused_if_it_is_used_and_told_apart_otherwise(saved):
    table = saved("image_path;Dry_Total_g;Dry_Total_g;Block;Block\na.jpg;1;2;x;y\n")
    assert "has the column Dry_Total_g more than once (columns B, C)" in refusal(table)
    table = saved("image_path;Dry_Total_g;Block;Block\na.jpg;1;x;y\n")
    assert list(read_frame(table).frame.columns)[2:] == ["Block (column C)", "Block (column D)"]
    assert "has the column Block more than once" in refusal(table, columns={"State": "Block"})


def test_rows_with_too_many_cells_are_named(saved):
    message = refusal(saved("# cuts\nimage_path,Dry_Total_g\na.jpg,32\nb.jpg,54,9\n,,,,,\n"))
    assert "rows with more cells than its header, which has 2: row 4 has 3; is there a trailing comma" in message
    assert "or a decimal comma?" in message


@pytest.mark.parametrize(
    ("content", "row"),
    [
        ("sep=;\n" + PLAIN, 3), ('"sep=;"\r\n' + PLAIN, 3), ("SEP=;;;\n" + PLAIN, 3), (PLAIN.replace("\n", "\r"), 2),
        ("# a note, with commas, and more\n# another\n" + PLAIN, 4), ("\n;;\n" + PLAIN, 4), (PLAIN.replace(";", "|"), 2),
        (PLAIN.encode("utf-16"), 2), (PLAIN.encode("utf-16-le"), 2), (PLAIN.encode("utf-16-be"), 2), (PLAIN.encode("utf-32"), 2),
        (PLAIN.replace("Paddock", '"Paddock, block, plot, farm"'), 2), (PLAIN.replace(";", " ; "), 2),
        (PLAIN.replace(";Paddock", ';"Pad\ndock"'), 2), (PLAIN.replace("Paddock", "#"), 2), ("#;" + PLAIN.replace("\na", "\n1;a").replace("\nb", "\n2;b"), 2),
    ],
)  # fmt: skip
def test_files_of_many_programs_are_read_and_rows_counted_as_they_stand(saved, content, row):
    read = read_frame(saved(content))
    assert read.frame["Dry_Total_g"].tolist() == [32.8, 54.9]
    assert read.frame["image_path"].tolist() == ["a.jpg", "b.jpg"]
    assert read.frame.index[0] + 2 == row
    assert read.remarks == ()


def test_windows_1252_is_read_and_said(saved):
    text = "image_path;Betrieb_Süd;Dry_Total_g\nGröße_1.jpg;Süß, “neu”;32,8\n"
    read = read_frame(saved(text.encode("cp1252")))
    assert read.frame["Betrieb_Süd"].tolist() == ["Süß, “neu”"]
    (remark,) = read.remarks
    assert remark.what == "encoding"
    assert "was read as Windows-1252" in remark.message
    assert "Betrieb_Süd" in remark.names


@pytest.mark.parametrize(
    ("word", "encoding"),
    [
        ("Пастбище", "cp1251"),
        ("Λιβάδι", "cp1253"),
        ("Süd", "cp850"),
        ("Wiese_Süd", "mac_roman"),
        ("牧場", "shift_jis"),
        ("草地", "gbk"),
    ],
)
def test_text_in_another_code_page_is_refused_with_a_way_out(saved, word, encoding):
    assert "save it as CSV UTF-8" in refusal(saved(PLAIN.replace("01", word).encode(encoding)))


@pytest.mark.parametrize(
    ("content", "name", "part"),
    [
        (b"PK\x03\x04", "t.csv", "it is a workbook or a zip file"), (b"\xd0\xcf\x11\xe0", "t.xlsx", "has a password"),
        (b"\xd0\xcf\x11\xe0", "t.xls", "save it as .xlsx"), (b"PK", "t.ods", "save it as .xlsx"), (b"\x00\x01\x02", "t.csv", "CSV UTF-8"),
        ('image_path;State\na.jpg;"Tas\nb.jpg;Vic\n', "t.csv", "is a quotation mark missing?"), ("no zip", "t.xlsx", "t.xlsx is not a workbook, whatever its name"),
        (PLAIN, "t.xlsx", "if it is text, rename it to .csv"), (b"PAR1\x00", "t.parquet", "it is a Parquet file"), ('[{"image_path": "a.jpg"}]', "t.json", "is JSON"),
        ("\r\n<html><body><table>", "t.xls", "is a web page or XML"), ("<!DOCTYPE html>", "t.xlsx", "is a web page or XML"),
        (PLAIN.encode("utf-16")[:-1], "t.csv", "not text in utf-16"),
    ],
)  # fmt: skip
def test_what_is_no_table_is_refused_with_a_way_out(saved, content, name, part):
    assert part in refusal(saved(content, name))


def test_a_folder_is_no_table(tmp_path):
    assert "is a folder: expected a table" in refusal(tmp_path)


def test_a_title_above_the_header_is_refused_with_the_row_of_the_header(saved, workbook):
    rows = [["Farm survey 2025"], [], HEADER, ["a.jpg", 1, 5]]
    for separator in ",;\t":
        text = "\n".join(separator.join(map(str, row)) for row in rows)
        assert "row 3 looks like the header: remove the rows above it" in refusal(saved(text))
    assert "row 3 looks like the header" in refusal(workbook(cuts=rows))
    assert "row 3 looks like the header" in refusal(workbook(Notes=[["x"]], cuts=rows), sheet="cuts")
    assert "sheet cuts: row 3 looks like the header" in refusal(workbook(Notes=[["x"]], cuts=rows))
    long = [["Foto", "Name", "Gramm"], ["a.jpg", "Dry_Total_g", "5"], ["a.jpg", "GDM_g", "5"]]
    assert len(read_frame(workbook(cuts=long)).frame) == 2


def test_hidden_rows_and_columns_are_read_and_named(workbook):
    path = workbook(cuts=[HEADER, ["a.jpg", 1, 5], ["b.jpg", 2, 6], ["c.jpg", 3, 7], []])
    book = openpyxl.load_workbook(path)
    for number in (3, 4, 9):
        book["cuts"].row_dimensions[number].hidden = True
    for letter in "BC":
        book["cuts"].column_dimensions[letter].hidden = True
    book.save(path)
    read = read_frame(path)
    assert read.frame["Dry_Total_g"].tolist() == [5, 6, 7]
    rows, columns = read.remarks
    assert (rows.what, rows.names) == ("hidden_rows", ("row 3", "row 4"))
    assert (columns.what, columns.names) == ("hidden_columns", ("Dry_Total_g",))


HEADER = ["image_path", "Paddock", "Dry_Total_g"]


def test_cells_of_a_workbook_are_shown_as_they_are_there(workbook):
    rows = [
        HEADER,
        ["a.jpg", 1, 32.8],
        ["b.jpg", "01", "54,9"],
        ["c.jpg", 7, 1563],
        ["d.jpg", 1.5, None],
        [" e.jpg ", True, "NA"],
    ]
    frame = read_frame(workbook(cuts=rows, formats={"B4": "000"})).frame
    assert frame["Paddock"].tolist() == ["1", "01", "007", "1.5", "TRUE"]
    np.testing.assert_array_equal(frame["Dry_Total_g"], [32.8, 54.9, 1563, np.nan, np.nan])
    assert frame["image_path"].iloc[-1] == "e.jpg"


def test_a_weight_that_a_spreadsheet_made_a_date_is_refused(workbook, weighed_photos):
    table = workbook(cuts=[HEADER, ["train/ID0.png", 1, pd.Timestamp("2025-05-12")]])
    with pytest.raises(TableInvalid, match=r"row 2, column Dry_Total_g: not a number \(got '2025-05-12'\)"):
        read_weighed_table(table, weighed_photos)


def test_the_first_sheet_with_photos_is_read_and_the_others_are_named(workbook):
    autumn, spring = [HEADER, ["a.jpg", 1, 5]], [HEADER, ["b.jpg", 1, 6]]
    notes = [["Cuts of 2025"], ["See the next sheet"]]
    table = workbook(
        Notes=notes, autumn=autumn, spring=spring, old=spring, Sheet5=[], template=[HEADER], hidden=["old"]
    )
    read = read_frame(table)
    assert read.frame["image_path"].tolist() == ["a.jpg"]
    assert read.where == f"{table}, sheet autumn"
    seasons, others = read.remarks
    assert (seasons.what, seasons.names, seasons.is_warning) == ("sheets_not_read", ("spring",), True)
    assert (others.what, others.names, others.is_warning) == (
        "other_sheets",
        ("Notes", "old (hidden)", "template"),
        False,
    )
    for sheet, photo in (("spring", "b.jpg"), ("old", "b.jpg")):
        named = read_frame(table, TableFormat(sheet=sheet))
        assert named.frame["image_path"].tolist() == [photo]
        assert named.remarks == ()
    assert "`sheet=sping`: " in refusal(table, sheet="sping")
    assert "has the sheets Notes, autumn, spring, old, Sheet5, template" in refusal(table, sheet="sping")


def test_a_workbook_with_one_sheet_needs_no_word(workbook):
    table = workbook(cuts=[HEADER, ["a.jpg", 1, 5]], Sheet2=[])
    assert read_frame(table).remarks == ()


def test_sheets_without_photos_are_listed_and_renamed_columns_found(workbook):
    table = workbook(Notes=[["Cuts"], ["x"]], cuts=[["Foto", "Dry_Total_g"], ["a.jpg", 5]])
    assert "no visible sheet with rows and the column image_path; its sheets are Notes, cuts" in refusal(table)
    assert read_frame(table, TableFormat({"image_path": "Foto"})).frame["image_path"].tolist() == ["a.jpg"]
    hidden = workbook(old=[HEADER, ["a.jpg", 1, 5]], Notes=[["Cuts"]], hidden=["old"])
    assert "its sheets are old (hidden), Notes" in refusal(hidden)


def test_a_sheet_of_what_has_none_is_refused(saved):
    assert "`sheet=cuts`: " in refusal(saved(PLAIN), sheet="cuts")
    assert "a data frame has no sheets" in refusal(pd.DataFrame({"image_path": ["a.jpg"]}), sheet="cuts")


def test_formulas_that_were_never_computed_are_refused_where_they_are_used(workbook):
    unused = workbook(cuts=[[*HEADER, "Sum"], ["a.jpg", 1, 5, "=C2*2"]])
    assert total(unused) == [5]
    table = workbook(cuts=[HEADER, ["a.jpg", 1, 5], ["b.jpg", 1, "=C2*2"]])
    assert "has formulas without results (1: row 3, column Dry_Total_g)" in refusal(table)


def test_a_formula_whose_result_is_an_empty_text_is_an_empty_cell(workbook, tmp_path):
    formula = '=IF(B2="","",B2)'
    table = workbook(cuts=[HEADER, ["a.jpg", 1, formula], ["b.jpg", 1, 5]])
    with zipfile.ZipFile(table) as source, zipfile.ZipFile(tmp_path / "computed.xlsx", "w") as target:
        for name in source.namelist():
            # As a spreadsheet program stores it; openpyxl writes formulas without results.
            target.writestr(name, source.read(name).replace(b'<c r="C2">', b'<c r="C2" t="str">'))
    assert "formulas without results" in refusal(table)
    np.testing.assert_array_equal(total(tmp_path / "computed.xlsx"), [np.nan, 5])


def test_rows_of_a_sheet_keep_their_numbers(workbook):
    table = workbook(cuts=[[], HEADER, [], ["a.jpg", 1, 5], [None, " ", None], ["b.jpg", 1, 6]])
    assert (read_frame(table).frame.index + 2).tolist() == [4, 6]
