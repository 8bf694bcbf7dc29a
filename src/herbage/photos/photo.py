"""Read a photo file: upright RGB pixels, digest, capture time and position."""

import hashlib
import io
import math
import re
import warnings
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import ExifTags, Image, ImageOps

from herbage.errors import PhotoTooLarge, PhotoUnreadable

HEIF_SUFFIXES = (".heic", ".heif")
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", *HEIF_SUFFIXES)
PIXEL_LIMIT = 120_000_000
"""Maximum pixels of a photo. Larger photos are skipped before decoding: they may be decompression bombs."""

ASPECT_LIMIT = 50
"""Maximum ratio of the longer to the shorter side, of the photo and of the quadrat between its corners. Resizing more
extreme shapes takes a disproportionate amount of memory."""

CORNER_REACH = 0.02
"""How far a corner may be outside the photo, as a fraction of its width and height."""

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF")
"""Formats that Pillow may use. Its readers for other formats are less well maintained."""

warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # PIXEL_LIMIT raises an error instead


Corners = tuple[tuple[float, float], ...]
"""Quadrat corners as (x, y) in pixels of the upright photo: upper left, upper right, lower right, lower left."""


@dataclass(frozen=True)
class PhotoFile:
    """A requested photo: its name in tables, and its path.

    If `corners` is given, the photo is cropped to the quadrat between them and its perspective is corrected. If
    `content` is given, its bytes are used and no file is read.
    """

    name: str
    path: Path
    corners: Corners | None = None
    content: bytes | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class PhotoFacts:
    """EXIF data of a photo: local capture time, and WGS 84 coordinates in degrees."""

    taken_at: datetime | None = None
    latitude: float | None = None
    longitude: float | None = None

    def redacted(self, coordinates: bool, digits: int | None) -> "PhotoFacts":
        """A copy without coordinates, or with coordinates rounded to `digits` decimals (unless None), for privacy."""
        if not coordinates:
            return replace(self, latitude=None, longitude=None)
        if digits is None or self.latitude is None or self.longitude is None:
            return self
        return replace(self, latitude=round(self.latitude, digits), longitude=round(self.longitude, digits))


NO_FACTS = PhotoFacts()


@dataclass(frozen=True)
class Photo:
    """An opened photo: its EXIF data and encoded bytes, which `pixels` decodes.

    `sha256` is the digest of the file's bytes, combined with the corners if there are any. `aspect` is the width
    divided by the height of the upright photo, or of the quadrat between the corners.
    """

    file: PhotoFile
    sha256: str
    aspect: float
    facts: PhotoFacts
    content: bytes

    def pixels(self) -> UInt8[np.ndarray, "height width 3"]:
        """Decode to upright 8-bit RGB; raises PhotoUnreadable if the file is damaged.

        EXIF orientation is applied (the HEIC decoder applies HEIC's own rotation). Greyscale, palette and CMYK images
        are converted by Pillow; transparent images are composited on white; 16-bit greyscale is divided by 257; only
        the first page is read. The photo is then cropped to the quadrat if its file has corners.
        """
        try:
            with Image.open(io.BytesIO(self.content), formats=_formats(self.file)) as image:
                ImageOps.exif_transpose(image, in_place=True)
                upright = _to_rgb(image)
                return np.array(upright if self.file.corners is None else _rectified(upright, self.file.corners))
        except Exception as error:  # Pillow's decoders raise many kinds on damaged bytes
            raise PhotoUnreadable(f"{self.file.name} could not be decoded: {_first_line(error)}") from error


def open_photo(file: PhotoFile) -> Photo:
    """Read a photo's bytes and header without decoding it.

    Raises PhotoUnreadable, or PhotoTooLarge over PIXEL_LIMIT or ASPECT_LIMIT.
    """
    try:
        content = file.path.read_bytes() if file.content is None else file.content
    except (OSError, ValueError) as error:
        raise PhotoUnreadable(f"{file.name} could not be read: {getattr(error, 'strerror', None) or error}") from error
    if not content:
        raise PhotoUnreadable(f"{file.name} is empty: expected an image, got 0 bytes")
    if file.name.lower().endswith(HEIF_SUFFIXES) and not _reads_heif():
        raise PhotoUnreadable(f"{file.name}: reading HEIC requires an optional dependency: pip install 'herbage[heic]'")
    try:
        with Image.open(io.BytesIO(content), formats=_formats(file)) as image:
            width, height = image.size
            facts = _facts(image)
            turned = image.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
    except Image.DecompressionBombError as error:
        raise PhotoTooLarge(f"{file.name} is over the limit of {PIXEL_LIMIT:,} pixels: {_first_line(error)}") from error
    except Exception as error:  # Pillow's header readers raise many kinds on damaged bytes
        raise PhotoUnreadable(f"{file.name} is not a readable image: {_first_line(error)}") from error
    _check_size(file, width, height)
    if turned:
        width, height = height, width
    sha256 = hashlib.sha256(content).hexdigest()
    if file.corners is None:
        return Photo(file, sha256, width / height, facts, content)
    least, most = -CORNER_REACH, 1 + CORNER_REACH
    if any(not (least <= x / width <= most and least <= y / height <= most) for x, y in file.corners):
        raise PhotoUnreadable(f"{file.name} is {width} x {height} pixels, but corners of its quadrat are outside it")
    across, down = _sides_px(file.corners)
    _check_size(file, round(across), round(down))
    sha256 = hashlib.sha256(f"{sha256} {file.corners}".encode()).hexdigest()
    return Photo(file, sha256, across / down, facts, content)


