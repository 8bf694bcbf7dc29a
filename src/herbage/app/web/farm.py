"""The farm file of a server: saving estimates to it, and the season of its paddocks."""

import asyncio
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from herbage.app.web.schemas import FarmRemark, FarmSeason, FarmWalk, GroupedPredictions, NotVisited, Saved, SaveRequest
from herbage.app.web.walks import walk_of
from herbage.errors import HerbageError, InputInvalid
from herbage.farm.farm import Farm
from herbage.farm.models import ModelRecord
from herbage.farm.photos import AddOptions
from herbage.farm.season import Feed, Season
from herbage.farm.walk_file import in_paddocks
from herbage.model.estimate import DEFAULT_LEVEL
from herbage.remarks import Remark
from herbage.results.paddocks import plain_rows

COMMANDS = {
    "drop_visit": "herbage farm --drop-visit",
    "farm": "herbage serve --farm",
    "paddocks": "herbage farm --paddocks",
}
"""The options for what only the command line does, by the parameters that messages of the library name."""


class SeasonMissing(HerbageError):
    """Nothing was saved to the farm yet."""


class FarmService:
    """A farm file, and the model whose estimates are saved to it."""

    def __init__(self, farm: Farm, model: ModelRecord) -> None:
        self.farm, self.model = farm, model
        self._saving = asyncio.Lock()

    @property
    def name(self) -> str:
        """The name of the file."""
        return self.farm.path.name

    async def save(self, request: SaveRequest) -> Saved:
        """Add estimates to the farm, one request at a time; raises InputInvalid, as `Farm.add_estimates`.

        It runs in a thread, because it may wait for another program that is writing to the file.
        """
        async with self._saving:
            return await asyncio.to_thread(self._save, request)

    def _save(self, request: SaveRequest) -> Saved:
        walk, remarks = walk_of(request, self.model)
        with for_clients(self.farm.path):
            named = walk.identified(None)
            pairs = in_paddocks(named, self.farm.paddocks())
            options = AddOptions(request.reassign, request.replace_estimates)
            changes = self.farm.add_estimates(pairs, self.model, options)
        before_and_after = zip(named, pairs, strict=True)
        counts = changes.counts
        return Saved(
            text=str(changes),
            added=counts["added"],
            unchanged=counts["unchanged"],
            kept=counts["kept"],
            replaced=counts["replaced"],
            moved=counts["moved"],
            elsewhere=counts["elsewhere"],
            other_day=counts["other_day"],
            unassigned=counts["unassigned"],
            by_position=sum(one.paddock != other.paddock for (_, one), (_, other) in before_and_after),
            paddocks_added=changes.paddocks,
            remarks=[_record(remark) for remark in [*remarks, *changes.remarks()]],
        )

    def in_paddocks(self, rows: GroupedPredictions) -> GroupedPredictions:
        """The rows with the paddocks in which the farm has them when they are saved; raises InputInvalid."""
        with for_clients(self.farm.path):
            polygons = self.farm.paddocks().polygons()
        names = [
            name or (polygons.containing(row.longitude, row.latitude) if polygons else None)
            for row, name in rows.named()
        ]
        return rows.model_copy(update={"paddocks": names})

    def state(self) -> FarmSeason:
        """The newest walk and the feed wedge, empty where nothing was saved yet; raises InputInvalid."""
        if self.farm.is_new:
            return FarmSeason(
                farm=self.name, paddocks=[], level=DEFAULT_LEVEL, walk=None, wedge=[], not_visited=[], remarks=[]
            )
        with for_clients(self.farm.path):
            season = self.farm.season()
            missing = [NotVisited(paddock=one.label, last_visit=last) for one, last in season.not_visited()]
            return FarmSeason(
                farm=self.name,
                paddocks=sorted(season.paddocks.ids),
                level=season.level,
                walk=_newest(season),
                wedge=plain_rows(season.wedge_table()),
                not_visited=missing,
                remarks=[_record(remark) for remark in season.remarks()],
            )

    def page(self) -> str:
        """The report of the season as HTML; raises SeasonMissing where nothing was saved yet, and InputInvalid."""
        from herbage.farm.report import season_page

        if self.farm.is_new:
            raise SeasonMissing("Nothing was saved to the farm yet, so it has no season.")
        with for_clients(self.farm.path):
            return season_page(self.farm.season(), self.farm.title)


@contextmanager
def for_clients(path: Path | None = None) -> Iterator[None]:
    """Errors of the library as a client of the API reads them; of the farm's `path`, only the name is shown."""
    try:
        yield
    except InputInvalid as error:
        message = as_fields(str(error))
        raise InputInvalid(message if path is None else message.replace(str(path), path.name)) from error


def as_fields(message: str) -> str:
    """A message of the library with parameters such as `reassign=True` as fields of a request: `reassign=true`."""

    def field(found: re.Match[str]) -> str:
        name, value = found["name"], found["value"]
        if name in COMMANDS:
            return COMMANDS[name]
        own = {"date": "day"}.get(name, name)
        return f"`{own}`" if value is None else f"`{own}={ {'True': 'true'}.get(value, value) }`"

    return re.sub(r"`(?P<name>\w+)(?:=(?P<value>[^`]*))?`", field, message)


def _record(remark: Remark) -> FarmRemark:
    fields = remark.record() | {"message": as_fields(remark.message)}
    return FarmRemark(**fields, is_warning=remark.is_warning)


def _newest(season: Season) -> FarmWalk | None:
    walk = season.newest
    if walk is None:
        return None
    feed, above = season.feed()
    cover = {"kg_per_ha": walk.cover.mean, "kg_per_ha_low": walk.cover.low, "kg_per_ha_high": walk.cover.high}
    figures = cover | _feed("feed_kg", feed) | _feed("feed_above_residual_kg", above)
    known = {name: None if math.isnan(value) else round(value, 1) for name, value in figures.items()}
    return FarmWalk(day=walk.day, paddocks=len(walk.state), area_ha=walk.area_ha, **known)


def _feed(name: str, feed: Feed) -> dict[str, float]:
    kg, low, high = asdict(feed).values()
    return {name: kg, f"{name}_low": low, f"{name}_high": high}
