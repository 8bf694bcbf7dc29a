"""Decode a photo to upright 8-bit sRGB, and decide from its header how."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageOps
from PIL.TiffImagePlugin import TiffImageFile

from herbage.photos import tiff
from herbage.photos.colour import Conversion, conversion, png_chunks
from herbage.photos.exif import orientation
from herbage.photos.jpeg import load_jpeg
from herbage.photos.signatures import is_heic

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF")
"""Formats that Pillow may use. Its readers for other formats are less well maintained."""

WHITE = 65535
REFUSED_BITS, REMARKED_BITS = 12, 14
"""Bits of cameras: values that need no more of the 16 bits of their file are likely to be unscaled."""

NEVER_WRITTEN = bytes(512)
"""A sector of a disk. A decoder of WebP takes it for image data; those of other formats notice it."""

STRETCH = "stretch its values to 16 bits, or export an 8-bit RGB image"


@dataclass(frozen=True)
class Reading:
    """How the values of a file become 8-bit sRGB.

    `colours`: the conversion to sRGB, None where they are sRGB. `white`: the value of white in 16-bit greyscale.
    `ignores_alpha`: the band that is marked as transparency is something else. `remarks`: what a user should know.
    """

    colours: Conversion | None = None
    white: int = WHITE
    ignores_alpha: bool = False
    remarks: tuple[str, ...] = ()

    @property
    def changes(self) -> str:
        """What makes the pixels differ from those of version 0.1.0; empty where they are the same."""
        changes = {
            "converted to sRGB": self.colours is not None,
            f"white is {self.white}": self.white != WHITE,
            "without alpha": self.ignores_alpha,
        }
        return ", ".join(change for change, applies in changes.items() if applies)


@contextmanager
def open_image(content: bytes) -> Iterator[Image.Image]:
    """Open a file by its content, undecoded; raises ValueError for HEIC without its reader, and Pillow's errors."""
    formats: tuple[str, ...] = FORMATS
    if is_heic(content):
        if not _reads_heif():
            raise ValueError("it is HEIC, whose reader is an optional dependency: pip install 'herbage[heic]'")
        formats = ("HEIF",)
    with Image.open(io.BytesIO(content), formats=formats) as image:
        yield image


def choose_reading(image: Image.Image, content: bytes) -> Reading:
    """Decide how to read an opened image; raises ValueError where there is no right way.

    Only 16-bit files, and TIFFs with a band of transparency, are decoded for it: their headers do not say enough.
    """
    remarks: list[str] = []
    ignores_alpha, white = False, WHITE
    if isinstance(image, TiffImageFile):
        tiff.check_tiff(image, content)
        remarks += tiff.unused_parts(image, content)
        if "A" in image.getbands() and (reason := tiff.why_not_alpha(image)):
            ignores_alpha = True
            remarks.append(f"{reason}, so it was not used")
    if image.format == "WEBP" and content[: 8 + int.from_bytes(content[4:8], "little")].endswith(NEVER_WRITTEN):
        raise ValueError("its last bytes are zeros, since a transfer broke off: copy the photo again")
    if _is_deep(image, content):
        white, remark = _white(image, content)
        remarks += [remark] if remark else []
    colours, remark = conversion(image, content)
    remarks += [remark] if remark else []
    return Reading(colours, white, ignores_alpha, tuple(remarks))


def decode(content: bytes, reading: Reading) -> Image.Image:
    """The upright photo in RGB; raises ValueError, and Pillow's errors, where the file is damaged.

    EXIF orientation is applied (the HEIC decoder applies HEIC's own rotation). Colours are converted to sRGB by the
    photo's profile; greyscale, palette and CMYK images without a profile are converted by Pillow. Transparent images
    are composited on white. Of 16-bit colours the upper 8 bits are used, and 16-bit greyscale is rounded. Only the
    first page is read.
    """
    with open_image(content) as image:
        if image.format in ("JPEG", "MPO"):
            image = load_jpeg(image, content)
        image.load()
        if orientation(image) != 1:
            ImageOps.exif_transpose(image, in_place=True)
        return _to_srgb(image, reading)


def _to_srgb(image: Image.Image, reading: Reading) -> Image.Image:
    if image.mode in ("I", "F"):
        raise ValueError(f"its mode {image.mode} (32 bits per pixel) has no defined range; save it as 8-bit RGB")
    if image.mode.startswith("I;16"):
        grey = np.asarray(image).astype(np.uint32)
        image = Image.fromarray(((2 * 255 * grey + reading.white) // (2 * reading.white)).astype(np.uint8))
    alpha = None
    if not reading.ignores_alpha and ("A" in image.getbands() or "transparency" in image.info):
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
    rgb = image if image.mode == "RGB" else image.convert("RGB")
    if reading.colours is not None:
        rgb = reading.colours.apply(image if image.mode == "CMYK" else rgb)
    if alpha is None:
        return rgb
    rgb.putalpha(alpha)
    return Image.alpha_composite(Image.new("RGBA", rgb.size, "white"), rgb).convert("RGB")


def _is_deep(image: Image.Image, content: bytes) -> bool:
    """Whether the file has between 9 and 16 bits per band."""
    if isinstance(image, TiffImageFile):
        return 8 < tiff.bits_per_sample(image) <= 16 and image.mode not in ("I", "F")
    return image.format == "PNG" and content[24] == 16


def _white(image: Image.Image, content: bytes) -> tuple[int, str | None]:
    """The value of white in a file of up to 16 bits, and a remark where it may be another; decodes the image.

    Cameras of 10, 12 or 14 bits are often saved unscaled, so that a photo looks nearly black. The file may state its
    range: by its number of bits, by TIFF's MaxSampleValue, or by PNG's sBIT. Else values that use at most 12 bits are
    refused, since a true 16-bit photo would have no pixel brighter than level 15 of 255. Values of 13 or 14 bits are
    read as a dark photo, with a remark.

    Of 16-bit colours Pillow has the upper 8 bits only, so unscaled ones are refused even if their range is stated.
    """
    is_grey = image.mode.startswith("I;16")
    values = np.asarray(image if is_grey else image.convert("RGB"))
    largest = int(values.max()) if is_grey else 256 * int(values.max()) + 255
    stated = _stated_white(image, content)
    if stated == WHITE or (stated is not None and largest <= stated and is_grey):
        return stated, None
    used = largest.bit_length()
    if used <= REFUSED_BITS or (stated is not None and largest <= stated):
        raise ValueError(f"its values use {used} of the 16 bits of the file, so it would be read as black: {STRETCH}")
    if used <= REMARKED_BITS:
        return WHITE, f"its values use {used} of 16 bits and were read as a dark photo; else {STRETCH}"
    return WHITE, None


def _stated_white(image: Image.Image, content: bytes) -> int | None:
    """The largest possible value, where the file states it."""
    if isinstance(image, TiffImageFile):
        bits = tiff.bits_per_sample(image)
        return 2**bits - 1 if bits < 16 else tiff.declared_maximum(image)
    bits = max((max(value) for kind, value in png_chunks(content) if kind == b"sBIT" and value), default=0)
    return 2**bits - 1 if 8 < bits <= 16 else None


@cache
def _reads_heif() -> bool:
    """Whether Pillow can read HEIC; registers the reader on first use only, because importing it is slow."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return False
    register_heif_opener()
    return True
