"""Charts of a season: small ones of each paddock as SVG, in a page, and that of the whole farm as PNG."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
from markupsafe import Markup

from herbage.farm.season import Season, Walk
from herbage.farm.visits import OTHER_MODEL, Visit
from herbage.results.figures import new_figure, png

WIDTH, HEIGHT, MARGIN = 300, 130, 4
"""The size of a small chart, in SVG units."""

GREEN, RED = "#5b8c3a", "#b3261e"


@dataclass(frozen=True)
class Scale:
    """The axes that the small charts of a farm share, so that they can be compared."""

    start: date
    end: date
    top: float

    @classmethod
    def of(cls, season: Season) -> "Scale":
        """From the first to the last visit, and from 0 to the top of the highest interval or target."""
        visits = [visit for own in season.visits.values() for visit in own]
        tops = [visit.cover.high if visit.cover.high == visit.cover.high else visit.cover.mean for visit in visits]
        targets = [target for paddock in season.paddocks.by_id.values() for target in season.targets(paddock) if target]
        days = [visit.day for visit in visits]
        return cls(min(days), max(days), max([*tops, *targets, 1.0]))

    def x(self, day: date) -> float:
        """The place of a day."""
        span = max((self.end - self.start).days, 1)
        return round(MARGIN + (WIDTH - 2 * MARGIN) * (day - self.start).days / span, 1)

    def y(self, kg_per_ha: float) -> float:
        """The place of a cover."""
        return round(HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * kg_per_ha / self.top, 1)


def paddock_chart(visits: Sequence[Visit], targets: Sequence[float | None], scale: Scale, title: str) -> Markup:
    """The cover of a paddock by visit with intervals, as SVG.

    The line is interrupted at a possible grazing and at a change of model, which has a vertical line. Target lines are
    dashed.
    """
    shapes = [
        _shape("line", "target", x1=MARGIN, x2=WIDTH - MARGIN, y1=scale.y(target), y2=scale.y(target))
        for target in targets
        if target
    ]
    for before, visit in pairwise(visits):
        ends = {"x1": scale.x(before.day), "x2": scale.x(visit.day)}
        if visit.note == OTHER_MODEL:
            middle = (ends["x1"] + ends["x2"]) / 2
            shapes.append(_shape("line", "model", x1=middle, x2=middle, y1=MARGIN, y2=HEIGHT - MARGIN))
        else:
            name = "grazing" if visit.possible_grazing else "cover"
            shapes.append(_shape("line", name, **ends, y1=scale.y(before.cover.mean), y2=scale.y(visit.cover.mean)))
    for visit in visits:
        x, cover = scale.x(visit.day), visit.cover
        if cover.high == cover.high:
            shapes.append(_shape("line", "interval", x1=x, x2=x, y1=scale.y(cover.low), y2=scale.y(cover.high)))
        shapes.append(_shape("circle", "visit", cx=x, cy=scale.y(cover.mean), r=3))
    head = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">').format(WIDTH, HEIGHT, title)
    return head + Markup("".join(shapes) + "</svg>")


def draw_season(season: Season) -> bytes:
    """A PNG of the farm's average pasture cover and growth by walk, with intervals.

    Growth that is not shown, because its interval is too wide or unknown, has a cross on the zero line.
    """
    walks = season.walks
    days = [walk.day for walk in walks]
    figure = new_figure(8, 5.4)
    top, bottom = figure.subplots(2, 1, sharex=True)
    means = np.array([walk.cover.mean for walk in walks])
    half = np.array([[walk.cover.mean - walk.cover.low, walk.cover.half_width] for walk in walks]).T
    top.errorbar(days, means, yerr=np.nan_to_num(half), fmt="o-", color=GREEN, ecolor="#222", capsize=3)
    for target, name in ((season.pre_grazing, "pre-grazing"), (season.residual, "residual")):
        if target:
            top.axhline(target, linestyle="--", color=RED, linewidth=1)
            top.annotate(name, (0.995, target), xycoords=("axes fraction", "data"), ha="right", va="bottom", color=RED)
    top.set(ylabel="kg DM/ha")
    top.set_ylim(bottom=0)
    top.set_title("Average pasture cover", loc="left")
    _draw_growth(bottom, walks)
    for ax in (top, bottom):
        ax.spines[["top", "right"]].set_visible(False)
    margin = timedelta(days=max(2, (days[-1] - days[0]).days // 25))
    bottom.set_xlim(days[0] - margin, days[-1] + margin)
    figure.autofmt_xdate(rotation=30)
    return png(figure)


def _draw_growth(ax: Any, walks: Sequence[Walk]) -> None:
    shown = [(walk.day, walk.growth) for walk in walks if walk.growth is not None and walk.growth.is_useful]
    hidden = [walk.day for walk in walks[1:] if walk.growth is None or not walk.growth.is_useful]
    ax.axhline(0, color="0.5", linewidth=1)
    if shown:
        rates, halves = [growth.rate for _, growth in shown], [growth.half_width for _, growth in shown]
        ax.errorbar([day for day, _ in shown], rates, yerr=halves, fmt="o", color=GREEN, ecolor="#222", capsize=3)
    if hidden:
        ax.plot(hidden, [0] * len(hidden), "x", color="0.4", label="unknown or too uncertain")
        ax.legend(frameon=False, fontsize=9, loc="upper left")
    ax.set(ylabel="kg DM/ha per day")
    ax.set_title("Growth since the visits before", loc="left")


def _shape(tag: str, kind: str, **places: float) -> str:
    # Text, not Markup: a season has tens of thousands of shapes, and numbers need no escaping.
    attributes = "".join(f' {name}="{place:g}"' for name, place in places.items())
    return f'<{tag} class="{kind}"{attributes}/>'
