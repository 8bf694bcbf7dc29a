"""Open a photo file: its digest, shape, capture time and position, and how to decode it."""

import hashlib
import math
import re
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from herbage.errors import PhotoTooLarge, PhotoUnreadable
from herbage.photos import tiff
from herbage.photos.exif import PhotoFacts, orientation, read_facts
from herbage.photos.pixels import Reading, choose_reading, decode, open_image
from herbage.photos.signatures import not_a_photo

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".tif", ".tiff", ".heic", ".heif")
"""Endings of the names of photos. A file is read by its content, whatever its name ends in."""

PIXEL_LIMIT = 120_000_000
"""Maximum pixels of a photo. Larger photos are skipped before decoding: they may be decompression bombs."""

ASPECT_LIMIT = 50
"""Maximum ratio of the longer to the shorter side, of the photo and of the quadrat between its corners. Resizing more
extreme shapes takes a disproportionate amount of memory."""

CORNER_REACH = 0.02
"""How far a corner may be outside the photo, as a fraction of its width and height."""

SMALL_QUADRAT = 0.05
"""The share of the photo's area below which a quadrat is likely to be a mistake."""

OWN_REASONS = ("it is ", "its ")
"""How the reasons of this package begin. They say what to do."""

warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # PIXEL_LIMIT raises an error instead


Corners = tuple[tuple[float, float], ...]
"""Quadrat corners as (x, y) in pixels of the upright photo: upper left, upper right, lower right, lower left."""


