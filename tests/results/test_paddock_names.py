import pytest

from herbage.errors import InputInvalid
from herbage.results.paddock_names import name_polygons


def named(given=None, **columns):
    """Names, and the remarks by their key."""
    count = max(map(len, columns.values()), default=0)
    rows = [{key: values[row] for key, values in columns.items() if row < len(values)} for row in range(count)]
    names, remarks = name_polygons(rows, given, "farm.kml")
    return names, {remark.what: remark for remark in remarks}


AREAS, KINDS = [1.5, 2.25, 3.0], ["grass", "grass", "crop"]


@pytest.mark.parametrize("column", [
    "name", "NAME", "Name", "paddock", "PADDOCK_NM", "PADDOCK_NA", "PaddockName", "field_name", "label", "Title", "名称",
])  # fmt: skip
def test_a_usual_property_is_taken_and_said_without_a_warning(column):
    names, remarks = named(id=[1, 2, 3], landuse=KINDS, area_ha=AREAS, **{column: ["Home", "Far", "Hill"]})
    assert names == ["Home", "Far", "Hill"]
    (said,) = remarks.values()
    assert f"named by the property {column}: Home, Far, Hill." in said.message
    assert not said.is_warning


def test_a_usual_property_may_give_two_polygons_one_name():
    names, remarks = named(id=[1, 2, 3], name=["A", "A", "C"], comment=["wet", "dry", "steep"])
    assert names == ["A", "A", "C"]
    assert not remarks["polygons_named_by"].is_warning


def test_other_text_names_paddocks_with_a_warning_that_lists_the_properties():
    names, remarks = named(landuse=KINDS, alias=["Home", "Far", "Hill"], area_ha=AREAS)
    assert names == ["Home", "Far", "Hill"]
    said = remarks["polygons_named_by"]
    assert said.is_warning
    assert "pass `paddock_name` to name another" in said.message
    assert "landuse (grass, crop), alias (Home, Far, Hill), area_ha (1.5, 2.25, 3)" in said.message


def test_the_farm_in_name_gives_way_to_the_paddock_with_a_warning():
    names, remarks = named(name=["Smith", "Smith", "Jones"], paddock=["P1", "P2", "P3"])
    assert names == ["P1", "P2", "P3"]
    assert remarks["polygons_named_by"].is_warning
    assert "name (Smith, Jones)" in remarks["polygons_named_by"].message
    names, _ = named(Name=["Untitled Polygon"] * 3, label=["a", "b", "c"])
    assert names == ["a", "b", "c"]


def test_without_a_property_that_could_name_them_polygons_are_numbered():
    names, remarks = named(landuse=KINDS, area_ha=AREAS, grazed=[True, False, True])
    assert names == ["polygon 1", "polygon 2", "polygon 3"]
    assert "so they are numbered; pass `paddock_name`" in remarks["polygons_numbered"].message
    assert "area_ha (1.5, 2.25, 3)" in remarks["polygons_numbered"].message
    names, remarks = name_polygons([{}, {}], None, "farm.kml")
    assert names == ["polygon 1", "polygon 2"]
    assert not remarks[0].is_warning


@pytest.mark.parametrize(("values", "names"), [
    (["01", "1", " Süd "], ["01", "1", "Süd"]),
    ([7, 8, 9], ["7", "8", "9"]),
    ([7.0, float("nan"), 9.0], ["7", "polygon 2", "9"]),  # as pandas reads whole numbers with an empty cell
    (["u\u0308", "\u00fc", "b"], ["ü", "ü", "b"]),
    (["A", "  ", None], ["A", "polygon 2", "polygon 3"]),
])  # fmt: skip
def test_names_are_text_as_written(values, names):
    found, remarks = named(name=values)
    assert found == names
    unnamed = [name for name in names if name.startswith("polygon")]
    assert list(remarks["polygons_without_name"].names if unnamed else ()) == unnamed


def test_a_number_that_lost_digits_is_no_name():
    names, _ = named(id=[9007199254740993.0, float("nan")])
    assert names == ["polygon 1", "polygon 2"]


def test_a_given_property_is_taken_whatever_it_is():
    names, remarks = named("landuse", name=["A", "B", "C"], landuse=KINDS)
    assert names == KINDS
    assert remarks == {}
    assert named("NAME", name=["A", "B"])[0] == ["A", "B"]
    assert named("area_ha", area_ha=AREAS)[0] == ["1.5", "2.25", "3"]


@pytest.mark.parametrize(("given", "fault"), [
    ("PADDOCK", "`paddock_name=PADDOCK` is not a property of farm.kml. Its properties: name (A, B, C, ...), n (1, 2, 3, ...)."),
    ("note", "`paddock_name=note` is empty for every polygon of farm.kml. Its properties: name (A, B, C, ...), n (1, 2, 3, ...)."),
])  # fmt: skip
def test_an_unknown_property_is_refused_with_those_that_there_are(given, fault):
    with pytest.raises(InputInvalid) as error:
        named(given, name=["A", "B", "C", "D"], n=[1, 2, 3, 4], note=[None, "", " ", None])
    assert str(error.value) == fault
