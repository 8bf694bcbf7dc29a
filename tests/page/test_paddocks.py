"""The cover of paddocks as the browser computes it: that of the server, to the last digit."""

import unicodedata
from datetime import datetime, timedelta

import numpy as np
import pytest
from fastapi.testclient import TestClient
from scipy import stats

from herbage.app.web.api import make_app
from herbage.app.web.service import PaddockSummary
from herbage.farm.models import ModelRecord
from herbage.page.facts import model_facts
from herbage.page.site_facts import student_t
from herbage.results.paddock_assignment import similar_names
from herbage.results.paddocks import COLUMNS
from herbage.results.visits import PhotoSums, divide_into_visits
from tests.page import reference

TABLES = """async (cases) => {
  const { paddockTable } = await import("./paddocks.js");
  return cases.map(({ model, predictions, paddocks }) => {
    try {
      return paddockTable(model, predictions, paddocks);
    } catch (error) {
      if (error.status !== 422) throw error;
      return { detail: error.message };
    }
  });
}"""


OF_QUANTILES = ("sampling_kg_per_ha", "kg_per_ha_low", "kg_per_ha_high", "growth_low", "growth_high")


@pytest.fixture(autouse=True)
def models_are_records(monkeypatch):
    monkeypatch.setattr(PaddockSummary, "of", reference.summary_of)


def sent(cases):
    return [{"model": reference.facts_of(record), **body} for record, body in cases]


def make_cases(seed, count, most=30):
    rng = np.random.default_rng(seed)
    return [reference.a_case(rng, most) for _ in range(count)]


def test_rows_remarks_and_refusals_are_those_of_the_server(modules):
    cases = make_cases(0, 160)
    answers = modules.evaluate(TABLES, sent(cases))
    seen = set()
    for (record, body), answer in zip(cases, answers, strict=True):
        expected = reference.table_of(record, body)
        assert answer == expected
        assert all(tuple(row) == COLUMNS for row in answer.get("paddocks", ()))
        seen |= {"refused"} if "detail" in answer else {one["what"] for one in answer["remarks"]}
        seen |= {name for row in answer.get("paddocks", ()) for name, value in row.items() if value is not None}
        seen |= {f"no {name}" for row in answer.get("paddocks", ()) for name, value in row.items() if value is None}
    assert seen >= {"refused", "copies", "similar_paddocks", "paddocks_like_dates", "photos_without_paddock"}
    assert seen >= {"photos_of_earlier_visits", "undated_photos", *COLUMNS}
    assert seen >= {
        "no taken_on",
        "no kg_per_ha_low",
        "no variation",
        "no GDM_kg_per_ha",
        "no green_share",
        "no growth_low",
    }


def test_many_photos_are_as_exact_as_the_expansion_of_the_quantile(modules):
    cases = make_cases(1, 10, most=600)
    answers = modules.evaluate(TABLES, sent(cases))
    for (record, body), answer in zip(cases, answers, strict=True):
        expected = reference.table_of(record, body)
        assert answer.get("remarks") == expected.get("remarks")
        assert answer.get("detail") == expected.get("detail")
        for own, other in zip(answer.get("paddocks", ()), expected.get("paddocks", ()), strict=True):
            computed = {
                name for name in other if other["photos"] > 30 and name in OF_QUANTILES and other[name] is not None
            }
            assert {**own, **dict.fromkeys(computed)} == {**other, **dict.fromkeys(computed)}
            for name in computed:
                assert own[name] == pytest.approx(other[name], rel=1e-8, abs=1.01e-4)


def test_photos_at_whole_hours_are_divided_into_the_same_visits(modules):
    """At whole hours, gaps are equal to each other and to the longest gap of a visit."""
    rng = np.random.default_rng(6)
    times = [np.unique(rng.integers(0, 60, size) * step).tolist() for size in range(1, 40) for step in (1, 2, 6, 9)]
    start = datetime(2025, 3, 29)
    expected = [
        [len(visit) for visit in divide_into_visits([PhotoSums(first=time, last=time) for time in of])]
        for of in ([start + timedelta(hours=hours) for hours in one] for one in times)
    ]
    script = """async (times) => {
      const { divideIntoVisits } = await import("./visits.js");
      const hours = times.map((of) => of.map((hour) => ({ first: hour * 3_600_000, last: hour * 3_600_000 })));
      return hours.map((of) => divideIntoVisits(of).map((visit) => visit.length));
    }"""
    assert modules.evaluate(script, times) == expected


