"""Convert the colours of a photo to sRGB, where its file says that they are others.

ICC profiles are used with relative colorimetric intent (ISO 15076-1). A PNG's gAMA and cHRM chunks are ignored, as
browsers do beside a profile; what has no profile is sRGB.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from PIL import ExifTags, Image, ImageCms

from herbage.photos.icc import ADOBE_RGB, DISPLAY_P3, profile_of

SRGB = ImageCms.createProfile("sRGB")
TOLERANCE = 1
"""Levels of 255 by which a profile may differ from sRGB and still count as sRGB: the rounding of its curves."""

LATTICE_STEPS = 17
"""Levels per band of the lattice of colours on which a profile is compared with sRGB."""

GREY_MODES = ("1", "L", "LA", "I;16", "I;16B", "I;16L", "I;16N")
MODES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}
"""Colour spaces of profiles, and the modes of the images that they convert."""

SRGB_PRIMARIES, P3_PRIMARIES = (1, 2, 5, 6), 12
"""Code points of ITU-T H.273: BT.709, unspecified, and BT.601, which is near; and P3 with the white D65."""

HDR_CURVES = (16, 18)
"""Code points of the transfer curves PQ and HLG."""

UNCALIBRATED, NOT_IN_EXIF = 0xFFFF, 2
"""Values of EXIF's ColorSpace: neither sRGB, and what some cameras write for Adobe RGB."""


@dataclass(frozen=True)
class Conversion:
    """The conversion of colours to sRGB by an ICC profile; `name` is the profile's description."""

    name: str
    icc: bytes = field(repr=False)

    def apply(self, image: Image.Image) -> Image.Image:
        """The image in sRGB; it has no alpha."""
        transform, mode = _transform(self.icc)
        return transform.apply(image.convert(mode))


def conversion(image: Image.Image, content: bytes) -> tuple[Conversion | None, str | None]:
    """The conversion of an opened image's colours, None where they are sRGB, and a remark where they were not used.

    Raises ValueError for brightness that is coded for HDR displays, which no conversion of colours alone undoes.
    """
    if (codes := _code_points(image, content)) is not None:
        primaries, curve = codes
        if curve in HDR_CURVES:
            raise ValueError("its brightness is coded for HDR displays (PQ or HLG): export it as JPEG in sRGB")
        if primaries == P3_PRIMARIES:
            return Conversion(DISPLAY_P3, profile_of(DISPLAY_P3)), None
        unknown = f"its colours (primaries {primaries} of ITU-T H.273) were not converted to sRGB"
        return None, None if primaries in SRGB_PRIMARIES else unknown
    if "icc_profile" in image.info:
        return _embedded(image, image.info["icc_profile"])
    return _from_exif(image)


def _embedded(image: Image.Image, icc: bytes | None) -> tuple[Conversion | None, str | None]:
    """The conversion by an embedded profile, None where it is sRGB."""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc or b""))
        space = profile.profile.xcolor_space
        fits = image.mode in GREY_MODES if space == "GRAY" else (image.mode == "CMYK") == (space == "CMYK")
        if space not in MODES:
            return None, "its colour profile is for an unusual colour space, so it was not used"
        if not fits:
            return None, f"its colour profile is for {space.strip()}, so it was not used"
        name = "".join(char for char in ImageCms.getProfileDescription(profile) if char.isprintable()).strip()
        if _is_srgb(icc or b""):
            return None, None
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None, "its colour profile is damaged and was not used"
    return Conversion(name[:60] or "an unnamed profile", icc or b""), None


def _from_exif(image: Image.Image) -> tuple[Conversion | None, str | None]:
    """The conversion where EXIF alone says that colours are not sRGB, as cameras set to Adobe RGB do (DCF 2.0)."""
    try:
        exif = image.getexif()
        inner = exif.get_ifd(ExifTags.IFD.Exif)
        space = inner.get(ExifTags.Base.ColorSpace)
        # Pillow before 13 raises an error where this directory is missing.
        interop = exif.get_ifd(ExifTags.IFD.Interop) if ExifTags.IFD.Interop in inner else {}
        option = interop.get(ExifTags.Interop.InteropIndex)
    except Exception:  # a damaged EXIF block must not make the photo unusable
        return None, None
    if space == NOT_IN_EXIF or (space == UNCALIBRATED and str(option).startswith("R03")):
        return Conversion(ADOBE_RGB, profile_of(ADOBE_RGB)), None
    if space == UNCALIBRATED:
        return None, "its colours may not be sRGB, but it has no colour profile: they were read as sRGB"
    return None, None


def png_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Types and contents of the chunks before a PNG's image data."""
    at = 8
    while len(kind := content[at + 4 : at + 8]) == 4 and kind != b"IDAT":
        length = int.from_bytes(content[at : at + 4], "big")
        yield kind, content[at + 8 : at + 8 + length]
        at += 12 + length


def _code_points(image: Image.Image, content: bytes) -> tuple[int, int] | None:
    """Primaries and transfer curve of a PNG's cICP chunk, or of a HEIC file without an ICC profile."""
    if image.format == "PNG":
        return next(
            ((cicp[0], cicp[1]) for kind, cicp in png_chunks(content) if kind == b"cICP" and len(cicp) == 4), None
        )
    nclx = image.info.get("nclx_profile")
    if not nclx or image.info.get("icc_profile"):
        return None
    return nclx["color_primaries"], nclx["transfer_characteristics"]


@lru_cache(maxsize=16)
def _transform(icc: bytes) -> tuple[ImageCms.ImageCmsTransform, str]:
    """The transform to sRGB, and the mode of the images that it takes. Several threads may apply it."""
    profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    mode = MODES[profile.profile.xcolor_space]
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    return ImageCms.ImageCmsTransform(profile, ImageCms.ImageCmsProfile(SRGB), mode, "RGB", intent), mode


@lru_cache(maxsize=16)
def _is_srgb(icc: bytes) -> bool:
    """Whether the profile changes no grey, and no colour of a lattice, by more than TOLERANCE."""
    transform, mode = _transform(icc)
    if mode == "CMYK":
        return False
    greys, levels = np.arange(256, dtype=np.uint8), np.linspace(0, 255, LATTICE_STEPS).round().astype(np.uint8)
    lattice = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(-1, 3)
    colours = np.concatenate([lattice, np.stack([greys] * 3, -1)])
    image = Image.fromarray(colours[None] if mode == "RGB" else greys[None])
    difference = np.asarray(transform.apply(image), np.int16) - np.asarray(image.convert("RGB"), np.int16)
    return bool(np.abs(difference).max() <= TOLERANCE)
