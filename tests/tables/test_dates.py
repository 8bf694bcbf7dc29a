from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herbage.errors import TableInvalid
from herbage.tables.dates import days

DAY = date(2025, 9, 4)
UNAMBIGUOUS = [
    "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y:%m:%d", "%d.%m.%Y", "%d. %m. %Y", "%d-%b-%Y", "%d %B %Y", "%d %b %y", "%d%b%Y", "%B %d, %Y",
    "%b %d %Y", "%Y-%b-%d", "%A, %d %B %Y", "%a %d/%b/%Y",
]  # fmt: skip
TIMES = [
    "",
    " 10:12",
    " 10:12:59",
    "T10:12:00Z",
    "T10:12:00+10:00",
    " 10:12:00.123456",
    " 9:05 PM",
    " 00:00:00",
    " 23:59 UTC",
]
EXCHANGEABLE = {"day-first": ["%d/%m/%Y", "%d-%m-%Y", "%d/%m/%y"], "month-first": ["%m/%d/%Y", "%m-%d-%Y", "%m/%d/%y"]}
CALENDAR = st.dates(date(2000, 1, 1), date(2068, 12, 31))


def rows(values):
    return [f"row {row}" for row in range(2, len(values) + 2)]


def read(values, order=None, column="Day"):
    return days(values, column, rows(values), order)


@given(st.lists(st.tuples(CALENDAR, st.sampled_from(UNAMBIGUOUS), st.sampled_from(TIMES)), min_size=1))
def test_a_day_is_read_in_whatever_spelling_it_is_written(written):
    values = [day.strftime(spelling) + time for day, spelling, time in written]
    assert read(values) == [day.isoformat() for day, _, _ in written]


@given(
    st.lists(st.tuples(CALENDAR, st.sampled_from([0, 1])), min_size=1),
    st.sampled_from(list(EXCHANGEABLE)),
    st.booleans(),
)
def test_days_with_day_and_month_in_one_order_are_read_back_or_refused(written, order, without_zeros):
    values = [day.strftime(EXCHANGEABLE[order][spelling]) for day, spelling in written]
    if without_zeros:
        values = [value.replace("/0", "/").replace("-0", "-").removeprefix("0") for value in values]
    expected = [day.isoformat() for day, _ in written]
    assert read(values, order) == expected
    is_clear = any(day.day > 12 for day, _ in written) or all(day.day == day.month for day, _ in written)
    if is_clear:
        assert read(values) == expected
    else:
        with pytest.raises(TableInvalid, match='`dates="day-first"` or `dates="month-first"`'):
            read(values)


def test_years_with_two_digits_are_of_this_century_and_one_value_decides_the_order():
    assert read(["4/9/25", "30/8/25"]) == ["2025-09-04", "2025-08-30"]
    assert read(["9/4/25", "8/30/25"]) == ["2025-09-04", "2025-08-30"]
    assert read(["04.09.25", "4.9.2025"]) == ["2025-09-04", "2025-09-04"]


def test_an_order_that_no_value_shows_is_refused_with_the_value_its_photo_and_the_parameter():
    with pytest.raises(TableInvalid) as caught:
        days(["4/4/2025", "4/9/2025"], "Sampling_Date", ["a.jpg", "b.jpg"])
    for part in ("column Sampling_Date", "'4/9/2025' (b.jpg)", "2025-09-04 or 2025-04-09", '`dates="day-first"`'):
        assert part in str(caught.value)
    assert days(["4/9/2025"], "D", ["b.jpg"], "month-first") == ["2025-04-09"]


def test_contradictions_are_refused():
    values = ["13/9/2025", "9/13/2025"]
    with pytest.raises(TableInvalid, match=r"'13/9/2025' \(row 2\) .* '9/13/2025' \(row 3\)"):
        read(values)
    with pytest.raises(TableInvalid, match=r"'9/13/2025' \(row 3\) is not a date with `dates=\"day-first\"`"):
        read(values, "day-first")


def test_a_short_date_with_hyphens_may_begin_with_its_year():
    with pytest.raises(TableInvalid, match=r"'25-09-04' \(row 2\) may begin with its day, month or year"):
        read(["25-09-04"], column="Sampling_Date")
    assert read(["25-09-04"], "day-first", "Sampling_Date") == ["2004-09-25"]
    assert read(["25-09-04"]) is None  # in a column of another name, it may be a code


