"""Synthetic images of swards with known green, dead and clover weights, for the demo and the tests.

Each blade, straw and leaf adds a weight proportional to its drawn length or area to the grid cell that contains it.
The five weights of a drawing and their map are therefore known exactly.
"""

import math
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from jaxtyping import Float
from PIL import ExifTags, Image, ImageDraw, ImageFilter
from PIL.TiffImagePlugin import IFDRational

from herbage.targets import SUMS

WIDTH_PX, HEIGHT_PX = 1000, 500
SUPERSAMPLING = 2
CELL_PX = 50
BLADE_G, STRAW_G, LEAF_G = 0.014, 0.016, 0.011
"""Grams of a blade or straw of mean length, and of a trifoliate clover leaf of mean area."""

ALONG = np.linspace(-0.5, 0.5, 7)
TAPER = np.sqrt(np.clip(1 - (2 * ALONG) ** 2, 0.05, 1))
"""Positions along a stroke (-0.5 to 0.5), and the relative width at each."""


@dataclass(frozen=True)
class Light:
    """Appearance shared by a group of photos: brightness, warmth (red over blue), soil RGB, yellowness of green."""

    brightness: float
    warmth: float
    soil: tuple[float, float, float]
    yellow: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Light":
        """Draw a random appearance, such as that of one paddock on one day."""
        soil = np.array([112, 88, 66]) * rng.uniform(0.75, 1.2)
        return cls(rng.uniform(0.8, 1.12), rng.uniform(0.95, 1.06), tuple(soil.tolist()), rng.uniform(0, 0.35))


@dataclass(frozen=True)
class Sward:
    """A drawing, its five weights in grams, and the grams of each target in each cell of CELL_PX x CELL_PX pixels."""

    image: Image.Image
    grams: Float[np.ndarray, "5"]
    density: Float[np.ndarray, "5 row column"]


