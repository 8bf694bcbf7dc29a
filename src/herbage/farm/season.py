"""The season of a farm: walks, average pasture cover, growth, feed on hand, and the feed wedge of the newest walk."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from herbage.farm.models import ModelRecord
from herbage.farm.paddocks import FarmPaddock, Paddocks
from herbage.farm.visits import Visit, plain, table_of, visit_row, visits_table, why_no_growth
from herbage.formatting import counted
from herbage.remarks import Remark
from herbage.results.cover import Cover, Growth

WALK_DAYS = 14
"""A paddock's last visit is its state for so many days; later it counts as not visited."""

WEDGE_COLUMNS = (
    "paddock", "paddock_id", "date", "photos", "kg_per_ha", "kg_per_ha_low", "kg_per_ha_high", "GDM_kg_per_ha",
    "green_share", "legume_share", "in_domain_share", "area_ha", "feed_kg", "feed_above_residual_kg",
    "pre_grazing_kg_per_ha", "residual_kg_per_ha", "growth_kg_per_ha_day", "growth_low", "growth_high", "growth_since",
    "growth_note", "days_to_target", "days_low", "days_high", "days_note", "possible_grazing", "model",
)  # fmt: skip
"""The columns of the feed wedge, highest cover first. `days_note` says why the days to the target are empty."""

GROWTH_COLUMNS = (
    "date", "since", "paddock", "paddocks", "growth_kg_per_ha_day", "growth_low", "growth_high", "growth_note",
)  # fmt: skip
"""The columns of growth. Rows of the whole farm have no `paddock`, and `paddocks` is the number in their mean."""


@dataclass(frozen=True)
class Feed:
    """An amount of feed in kg DM, with its interval; NaN where unknown."""

    kg: float
    low: float
    high: float


@dataclass(frozen=True)
class Walk:
    """The farm on the last day of a walk: the last visit to each paddock within WALK_DAYS, and the walk's own visits.

    `cover` is the mean weighted by area over the paddocks whose area is known, or the plain mean if none is.
    """

    day: date
    state: Sequence[Visit]
    own: Sequence[Visit]
    areas_ha: Mapping[str, float | None]

    @property
    def has_areas(self) -> bool:
        """Whether the means are weighted by area."""
        return any(self.areas_ha[visit.paddock_id] is not None for visit in self.state)

    @property
    def area_ha(self) -> float | None:
        """The area of the paddocks in the mean, None if no area is known."""
        areas = [self.areas_ha[visit.paddock_id] for visit in self.state]
        return sum(area or 0.0 for area in areas) if self.has_areas else None

    @cached_property
    def cover(self) -> Cover:
        """The average pasture cover. The model's error is taken as shared by all paddocks, so it is not averaged."""
        visits, shares = self._weighted(self.state)
        means, sampling, model = np.array([_parts(visit.cover) for visit in visits]).T
        return Cover(float(shares @ means), float(np.linalg.norm(shares * sampling)), float(shares @ model))

    @cached_property
    def growing(self) -> list[Visit]:
        """The walk's own visits whose growth is in that of the farm: no first visit, grazing or change of model."""
        return self._weighted([visit for visit in self.own if visit.growth is not None])[0]

    @cached_property
    def growth(self) -> Growth | None:
        """The farm's growth since the visits before, None where no paddock has one.

        The model's error is taken as shared by all paddocks at each of the two visits; nothing cancels between them.
        """
        visits, shares = self._weighted(self.growing)
        pairs = [(visit.before, visit) for visit in visits if visit.before is not None]
        if not pairs:
            return None
        per_day = shares / np.array([(after.day - before.day).days for before, after in pairs])
        covers = np.array([[_parts(before.cover), _parts(after.cover)] for before, after in pairs])
        mean, sampling, model = np.moveaxis(covers, -1, 0)  # each (pair, visit)
        half_widths = [*(per_day[:, None] * sampling).ravel(), *(per_day @ model)]
        return Growth(float(per_day @ (mean[:, 1] - mean[:, 0])), float(np.linalg.norm(half_widths)))

    def _weighted(self, visits: Sequence[Visit]) -> tuple[list[Visit], Float[np.ndarray, " visit"]]:
        """Visits of paddocks in the mean, and their weights."""
        areas = [self.areas_ha[visit.paddock_id] if self.has_areas else 1.0 for visit in visits]
        known = [(visit, area) for visit, area in zip(visits, areas, strict=True) if area]
        weights = np.array([area for _, area in known])
        return [visit for visit, _ in known], weights / weights.sum() if known else weights


