import io
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from herbage.errors import PhotoUnreadable
from herbage.photos.colour import _is_srgb
from herbage.photos.icc import ADOBE_RGB, DISPLAY_P3, profile_of
from tests.photos.encoded import encoded, opened, scene

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))

XYZ_OF_P3 = np.array(
    [[0.4865709, 0.2656677, 0.1982173], [0.2289746, 0.6917385, 0.0792869], [0.0, 0.0451134, 1.0439444]]
)
XYZ_OF_ADOBE = np.array(
    [[0.5767309, 0.185554, 0.1881852], [0.2973769, 0.6273491, 0.0752741], [0.0270343, 0.0706872, 0.9911085]]
)
XYZ_OF_SRGB = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]]
)
"""Published matrices of linear colours to XYZ; all three have the white D65, so none is adapted."""


def srgb_linear(values):
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def srgb_encoded(linear):
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * np.clip(linear, 0, None) ** (1 / 2.4) - 0.055)


def plainly_converted(pixels, matrix, linear):
    """Colours in sRGB, by the definitions of both colour spaces, in floating point."""
    xyz = linear(pixels / 255) @ matrix.T
    return (srgb_encoded(xyz @ np.linalg.inv(XYZ_OF_SRGB).T).clip(0, 1) * 255).round()


PLAIN = {DISPLAY_P3: (XYZ_OF_P3, srgb_linear), ADOBE_RGB: (XYZ_OF_ADOBE, lambda values: values ** (563 / 256))}


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP", "JPEG"])
def test_colours_with_a_profile_are_converted_to_srgb(name, format):
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 95}}.get(format, {})
    content = encoded(scene(), format, icc_profile=profile_of(name), **options)
    stored = np.asarray(Image.open(io.BytesIO(content)), float)
    photo = opened(content)
    assert (photo.converted_from, photo.remarks) == (name, ())
    difference = np.abs(photo.pixels() - plainly_converted(stored, *PLAIN[name]))
    assert difference.max() <= 2
    assert difference.mean() < 0.3


def test_heic_is_converted_by_its_profile_or_its_code_points():
    heif = pytest.importorskip("pillow_heif")
    heif.register_heif_opener()
    plain = opened(encoded(scene(), "HEIF", quality=95))
    assert (plain.converted_from, plain.remarks) == (None, ())
    stored = plain.pixels().astype(float)
    for options in ({"icc_profile": profile_of(DISPLAY_P3)}, {"color_primaries": 12, "transfer_characteristics": 13}):
        photo = opened(encoded(scene(), "HEIF", quality=95, **options))
        assert photo.converted_from == DISPLAY_P3
        assert np.abs(photo.pixels() - plainly_converted(stored, *PLAIN[DISPLAY_P3])).max() <= 3
    (remark,) = opened(encoded(scene(), "HEIF", color_primaries=9, transfer_characteristics=13)).remarks
    assert remark == "its colours (primaries 9 of ITU-T H.273) were not converted to sRGB"
    with pytest.raises(PhotoUnreadable, match=r"is coded for HDR displays \(PQ or HLG\): export it as JPEG"):
        opened(encoded(scene(), "HEIF", color_primaries=9, transfer_characteristics=16))


def with_chunk(png, kind, content):
    """The PNG with a chunk after its header; Pillow does not check its checksum."""
    chunk = struct.pack(">I", len(content)) + kind + content
    return png[:33] + chunk + struct.pack(">I", zlib.crc32(kind + content)) + png[33:]


def test_a_png_is_converted_by_its_code_points_before_its_profile():
    plain = encoded(scene(), "PNG")
    photo = opened(with_chunk(plain, b"cICP", bytes([12, 13, 0, 1])))
    assert photo.converted_from == DISPLAY_P3
    with_profile = encoded(scene(), "PNG", icc_profile=profile_of(ADOBE_RGB))
    assert opened(with_chunk(with_profile, b"cICP", bytes([1, 13, 0, 1]))).converted_from is None
    assert opened(with_chunk(plain, b"gAMA", struct.pack(">I", 100000))).converted_from is None, "gAMA is ignored"


