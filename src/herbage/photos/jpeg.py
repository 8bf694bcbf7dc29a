"""Decode a JPEG, and notice where its image data are damaged.

libjpeg fills what is missing with grey and only warns, and Pillow drops the warnings. simplejpeg uses the same library
and computes the same pixels, but reports them.
"""

import re
from collections.abc import Iterator

import numpy as np
import simplejpeg
from PIL import Image

COLOUR_SPACES = {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK"}
"""simplejpeg's names of the modes in which Pillow opens a JPEG."""

DAMAGE = re.compile("premature end of data|bad Huffman code|bad arithmetic code|instead of RST", re.IGNORECASE)
"""Warnings of libjpeg that mean missing or wrong pixels. The others are about metadata or padding."""

PREFIX = "Corrupt JPEG data: "

SURPLUS = re.compile("([0-9]+) extraneous bytes before marker 0x([0-9a-f]{2})")
SURPLUS_LIMIT = 4096
"""Bytes left over after the last pixel. Fewer are harmless: some cameras pad. As many as a block of a disk mean that
image data are wrong, so that the decoder finished early."""

BLANK = bytes(512)
"""A sector of a disk that was never written."""

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
FRAME_STARTS = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
SCAN_START = 0xDA
MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
"""The markers that end the data of a scan: not a stuffed byte, padding or a restart."""


def load_jpeg(image: Image.Image, content: bytes) -> Image.Image:
    """The decoded pixels of an opened JPEG, with its metadata; raises ValueError where it is damaged.

    What simplejpeg does not read is left to Pillow.
    """
    pixels = damage = None
    try:
        pixels = simplejpeg.decode_jpeg(content, COLOUR_SPACES[image.mode])
    except ValueError as error:
        damage = _damage(content, str(error))
    if damage is None and image.info.get("progressive") and _lacks_scans(content):
        damage = "the last scans of a progressive JPEG are missing"
    if damage:
        raise ValueError(f"its image data are truncated or damaged ({damage}): copy the photo again")
    if pixels is None or pixels.shape[1::-1] != image.size or image.mode == "CMYK":
        return image  # of a CMYK file, Pillow knows whether it is inverted
    decoded = Image.fromarray(np.squeeze(pixels, 2) if image.mode == "L" else pixels)
    decoded.info = dict(image.info)
    return decoded


def _damage(content: bytes, warning: str) -> str | None:
    """What is damaged, given the first warning; None where the warning is harmless.

    libjpeg reports its first warning only, so a harmless one may hide another. Without metadata, and without what is
    between the segments, the first warning is about image data.
    """
    if DAMAGE.search(warning):
        return warning.removeprefix(PREFIX)
    data = b"".join((SOI, *_image_segments(content), EOI))
    warning = _warning(data)
    surplus = SURPLUS.search(warning)
    if DAMAGE.search(warning) or (surplus and _finished_early(data, int(surplus[1]), bytes.fromhex(surplus[2]))):
        return warning.removeprefix(PREFIX)
    return None


def _finished_early(data: bytes, surplus: int, before: bytes) -> bool:
    """Whether `surplus` bytes before a marker mean that the decoder had lost its place in the image data."""
    if before != EOI[1:]:
        return True
    end = len(data) - len(EOI) - surplus
    is_padding = not any(data[end : -len(EOI)])
    if surplus >= SURPLUS_LIMIT and not is_padding:
        return True
    # A sector that was never written was decoded as pixels, or what follows the pixels stands for missing ones.
    return 0 <= data.find(BLANK) < end - len(BLANK) or DAMAGE.search(_warning(data[:end] + EOI)) is not None


def _warning(data: bytes) -> str:
    """The decoder's first warning, or an empty text."""
    try:
        simplejpeg.decode_jpeg(data, "GRAY", min_height=1, min_width=1)
    except ValueError as error:
        return str(error)
    return ""


def _lacks_scans(content: bytes) -> bool:
    """Whether some coefficients of the first component were never sent to their last bit (ITU-T T.81, G.1.1.1)."""
    last_bit, first = [1] * 64, -1
    for segment in _image_segments(content):
        count = segment[4] if len(segment) > 4 else 0
        if segment[1] in FRAME_STARTS and len(segment) > 10:
            first = segment[10]
        elif segment[1] == SCAN_START and len(segment) >= 8 + 2 * count:
            start, end, bits = segment[5 + 2 * count : 8 + 2 * count]
            if first in segment[5 : 5 + 2 * count : 2]:
                last_bit[start : end + 1] = [bits & 15] * (end + 1 - start)
    return any(last_bit)


def _image_segments(content: bytes) -> Iterator[bytes]:
    """The segments of the first image that determine its pixels, each scan with its data (ITU-T T.81, annex B)."""
    at = len(SOI)
    while (match := MARKER.search(content, at)) and match[0] != EOI:
        start, marker = match.start(), match[0][1]
        at = start + 2 + int.from_bytes(content[start + 2 : start + 4], "big")
        if marker == SCAN_START:
            following = MARKER.search(content, at)
            at = following.start() if following else len(content)
        if not 0xE0 <= marker <= 0xEF and marker != 0xFE:  # neither data of an application nor a comment
            yield content[start:at]
