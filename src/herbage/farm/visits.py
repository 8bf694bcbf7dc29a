"""The visits to the paddocks of a farm, with their cover and the growth since the visit before."""

import math
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

import numpy as np
import pandas as pd

from herbage.errors import InputInvalid
from herbage.farm import geopackage
from herbage.farm.models import ModelRecord, read_models
from herbage.farm.paddocks import Paddocks
from herbage.farm.schema import VISIT_COLUMNS, sql_type
from herbage.model.estimate import DEFAULT_LEVEL
from herbage.photos.exif import FIRST_DIGITAL_YEAR, is_possible_day
from herbage.results.cover import Cover, Growth
from herbage.results.paddocks import plain_rows
from herbage.results.visits import PhotoSums, divide_into_visits
from herbage.targets import CLOVER, GDM, TARGETS, TOTAL, kg_per_ha

HECTARE_AREA_M2 = 10.0
"""Grams on 10 m2 are kg DM/ha: sums of photos with quadrats of different areas are in this unit."""

NOON = pd.Timedelta(hours=12)
"""The time of photos whose day was given."""

DIGITS = 4

MAX_GROWTH_DAYS = 90
"""Over more days, a paddock may have been grazed and regrown without a visit in between."""

FIRST_VISIT = "first visit"
OTHER_MODEL = "estimated by another model than the visit before"
LONG_GAP = f"more than {MAX_GROWTH_DAYS} days after the visit before"
SAME_DAY = "on the same day as the visit before"
GRAZING = "possible grazing since the visit before"
SINGLE_PHOTO = "interval unknown, because a visit has a single photo"
UNKNOWN_ERRORS = "interval unknown, because the model's errors are unknown at this level"


@dataclass(frozen=True)
class Part:
    """Photos of a visit that the same heads estimated; sums are in kg DM/ha."""

    sums: PhotoSums
    model: str
    measured: bool

    @property
    def first(self) -> datetime | None:
        """The earliest capture time."""
        return self.sums.first

    @property
    def last(self) -> datetime | None:
        """The latest capture time."""
        return self.sums.last


@dataclass(frozen=True)
class Visit:
    """The photos of one paddock on one occasion, dated by the first.

    `growth` is that since the visit `before`, None where `note` says why there is none. `models` are the digests of the
    models that made the estimates.
    """

    paddock_id: str
    day: date
    sums: PhotoSums
    models: tuple[str, ...]
    cover: Cover
    before: "Visit | None" = field(default=None, repr=False)
    growth: Growth | None = None
    note: str = ""

    @property
    def possible_grazing(self) -> bool:
        """Whether the cover fell since the visit before by more than both intervals."""
        return self.note == GRAZING

    @property
    def has_growth(self) -> bool:
        """Whether its growth is narrow enough to be shown."""
        return self.growth is not None and self.growth.is_useful


def read_visits(
    connection: sqlite3.Connection, models: Mapping[str, ModelRecord], level: float
) -> dict[str, list[Visit]]:
    """The visits of each paddock in order of time, by its id; raises InputInvalid for a damaged photo."""
    photos = _read_photos(connection)
    hours: dict[str, list[Part]] = defaultdict(list)
    for paddock_id, part in _parts(photos):
        if part.model not in models:
            raise InputInvalid(
                f"The table models has no row of the model {part.model}: use an earlier copy of the farm."
            )
        hours[paddock_id].append(part)
    for cover in {TARGETS[model.main] for model in models.values()}:
        _refuse(photos, cover, photos[cover].isna(), "grams")
    return {own: _of_paddock(own, parts, models, level) for own, parts in hours.items()}


def visits_table(visits: Mapping[str, Sequence[Visit]], paddocks: Paddocks) -> pd.DataFrame:
    """All visits as a table with the columns of `visits` in a farm file, by date and paddock."""
    rows = [visit_row(visit, paddocks) for own in visits.values() for visit in own]
    frame = table_of(rows, VISIT_COLUMNS)
    return frame.sort_values(["date", "paddock"], kind="stable").reset_index(drop=True)