@pytest.mark.parametrize(("space", "option", "name", "remarked"), [
    (1, "R98", None, False), (0xFFFF, "R03", ADOBE_RGB, False), (2, None, ADOBE_RGB, False), (0xFFFF, None, None, True),
    (None, None, None, False),
])  # fmt: skip
def test_a_camera_that_names_adobe_rgb_in_exif_alone_is_believed(space, option, name, remarked):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 1
    if space is not None:
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ColorSpace] = space
    if option:
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.IFD.Interop] = {ExifTags.Interop.InteropIndex: option}
    photo = opened(encoded(scene(), "JPEG", exif=exif))
    assert photo.converted_from == name
    said = "its colours may not be sRGB, but it has no colour profile: they were read as sRGB"
    assert photo.remarks == ((said,) if remarked else ())


def gamma_profile(gamma):
    """The profile of sRGB's colours with another curve."""
    own = SRGB.tobytes()
    at = own.index(b"para") if b"para" in own else own.index(b"curv")
    curve = b"para" + bytes(4) + b"\0\0\0\0" + struct.pack(">i", round(gamma * 65536))
    return own[:at] + curve + own[at + len(curve) :]


def test_a_profile_that_is_srgb_changes_no_pixel_and_no_digest():
    content = encoded(scene(), "PNG", icc_profile=SRGB.tobytes())
    photo = opened(content)
    assert (photo.converted_from, photo.remarks) == (None, ())
    assert photo.sha256 == photo.key
    np.testing.assert_array_equal(photo.pixels(), np.asarray(scene()))


def test_a_profile_with_another_curve_is_not_srgb():
    assert _is_srgb(SRGB.tobytes())
    assert not _is_srgb(gamma_profile(1.8))
    assert not _is_srgb(gamma_profile(2.2)), "it differs in the dark colours only"