@dataclass(frozen=True)
class Season:
    """All visits to the paddocks of a farm by paddock id, and what follows from them.

    `pre_grazing` and `residual` are the targets in kg DM/ha of paddocks that have none of their own.
    """

    paddocks: Paddocks
    models: Mapping[str, ModelRecord]
    visits: Mapping[str, Sequence[Visit]]
    level: float
    pre_grazing: float | None = None
    residual: float | None = None
    unassigned: int = 0

    @cached_property
    def walks(self) -> list[Walk]:
        """The walks in order of time: one ends before a paddock is visited again, and after WALK_DAYS."""
        by_day: dict[date, list[Visit]] = defaultdict(list)
        for visits in self.visits.values():
            for visit in visits:
                by_day[visit.day].append(visit)
        walks: list[list[Visit]] = []
        for day, visits in sorted(by_day.items()):
            walk = walks[-1] if walks else []
            again = {visit.paddock_id for visit in walk} & {visit.paddock_id for visit in visits}
            if not walk or again or (day - walk[0].day).days > WALK_DAYS:
                walks.append([])
            walks[-1].extend(visits)
        areas = {own: paddock.area_ha for own, paddock in self.paddocks.by_id.items()}
        return [Walk(walk[-1].day, self._state(walk[-1].day), walk, areas) for walk in walks]

    @property
    def newest(self) -> Walk | None:
        """The newest walk, None where there are no visits."""
        return self.walks[-1] if self.walks else None

    def targets(self, paddock: FarmPaddock) -> tuple[float | None, float | None]:
        """Pre-grazing and residual cover of a paddock."""
        return paddock.pre_grazing_kg_per_ha or self.pre_grazing, paddock.residual_kg_per_ha or self.residual

    def visits_table(self) -> pd.DataFrame:
        """One row per visit, with the columns of `visits` in the farm file."""
        return visits_table(self.visits, self.paddocks)

    def wedge_table(self) -> pd.DataFrame:
        """One row per paddock of the newest walk, highest cover first."""
        rows = [self._wedge_row(visit) for visit in self.newest.state] if self.newest else []
        frame = table_of(rows, WEDGE_COLUMNS)
        return frame.sort_values(["kg_per_ha", "paddock"], ascending=[False, True]).reset_index(drop=True)

    def growth_table(self) -> pd.DataFrame:
        """The growth of each paddock since the visit before, and of the farm by walk."""
        return table_of((row for walk in self.walks for row in self._growth_rows(walk)), GROWTH_COLUMNS)

    def feed(self) -> tuple[Feed, Feed]:
        """The feed on the paddocks of the newest walk whose area is known: all of it, and that above the residual.

        Paddocks without a residual are not in the second, which is NaN if there are none with one.
        """
        total, above = [], []
        for visit in self.newest.state if self.newest else ():
            paddock = self.paddocks.by_id[visit.paddock_id]
            _, residual = self.targets(paddock)
            if paddock.area_ha is not None:
                total.append((paddock.area_ha, visit.cover, 0.0))
                above += [(paddock.area_ha, visit.cover, residual)] if residual is not None else []
        return _feed_above(total), _feed_above(above)

    def not_visited(self) -> list[tuple[FarmPaddock, date | None]]:
        """The paddocks that are not in the newest walk, with the day of their last visit."""
        in_walk = {visit.paddock_id for visit in self.newest.state} if self.newest else set()
        missing = [paddock for own, paddock in self.paddocks.by_id.items() if own not in in_walk]
        last = {own: visits[-1].day for own, visits in self.visits.items()}
        return [(paddock, last.get(paddock.id)) for paddock in sorted(missing, key=lambda one: one.label)]

    def grazings(self) -> list[tuple[Visit, Visit]]:
        """Pairs of visits between which a paddock was possibly grazed, newest first."""
        found = [
            (visit.before, visit) for own in self.visits.values() for visit in own
            if visit.possible_grazing and visit.before is not None
        ]  # fmt: skip
        return sorted(found, key=lambda pair: pair[1].day, reverse=True)

    def remarks(self) -> Iterator[Remark]:
        """What a reader should know about the figures of the newest walk."""
        walk = self.newest
        if walk is None:
            yield Remark("no_visits", "No photo of the farm is in a paddock, so there are no visits.")
            return
        areas = [self.paddocks.label(visit.paddock_id) for visit in walk.state if not walk.areas_ha[visit.paddock_id]]
        if areas and walk.has_areas:
            yield Remark.of("paddocks_without_area", areas, "Paddocks without an area are not in the means of the farm")
        elif areas:
            message = (
                "No paddock has an area, so the means of the farm are not weighted by area, and there is no feed on "
                "hand: import the paddocks' polygons, or fill in their effective_area_ha."
            )
            yield Remark("no_areas", message)
        single = [self.paddocks.label(visit.paddock_id) for visit in walk.state if visit.sums.photos == 1]
        if single:
            yield Remark.of("single_photos", single, "Paddocks with a single photo have no interval, nor has the farm")
        if self.unassigned:
            yield Remark(
                "photos_unassigned", f"{counted(self.unassigned, 'photo')} in no paddock of the farm.", self.unassigned
            )

    def _state(self, day: date) -> list[Visit]:
        """The last visit to each paddock within WALK_DAYS before this day."""
        state = []
        for visits in self.visits.values():
            until = [visit for visit in visits if visit.day <= day]
            if until and (day - until[-1].day).days <= WALK_DAYS:
                state.append(until[-1])
        return state

    def _wedge_row(self, visit: Visit) -> dict[str, Any]:
        paddock = self.paddocks.by_id[visit.paddock_id]
        pre_grazing, residual = self.targets(paddock)
        mean, area = visit.cover.mean, paddock.area_ha
        cells = visit_row(visit, self.paddocks) | {
            "area_ha": area,
            "feed_kg": None if area is None else area * mean,
            "feed_above_residual_kg": None if area is None or residual is None else area * max(mean - residual, 0.0),
            "pre_grazing_kg_per_ha": pre_grazing,
            "residual_kg_per_ha": residual,
            **days_to_target(self.visits[paddock.id], pre_grazing),
        }
        return {name: plain(cells[name]) for name in WEDGE_COLUMNS}

    def _growth_rows(self, walk: Walk) -> Iterator[dict[str, Any]]:
        growth, since = walk.growth, max((visit.before.day for visit in walk.growing if visit.before), default=None)
        note = ""
        if growth is None:
            note = "no paddock with growth"
        elif not growth.is_useful:
            note = why_no_growth(growth, *(one.cover for visit in walk.growing for one in (visit, visit.before) if one))
        yield _growth_row(walk.day, since, None, len(walk.growing), growth, note)
        for visit in sorted(walk.own, key=lambda visit: self.paddocks.label(visit.paddock_id)):
            before = visit.before.day if visit.before else None
            yield _growth_row(visit.day, before, self.paddocks.label(visit.paddock_id), 1, visit.growth, visit.note)


