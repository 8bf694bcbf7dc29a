"""The report of a season: season.html, season.csv, wedge.png and growth.png; and its newest walk as text."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from herbage.farm.charts import Scale, draw_season, paddock_chart
from herbage.farm.season import WALK_DAYS, Season
from herbage.farm.visits import Visit
from herbage.files import write_atomic
from herbage.formatting import counted
from herbage.results.paddocks import plain_rows
from herbage.results.predictions import spreadsheet_text
from herbage.results.rendering import data_uri, render
from herbage.results.wedge import draw_wedge
from herbage.targets import TARGETS

FILES = ("season.html", "season.csv", "wedge.png", "growth.png")
"""The files of a report."""


def write_report(season: Season, out: Path, title: str) -> None:
    """Write the report to a folder; without visits, season.html and season.csv alone."""
    pictures = _pictures(season)
    table = season.visits_table().map(spreadsheet_text)
    files: dict[str, bytes | str] = {
        "season.csv": table.to_csv(index=False, lineterminator="\n"),
        **pictures,
        "season.html": _page(season, title, pictures),
    }
    for name, content in files.items():
        write_atomic(out / name, content)
    for name in set(FILES) - set(files):
        (out / name).unlink(missing_ok=True)


def season_page(season: Season, title: str) -> str:
    """The text of season.html, which needs no other file."""
    return _page(season, title, _pictures(season))


def _pictures(season: Season) -> dict[str, bytes]:
    if not season.walks:
        return {}
    table = season.wedge_table()
    pre_grazing, residual = table["pre_grazing_kg_per_ha"].iloc[0], table["residual_kg_per_ha"].iloc[-1]
    wedge = draw_wedge(table, pre_grazing=_known(pre_grazing), residual=_known(residual))
    return {"wedge.png": wedge, "growth.png": draw_season(season)}


def _known(value: Any) -> float | None:
    return float(value) if value is not None and value == value else None


def _page(season: Season, title: str, pictures: dict[str, bytes]) -> str:
    walk = season.newest
    scale = Scale.of(season) if walk else None
    total, above = season.feed()
    return render(
        "season.html.j2",
        package="herbage.farm",
        title=title,
        season=season,
        walk=walk,
        level=f"{season.level:.0%}",
        walk_days=WALK_DAYS,
        total=total,
        above=above,
        cover=TARGETS[next(iter(season.models.values())).main] if season.models else "unknown",
        pictures={name: data_uri(content, "png") for name, content in pictures.items()},
        rows=plain_rows(season.wedge_table()),
        charts=_charts(season, scale) if scale else [],
        scale=scale,
        grazings=[_grazing(season, *pair) for pair in season.grazings()],
        not_visited=season.not_visited(),
        outside=_outside(walk.state if walk else (), season),
        models=_models(season),
        remarks=[remark.message for remark in season.remarks()],
    )


def _charts(season: Season, scale: Scale) -> list[dict[str, Any]]:
    """The chart of each paddock that was visited, by name."""
    charts = []
    for own in sorted(season.visits, key=season.paddocks.label):
        name, visits = season.paddocks.label(own), season.visits[own]
        first, last = visits[0].day, visits[-1].day
        title = f"Cover of {name} at {len(visits)} visits from {first} to {last}: {visits[-1].cover.mean:,.0f} kg DM/ha"
        targets = season.targets(season.paddocks.by_id[own])
        charts.append({"name": name, "svg": paddock_chart(visits, targets, scale, title), "last": visits[-1]})
    return charts


def _grazing(season: Season, before: Visit, after: Visit) -> dict[str, Any]:
    return {
        "paddock": season.paddocks.label(after.paddock_id), "since": before.day, "day": after.day,
        "before": before.cover, "after": after.cover,
    }  # fmt: skip


def _outside(visits: Sequence[Visit], season: Season) -> list[tuple[str, Visit]]:
    """The visits of the newest walk with photos that are out of domain."""
    found = [(season.paddocks.label(visit.paddock_id), visit) for visit in visits]
    return [(name, visit) for name, visit in sorted(found, key=lambda pair: pair[0]) if visit.sums.out_of_domain]


def _models(season: Season) -> list[dict[str, Any]]:
    """The models whose estimates are in the season, with the days of their first and last visit."""
    days: dict[str, list[Any]] = {}
    for visits in season.visits.values():
        for visit in visits:
            for digest in visit.models:
                days.setdefault(digest, []).append(visit.day)
    rows = [
        {"name": season.models[digest].name, "digest": digest, "first": min(own), "last": max(own)}
        for digest, own in days.items()
    ]
    return sorted(rows, key=lambda row: row["first"])


def summary(season: Season) -> str:
    """The newest walk as text: average cover, growth, feed on hand, and a row per paddock."""
    walk = season.newest
    if walk is None:
        return f"{counted(len(season.paddocks.by_id), 'paddock')}, no visits."
    paddocks = counted(len(season.paddocks.by_id), "paddock")
    lines = [
        f"Newest walk {walk.day}: {len(walk.state)} of {paddocks}",
        f"Average pasture cover {_amount(walk.cover.mean, walk.cover.low, walk.cover.high)} kg DM/ha",
    ]
    if walk.growth is not None and walk.growth.is_useful:
        growth = _amount(walk.growth.rate, walk.growth.low, walk.growth.high)
        lines.append(f"Growth {growth} kg DM/ha per day, {counted(len(walk.growing), 'paddock')}")
    for feed, where in zip(season.feed(), ("", " above the residual"), strict=True):
        if feed.kg == feed.kg:
            lines.append(f"Feed on hand{where} {_amount(feed.kg, feed.low, feed.high)} kg DM")
    return "\n".join([*lines, "", *_wedge_lines(season)])


def _wedge_lines(season: Season) -> list[str]:
    head = ("paddock", "kg DM/ha", "from - to", "growth per day", "days to target", "last visit")
    rows = [head]
    for row in plain_rows(season.wedge_table()):
        growth, days = row["growth_kg_per_ha_day"], row["days_to_target"]
        rows.append(
            (
                row["paddock"],
                f"{row['kg_per_ha']:,.0f}",
                _between(row["kg_per_ha_low"], row["kg_per_ha_high"]),
                "" if growth is None else f"{growth:,.0f} ({_between(row['growth_low'], row['growth_high'])})",
                row["days_note"] if days is None else f"{days:,.0f}",
                row["date"],
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    return [
        "  ".join(f"{cell:{'<' if column == 0 else '>'}{widths[column]}}" for column, cell in enumerate(row)).rstrip()
        for row in rows
    ]


def _amount(value: float, low: float, high: float) -> str:
    return f"{value:,.0f} ({_between(low, high)})"


def _between(low: float | None, high: float | None) -> str:
    return "no interval" if low is None or high is None or low != low else f"{low:,.0f} - {high:,.0f}"
