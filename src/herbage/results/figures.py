"""Figures of reports: weighed against estimated grams, residuals, and positions of photos."""

import io
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from herbage.results.overlay import COLOURS
from herbage.targets import LABELS, TARGETS, known_targets

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from herbage.evaluation.out_of_fold import OutOfFold

THUMBNAIL_PX = 480
"""Width of an image in a report."""

MARKERS = "osv^DPX*"


def new_figure(width: float, height: float, dpi: int = 100) -> "Figure":
    """An empty figure of this size in inches, drawn without a display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # imported here, because it takes half a second
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=dpi, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def png(figure: "Figure") -> bytes:
    """The figure as a PNG whose bytes depend only on its content."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def draw_scatter(oof: "OutOfFold", *, residuals: bool = False) -> bytes:
    """A PNG of weighed against out-of-fold estimated grams with the 1:1 line, or of the residuals, by State."""
    truth, guess = oof.weighed_g, oof.estimated_g
    known = [target for target in range(len(TARGETS)) if known_targets(truth)[target]]
    states = np.array([str(state) for state in oof.state or ["photos"] * len(oof)])
    rows, columns = -(-(len(known) + 1) // 3), min(3, len(known) + 1)
    figure = new_figure(10 / 3 * columns, 3.2 * rows, dpi=90)
    axes = figure.subplots(rows, columns).ravel()
    for ax in axes[len(known) :]:
        ax.set_axis_off()
    for t, ax in zip(known, axes, strict=False):
        top = float(max(truth[:, t].max(), guess[:, t].max(), 1e-6)) * 1.05
        ax.plot([0, top], [0, 0] if residuals else [0, top], color="0.5", linewidth=1)
        for marker, state in zip(MARKERS * len(states), sorted(set(states.tolist())), strict=False):
            own = np.flatnonzero(states == state)
            shown = truth[own, t] - (guess[own, t] if residuals else 0)
            ax.scatter(guess[own, t], shown, s=16, alpha=0.7, marker=marker, label=state)
        ax.set(xlim=(0, top), title=LABELS[t], xlabel="estimated, g")
        if residuals:
            ax.set(ylabel="weighed - estimated, g")
        else:
            ax.set(ylim=(0, top), ylabel="weighed, g", aspect="equal")
    if len(set(states)) > 1:
        handles, names = axes[0].get_legend_handles_labels()
        axes[-1].legend(handles, names, title="State", loc="center", frameon=False)
    return png(figure)


def draw_points(longitude: list[float], latitude: list[float], kg_per_ha: list[float]) -> bytes:
    """A PNG of the photos' positions, coloured by weight, drawn without a map service."""
    figure = new_figure(7, 5)
    ax = figure.subplots()
    points = ax.scatter(longitude, latitude, c=kg_per_ha, cmap=matplotlib.colormaps[COLOURS], s=36, edgecolor="#333")
    ax.set(xlabel="longitude, degrees", ylabel="latitude, degrees")
    ax.ticklabel_format(useOffset=False)
    # A degree of longitude is shorter than one of latitude.
    ax.set_aspect(1 / max(np.cos(np.radians(np.mean(latitude))), 0.05), adjustable="datalim")
    ax.margins(0.15)
    ax.grid(color="#ddd", linewidth=0.6)
    ax.set_axisbelow(True)
    figure.colorbar(points, label="kg DM/ha")
    return png(figure)


def thumbnail(picture: bytes | UInt8[np.ndarray, "height width 3"], width_px: int = THUMBNAIL_PX) -> bytes:
    """A small JPEG of an image file or of pixels."""
    image = Image.open(io.BytesIO(picture)) if isinstance(picture, bytes) else Image.fromarray(picture)
    small = image.convert("RGB")
    small.thumbnail((width_px, 4 * width_px))
    buffer = io.BytesIO()
    small.save(buffer, format="JPEG", quality=78)
    return buffer.getvalue()


def worst_photos(oof: "OutOfFold", count: int) -> list[tuple[int, Float[np.ndarray, "2"]]]:
    """Rows with the largest error of the heaviest known target, and that target's weighed and estimated grams."""
    truth, guess = oof.weighed_g, oof.estimated_g
    heaviest = int(np.nanargmax(truth.mean(0)))
    rows = np.argsort(-np.abs(truth - guess)[:, heaviest], kind="stable")[:count]
    return [(int(row), np.array([truth[row, heaviest], guess[row, heaviest]])) for row in rows]
