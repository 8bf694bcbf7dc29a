"""Photos opened by the browser have the pixels, keys and refusals of Python."""

import base64
import hashlib
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from herbage.errors import PhotoUnreadable
from herbage.photos.icc import profile_of
from herbage.photos.photo import PhotoFile, open_photo
from tests.photos.encoded import encoded, scene

OPEN = """async (photos) => {
  const { openPhoto } = await import("./photo.js");
  const found = [];
  for (const { name, content, corners } of photos) {
    const file = new File([Uint8Array.from(atob(content), (char) => char.charCodeAt(0))], name);
    try {
      const photo = await openPhoto(file, corners);
      const { width, height, rgb } = photo.pixels();
      let text = "";
      for (let at = 0; at < rgb.length; at += 30000) text += String.fromCharCode(...rgb.subarray(at, at + 30000));
      const { key, pixelKeys, aspect, remarks } = photo;
      found.push({ key, pixelKeys, aspect, remarks, width, height, rgb: btoa(text) });
    } catch (error) {
      found.push({ status: error.status, row: error.rows?.[0], message: error.message });
    }
  }
  return found;
}"""


def in_the_page(modules, *photos):
    given = [{"name": n, "content": base64.b64encode(c).decode(), "corners": q} for n, c, q in photos]
    found = modules.evaluate(OPEN, given)
    for one in found:
        if "rgb" in one:
            one["pixels"] = np.frombuffer(base64.b64decode(one["rgb"]), np.uint8).reshape(
                one["height"], one["width"], 3
            )
    return found


def in_python(name, content, corners):
    return open_photo(PhotoFile(name, Path(name), corners, content=content))


def turned(format, orientation):
    exif = Image.Exif()
    exif[0x112] = orientation
    return encoded(scene(), format, exif=exif)


def test_pixels_are_those_of_python(modules):
    grey, alpha = scene().convert("L"), scene()
    alpha.putalpha(Image.linear_gradient("L").resize(alpha.size))
    corners = ((20.5, 14.0), (300.0, 3.25), (310.0, 231.0), (-3.0, 235.5))
    photos = [
        ("plain.jpg", encoded(scene(), "JPEG", quality=95), None),
        ("progressive.jpg", encoded(scene(), "JPEG", progressive=True), None),
        ("grey.jpg", encoded(grey, "JPEG"), None),
        ("a.png", encoded(scene(), "PNG"), None),
        ("alpha.png", encoded(alpha, "PNG"), None),
        ("lossless.webp", encoded(scene(), "WEBP", lossless=True), None),
        ("lossy.webp", encoded(scene(), "WEBP"), None),
        *((f"turned{n}.{format}", turned(format, n), None) for n in range(2, 9) for format in ("JPEG", "PNG")),
        ("corners.jpg", encoded(scene(), "JPEG"), corners),
        ("tall.png", encoded(scene(320, 2000), "PNG"), None),
    ]
    for found, given in zip(in_the_page(modules, *photos), photos, strict=True):
        photo = in_python(*given)
        assert np.array_equal(found["pixels"], photo.pixels()), given[0]
        assert (found["key"], found["remarks"]) == (photo.key, list(photo.remarks)), given[0]
        assert found["aspect"] == pytest.approx(photo.aspect, rel=1e-12)
        assert photo.sha256 in found["pixelKeys"], given[0]


def test_converted_colours_differ_by_at_most_one_level_and_have_the_key_of_their_pixels(modules):
    photos = [
        (f"{name}.{format}", encoded(scene(), format, icc_profile=profile_of(name)), None)
        for name in ("Display P3", "Adobe RGB (1998)")
        for format in ("PNG", "JPEG")
    ]
    for found, given in zip(in_the_page(modules, *photos), photos, strict=True):
        photo = in_python(*given)
        assert np.abs(found["pixels"].astype(int) - photo.pixels()).max() <= 1, given[0]
        assert photo.sha256 in found["pixelKeys"]
        assert photo.sha256 != photo.key == found["key"]