def is_quadrilateral(corners: Corners) -> bool:
    """Whether the corners form a convex quadrilateral in clockwise order (x to the right, y down)."""
    turns = []
    for number, (x, y) in enumerate(corners):
        (before_x, before_y), (next_x, next_y) = corners[number - 1], corners[(number + 1) % 4]
        turns.append((x - before_x) * (next_y - y) - (y - before_y) * (next_x - x))
    return all(turn > 1 for turn in turns)


def _sides_px(corners: Corners) -> tuple[float, float]:
    """Width and height of the quadrilateral: the mean lengths of opposite sides."""
    upper_left, upper_right, lower_right, lower_left = corners
    return (
        (math.dist(upper_left, upper_right) + math.dist(lower_left, lower_right)) / 2,
        (math.dist(upper_left, lower_left) + math.dist(upper_right, lower_right)) / 2,
    )


def _rectified(image: Image.Image, corners: Corners) -> Image.Image:
    """Map the quadrilateral between the corners to a rectangle with a projective transformation.

    Its eight coefficients solve eight linear equations, as in Hartley and Zisserman 2004, section 2.2.
    """
    width, height = (max(1, round(side)) for side in _sides_px(corners))
    equations, values = [], []
    for (u, v), (x, y) in zip(((0, 0), (width, 0), (width, height), (0, height)), corners, strict=True):
        equations += [[u, v, 1, 0, 0, 0, -u * x, -v * x], [0, 0, 0, u, v, 1, -u * y, -v * y]]
        values += [x, y]
    coefficients = np.linalg.solve(np.array(equations, float), np.array(values, float)).tolist()
    return image.transform((width, height), Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BICUBIC)


def _check_size(file: PhotoFile, width: int, height: int) -> None:
    """Raise PhotoTooLarge for a size or shape that would take too much memory."""
    if width * height > PIXEL_LIMIT:
        raise PhotoTooLarge(
            f"{file.name} has {width} x {height} pixels, over the limit of {PIXEL_LIMIT:,}; save a smaller version"
        )
    if max(width, height) > ASPECT_LIMIT * min(width, height):
        raise PhotoTooLarge(
            f"{file.name} has {width} x {height} pixels; expected a longer side of at most {ASPECT_LIMIT} times the "
            f"shorter one"
        )


def _formats(file: PhotoFile) -> tuple[str, ...]:
    """Formats to try for this photo; Pillow knows HEIF only after `_reads_heif` has registered it."""
    return (*FORMATS, "HEIF") if file.name.lower().endswith(HEIF_SUFFIXES) else FORMATS


@cache
def _reads_heif() -> bool:
    """Whether Pillow can read HEIC; registers the reader on first use only, because importing it is slow."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return False
    register_heif_opener()
    return True


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode in ("I", "F"):
        raise ValueError(f"mode {image.mode} (32 bits per pixel) has no defined range; save it as 8-bit RGB")
    if image.mode.startswith("I;16"):
        grey = np.asarray(image).astype(np.uint32)
        return Image.fromarray(((grey + 128) // 257).astype(np.uint8)).convert("RGB")
    if "A" in image.getbands() or "transparency" in image.info:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def _facts(image: Image.Image) -> PhotoFacts:
    try:
        exif = image.getexif()
        inner, gps = exif.get_ifd(ExifTags.IFD.Exif), exif.get_ifd(ExifTags.IFD.GPSInfo)
    except Exception:  # a damaged EXIF block must not make the photo unusable
        return NO_FACTS
    taken_at = _time(inner.get(ExifTags.Base.DateTimeOriginal)) or _time(exif.get(ExifTags.Base.DateTime))
    latitude = _degrees(gps, ExifTags.GPS.GPSLatitude, ExifTags.GPS.GPSLatitudeRef, "S", 90)
    longitude = _degrees(gps, ExifTags.GPS.GPSLongitude, ExifTags.GPS.GPSLongitudeRef, "W", 180)
    if latitude is None or longitude is None:
        latitude = longitude = None
    return PhotoFacts(taken_at, latitude, longitude)


def _time(value: Any) -> datetime | None:
    try:
        return datetime.strptime(str(value).strip("\0 "), "%Y:%m:%d %H:%M:%S")
    except ValueError:
        return None


def _degrees(gps: dict[int, Any], tag: int, reference_tag: int, negative: str, limit: int) -> float | None:
    try:
        degrees, minutes, seconds = (float(part) for part in gps[tag])
        if not (0 <= minutes < 60 and 0 <= seconds < 60):
            return None
        value = degrees + minutes / 60 + seconds / 3600
        sign = -1 if str(gps[reference_tag]).strip("\0 ").upper() == negative else 1
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return sign * value if math.isfinite(value) and abs(value) <= limit else None


def _first_line(error: Exception) -> str:
    """First line of an error message, without the memory address of the buffer, which differs between runs."""
    first = (str(error).splitlines() or [type(error).__name__])[0]
    return re.sub(r" ?<_io\.BytesIO[^>]*>", "", first)
