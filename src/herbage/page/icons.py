"""The icon of the page as PNG, for the home screens of phones."""

import io
import re
from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path
from matplotlib.transforms import Affine2D

from herbage.page.files import MODULES

SIDE = 16
"""Width and height of icon.svg, in its own units."""

SAFE = 0.8
"""The part of an icon that every mask of a home screen shows (W3C, Web Application Manifest, maskable icons)."""

STEPS = {"M": 2, "V": 1, "C": 6, "c": 6, "L": 2}
"""The commands of SVG paths that icon.svg uses, and their numbers."""


def icon_png(side_px: int) -> bytes:
    """icon.svg as a square PNG whose background reaches the edges, with the leaves inside the safe zone."""
    svg = (MODULES / "icon.svg").read_text("utf-8")
    background, colour = (re.findall(rf'<{shape} [^>]*fill="(#\w+)"', svg)[0] for shape in ("rect", "path"))
    figure = Figure(figsize=(1, 1), dpi=side_px)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, SIDE), ylim=(SIDE, 0))
    axes.set_axis_off()
    axes.add_patch(Rectangle((0, 0), SIDE, SIDE, color=background))
    middle = SIDE / 2
    leaves = _path(re.findall(r'<path d="([^"]+)"', svg)[0])
    inside = Affine2D().translate(-middle, -middle).scale(SAFE).translate(middle, middle)
    axes.add_patch(PathPatch(leaves.transformed(inside), color=colour, linewidth=72 * SAFE / SIDE))
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=side_px, metadata={"Software": None})
    return content.getvalue()


def _path(description: str) -> Path:
    """The path of an SVG's d attribute; raises KeyError for a command that is not in STEPS."""
    points: list[Sequence[float]] = []
    codes: list[int] = []
    at, start = np.zeros(2), np.zeros(2)
    for command, text in re.findall(r"([A-Za-z])([^A-Za-z]*)", description):
        if command == "z":
            points.append(start.tolist())
            codes.append(int(Path.CLOSEPOLY))
            at = start
            continue
        numbers = np.array([float(one) for one in re.findall(r"-?(?:\d+\.?\d*|\.\d+)", text)])
        for step in numbers.reshape(-1, STEPS[command]):
            if command == "V":
                ends = np.array([[at[0], step[0]]])
            else:
                ends = step.reshape(-1, 2) + (at if command.islower() else 0)
            at = ends[-1]
            start = at if command == "M" else start
            points += ends.tolist()
            kind = Path.MOVETO if command == "M" else Path.LINETO if len(ends) == 1 else Path.CURVE4
            codes += [int(kind)] * len(ends)
    return Path(points, codes)