def days_to_target(visits: Sequence[Visit], pre_grazing: float | None) -> dict[str, Any]:
    """The days until a paddock reaches its pre-grazing cover at its last growth, with the range that growth allows.

    The growth is the last one that is known, narrow enough, and without possible grazing. The days are empty, with the
    reason, where its interval includes zero.
    """
    cells: dict[str, Any] = dict.fromkeys(("days_to_target", "days_low", "days_high"))
    if pre_grazing is None:
        return cells | {"days_note": "no target"}
    gap = pre_grazing - visits[-1].cover.mean
    if gap <= 0:
        return cells | {"days_to_target": 0.0, "days_note": "at the target"}
    growth = next((visit.growth for visit in reversed(visits) if visit.has_growth), None)
    if growth is None:
        return cells | {"days_note": "growth unknown"}
    if growth.low <= 0:
        return cells | {"days_note": "growth may be zero" if growth.high >= 0 else "cover is falling"}
    days = (gap / rate for rate in (growth.rate, growth.high, growth.low))
    return dict(zip(cells, days, strict=True)) | {"days_note": None}


def _feed_above(paddocks: Sequence[tuple[float, Cover, float]]) -> Feed:
    """The feed above the residual of paddocks, given as area in ha, cover, and residual.

    The interval holds the model's error, shared by all paddocks, and the sampling errors, which are independent.
    """
    if not paddocks:
        return Feed(math.nan, math.nan, math.nan)
    area, mean, sampling, model, residual = np.array([(own, *_parts(cover), left) for own, cover, left in paddocks]).T

    def feed(cover: Float[np.ndarray, " paddock"]) -> float:
        return float(area @ np.maximum(cover - residual, 0.0))

    kg, own = feed(mean), float(np.linalg.norm(area * sampling))
    low, high = (np.hypot(feed(mean + sign * model) - kg, own) for sign in (-1, 1))
    return Feed(kg, float(np.maximum(kg - low, 0.0)), float(kg + high))


def _parts(cover: Cover) -> tuple[float, float, float]:
    return cover.mean, cover.sampling, cover.model


def _growth_row(
    day: date, since: date | None, paddock: str | None, paddocks: int, growth: Growth | None, note: str
) -> dict[str, Any]:
    shown = growth if growth is not None and growth.is_useful else None
    figures = (None, None, None) if shown is None else (shown.rate, shown.low, shown.high)
    values = (day.isoformat(), since and since.isoformat(), paddock, paddocks, *map(plain, figures), note or None)
    return dict(zip(GROWTH_COLUMNS, values, strict=True))
