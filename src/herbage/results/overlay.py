"""Overlays: the map of a photo drawn over it, with units and colour scale."""

import io
import re
from functools import cache
from hashlib import sha256
from pathlib import Path

import matplotlib
import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont

from herbage.model.estimate import Estimate
from herbage.targets import LABELS, g_per_m2, known_targets, main_target

COLOURS = "viridis"
"""Perceptually uniform, and readable with colour-vision deficiency."""

WIDTH_PX, MAX_HEIGHT_PX = 900, 1800
OPACITY = 0.6
MARGIN_PX = 16
NAME_BYTES = 200
AMBIGUOUS = re.compile(r"__|_[/\\]|[/\\]_|\\")
"""Names that would be equal to others when separators of folders are replaced by two underscores."""
BAR_PX = 18


def draw_overlay(
    pixels: UInt8[np.ndarray, "height width 3"],
    estimate: Estimate,
    *,
    scale_g_per_m2: Float[np.ndarray, "5"] | None,
    target: int | None = None,
) -> bytes:
    """A PNG with the photo, the photo under its map in g/m2, the colour scale and the estimate.

    `scale_g_per_m2` is the top of the scale per target; None takes this map's own 99th percentile. `target` is by
    default the main target of the estimate: the total if it is known. The map is smoothed for display only. Raises
    ValueError where the estimate has no map.
    """
    if estimate.map is None:
        raise ValueError(f"{estimate.photo} has no map to draw")
    if target is None:
        target = main_target(known_targets(estimate.grams))
    density = g_per_m2(estimate.map[target], estimate.quadrat_area_m2)
    top = scale_top(density, None if scale_g_per_m2 is None else scale_g_per_m2[target])

    photo = Image.fromarray(pixels)
    # A photo much taller than wide keeps its proportions up to the maximum height.
    width = max(1, min(WIDTH_PX, round(MAX_HEIGHT_PX * photo.width / photo.height)))
    photo = photo.resize(
        (width, min(MAX_HEIGHT_PX, max(1, round(photo.height * width / photo.width)))), Image.Resampling.BOX
    )
    relative = Image.fromarray((density / top).clip(0, 1).astype(np.float32))
    smooth = np.asarray(relative.resize(photo.size, Image.Resampling.BICUBIC)).clip(0, 1)
    mapped = Image.blend(photo, Image.fromarray(_colour(smooth)), OPACITY)

    font, small = _font(18), _font(15)
    head, foot = 2 * MARGIN_PX + 18, 2 * MARGIN_PX + BAR_PX + 36
    sheet = Image.new("RGB", (WIDTH_PX, head + 2 * photo.height + MARGIN_PX // 2 + foot), "white")
    draw = ImageDraw.Draw(sheet)
    title = f"{LABELS[target]}: {estimate.grams[target]:.1f} g per quadrat, {estimate.kg_per_ha[target]:,.0f} kg DM/ha"
    draw.text((MARGIN_PX, MARGIN_PX), title, "black", font)
    name = _fitting(estimate.photo, small, WIDTH_PX - 3 * MARGIN_PX - round(font.getlength(title)))
    draw.text((WIDTH_PX - MARGIN_PX, MARGIN_PX + 2), name, "#555", small, anchor="ra")
    sheet.paste(photo, (0, head))
    sheet.paste(mapped, (0, head + photo.height + MARGIN_PX // 2))
    _draw_scale(sheet, draw, small, top, sheet.height - foot + MARGIN_PX, LABELS[target])
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG", compress_level=3)
    return buffer.getvalue()


def scale_top(density: Float[np.ndarray, "row column"], shared: float | None) -> float:
    """The top of the colour scale in g/m2: `shared`, or else this map's 99th percentile."""
    return max(float(np.percentile(density, 99) if shared is None else shared), 1e-6)


def swatches() -> list[str]:
    """The colour scale from 0 to its top, as #rrggbb."""
    colours = _colour(np.linspace(0, 1, 256)[None])[0]
    return ["#" + bytes(colour).hex() for colour in colours]


def map_files(photo: str) -> tuple[str, str]:
    """The file names of a photo's overlay and map, which no other photo has; they include the folders of its path."""
    name = re.sub(r"[/\\]", "__", photo)
    if AMBIGUOUS.search(photo) or len(name.encode()) > NAME_BYTES:
        digest = sha256(photo.encode()).hexdigest()[:12]
        name = f"{digest}__{name.encode()[-NAME_BYTES // 2 :].decode(errors='ignore')}"
    return f"{name}.png", f"{name}.npy"


def _draw_scale(
    sheet: Image.Image, draw: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont, top: float, y: int, label: str
) -> None:
    """Draw the colours from 0 to `top` with ticks; values above `top` have the last colour, as its tick states."""
    width = WIDTH_PX - 2 * MARGIN_PX
    ramp = np.broadcast_to(np.linspace(0, 1, width), (BAR_PX, width))
    sheet.paste(
        Image.blend(Image.new("RGB", (width, BAR_PX), "white"), Image.fromarray(_colour(ramp)), 0.9), (MARGIN_PX, y)
    )
    for tick in range(5):
        x = MARGIN_PX + round(tick / 4 * (width - 1))
        text = f"{top * tick / 4:,.0f}" + (" or more" if tick == 4 else "")
        draw.line([(x, y + BAR_PX), (x, y + BAR_PX + 4)], "black")
        draw.text((x, y + BAR_PX + 6), text, "black", font, anchor="la" if tick == 0 else "ra" if tick == 4 else "ma")
    draw.text(
        (MARGIN_PX, y + BAR_PX + 24), f"{label}, g DM / m² (over the photo, at {OPACITY:.0%} opacity)", "#333", font
    )


@cache
def _font(size_px: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf", size_px)


def _colour(share: Float[np.ndarray, "row column"]) -> UInt8[np.ndarray, "row column 3"]:
    return np.asarray(matplotlib.colormaps[COLOURS](share, bytes=True)[..., :3].copy())


def _fitting(text: str, font: ImageFont.FreeTypeFont, width_px: int) -> str:
    """The text, or its end after an ellipsis where it is too long."""
    if font.getlength(text) <= width_px:
        return text
    while text and font.getlength("…" + text) > width_px:
        text = text[1:]
    return "…" + text
