"""Random predictions, and what the server answers to them: the reference of the modules that compute in the browser."""

from datetime import datetime, timedelta

import numpy as np
from starlette.exceptions import HTTPException

from herbage.app.web import api
from herbage.app.web.schemas import GroupedPredictions, Predictions, WalkRequest
from herbage.app.web.service import PredictionService
from herbage.farm.models import ErrorsRecord, ModelRecord
from herbage.model.estimate import COLUMNS
from herbage.page.site_facts import student_t
from herbage.results.paddocks import PaddockSummary
from herbage.targets import TARGETS, main_target, named_targets

PADDOCKS = [
    "North", "north", "North ", "No\u200brth", "7", "07", "7.0", "3-1", "2025-03-01", "2025-03-01 00:00:00",
    "Grüne, Aue", "Gru\u0308ne, Aue", 'The "Flat"', "=HILL()", "-5", "+Top", "@home", "\u3000Wide", "line\nbreak", "\tTab",
    "\U0001d7df", "🐑", "ﬁeld",
    "field", "Straße", "STRASSE", "ΟΔΟΣ", "οδος", "\uff26ull", "a_b", "A-b", "a  B",
    "", " ", "\ufeff", "\u0085next", "\x1cfs",
]  # fmt: skip
PHOTOS = [
    "a.jpg",
    "b, c.jpg",
    'd "e".jpg',
    "=f.jpg",
    " +g.jpg",
    "h\ni.jpg",
    "🐄.jpg",
    "ﬀ.jpg",
    "e\u0301.jpg",
    "é.jpg",
    "\t-j",
    "\u2028k",
]
STARTS = [
    "2018-11-03T12:00:00",
    "2025-03-29T20:00:00",
    "2025-09-04T10:00:00",
    "2011-12-28T23:59:59",
    "2024-02-28T08:00:00",
]
"""Around changes to and from summer time, a day that Samoa left out, and a leap day."""


class Service(PredictionService):
    """The service of a model of which only the record is known."""

    def __init__(self, record):
        self.record = self.model = record


def summary_of(record, level):
    """`PaddockSummary.of` for a record."""
    alone, measured = (None if one is None else one.errors() for one in (record.alone, record.measured))
    return PaddockSummary(
        alone, known=record.known, quadrat_area_m2=record.quadrat_area_m2, level=level, measured_errors=measured
    )


def a_record(rng):
    """The record of a model: it may know only some targets, and may have no evidence, or that of too few groups."""
    known = rng.uniform(size=5) < rng.choice([0.5, 1.0])
    known[rng.integers(5)] = True
    alone = an_errors_record(rng, known) if rng.uniform() < 0.8 else None
    return ModelRecord(
        digest="c4" * 32,
        name="field on texture",
        targets=tuple(np.array(TARGETS)[known].tolist()),
        quadrat_area_m2=float(rng.choice([0.21, 0.2, 0.25, 1.0, 0.0625])),
        alone=alone,
        measured=an_errors_record(rng, known) if alone and rng.uniform() < 0.5 else None,
    )


def an_errors_record(rng, known):
    def values(high):
        return [float(value) if one else None for value, one in zip(rng.uniform(0, high, 5), known, strict=True)]

    groups = int(rng.choice([5, 9, 24]))
    return ErrorsRecord(
        shared=values(0.3),
        own=values(0.4),
        score=[values(3) for _ in range(groups)],
        unit_g=values(30),
        widened=float(rng.uniform(1, 1.5)),
    )


def facts_of(record, level=0.9):
    """What the page knows about the model."""
    return {
        "level": level,
        "quadrat_area_m2": record.quadrat_area_m2,
        "main_target": TARGETS[main_target(named_targets(record.targets))],
        "targets": list(record.targets),
        "student_t": student_t(level),
        "record": record.model_dump(mode="json"),
    }


