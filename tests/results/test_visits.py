from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from herbage.results.visits import MAX_GAP, MAX_SPAN, PaddockPhotos
from tests.results.test_paddocks import an_estimate, paddocks


def visits(*times):
    photos = PaddockPhotos()
    for number, time in enumerate(times):
        photos.add(an_estimate(10 + number, time=time and f"2025-{time}"), 0.21)
    found, left_out = photos.visits()
    return [visit.photos for visit in found], left_out.photos


@pytest.mark.parametrize(("times", "photos"), [
    (["09-04T10:00", "09-04T10:20"], [2]),
    (["09-04T16:00", "09-05T08:00"], [2]),  # a survey that ends the next morning
    (["09-04T23:50", "09-05T00:10"], [2]),
    (["09-04T10:00", "09-05T10:00", "09-06T10:00"], [1, 1, 1]),  # daily walks
    (["09-04T08:00", "09-04T17:00", "09-05T08:00", "09-05T17:00", "09-06T08:00", "09-06T17:00"], [4, 2]),
    (["09-05T10:00", "09-04T10:00"], [1, 1]),  # the order of photos does not matter
])  # fmt: skip
def test_photos_of_one_occasion_are_a_visit(times, photos):
    assert visits(*times) == (photos, 0)


def test_undated_photos_join_the_only_visit_and_are_left_out_of_several():
    assert visits("09-04T10:00", None, None) == ([3], 0)
    assert visits(None, None) == ([2], 0)
    assert visits("09-04T10:00", "09-20T10:00", None, None) == ([1, 1], 2)


@given(st.lists(st.integers(0, 24 * 60 * 12), min_size=1, max_size=60), st.randoms())
def test_visits_keep_their_promises_whatever_the_times(minutes, random):
    start = datetime(2025, 9, 1)
    times = [start + timedelta(minutes=minute) for minute in minutes]
    random.shuffle(times)
    photos = PaddockPhotos()
    for time in times:
        photos.add(an_estimate(20, time=time.isoformat()), 0.21)
    found, _ = photos.visits()
    assert sum(visit.photos for visit in found) == len(times)
    for visit in found:
        own = sorted(time for time in times if visit.first <= time <= visit.last)
        assert len(own) == visit.photos  # visits do not overlap
        assert own[-1] - own[0] <= MAX_SPAN
        assert all(later - earlier <= MAX_GAP for earlier, later in pairwise(own))


def test_photos_that_are_in_no_mean_are_counted_and_named():
    summary = paddocks()
    for number, (name, time) in enumerate([
        ("North", "09-04T10:00"), ("North", "09-20T10:00"), ("North", None), ("South", None), (None, "09-04T10:00"),
    ]):  # fmt: skip
        summary.add(name, an_estimate(10 + number, time=time and f"2025-{time}"))
    row = summary.table().set_index("paddock").loc["North"]
    assert (row["photos"], row["earlier_photos"], row["undated_photos"]) == (1, 1, 1)
    assert row["kg_per_ha"] == pytest.approx(11 / 0.21 * 10, abs=1e-3)
    found = {remark.what: remark for remark in summary.remarks()}
    assert {what: remark.count for what, remark in found.items()} == {
        "photos_without_paddock": 1, "photos_of_earlier_visits": 1, "undated_photos": 1,
    }  # fmt: skip
    assert found["photos_of_earlier_visits"].names == ("North on 2025-09-04 (1 photo, such as a.jpg)",)
    assert not list(paddocks().remarks())


def test_a_mean_over_hours_is_the_mean_of_all_photos():
    times = [datetime(2025, 9, 4, hour, minute) for hour in (8, 9, 10) for minute in (0, 10)]
    totals = np.array([20.0, 26, 31, 35, 40, 18])
    summary = paddocks()
    for total, time in zip(totals, times, strict=True):
        summary.add("Home", an_estimate(total, time=time.isoformat()))
    row = summary.table().iloc[0]
    assert row["kg_per_ha"] == pytest.approx(totals.mean() / 0.21 * 10, abs=1e-3)
    assert row["variation"] == pytest.approx(totals.std(ddof=1) / totals.mean(), abs=1e-4)
