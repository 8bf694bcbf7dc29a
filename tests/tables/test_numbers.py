import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from herbage.errors import TableInvalid
from herbage.tables.cells import Number
from herbage.tables.numbers import Written, decimal_sign, number, read_cell

SIGNS = {"point": ".", "comma": ","}
NO_SEPARATORS = ["", " ", "\u00a0", "\u2009", "\u202f", "'", "\u2019"]


def written(value, digits, decimal, thousands):
    """A number in a locale, by Python's own formatting."""
    text = f"{value:,.{digits}f}".replace(",", "T").replace(".", SIGNS[decimal])
    return text.replace("T", thousands)


def cells(*texts):
    return [Written(f"row {row}, column target", text) for row, text in enumerate(texts, 2)]


@st.composite
def locales(draw):
    decimal = draw(st.sampled_from(["point", "comma"]))
    other = SIGNS["comma" if decimal == "point" else "point"]
    return decimal, draw(st.sampled_from([*NO_SEPARATORS, other]))


@given(locales(), st.floats(-1e9, 1e9), st.integers(0, 4))
def test_a_number_in_a_locale_is_read_back(locale, value, digits):
    decimal, thousands = locale
    assert number(written(value, digits, decimal, thousands), decimal) == pytest.approx(round(value, digits), abs=1e-9)


@given(locales(), st.lists(st.tuples(st.floats(0, 99_999), st.integers(0, 4)), min_size=1, max_size=8))
def test_a_column_is_read_as_it_was_written_or_refused(locale, values):
    decimal, thousands = locale
    texts = [written(value, digits, decimal, thousands) for value, digits in values]
    try:
        sign = decimal_sign(cells(*texts), "t.csv")
    except TableInvalid:
        sign = decimal_sign(cells(*texts), "t.csv", given=decimal)
    read = [read_cell(text, sign) for text in texts]
    assert read == pytest.approx([round(value, digits) for value, digits in values], abs=1e-9)


@pytest.mark.parametrize(
    ("texts", "sign", "values"),
    [
        (["1,563", "2,613.5"], "point", [1563, 2613.5]),
        (["1,563", "0.5"], "point", [1563, 0.5]),
        (["1,563", "1,563,000"], "point", [1563, 1_563_000]),
        (["1.563", "2.613,5"], "comma", [1563, 2613.5]),
        (["1,563", "0,123"], "comma", [1.563, 0.123]),
        (["1,563", "1234,567"], "comma", [1.563, 1234.567]),
        (["1.563", "32,8"], "comma", [1563, 32.8]),
        (["1.563", "1.563.000"], "comma", [1563, 1_563_000]),
        (["1'563", "1\u2019563.5"], "point", [1563, 1563.5]),
        (["1 563", "1\u202f563,25"], "comma", [1563, 1563.25]),
        (["1 234,567"], "comma", [1234.567]),
        (["12", "\u22125", "+7", "1e3", "0"], "point", [12, -5, 7, 1000, 0]),
        (["5.", ".5"], "point", [5, 0.5]),
    ],
)
def test_any_cell_that_is_a_number_with_one_sign_only_decides_for_all(texts, sign, values):
    assert decimal_sign(cells(*texts), "t.csv") == sign
    assert [read_cell(text, sign) for text in texts] == values


@pytest.mark.parametrize("texts", [["1,563"], ["1.563", "12"], ["12", "1,563", "2,345"]])
def test_what_no_cell_decides_is_refused_by_name_unless_the_sign_is_given(texts):
    first = next(text for text in texts if len(text) > 2)
    with pytest.raises(TableInvalid) as caught:
        decimal_sign(cells(*texts), "cuts.txt")
    message = str(caught.value)
    place = f"cuts.txt, row {texts.index(first) + 2}, column target: {first!r} is "
    for part in (place, "1563", "1.563", '`decimal="point"` or `decimal="comma"`'):
        assert part in message
    assert decimal_sign(cells(*texts), "cuts.txt", given="comma") == "comma"
    assert decimal_sign(cells(*texts), "cuts.txt", fallback="point") == "point"


def test_contradicting_cells_are_both_named():
    with pytest.raises(TableInvalid) as caught:
        decimal_sign(cells("12", "32.8", "1,563", "27,0"), "t.csv")
    assert "mixes decimal signs: '32.8' (row 3, column target)" in str(caught.value)
    assert "'27,0' (row 5, column target)" in str(caught.value)


def test_a_cell_that_contradicts_the_given_sign_is_named():
    with pytest.raises(TableInvalid, match=r"row 3, column target: '32.8' is not a number with `decimal=\"comma\"`"):
        decimal_sign(cells("12", "32.8"), "t.csv", given="comma")


@pytest.mark.parametrize(
    "code",
    ["", "NA", "na", "N/A", "n/a", "NaN", "null", "None", "#N/A", "-9999", "-999", "-99", "-9999.0", "\u22129999"],
)
def test_codes_for_a_missing_value_are_read_as_missing(code):
    assert math.isnan(read_cell(code, "point"))


def test_a_number_of_a_workbook_can_be_a_code_too():
    assert math.isnan(read_cell(Number(-9999.0, "-9999"), "point"))
    assert read_cell(Number(1563.0, "1563"), "comma") == 1563


@pytest.mark.parametrize(
    "text",
    [
        "<0.1", "-", "--", "12 g", "5-10", "12 %", "trace", "?", "1_563", "0x1F", "12.5.", "1,56,300", "1 56", "12 5", "(12)", "1e", ".", ",",
        "0 123", "1,563e3", "1'563 200", "12.5 kg", "=A1", "#DIV/0!", "\u0661\u0662", "1/2", "TRUE", "-99.5.1", "ND",
    ],
)  # fmt: skip
def test_what_is_no_number_stays_text_with_a_decimal_point(text):
    assert read_cell(text, "point") == text


@given(st.text(max_size=12))
def test_no_text_is_read_as_a_number_that_python_would_not_see_in_it(text):
    """Apart from the signs that may be in a number, it is what float() reads."""
    assume(text.strip() == text)
    for decimal in ("point", "comma"):
        value = number(text, decimal)
        if value is not None:
            other = SIGNS["comma" if decimal == "point" else "point"]
            plain = "".join(c for c in text if c not in {other, *NO_SEPARATORS}).replace("\u2212", "-")
            assert value == float(plain.replace(SIGNS[decimal], "."))
