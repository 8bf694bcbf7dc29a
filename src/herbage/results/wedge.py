"""The feed wedge: paddocks sorted by pasture cover, with the target line of grazing."""

import numpy as np
import pandas as pd

from herbage.results.figures import new_figure, png

MAX_PADDOCKS = 60
"""Paddocks in one figure."""


def draw_wedge(table: pd.DataFrame, *, pre_grazing: float | None = None, residual: float | None = None) -> bytes:
    """A PNG of the table of paddocks.csv: bars of kg DM/ha with intervals, and the target line.

    A paddock without an interval, such as one with a single photo, is hatched. The line goes from `pre_grazing` at the
    paddock with the highest cover to `residual` at the one with the lowest, both in kg DM/ha; if only one of them is
    given, the line is level.
    """
    shown = table.head(MAX_PADDOCKS)
    figure = new_figure(max(6.0, 0.45 * len(shown) + 2), 4.4)
    ax = figure.subplots()
    place, weight = np.arange(len(shown)), shown["kg_per_ha"].to_numpy(float)
    known = shown["kg_per_ha_high"].notna().to_numpy()
    for own, hatch, label in ((known, "", "estimated mean"), (~known, "//", "without interval")):
        if own.any():
            ax.bar(place[own], weight[own], color="#5b8c3a", edgecolor="#2b4a1a", width=0.75, hatch=hatch, label=label)
    low, high = (shown[name].to_numpy(float)[known] for name in ("kg_per_ha_low", "kg_per_ha_high"))
    if known.any():
        reach = np.stack([weight[known] - low, high - weight[known]])
        ax.errorbar(place[known], weight[known], yerr=reach, fmt="none", ecolor="#222", capsize=3, label="interval")
    ends = [one for one in (pre_grazing, residual) if one is not None]
    if ends:
        ax.plot([-0.4, len(shown) - 0.6], [ends[0], ends[-1]], "--", color="#b3261e", linewidth=2, label="target")
    crowded = len(shown) * max(map(len, shown["paddock"])) > 50
    ax.set_xticks(
        place,
        [_short(name) for name in shown["paddock"]],
        rotation=45 if crowded else 0,
        ha="right" if crowded else "center",
    )
    ax.set_ylabel("kg DM/ha")
    ax.set_ylim(bottom=0)
    hidden = len(table) - len(shown)
    title = "Feed wedge" + (f" ({MAX_PADDOCKS} of {len(table)} paddocks, highest cover first)" if hidden > 0 else "")
    ax.set_title(title, loc="left")
    figure.legend(loc="outside upper right", ncols=4, frameon=False, fontsize=9)
    ax.spines[["top", "right"]].set_visible(False)
    return png(figure)


def _short(name: str) -> str:
    return name if len(name) <= 18 else name[:17] + "…"
