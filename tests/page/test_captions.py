"""The names of measured columns as labels and units."""

import pytest

from herbage.page.captions import caption


@pytest.mark.parametrize(
    ("column", "label", "unit"),
    [
        ("Height_Ave_cm", "Height Ave", "cm"),
        ("Pre_GSHH_NDVI", "Pre GSHH NDVI", None),
        ("moisture_pct", "moisture", "%"),
        ("cover_%", "cover", "%"),
        ("plate_m", "plate", "m"),
        ("cut_kg_per_ha", "cut", "kg/ha"),
        ("cut_g_per_m2", "cut", "g/m²"),
        ("cm", "cm", None),
        ("_cm", " cm", None),
        ("Height", "Height", None),
        ("Höhe cm", "Höhe cm", None),
        ("algum", "algum", None),
    ],
)
def test_a_unit_is_the_end_of_a_name_and_the_rest_is_the_label(column, label, unit):
    assert caption(column) == (label, unit)