@dataclass(frozen=True)
class PhotoFile:
    """A requested photo: its name in tables, and its path.

    If `corners` is given, the photo is cropped to the quadrat between them and its perspective is corrected. If
    `content` is given, its bytes are used and no file is read. `measured` are values measured in addition to the photo,
    in the order of the model's measured columns, NaN where one is missing.
    """

    name: str
    path: Path
    corners: Corners | None = None
    content: bytes | None = field(default=None, repr=False, compare=False)
    measured: tuple[float, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class Photo:
    """An opened photo: its EXIF data and encoded bytes, which `pixels` decodes.

    `key` identifies the photo, whatever the version that reads it: it is the digest of the file's bytes, combined with
    the corners if there are any. `sha256` identifies its pixels: it also covers what makes them differ from those of
    version 0.1.0, where it was the key. `aspect` is the width divided by the height of the upright photo, or of the
    quadrat between the corners. `remarks` are what its row should say: what was recorded but not used, or read in one
    of several ways.
    """

    file: PhotoFile
    sha256: str
    aspect: float
    facts: PhotoFacts
    content: bytes
    reading: Reading
    remarks: tuple[str, ...]
    key: str

    @property
    def converted_from(self) -> str | None:
        """The name of the colour profile from which its colours are converted to sRGB, None where they are sRGB."""
        return None if self.reading.colours is None else self.reading.colours.name

    def pixels(self) -> UInt8[np.ndarray, "height width 3"]:
        """Decode to upright 8-bit sRGB (`herbage.photos.pixels.decode`), cropped to the quadrat if it has corners.

        Raises PhotoUnreadable if the file is damaged.
        """
        try:
            upright = decode(self.content, self.reading)
            return np.array(upright if self.file.corners is None else _rectified(upright, self.file.corners))
        except Exception as error:  # Pillow's decoders raise many kinds on damaged bytes
            raise PhotoUnreadable(f"{self.file.name} could not be decoded: {_reason(error, self.content)}") from error


def open_photo(file: PhotoFile) -> Photo:
    """Read a photo's bytes and header; most photos are not decoded (`herbage.photos.pixels.choose_reading`).

    Raises PhotoUnreadable, or PhotoTooLarge over PIXEL_LIMIT or ASPECT_LIMIT.
    """
    try:
        content = file.path.read_bytes() if file.content is None else file.content
    except (OSError, ValueError) as error:
        raise PhotoUnreadable(f"{file.name} could not be read: {getattr(error, 'strerror', None) or error}") from error
    if not content:
        raise PhotoUnreadable(f"{file.name} is empty: expected an image, got 0 bytes")
    (width, height), facts, reading, remarks = _read_header(file, content)
    key = hashlib.sha256(content).hexdigest()
    sha256 = hashlib.sha256(f"{key} {reading.changes}".encode()).hexdigest() if reading.changes else key
    aspect = width / height
    if file.corners is not None:
        aspect = _check_corners(file, file.corners, width, height)
        remarks += _about_quadrat(file, file.corners, width, height)
        sha256, key = (hashlib.sha256(f"{of} {file.corners}".encode()).hexdigest() for of in (sha256, key))
    return Photo(file, sha256, aspect, facts, content, reading, remarks, key)


def _read_header(file: PhotoFile, content: bytes) -> tuple[tuple[int, int], PhotoFacts, Reading, tuple[str, ...]]:
    """Upright size in pixels, EXIF data, how to decode the photo, and remarks."""
    try:
        with open_image(content) as image:
            _check_size(file, *image.size)
            facts, remarks = read_facts(image)
            stored = tiff.stored_size(image) if isinstance(image, TiffImageFile) else image.size
            size = stored[::-1] if orientation(image) in (5, 6, 7, 8) else stored
            reading = choose_reading(image, content)
            return size, facts, reading, remarks + reading.remarks
    except PhotoTooLarge:
        raise
    except Image.DecompressionBombError as error:
        raise PhotoTooLarge(f"{file.name} is over the limit of {PIXEL_LIMIT:,} pixels: {_first_line(error)}") from error
    except Exception as error:  # Pillow's header readers raise many kinds on damaged bytes
        raise PhotoUnreadable(f"{file.name} is not a readable image: {_reason(error, content)}") from error


def _check_corners(file: PhotoFile, corners: Corners, width: int, height: int) -> float:
    """The quadrat's width divided by its height; raises PhotoUnreadable where it is outside the photo or too large."""
    least, most = -CORNER_REACH, 1 + CORNER_REACH
    if any(not (least <= x / width <= most and least <= y / height <= most) for x, y in corners):
        raise PhotoUnreadable(f"{file.name} is {width} x {height} pixels, but corners of its quadrat are outside it")
    across, down = _sides_px(corners)
    _check_size(file, round(across), round(down))
    return across / down


def _about_quadrat(file: PhotoFile, corners: Corners, width: int, height: int) -> tuple[str, ...]:
    """A remark where the quadrat covers little of the photo; raises PhotoUnreadable for corners in percent."""
    share = _area_px(corners) / (width * height)
    if share >= SMALL_QUADRAT:
        return ()
    if max(width, height) > 100 and all(0 <= value <= 100 for corner in corners for value in corner):
        raise PhotoUnreadable(
            f"{file.name} is {width} x {height} pixels, and its corners look like percent of the photo (all are from 0 "
            f"to 100, and the quadrat would cover {share:.1%} of the photo); expected pixels: multiply x by "
            f"{width / 100:g} and y by {height / 100:g}"
        )
    return (f"the quadrat between its corners covers only {share:.1%} of the photo",)


def _area_px(corners: Corners) -> float:
    """The area of the quadrilateral, by the shoelace formula."""
    pairs = zip(corners, (*corners[1:], corners[0]), strict=True)
    return sum(x * next_y - next_x * y for (x, y), (next_x, next_y) in pairs) / 2


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


def _reason(error: Exception, content: bytes) -> str:
    """Why a photo cannot be read, and what to do. Messages of Pillow's readers say only what they stumbled on."""
    first = _first_line(error)
    if first.startswith(OWN_REASONS) or isinstance(error, (MemoryError, np.linalg.LinAlgError)):
        return first
    if isinstance(error, UnidentifiedImageError):
        known = tiff.describe_unreadable(content) or not_a_photo(content)
        return known or f"{first}; it is damaged, or no photo: copy the photo again"
    return f"it is damaged or cut off ({first}): copy the photo again"


def _first_line(error: Exception) -> str:
    """First line of an error message, without the memory address of the buffer, which differs between runs."""
    first = (str(error).splitlines() or [type(error).__name__])[0]
    return re.sub(r" ?<_io\.BytesIO[^>]*>", "", first)
