"""Valid photo files, and the same files damaged as by faulty disks and networks, or on purpose."""

import io
from collections.abc import Iterator

import numpy as np
from PIL import ExifTags, Image

from herbage.photos.icc import DISPLAY_P3, profile_of


def intact_photos() -> dict[str, bytes]:
    """A small photo in every format, with EXIF where the format has it."""
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 255, (48, 64, 3), np.uint8))
    exif = Image.Exif()
    exif[ExifTags.Base.DateTime], exif[ExifTags.Base.Orientation] = "2025:09:04 10:00:00", 6
    exif.get_ifd(ExifTags.IFD.GPSInfo).update({1: "S", 2: (41.0, 30.0, 5.0), 3: "E", 4: (147.0, 6.0, 5.0)})
    found = {}
    for name, options in (
        ("a.jpg", {"format": "JPEG", "exif": exif}),
        ("progressive.jpg", {"format": "JPEG", "progressive": True, "quality": 60}),
        ("a.png", {"format": "PNG", "exif": exif}),
        ("profile.jpg", {"format": "JPEG", "icc_profile": profile_of(DISPLAY_P3)}),
        ("a.webp", {"format": "WEBP", "exif": exif}),
        ("a.tif", {"format": "TIFF", "exif": exif}),
        ("deflated.tif", {"format": "TIFF", "compression": "tiff_adobe_deflate"}),
        ("pages.tif", {"format": "TIFF", "save_all": True, "append_images": [picture] * 3}),
    ):
        content = io.BytesIO()
        picture.save(content, **options)
        found[name] = content.getvalue()
    for name, mode in (("palette.png", "P"), ("grey.png", "L"), ("one.png", "1"), ("alpha.png", "RGBA")):
        content = io.BytesIO()
        picture.convert(mode).save(content, "PNG")
        found[name] = content.getvalue()
    content = io.BytesIO()
    picture.convert("CMYK").save(content, "JPEG")
    found["cmyk.jpg"] = content.getvalue()
    return found


def mutated(cases: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Damaged files: bytes replaced, deleted, repeated or inserted; extreme numbers; files truncated or joined."""
    rng = np.random.default_rng(seed)
    photos = list(intact_photos().items())
    for _ in range(cases):
        name, content = photos[rng.integers(len(photos))]
        data = bytearray(content)
        for _ in range(rng.integers(1, 4)):
            # Most of what can mislead a reader is at the start of a file.
            reach = len(data) if rng.random() < 0.4 else min(len(data), 400)
            at = int(rng.integers(reach)) if reach else 0
            span = int(rng.integers(1, 40))
            match rng.integers(8):
                case 0:
                    data[at : at + 1] = bytes([int(rng.integers(256))])
                case 1:
                    data[at : at + 4] = b"\xff\xff\xff\xff"[: len(data[at : at + 4])]
                case 2:
                    data[at : at + 4] = bytes(len(data[at : at + 4]))
                case 3:
                    del data[at : at + span]
                case 4:
                    data[at:at] = data[at : at + span]
                case 5:
                    data[at:at] = rng.bytes(span)
                case 6:
                    del data[at:]
                case 7:
                    data[at:] = photos[rng.integers(len(photos))][1][at:]
        yield name, bytes(data)
