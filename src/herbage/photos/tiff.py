"""What a TIFF says about its bands, bits and pages, which Pillow drops or takes for something else."""

import io
import re
from typing import Any

from PIL.TiffImagePlugin import ImageFileDirectory_v2, TiffImageFile

from herbage.photos.signatures import DEVELOP

WIDTH, HEIGHT = 256, 257
BITS, COMPRESSION, PHOTOMETRIC, BANDS, MAX_VALUE, PLANES, EXTRA, SAMPLE = 258, 259, 262, 277, 281, 284, 338, 339
SUBFILE, STRIPS, STRIP_BYTES, DNG_VERSION = 254, 273, 279, 50706
"""Tags, named as in TIFF 6.0: ImageWidth, ImageLength, BitsPerSample, Compression, PhotometricInterpretation,
SamplesPerPixel, MaxSampleValue, PlanarConfiguration, ExtraSamples, SampleFormat, NewSubfileType,
StripOffsets, StripByteCounts, and DNG's DNGVersion."""

NOT_ZERO, BLANK_ROWS = re.compile(rb"[^\0]"), 16
"""So many rows of zeros within a photo are no picture: even of a black thing the sensor has noise."""

SEPARATE, UNCOMPRESSED, PREMULTIPLIED, REDUCED = 2, 1, 1, 1
"""Values of PlanarConfiguration, Compression and ExtraSamples, and a bit of NewSubfileType."""

PHOTOMETRICS = {
    0: ("grey bands", 1),
    1: ("grey bands", 1),
    2: ("bands (RGB)", 3),
    3: ("bands (palette)", 1),
    5: ("bands (CMYK)", 4),
    6: ("bands (YCbCr)", 3),
    8: ("bands (Lab)", 3),
}
"""Names of the values of PhotometricInterpretation, and the number of bands that Pillow reads."""
USUAL_BITS, SAMPLES = (1, 2, 4, 8, 16), {2: "signed", 3: "floating point"}

EXPORT = "export an RGB image with 8 or 16 bits per band"

GREYS_OF_AN_IMAGE, SHARE_OF_AN_IMAGE = 64, 0.25
"""A fourth band with more greys than that, on more than that share of the photo, is an image (near infrared, say).
Transparency is 0 or 255 nearly everywhere: masks, with soft edges at most."""


def check_tiff(image: TiffImageFile, content: bytes) -> None:
    """Raise ValueError for a raw file, whose first page is a preview, and for bands that Pillow reads wrongly."""
    tags = image.tag_v2
    if content[8:10] == b"CR" or DNG_VERSION in tags:
        raise ValueError(DEVELOP)
    if tags.get(SUBFILE, 0) & REDUCED:
        raise ValueError(f"its first page is a preview, as in raw files of cameras: {EXPORT}")
    planes = tags.get(PLANES) == SEPARATE and tags.get(COMPRESSION) == UNCOMPRESSED
    if planes and bits_per_sample(image) > 8 and len(image.getbands()) > 1:
        raise ValueError(f"its bands of 16 bits are stored one after another (planar): {EXPORT}, interleaved by pixel")
    if tags.get(PHOTOMETRIC) == 0 and bits_per_sample(image) > 8:
        raise ValueError(f"its 16-bit grey values stand for darkness (WhiteIsZero): {EXPORT}")


def stored_size(image: TiffImageFile) -> tuple[int, int]:
    """Width and height as stored; `image.size` of newer versions of Pillow is already that of the upright image."""
    return image.tag_v2[WIDTH], image.tag_v2[HEIGHT]


def bits_per_sample(image: TiffImageFile) -> int:
    """The bits of the first band."""
    return _numbers(image.tag_v2.get(BITS, 1))[0]


