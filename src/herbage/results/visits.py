"""Visits: the photos of one paddock on one occasion, as sums."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Float

from herbage.model.estimate import Estimate
from herbage.targets import TARGETS

MAX_GAP = timedelta(hours=18)
"""A longer gap between two photos of a paddock begins a new visit: longer than a night, shorter than a day."""

MAX_SPAN = timedelta(hours=36)
"""A visit is at most this long, so a survey may end the next morning."""


@dataclass
class PhotoSums:
    """Sums over photos, so that memory does not grow with their number. Weights are in grams per training quadrat.

    `first` and `last` are the earliest and the latest capture time, None where they are unknown; `place` is the sum of
    longitudes and latitudes; `example` is the name of a photo.
    """

    photos: int = 0
    grams: Float[np.ndarray, "5"] = field(default_factory=lambda: np.zeros(len(TARGETS)))
    squares: Float[np.ndarray, "5"] = field(default_factory=lambda: np.zeros(len(TARGETS)))
    in_domain: int = 0
    domain_known: int = 0
    place: Float[np.ndarray, "2"] = field(default_factory=lambda: np.zeros(2))
    placed: int = 0
    measured: int = 0
    first: datetime | None = None
    last: datetime | None = None
    example: str = ""

    @property
    def day(self) -> date | None:
        """The day of the first photo."""
        return None if self.first is None else self.first.date()

    @property
    def out_of_domain(self) -> int:
        """The number of photos unlike the training photos."""
        return self.domain_known - self.in_domain

    def add(self, estimate: Estimate, quadrat_area_m2: float) -> None:
        """Add a photo; its weights are converted to a quadrat of this area."""
        # Rounded as in predictions.csv, so that a resumed run gives the same summary.
        grams = estimate.rounded().grams * quadrat_area_m2 / estimate.quadrat_area_m2
        facts = estimate.facts
        self.photos += 1
        self.grams += grams
        self.squares += grams**2
        self.domain_known += estimate.in_domain is not None
        self.in_domain += estimate.in_domain is True
        self.measured += estimate.measured
        if facts.longitude is not None and facts.latitude is not None:
            self.place += [facts.longitude, facts.latitude]
            self.placed += 1
        self._extend(facts.taken_at, facts.taken_at)
        self.example = self.example or estimate.photo

    @classmethod
    def total(cls, parts: Iterable["PhotoSums"]) -> "PhotoSums":
        """The sums over the photos of all parts."""
        total = cls()
        for part in parts:
            total.photos += part.photos
            total.grams += part.grams
            total.squares += part.squares
            total.domain_known += part.domain_known
            total.in_domain += part.in_domain
            total.place += part.place
            total.placed += part.placed
            total.measured += part.measured
            total._extend(part.first, part.last)
            total.example = total.example or part.example
        return total

    def _extend(self, first: datetime | None, last: datetime | None) -> None:
        self.first = min((time for time in (self.first, first) if time), default=None)
        self.last = max((time for time in (self.last, last) if time), default=None)


class PaddockPhotos:
    """Takes the photos of one paddock, and divides them into visits.

    Sums are per hour, which is much shorter than the gap between visits.
    """

    def __init__(self) -> None:
        self._hours: dict[datetime, PhotoSums] = {}
        self._undated = PhotoSums()

    def add(self, estimate: Estimate, quadrat_area_m2: float) -> None:
        """Add a photo; its weights are converted to a quadrat of this area."""
        time = estimate.facts.taken_at
        sums = self._undated
        if time is not None:
            sums = self._hours.setdefault(time.replace(minute=0, second=0, microsecond=0), PhotoSums())
        sums.add(estimate, quadrat_area_m2)

    def visits(self) -> tuple[list[PhotoSums], PhotoSums]:
        """The visits in order of time, at least one, and the undated photos that belong to none of them.

        Photos without a capture time belong to the paddock's visit if there is only one.
        """
        visits = divide_into_visits([self._hours[hour] for hour in sorted(self._hours)])
        if len(visits) > 1:
            return [PhotoSums.total(visit) for visit in visits], self._undated
        return [PhotoSums.total([*visits[0], self._undated] if visits else [self._undated])], PhotoSums()


@runtime_checkable
class Timed(Protocol):
    """Photos of at most an hour; `first` and `last` are the earliest and the latest capture time."""

    @property
    def first(self) -> datetime | None: ...
    @property
    def last(self) -> datetime | None: ...


Hour = TypeVar("Hour", bound=Timed)


def divide_into_visits(hours: Sequence[Hour]) -> list[list[Hour]]:
    """The visits to a paddock, from its photos in order of time.

    A gap longer than MAX_GAP begins a new visit; a visit that would be longer than MAX_SPAN is divided at its longest
    gap.
    """
    visits: list[list[Hour]] = []
    current: list[Hour] = []
    for hour in hours:
        if current and _between(current[-1].last, hour.first) > MAX_GAP:
            visits.append(current)
            current = []
        current.append(hour)
        while len(current) > 1 and _between(current[0].first, current[-1].last) > MAX_SPAN:
            gaps = [_between(earlier.last, later.first) for earlier, later in pairwise(current)]
            cut = max(range(len(gaps)), key=lambda gap: (gaps[gap], gap)) + 1
            visits.append(current[:cut])
            current = current[cut:]
    return [*visits, current] if current else visits


def _between(earlier: datetime | None, later: datetime | None) -> timedelta:
    return timedelta() if earlier is None or later is None else later - earlier