def draw_sward(rng: np.random.Generator, light: Light, *, green: float, dead: float, clover: float) -> Sward:
    """Draw a sward; `green`, `dead` and `clover` are approximate grams, and the result contains the exact ones."""
    canvas = _soil(rng, light)
    draw = ImageDraw.Draw(canvas)
    components = np.zeros((3, HEIGHT_PX // CELL_PX, WIDTH_PX // CELL_PX))
    strokes = [(0, "leaf", clover / LEAF_G), (1, "straw", dead / STRAW_G), (2, "blade", green / BLADE_G)]
    plan: list[tuple[float, int, str, float, float]] = []
    for component, kind, count in strokes:
        thickness = _patchiness(rng)
        # Dead material lies lower, mostly under the blades and leaves.
        heights = rng.uniform(0, 0.5, round(count)) if kind == "straw" else rng.uniform(0.2, 1, round(count))
        for height, (x, y) in zip(heights, _scatter(rng, thickness, round(count)), strict=True):
            plan.append((float(height), component, kind, x, y))
    for height, component, kind, x, y in sorted(plan):
        paint = {"leaf": _leaf, "straw": _straw, "blade": _blade}[kind]
        grams = paint(draw, rng, light, x, y, height)
        components[component, int(y) // CELL_PX, int(x) // CELL_PX] += grams
    image = canvas.resize((WIDTH_PX, HEIGHT_PX), Image.Resampling.LANCZOS)
    density = np.einsum("tc,crk->trk", SUMS, components)
    return Sward(_lit(image, rng, light), density.sum(axis=(1, 2)), density)


def photo_exif(taken: datetime, place: tuple[float, float] | None) -> Image.Exif:
    """EXIF data with a capture time, and a position if `place`, latitude and longitude in degrees, is not None."""
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = f"{taken:%Y:%m:%d %H:%M:%S}"
    if place is not None:
        gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
        for degrees, tag, reference, signs in (
            (place[0], ExifTags.GPS.GPSLatitude, ExifTags.GPS.GPSLatitudeRef, "NS"),
            (place[1], ExifTags.GPS.GPSLongitude, ExifTags.GPS.GPSLongitudeRef, "EW"),
        ):
            whole, minutes = divmod(abs(degrees) * 60, 60)
            gps[reference] = signs[degrees < 0]
            gps[tag] = (IFDRational(int(whole)), IFDRational(int(minutes)), IFDRational(round(minutes % 1 * 60, 3)))
    return exif


def _soil(rng: np.random.Generator, light: Light) -> Image.Image:
    size = (WIDTH_PX * SUPERSAMPLING, HEIGHT_PX * SUPERSAMPLING)
    shade = sum(
        np.asarray(_noise(rng, (WIDTH_PX // step, HEIGHT_PX // step)).resize(size, Image.Resampling.BICUBIC), float)
        * weight
        for step, weight in ((100, 0.3), (20, 0.3), (4, 0.4))
    )
    pixels = np.asarray(light.soil) * (0.6 + 0.8 * np.asarray(shade)[..., None] / 255)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _noise(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    return Image.fromarray(rng.integers(0, 256, (size[1], size[0]), dtype=np.uint8))


def _patchiness(rng: np.random.Generator) -> Float[np.ndarray, "row column"]:
    """Relative density of each cell: a smooth field with sparse and dense areas."""
    rows, columns = HEIGHT_PX // CELL_PX, WIDTH_PX // CELL_PX
    coarse = _noise(rng, (5, 3)).resize((columns, rows), Image.Resampling.BICUBIC)
    return (np.asarray(coarse, float) / 255) ** 2 + 0.03


def _scatter(
    rng: np.random.Generator, thickness: Float[np.ndarray, "row column"], count: int
) -> list[tuple[float, float]]:
    cells = rng.choice(thickness.size, count, p=thickness.ravel() / thickness.sum())
    row, column = np.divmod(cells, thickness.shape[1])
    x = (column + rng.uniform(0, 1, count)) * CELL_PX
    y = (row + rng.uniform(0, 1, count)) * CELL_PX
    return list(zip(x.tolist(), y.tolist(), strict=True))


def _colour(rng: np.random.Generator, base: tuple[float, float, float], height: float) -> tuple[int, int, int]:
    tone = (0.55 + 0.5 * height) * rng.uniform(0.88, 1.12)
    red, green, blue = (int(min(255, max(0, part * tone))) for part in base)
    return red, green, blue


def _blade(
    draw: ImageDraw.ImageDraw, rng: np.random.Generator, light: Light, x: float, y: float, height: float
) -> float:
    base = (78 + 90 * light.yellow, 142 + 20 * light.yellow, 52)
    relative = rng.uniform(0.5, 1.5)
    _stroke(draw, rng, x, y, length=62 * relative, width=3.4, bend=0.5, fill=_colour(rng, base, height))
    return BLADE_G * float(relative)


def _straw(
    draw: ImageDraw.ImageDraw, rng: np.random.Generator, light: Light, x: float, y: float, height: float
) -> float:
    relative = rng.uniform(0.5, 1.5)
    _stroke(draw, rng, x, y, length=58 * relative, width=2.8, bend=0.15, fill=_colour(rng, (206, 182, 134), height))
    return STRAW_G * float(relative)


def _stroke(
    draw: ImageDraw.ImageDraw,
    rng: np.random.Generator,
    x: float,
    y: float,
    *,
    length: float,
    width: float,
    bend: float,
    fill: tuple[int, int, int],
) -> None:
    """Draw a tapered, bent stroke centred on (x, y), the position to which its weight is assigned."""
    turn = rng.uniform(0, 2 * math.pi) + rng.normal(0, bend) * ALONG
    cos, sin = np.cos(turn), np.sin(turn)
    cx, cy = x + np.cumsum(cos) * length / len(ALONG), y + np.cumsum(sin) * length / len(ALONG)
    cx, cy = cx - cx.sum() / len(ALONG) + x, cy - cy.sum() / len(ALONG) + y
    nx, ny = -sin * TAPER * (width / 2), cos * TAPER * (width / 2)
    edge = np.empty((2, len(ALONG), 2))
    edge[0, :, 0], edge[0, :, 1] = cx + nx, cy + ny
    edge[1, ::-1, 0], edge[1, ::-1, 1] = cx - nx, cy - ny
    draw.polygon((edge * SUPERSAMPLING).ravel().tolist(), fill=fill)


def _leaf(
    draw: ImageDraw.ImageDraw, rng: np.random.Generator, light: Light, x: float, y: float, height: float
) -> float:
    """Draw three round leaflets, each with a pale chevron; return a weight proportional to their area."""
    radius = rng.uniform(6, 11)
    start = rng.uniform(0, 2 * math.pi)
    fill = _colour(rng, (58 + 25 * light.yellow, 128, 62), height)
    pale = tuple(min(255, part + 34) for part in fill)
    for third in range(3):
        angle = start + third * 2 * math.pi / 3
        cx, cy = x + radius * math.cos(angle), y + radius * math.sin(angle)
        _disc(draw, cx, cy, radius, fill)
        _disc(draw, cx + 0.15 * radius * math.cos(angle), cy + 0.15 * radius * math.sin(angle), radius * 0.45, pale)
        _disc(draw, cx - 0.1 * radius * math.cos(angle), cy - 0.1 * radius * math.sin(angle), radius * 0.42, fill)
    return float(LEAF_G * (radius / 8.6) ** 2)


def _disc(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, fill: tuple[int, ...]) -> None:
    s = SUPERSAMPLING
    draw.ellipse(((x - radius) * s, (y - radius) * s, (x + radius) * s, (y + radius) * s), fill=fill)


def _lit(image: Image.Image, rng: np.random.Generator, light: Light) -> Image.Image:
    gain = light.brightness * np.array([light.warmth, 1.0, 1 / light.warmth])
    slope = 1 + rng.uniform(-0.1, 0.1) * np.linspace(-1, 1, image.width)[None, :, None]
    pixels = np.asarray(image, float) * gain * slope + rng.normal(0, 3, (image.height, image.width, 1))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.6))
