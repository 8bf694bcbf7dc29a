"""The map: where the weight stands, as a picture over the photo with its units and scale."""

import io
from functools import cache
from hashlib import sha256
from pathlib import Path

import matplotlib
import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont

from herbage.model.estimate import Estimate
from herbage.targets import g_per_m2, known_targets, main_target

COLOURS = "viridis"
"""Perceptually uniform, and told apart by colour-blind eyes."""

WIDTH_PX, TALLEST_PX = 900, 1800
OPACITY = 0.6
MARGIN_PX = 16
NAME_BYTES = 200
BAR_PX = 18

LABELS = ("Clover", "Dead", "Green", "Total", "GDM")
"""What people call the targets, in the order of TARGETS."""


def draw_overlay(
    pixels: UInt8[np.ndarray, "height width 3"],
    estimate: Estimate,
    *,
    scale_g_per_m2: Float[np.ndarray, "5"] | None,
    target: int | None = None,
) -> bytes:
    """A PNG of the photo, the photo under its map in g/m2, the colour scale, and the total.

    `scale_g_per_m2` is the top of the scale by target; None takes this map's own 99th percentile. `target` is by
    default the total, or else what the model knows. The map is smoothed for display only.
    """
    assert estimate.map is not None
    if target is None:
        target = main_target(known_targets(estimate.grams))
    density = g_per_m2(estimate.map[target], estimate.quadrat_area_m2)
    top = scale_top(density, None if scale_g_per_m2 is None else scale_g_per_m2[target])

    photo = Image.fromarray(pixels)
    # A photo much taller than wide is drawn as a strip of its own proportions, as far as a page holds it.
    width = max(1, min(WIDTH_PX, round(TALLEST_PX * photo.width / photo.height)))
    photo = photo.resize(
        (width, min(TALLEST_PX, max(1, round(photo.height * width / photo.width)))), Image.Resampling.BOX
    )
    share = Image.fromarray((density / top).clip(0, 1).astype(np.float32))
    smooth = np.asarray(share.resize(photo.size, Image.Resampling.BICUBIC)).clip(0, 1)
    mapped = Image.blend(photo, Image.fromarray(_colour(smooth)), OPACITY)

    font, small = _font(18), _font(15)
    head, foot = 2 * MARGIN_PX + 18, 2 * MARGIN_PX + BAR_PX + 36
    sheet = Image.new("RGB", (WIDTH_PX, head + 2 * photo.height + MARGIN_PX // 2 + foot), "white")
    draw = ImageDraw.Draw(sheet)
    said = f"{LABELS[target]}: {estimate.grams[target]:.1f} g a quadrat, {estimate.kg_per_ha[target]:,.0f} kg DM/ha"
    draw.text((MARGIN_PX, MARGIN_PX), said, "black", font)
    name = _fitting(estimate.photo, small, WIDTH_PX - 3 * MARGIN_PX - round(font.getlength(said)))
    draw.text((WIDTH_PX - MARGIN_PX, MARGIN_PX + 2), name, "#555", small, anchor="ra")
    sheet.paste(photo, (0, head))
    sheet.paste(mapped, (0, head + photo.height + MARGIN_PX // 2))
    _draw_scale(sheet, draw, small, top, sheet.height - foot + MARGIN_PX, LABELS[target])
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG", compress_level=3)
    return buffer.getvalue()


def scale_top(density: Float[np.ndarray, "row column"], shared: float | None) -> float:
    """The top of the colour scale in g/m2: the shared one, or else this map's 99th percentile."""
    return max(float(np.percentile(density, 99) if shared is None else shared), 1e-6)


def swatches() -> list[str]:
    """The colours from 0 to the top of the scale, as #rrggbb."""
    colours = _colour(np.linspace(0, 1, 256)[None])[0]
    return ["#" + bytes(colour).hex() for colour in colours]


def map_files(photo: str) -> tuple[str, str]:
    """The file names of a photo's overlay and of its map: its path with folders joined, so that no two meet."""
    name = photo.replace("/", "__").replace("\\", "__")
    if len(name.encode()) > NAME_BYTES:
        name = f"{sha256(name.encode()).hexdigest()[:12]}__{name.encode()[-NAME_BYTES // 2 :].decode(errors='ignore')}"
    return f"{name}.png", f"{name}.npy"


def _draw_scale(
    sheet: Image.Image, draw: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont, top: float, y: int, label: str
) -> None:
    """The colours from 0 to `top`, with ticks. What lies above the top has the top's colour, as the last tick says."""
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
    """The end of a text that is too long, after an ellipsis."""
    if font.getlength(text) <= width_px:
        return text
    while text and font.getlength("…" + text) > width_px:
        text = text[1:]
    return "…" + text