def test_photos_that_cannot_be_used_are_refused_with_a_row(modules):
    whole = encoded(scene(), "JPEG", quality=95)
    blank = bytearray(whole)
    blank[len(blank) // 2 : len(blank) // 2 + 1024] = bytes(1024)
    inside = ((0.0, 0.0), (400.0, 0.0), (400.0, 240.0), (0.0, 240.0))
    cases = [
        (("cut.jpg", whole[: len(whole) // 2], None), "is not a readable image"),
        (("blank.jpg", bytes(blank), None), "its image data are damaged (a block of zeros)"),
        (("text.jpg", b"not a photo", None), "is not a readable image"),
        (("empty.jpg", b"", None), "is empty: expected an image, got 0 bytes"),
        (("a.tif", encoded(scene(), "TIFF"), None), "is a TIFF, which this browser cannot decode: save it as JPEG"),
        (("turned.webp", turned("WEBP", 6), None), "is a WebP with an EXIF orientation"),
        (("cut.png", encoded(scene(), "PNG")[:5000], None), "is not a readable image"),
        (("strip.png", encoded(scene(800, 8), "PNG"), None), "has 800 x 8 pixels; expected a longer side of at most 50"),
        (("outside.jpg", whole, inside), "is 320 x 240 pixels, but corners of its quadrat are outside it"),
    ]  # fmt: skip
    for found, (given, message) in zip(in_the_page(modules, *(given for given, _ in cases)), cases, strict=True):
        assert message in found["message"], given[0]
        assert found["message"] == found["row"]["message"]
        assert found["row"]["photo"] == given[0]
        skipped = given[0] == "strip.png"
        assert (found["status"], found["row"]["status"]) == ((413, "skipped") if skipped else (422, "unreadable"))
        if given[0] not in ("a.tif", "turned.webp"):
            with pytest.raises(PhotoUnreadable):
                in_python(*given).pixels()


def chunk(kind, content):
    """A chunk of a PNG, to be put behind its header."""
    return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")


def with_chunk(kind, content):
    whole = encoded(scene(), "PNG")
    return whole[:33] + chunk(kind, content) + whole[33:]


def with_colour_space(value, interop=None):
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ColorSpace] = value
    if interop:
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.IFD.Interop] = {ExifTags.Interop.InteropIndex: interop}
    return encoded(scene(), "JPEG", quality=95, exif=exif)


def test_colours_that_browsers_show_otherwise_are_read_as_in_python_or_refused(modules):
    read = [
        ("gamma.png", with_chunk(b"gAMA", (100_000).to_bytes(4, "big")), None),
        ("chromaticities.png", with_chunk(b"cHRM", np.full(8, 30_000, ">u4").tobytes()), None),
        ("uncalibrated.jpg", with_colour_space(0xFFFF), None),
        ("srgb.jpg", with_colour_space(1, "R98"), None),
    ]
    for found, given in zip(in_the_page(modules, *read), read, strict=True):
        photo = in_python(*given)
        assert np.array_equal(found["pixels"], photo.pixels()), given[0]
        assert found["remarks"] == list(photo.remarks), given[0]
    refused = [
        ("adobe.jpg", with_colour_space(2), None),
        ("r03.jpg", with_colour_space(0xFFFF, "R03"), None),
        ("hdr.png", with_chunk(b"cICP", bytes([9, 16, 0, 1])), None),
        ("deep.png", encoded(Image.fromarray(np.arange(640, dtype=np.uint16).reshape(20, 32) * 100), "PNG"), None),
        ("a.gif", encoded(scene(), "GIF"), None),
        ("a.bmp", encoded(scene(), "BMP"), None),
    ]
    reasons = [
        "Adobe RGB",
        "Adobe RGB",
        "PQ or HLG",
        "16 bits per value",
        "no JPEG, PNG or WebP",
        "no JPEG, PNG or WebP",
    ]
    for found, reason in zip(in_the_page(modules, *refused), reasons, strict=True):
        assert reason in found["message"]


@pytest.mark.parametrize("colour", ["white", "black"])
def test_flat_areas_are_no_damage(modules, colour):
    photo = Image.new("RGB", (2000, 1500), colour)
    photo.paste(scene(), (100, 100))
    options = ({}, {"optimize": True}, {"progressive": True})
    photos = [(f"{n}.jpg", encoded(photo, "JPEG", **of), None) for n, of in enumerate(options)]
    for found, given in zip(in_the_page(modules, *photos), photos, strict=True):
        assert np.array_equal(found["pixels"], in_python(*given).pixels()), given[0]


def test_zeros_outside_the_image_data_of_a_jpeg_are_harmless(modules):
    whole = encoded(scene(), "JPEG", quality=95)
    comment = b"\xff\xfe" + (2002).to_bytes(2, "big") + bytes(2000)
    photos = [("comment.jpg", whole[:2] + comment + whole[2:], None), ("padded.jpg", whole + bytes(4000), None)]
    for found, given in zip(in_the_page(modules, *photos), photos, strict=True):
        assert np.array_equal(found["pixels"], in_python(*given).pixels())


def test_corners_are_written_as_in_python(modules):
    corners = ((24, 12.5), (0.1, 1e-05), (1234.567891, 1e-7), (-3.0, 216.0))
    written = modules.evaluate("async (corners) => (await import('./photo.js')).asPython(corners)", corners)
    assert written == str(tuple(tuple(map(float, corner)) for corner in corners))
    content = encoded(scene(), "JPEG")
    quadrat = ((10.1, 10.0), (300.25, 10.5), (300.0, 200.0), (10.0, 200.7))
    (found,) = in_the_page(modules, ("a.jpg", content, quadrat))
    assert found["key"] == hashlib.sha256(f"{hashlib.sha256(content).hexdigest()} {quadrat}".encode()).hexdigest()