def profile(space, tags):
    """A minimal version 2 profile of a scanner (ISO 15076-1, clause 7)."""
    white = b"XYZ " + bytes(4) + struct.pack(">3i", *(round(value * 65536) for value in (0.9642, 1, 0.8249)))
    text = space.decode().strip().encode()
    description = b"desc" + bytes(4) + struct.pack(">I", len(text) + 1) + text + b"\0" + bytes(78)
    tags = {b"wtpt": white, b"desc": description, **tags}
    table, body = struct.pack(">I", len(tags)), b""
    for tag, content in tags.items():
        table += tag + struct.pack(">2I", 128 + 4 + 12 * len(tags) + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    pcs = b"Lab " if space == b"CMYK" else b"XYZ "
    head = struct.pack(">I4xI", 128 + len(table) + len(body), 0x02100000) + b"mntr" + space + pcs + bytes(12) + b"acsp"
    return (head.ljust(68, b"\0") + white[8:]).ljust(128, b"\0") + table + body


def grey_profile(gamma):
    return profile(b"GRAY", {b"kTRC": b"curv" + bytes(4) + struct.pack(">IH2x", 1, round(gamma * 256))})


@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF"])
def test_grey_photos_are_converted_by_a_grey_profile(format):
    grey = Image.fromarray(np.arange(256, dtype=np.uint8)[None].repeat(8, 0))
    photo = opened(
        encoded(grey, format, icc_profile=grey_profile(1.8), **({"quality": 100} if format == "JPEG" else {}))
    )
    assert photo.converted_from == "GRAY"
    expected = srgb_encoded((np.arange(256) / 255) ** 1.8) * 255
    assert np.abs(photo.pixels()[0] - expected[:, None]).max() <= 3


def test_16_bit_grey_is_converted_by_a_grey_profile():
    values = Image.fromarray(np.arange(0, 65536, 257, dtype=np.uint16)[None].repeat(8, 0))
    photo = opened(encoded(values, "PNG", icc_profile=grey_profile(1.8)))
    expected = srgb_encoded((np.arange(256) / 255) ** 1.8) * 255
    assert np.abs(photo.pixels()[0] - expected[:, None]).max() <= 3


def test_transparent_photos_are_converted_before_they_are_laid_on_white():
    colours = scene().convert("RGBA")
    alpha = np.zeros((240, 320), np.uint8)
    alpha[:, 100:200], alpha[:, 200:] = 128, 255
    colours.putalpha(Image.fromarray(alpha))
    photo = opened(encoded(colours, "PNG", icc_profile=profile_of(DISPLAY_P3)))
    converted = plainly_converted(np.asarray(scene(), float), *PLAIN[DISPLAY_P3])
    share = alpha[..., None] / 255
    assert np.abs(photo.pixels() - (converted * share + 255 * (1 - share))).max() <= 3


@pytest.mark.parametrize("mode", ["P", "L", "LA"])
def test_palettes_and_greys_are_converted_by_a_profile_of_colours(mode):
    image = scene().quantize(32) if mode == "P" else scene().convert(mode)
    photo = opened(encoded(image, "PNG", icc_profile=profile_of(ADOBE_RGB)))
    expected = plainly_converted(np.asarray(image.convert("RGB"), float), *PLAIN[ADOBE_RGB])
    assert np.abs(photo.pixels() - expected).max() <= 2


@pytest.mark.parametrize(("profile", "remark"), [
    (b"not a profile", "its colour profile is damaged and was not used"),
    (profile_of(DISPLAY_P3)[:200], "its colour profile is damaged and was not used"),
    (profile_of(DISPLAY_P3).replace(b"rXYZ", b"oops"), "its colour profile is damaged and was not used"),
    (grey_profile(1.8), "its colour profile is for GRAY, so it was not used"),
    (profile_of(DISPLAY_P3).replace(b"RGB ", b"HSV "), "its colour profile is for an unusual colour space, so it was not used"),
])  # fmt: skip
def test_a_profile_that_cannot_be_used_is_named_and_changes_no_pixel(profile, remark):
    photo = opened(encoded(scene(), "PNG", icc_profile=profile))
    assert (photo.converted_from, photo.remarks) == (None, (remark,))
    assert photo.sha256 == photo.key
    np.testing.assert_array_equal(photo.pixels(), np.asarray(scene()))


def test_cmyk_with_a_profile_of_colours_is_not_converted():
    content = encoded(scene().convert("CMYK"), "TIFF", icc_profile=profile_of(DISPLAY_P3))
    photo = opened(content)
    assert photo.remarks == ("its colour profile is for RGB, so it was not used",)
    np.testing.assert_array_equal(photo.pixels(), np.asarray(Image.open(io.BytesIO(content)).convert("RGB")))


def cmyk_profile():
    """Inks without colour: lightness L* is 100 without ink, and 0 with the whole of black or of the three others."""
    curve = bytes(range(256))
    corners = b""
    for corner in range(16):
        inks = [corner >> shift & 1 for shift in (3, 2, 1, 0)]
        corners += bytes([round(255 * (1 - inks[3]) * (1 - sum(inks[:3]) / 3)), 128, 128])
    matrix = struct.pack(">9i", *(65536 if at % 4 == 0 else 0 for at in range(9)))
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + matrix + curve * 4 + corners + curve * 3
    return profile(b"CMYK", {b"A2B0": table})


@pytest.mark.parametrize("format", ["TIFF", "JPEG"])
def test_inks_are_converted_by_their_profile(format):
    """L* of 50 is level 119 of sRGB; without the profile, half of the black ink would be level 127."""
    inks = Image.new("CMYK", (32, 8), (0, 0, 0, 128))
    inks.paste((0, 0, 0, 0), (0, 0, 8, 8))
    inks.paste((0, 0, 0, 255), (8, 0, 16, 8))
    inks.paste((255, 255, 255, 0), (16, 0, 24, 8))
    photo = opened(encoded(inks, format, icc_profile=cmyk_profile(), **({"quality": 100} if format == "JPEG" else {})))
    assert (photo.converted_from, photo.remarks) == ("CMYK", ())
    assert np.abs(photo.pixels()[4, [4, 12, 20, 28]].astype(int) - [[255], [0], [0], [119]]).max() <= 2


def test_threads_may_share_a_conversion():
    content = [encoded(scene(seed=seed), "PNG", icc_profile=profile_of(DISPLAY_P3)) for seed in range(8)]
    alone = [opened(one).pixels() for one in content]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda one: opened(one).pixels(), content * 4))
    for number, pixels in enumerate(together):
        np.testing.assert_array_equal(pixels, alone[number % 8])