def test_students_t_is_that_of_scipy(modules):
    levels = np.array([0.5, 0.8, 0.9, 0.95, 0.99])
    degrees = np.arange(1, 2001)
    script = """async ([tables, degrees]) => {
      const { studentT } = await import("./cover.js");
      return tables.map((table) => degrees.map((df) => studentT(df, table)));
    }"""
    quantiles = np.array(modules.evaluate(script, [[student_t(level) for level in levels], degrees.tolist()]))
    expected = stats.t.ppf((1 + levels[:, None]) / 2, degrees)
    np.testing.assert_allclose(quantiles[:, :30], expected[:, :30], rtol=1e-12)
    np.testing.assert_allclose(quantiles[:3, 30:], expected[:3, 30:], rtol=5e-9)
    np.testing.assert_allclose(quantiles, expected, rtol=2e-7)


@pytest.mark.parametrize("zone", ["America/Sao_Paulo", "Pacific/Apia", "Australia/Lord_Howe"])
def test_the_time_zone_of_the_device_changes_nothing(modules, chromium, zone):
    cases = sent(make_cases(2, 60))
    context = chromium.new_context(timezone_id=zone)
    page = context.new_page()
    page.goto(modules.url)
    assert page.evaluate("new Date(2025, 0, 1).getTimezoneOffset()") != 0
    assert page.evaluate(TABLES, cases) == modules.evaluate(TABLES, cases)
    context.close()


def test_names_that_look_the_same_are_those_of_the_server(modules):
    """Pairs of a letter and its other cases, for every letter of Unicode, and pairs with similar spellings."""
    letters = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) not in ("Cn", "Cs", "Co")]
    cases = {(letter, case(letter)) for letter in letters for case in (str.lower, str.upper, str.casefold)}
    pairs = sorted([f"a{letter}a", f"a{other}a"] for letter, other in cases if letter != other)
    pairs += [[one, other] for one in reference.PADDOCKS for other in reference.PADDOCKS if one != other]
    script = """async (lists) => {
      const { similarNames } = await import("./names.js");
      return lists.map(similarNames);
    }"""
    answers = modules.evaluate(script, pairs)
    expected = [[remark.record() for remark in similar_names(names)] for names in pairs]
    wrong = [(pair, own, other) for pair, own, other in zip(pairs, answers, expected, strict=True) if own != other]
    assert wrong == []


def test_ties_and_their_neighbours_are_rounded_alike(modules):
    """On 1 m2, weights of 6 digits are kg/ha of 5: many are next to a tie, and multiples of 1/320 are exactly one."""
    record = ModelRecord(digest="c4" * 32, name="m", targets=("Dry_Total_g", "GDM_g"), quadrat_area_m2=1.0)
    rng = np.random.default_rng(3)
    row = reference.some_rows(rng, record, 1)[0] | {"status": "ok", "photo_sha256": None}
    ties = np.concatenate([np.arange(1, 200, 2) / 320, rng.integers(0, 10**6, 200) / 1e5 + 5e-6])
    pairs = [(tie, tie / 32) for tie in ties] + [(100, number / 100 + 5e-3) for number in range(100)]
    rows = [row | {"Dry_Total_g": round(float(total), 6), "GDM_g": round(float(gdm), 6)} for total, gdm in pairs]
    body = {"predictions": rows, "paddocks": [f"paddock {number}" for number in range(len(rows))]}
    (answer,) = modules.evaluate(TABLES, sent([(record, body)]))
    assert answer == reference.table_of(record, body)


def test_a_trained_model_has_the_same_answer(modules, quick_model, monkeypatch):
    """With the facts and the record of a real model, behind the API."""
    monkeypatch.undo()
    record = ModelRecord.of(quick_model)
    assert record.alone is not None
    facts = {**model_facts(quick_model), "student_t": student_t(0.9), "record": record.model_dump(mode="json")}
    assert {**facts, **reference.facts_of(record)} == facts
    rows = reference.some_rows(np.random.default_rng(4), record, 20)
    rows = [row | {"photo_sha256": f"{number:064x}"} for number, row in enumerate(rows)]
    body = {"predictions": rows, "paddocks": ["North", "South"] * 10}
    (answer,) = modules.evaluate(TABLES, [{"model": facts, **body}])
    client = TestClient(make_app(quick_model, quick_model.open_backbone()))
    assert answer == client.post("/api/paddocks", json=body).json()
    assert len(answer["paddocks"]) == 2