@pytest.mark.parametrize("values", [["45904", "45904.43"], ["20250904", "20250904"], ["45904", "20250904"]])
def test_numbers_are_days_in_a_column_of_dates_only(values):
    days_of = [DAY.isoformat()] * 2
    assert read(values, column="Sampling_Date") == days_of
    assert read([*values, "2025-09-04 10:12"])[:2] == days_of
    assert read(values, column="Plot") is None


def test_serial_numbers_are_those_of_excel():
    assert read(["2025-03-09", "45725", "45725.99", "20000"]) == [
        "2025-03-09",
        "2025-03-09",
        "2025-03-09",
        "1954-10-03",
    ]


def test_a_camera_stamp_is_a_date():
    assert read(["20250904_101200", "2025:09:04 10:12:00"]) == [DAY.isoformat()] * 2


@pytest.mark.parametrize(
    "values",
    [
        ["autumn", "spring"], ["1", "2"], ["", ""], ["North", "South"], ["1-2-13", "4-5-16"], ["12.5", "13.5"], ["2024", "2025"], ["A-1-2025x"],
        ["20191301", "33333"], ["1.2.3", "1.2.4"], ["may", "June"], ["2025-13-45", "2025-99-01"], [],
    ],
)  # fmt: skip
def test_a_column_without_dates_is_not_one_of_dates(values):
    assert read(values) is None


@pytest.mark.parametrize("odd", ["autumn", "2025-02-30", "9-2025", "2025", "31.4.2025"])
def test_the_value_that_is_no_date_among_dates_is_named(odd):
    with pytest.raises(TableInvalid) as caught:
        read(["2025-09-04", "2025-09-05", odd])
    assert f"{odd!r} (row 4) is not a date, but '2025-09-04' (row 2) is" in str(caught.value)


@pytest.mark.parametrize("text", ["18/06/2025", "18-6-2025", "06/18/2025", "6/18/25"])
@pytest.mark.parametrize("order", [None, "day-first", "month-first"])
def test_dates_that_a_spreadsheet_probably_exchanged_are_refused(text, order):
    for native in ("2025-03-09", "2025-03-09 10:12:00"):
        with pytest.raises(TableInvalid, match=rf"day and month of '{native}' \(row 3\) are probably exchanged"):
            read([text, native, "2025-04-04", ""], order)


def test_dates_in_two_spellings_are_read_where_nothing_suggests_that_they_were_exchanged():
    assert read(["18/06/2025", "2025-03-13", "2025-03-09"]) == ["2025-06-18", "2025-03-13", "2025-03-09"]
    assert read(["18/06/2025", "5/6/2025", "2025-03-09"]) == ["2025-06-18", "2025-06-05", "2025-03-09"]
    assert read(["18/06/2025", "2025-03-03"]) == ["2025-06-18", "2025-03-03"]
    assert read(["18.06.2025", "18 June 2025", "2025-03-09"]) == ["2025-06-18"] * 2 + ["2025-03-09"]


@pytest.mark.parametrize(
    "name", ["Sampling_Date", "SamplingDate", "date", "DATE_2", "Dates", "Erntedatum", "Datum 1", "fecha-corte"]
)
def test_numbers_are_dates_under_a_name_with_such_a_word(name):
    assert read(["45904"], column=name) == [DAY.isoformat()]


@pytest.mark.parametrize("name", ["Candidate_line", "Last_update", "Update_no", "UPDATE", "mandate", "Dateline"])
def test_numbers_are_codes_under_a_name_that_contains_such_letters(name):
    assert read(["45904", "20250904"], column=name) is None


def test_a_few_numbers_among_other_values_are_codes():
    assert read(["A12", "B7", "45904"], column="Date_code") is None
    with pytest.raises(TableInvalid, match="'TBD'"):
        read(["45904", "45905", "TBD"], column="Sampling_Date")


def test_an_empty_cell_stays_empty():
    assert read(["2025-09-04", "", " "]) == ["2025-09-04", "", ""]