def table_of(rows: Iterable[dict[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    """A table of these rows; columns of numbers are floats, even if all their cells are empty."""
    frame = pd.DataFrame(rows, columns=list(columns))
    return frame.astype({name: float for name in columns if sql_type(name) == "REAL"})


def write_visits(connection: sqlite3.Connection, paddocks: Paddocks) -> None:
    """Compute the table `visits` from `photos`, at the default level."""
    visits = read_visits(connection, read_models(connection), DEFAULT_LEVEL)
    connection.execute("DELETE FROM visits")
    geopackage.insert(connection, "visits", VISIT_COLUMNS, plain_rows(visits_table(visits, paddocks)))
    geopackage.touch(connection, "visits")


def delete_photos(connection: sqlite3.Connection, visits: Iterable[Visit]) -> None:
    """Delete the photos of these visits."""
    photos = _read_photos(connection)
    for visit in visits:
        first, last = (pd.Timestamp(time) for time in (visit.sums.first, visit.sums.last) if time)
        in_visit = (photos["paddock_id"] == visit.paddock_id) & photos["time"].between(first, last)
        connection.executemany("DELETE FROM photos WHERE key = ?", [(key,) for key in photos["key"][in_visit]])
    geopackage.touch(connection, "photos")


def _read_photos(connection: sqlite3.Connection) -> pd.DataFrame:
    """The photos of paddocks that are in the layer, with weights in kg DM/ha, by paddock and time.

    Raises InputInvalid for a photo that is there twice, and for a value that cannot be right: people edit the layer.
    """
    needed = [
        "photo", "key", "paddock_id", "date", "taken_at", "model", "measured", "in_domain", "quadrat_area_m2", *TARGETS,
    ]  # fmt: skip
    known = "(SELECT id FROM paddocks)"
    rows = connection.execute(f"SELECT {', '.join(needed)} FROM photos WHERE paddock_id IN {known}")
    frame = pd.DataFrame(rows, columns=needed)
    if frame["key"].duplicated().any():
        twice = frame["photo"][frame["key"].duplicated()].iloc[0]
        raise InputInvalid(f"The table photos has {twice} twice: delete one of its rows in a GIS.")
    frame["measured"] = frame["measured"].fillna(0)
    for column in ("measured", "in_domain"):
        frame[column] = _numbers(frame, column, lambda value: value.isin((0, 1)), "1 (true) or 0 (false)")
    for column in TARGETS:
        frame[column] = _numbers(frame, column, lambda value: (value >= 0) & (value < np.inf), "grams, at least 0")
    area = _numbers(frame, "quadrat_area_m2", lambda value: (value > 0) & (value < np.inf), "square metres")
    _refuse(frame, "quadrat_area_m2", area.isna(), "square metres")
    frame["measured"], frame["time"] = frame["measured"].astype(bool), _times(frame)
    targets = list(TARGETS)
    frame[targets] = kg_per_ha(frame[targets].to_numpy().T, area.to_numpy()).T
    return frame.sort_values(["paddock_id", "time"], kind="stable", ignore_index=True)


def _numbers(frame: pd.DataFrame, column: str, are_right: Callable[[pd.Series], pd.Series], expected: str) -> pd.Series:
    """A column as floats; cells may be empty. Raises InputInvalid where one is not as expected."""
    numbers = pd.to_numeric(frame[column], errors="coerce").astype(float)
    _refuse(frame, column, frame[column].notna() & ~are_right(numbers), expected)
    return numbers


def _times(frame: pd.DataFrame) -> pd.Series:
    """When photos were taken. Their `date` decides on the day, since a person may correct that of a wrong clock.

    A program that has no type for days may have added a time to `date`, which is of no meaning.
    """
    text = frame["date"].astype("string")
    day = pd.to_datetime(text.str.extract(r"^(\d{4}-\d\d-\d\d)(?:[T ].*)?$")[0], format="%Y-%m-%d", errors="coerce")
    is_possible = {day.date(): is_possible_day(day.date()) for day in day.dropna().unique()}
    are_wrong = ~day.dt.date.map(is_possible).fillna(False).astype(bool)
    _refuse(frame, "date", are_wrong, f"a day as YYYY-MM-DD, from {FIRST_DIGITAL_YEAR} to tomorrow")
    text = frame["taken_at"].astype("string")
    text = text.mask(text == "")
    taken = pd.to_datetime(text.str.slice(0, 19), format="%Y-%m-%dT%H:%M:%S", errors="coerce")
    _refuse(frame, "taken_at", taken.isna() & text.notna(), "a local time, such as 2026-09-04T10:12:00")
    time: pd.Series = day + (taken - taken.dt.normalize()).fillna(NOON)
    return time


def _refuse(frame: pd.DataFrame, column: str, are_wrong: pd.Series, expected: str) -> None:
    if are_wrong.any():
        photo, value = frame.loc[are_wrong, ["photo", column]].astype(object).iloc[0]
        shown = "empty" if pd.isna(value) else repr(value) if isinstance(value, str) else value
        raise InputInvalid(
            f"The table photos has a value that cannot be read: {column} of {photo} is {shown}; "
            f"expected {expected}. Correct it in a GIS, or delete the row to leave the photo out."
        )


def _parts(frame: pd.DataFrame) -> Iterator[tuple[str, Part]]:
    """The sums of each hour, model and set of heads, with the id of their paddock, in order of time."""
    if frame.empty:
        return
    hour = frame["time"].dt.floor("h")
    member = frame.groupby([frame["paddock_id"], hour, "model", "measured"], sort=True).ngroup().to_numpy()
    order = np.argsort(member, kind="stable")
    start = np.flatnonzero(np.diff(member[order], prepend=-1))
    kg = frame[list(TARGETS)].to_numpy()[order]
    domain = frame["in_domain"].to_numpy()[order]
    sums, squares = np.add.reduceat(kg, start), np.add.reduceat(kg**2, start)
    counts = np.diff(start, append=len(frame))
    known, inside = np.add.reduceat(~np.isnan(domain), start), np.add.reduceat(domain == 1, start)
    rows = frame.iloc[order]
    first, last = rows["time"].iloc[start], rows["time"].iloc[[*(start[1:] - 1), -1]]
    facts = zip(*(rows[name].iloc[start] for name in ("paddock_id", "model", "measured")), first, last, strict=True)
    for number, (paddock_id, model, measured, earliest, latest) in enumerate(facts):
        yield str(paddock_id), Part(
            PhotoSums(
                photos=int(counts[number]), grams=sums[number], squares=squares[number],
                in_domain=int(inside[number]), domain_known=int(known[number]),
                measured=int(counts[number]) if measured else 0,
                first=earliest.to_pydatetime(), last=latest.to_pydatetime(),
            ),
            str(model), bool(measured),
        )  # fmt: skip


def _of_paddock(own: str, parts: Sequence[Part], models: Mapping[str, ModelRecord], level: float) -> list[Visit]:
    """The visits of a paddock, each with its growth."""
    visits: list[Visit] = []
    for parts_of_one in divide_into_visits(parts):
        visits.append(_with_growth(_visit(own, parts_of_one, models, level), visits))
    return visits


def _visit(own: str, parts: Sequence[Part], models: Mapping[str, ModelRecord], level: float) -> Visit:
    by_heads: dict[tuple[str, bool], list[PhotoSums]] = defaultdict(list)
    for part in parts:
        by_heads[part.model, part.measured].append(part.sums)
    of_heads = [
        (PhotoSums.total(sums), models[model].errors_kg_per_ha(measured=measured))
        for (model, measured), sums in by_heads.items()
    ]
    total = PhotoSums.total(part.sums for part in parts)
    assert total.day is not None  # every part has a time
    digests = tuple(dict.fromkeys(part.model for part in parts))
    cover = Cover.of(of_heads, models[digests[0]].main, HECTARE_AREA_M2, level)
    return Visit(own, total.day, total, digests, cover)


def _with_growth(visit: Visit, earlier: Sequence[Visit]) -> Visit:
    """The visit with its growth since the visit before.

    Where the interval is too wide, growth is that since the latest visit for which it is not, as far back as the last
    possible grazing or change of model, and at most MAX_GROWTH_DAYS.
    """
    if not earlier:
        return replace(visit, note=FIRST_VISIT)
    if note := _break_between(earlier[-1], visit):
        return replace(visit, before=earlier[-1], note=note)
    stretch = [earlier[-1]]
    for older in reversed(earlier[:-1]):
        if stretch[-1].note in (OTHER_MODEL, GRAZING) or _break_between(older, visit):
            break
        stretch.append(older)
    pairs = ((before, _growth(before, visit)) for before in stretch)
    before, growth = next((pair for pair in pairs if pair[1].is_useful), (stretch[0], _growth(stretch[0], visit)))
    note = "" if growth.is_useful else why_no_growth(growth, before.cover, visit.cover)
    return replace(visit, before=before, growth=growth, note=note)


def _growth(before: Visit, after: Visit) -> Growth:
    return Growth.between(before.cover, after.cover, (after.day - before.day).days)


def _break_between(before: Visit, visit: Visit) -> str:
    """Why there is no growth between two visits, empty where there may be one."""
    if len({*before.models, *visit.models}) > 1:
        return OTHER_MODEL
    if visit.day == before.day:
        return SAME_DAY
    if (visit.day - before.day).days > MAX_GROWTH_DAYS:
        return LONG_GAP
    return GRAZING if visit.cover.high < before.cover.low else ""


def why_no_growth(growth: Growth, *covers: Cover) -> str:
    """Why this growth is not shown; `covers` are those that it is computed from."""
    if any(math.isnan(cover.model) for cover in covers):
        return UNKNOWN_ERRORS
    if math.isnan(growth.half_width):
        return SINGLE_PHOTO
    return f"interval too wide to be of use: {growth.rate:+,.0f} ± {growth.half_width:,.0f} kg DM/ha per day"


def visit_row(visit: Visit, paddocks: Paddocks) -> dict[str, Any]:
    """The cells of a visit in the table `visits`, None where a value is unknown."""
    sums, cover, growth = visit.sums, visit.cover, visit.growth if visit.has_growth else None
    total = sums.grams[TOTAL]
    cells: dict[str, Any] = {
        "paddock_id": visit.paddock_id,
        "paddock": paddocks.label(visit.paddock_id),
        "date": visit.day.isoformat(),
        "photos": sums.photos,
        "kg_per_ha": cover.mean,
        "kg_per_ha_low": cover.low,
        "kg_per_ha_high": cover.high,
        "sampling_kg_per_ha": cover.sampling,
        "model_kg_per_ha": cover.model,
        "GDM_kg_per_ha": sums.grams[GDM] / sums.photos,
        "green_share": sums.grams[GDM] / total if total else None,
        "legume_share": sums.grams[CLOVER] / total if total else None,
        "in_domain_share": sums.in_domain / sums.domain_known if sums.domain_known else None,
        "growth_note": visit.note or None,
        "possible_grazing": visit.possible_grazing,
        "model": ", ".join(visit.models),
    }
    if growth is not None and visit.before is not None:
        cells |= {"growth_kg_per_ha_day": growth.rate, "growth_low": growth.low, "growth_high": growth.high}
        cells["growth_since"] = visit.before.day.isoformat()
    return {name: plain(cells.get(name)) for name in VISIT_COLUMNS}


def plain(value: Any) -> Any:
    """A value as a cell of a season's tables: numbers rounded, None where unknown."""
    if not isinstance(value, float):
        return value
    return None if math.isnan(value) else round(float(value), DIGITS)