def why_not_alpha(image: TiffImageFile) -> str | None:
    """Why the band that is marked as transparency is something else, None where it is not; decodes the image.

    Raises ValueError where colours were multiplied by that band: Pillow divides them by it, and they are lost.
    """
    counts = image.getchannel("A").histogram()
    between, total = counts[1:-1], sum(counts)
    if sum(map(bool, between)) > GREYS_OF_AN_IMAGE and sum(between) > SHARE_OF_AN_IMAGE * total:
        reason = "its last band is marked as transparency but looks like an image"
    elif counts[0] == total:
        reason = "its last band is marked as transparency but would hide all of the photo"
    else:
        return None
    if PREMULTIPLIED in _numbers(image.tag_v2.get(EXTRA, ())):
        raise ValueError(f"{reason}: {EXPORT}, without that band")
    return reason


def unused_parts(image: TiffImageFile, content: bytes) -> list[str]:
    """Remarks on bands and pages that Pillow does not read, and on rows without data.

    Leaves the image at its first page.
    """
    remarks = []
    if rows := _blank_rows(image, content):
        remarks.append(f"{rows} of its rows are black from edge to edge, perhaps since a transfer failed: look at it")
    bands, used = image.tag_v2.get(BANDS, 1), len(image.getbands())
    if bands > used:
        remarks.append(f"only {used} of its {bands} bands were used")
    size = image.size
    try:
        image.seek(1)
        if image.size == size:
            remarks.append("it has several pages, of which only the first was read")
    except Exception:  # no second page, or a damaged one
        pass
    image.seek(0)
    return remarks


def _blank_rows(image: TiffImageFile, content: bytes) -> int:
    """The number of zero rows within an uncompressed image, if they are many; those at its ends are a margin."""
    tags = image.tag_v2
    offsets, bits = _numbers(tags.get(STRIPS, ())), bits_per_sample(image)
    if (
        tags.get(COMPRESSION) != UNCOMPRESSED
        or tags.get(PHOTOMETRIC) not in (1, 2)
        or bits not in (8, 16)
        or not offsets
    ):
        return 0
    bands = 1 if tags.get(PLANES) == SEPARATE else tags.get(BANDS, 1)
    row = tags[WIDTH] * bands * bits // 8
    last = offsets.index(max(offsets))
    end = offsets[last] + _numbers(tags.get(STRIP_BYTES, 0))[last]
    if (first := NOT_ZERO.search(content, min(offsets), end)) is None:
        return 0
    at = content.find(bytes(BLANK_ROWS * row), first.start(), end)
    following = NOT_ZERO.search(content, at, end) if at >= 0 else None
    return (following.start() - at) // row if following else 0


def describe_unreadable(content: bytes) -> str | None:
    """The bands of a TIFF that Pillow does not read, and what to do; None for other files and for damaged ones."""
    if content[:4] not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return None
    try:
        tags = ImageFileDirectory_v2(content[: 16 if b"+" in content[:4] else 8])
        file = io.BytesIO(content)
        file.seek(tags.next)
        tags.load(file)
        if DNG_VERSION in tags:
            return DEVELOP
        bands, bits, sample = int(tags.get(BANDS, 1)), _numbers(tags[BITS])[0], _numbers(tags.get(SAMPLE, 1))[0]
        colours, usual_bands = PHOTOMETRICS[tags[PHOTOMETRIC]]
    except Exception:  # Pillow's reader raises many kinds on damaged bytes
        return None
    if bands == usual_bands and bits in USUAL_BITS and sample == 1:
        return None
    values = f"{bits} bits" if sample == 1 else f"{bits} bits ({SAMPLES.get(sample, 'of an unknown kind')})"
    return f"it is a TIFF with {bands} {colours} of {values}, a layout that is not supported: {EXPORT}"


def declared_maximum(image: TiffImageFile) -> int | None:
    """The largest possible value, where MaxSampleValue is one of 9 to 16 bits.

    TIFF 6.0 allows the largest value that occurs in the image, which says nothing about the range.
    """
    value = _numbers(image.tag_v2.get(MAX_VALUE, 0))[0]
    return value if value in (2**bits - 1 for bits in range(9, 17)) else None


def _numbers(value: Any) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, tuple) else (value,)