def some_rows(rng, record, count):
    """Predictions of one of several kinds: of one visit, of many, with copies, with measured columns, with gaps."""
    digests = [f"{number:064x}" for number in range(count if rng.uniform() < 0.6 else 2 * count)]
    if rng.uniform() < 0.3:
        digests = digests[: max(1, int(0.8 * count))]
    days, walks = [(0.2, 1), (2, 1), (40, 1), (0.2, 3)][rng.integers(4)]
    level, noise = (rng.choice([20, 80]), 0.2) if walks > 1 else (0, rng.choice([20, 80]))
    kinds = {"measured": rng.choice([0, 0.5, 1]), "undated": rng.choice([0, 0.3, 1], p=[0.4, 0.4, 0.2])}
    start = datetime.fromisoformat(str(rng.choice(STARTS)))
    step = float(rng.choice([1e-6, 1 / 32]))
    rows = []
    for number in range(count):
        weights = np.round(np.round((level + rng.uniform(0, noise, 5)) / step) * step, 6) * (rng.uniform() < 0.95)
        known = {name: value for name, value in zip(TARGETS, weights.tolist(), strict=True) if name in record.targets}
        taken = start + timedelta(days=12 * int(rng.integers(walks)), seconds=int(rng.uniform(0, days) * 86400))
        rows.append(a_row(rng, record, number, known, digests, taken, kinds))
    return rows


def a_row(rng, record, number, known, digests, taken, kinds):
    def one_of(*values):
        return values[rng.integers(len(values))]

    status = "ok" if rng.uniform() < 0.95 else one_of("unreadable", "skipped")
    if status != "ok" or rng.uniform() < 0.03:
        known = {}
    bounds = {f"{name}_low": round(value / 2, 6) for name, value in known.items()}
    placed = rng.uniform() < 0.7
    return {
        **dict.fromkeys(COLUMNS),
        "photo": one_of(*PHOTOS, *[f"IMG_{number:04d}.jpg"] * 5),
        "status": status,
        **known,
        **bounds,
        "Dry_Total_kg_per_ha": one_of(None, 2023.8),
        "GDM_kg_per_ha": one_of(None, 1e-06, 123456789.123456),
        "in_domain": one_of(True, True, False, None),
        "taken_at": None if rng.uniform() < kinds["undated"] else taken.isoformat(),
        "latitude": round(float(rng.uniform(-90, 90)), 6) if placed else None,
        "longitude": round(float(rng.uniform(-180, 180)), 6) if placed else None,
        "message": one_of(None, None, "cannot identify, 'image'\nfile", "+1"),
        "training_photo": one_of(True, False, None),
        "shape_differs": one_of(True, False, None),
        "measured": bool(rng.uniform() < kinds["measured"]) if status == "ok" else one_of(None, False),
        "level": 0.9,
        "quadrat_area_m2": record.quadrat_area_m2,
        "map": None,
        "photo_sha256": str(rng.choice(digests)) if rng.uniform() < 0.995 else None,
        "model": record.digest,
    }


def a_case(rng, most=30):
    """The record of a model, predictions, and the names of their paddocks; copies are mostly in the same paddock."""
    record = a_record(rng)
    rows = some_rows(rng, record, int(rng.integers(0, most)))
    pool = [None, *rng.choice(PADDOCKS, int(rng.integers(1, 6))).tolist()]
    names = [pool[rng.integers(len(pool))] for _ in rows]
    if rng.uniform() < 0.85:
        of_photo = dict(zip((row["photo_sha256"] for row in rows), names, strict=True))
        names = [of_photo[row["photo_sha256"]] for row in rows]
    return record, {"predictions": rows, "paddocks": names}


def table_of(record, body):
    """The answer of POST /api/paddocks."""
    return _answered(api.paddocks, GroupedPredictions.model_validate(body), Service(record), None)


def file_of(record, kind, body):
    """Text, name and type of the answer of POST /api/files/KIND."""
    grouped = {key: value for key, value in body.items() if key != "day"}
    if kind == "walk.json":
        answer = _answered(api.walk_file, WalkRequest.model_validate(body), Service(record))
    elif kind == "paddocks.csv":
        answer = _answered(api.paddocks_file, GroupedPredictions.model_validate(grouped), Service(record), None)
    elif kind == "photos.geojson":
        answer = _answered(api.geojson_file, Predictions.model_validate(grouped))
    else:
        answer = _answered(api.predictions_file, Predictions.model_validate(grouped))
    if isinstance(answer, dict):
        return answer
    name = answer.headers["content-disposition"].split("UTF-8''")[1]
    return {"text": answer.body.decode(), "name": name, "type": answer.headers["content-type"]}


def _answered(route, *args):
    """The answer of a route, or the detail of its refusal."""
    try:
        return route(*args)
    except HTTPException as error:
        return {"detail": error.detail}
