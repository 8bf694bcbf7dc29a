import io
import re

import numpy as np
import pytest
import tifffile
from PIL import Image

from herbage.errors import PhotoUnreadable
from tests.photos.encoded import encoded, opened, scene

RGB = np.asarray(scene())
INFRARED = np.asarray(scene(seed=1).convert("L"))
FOUR = np.dstack([RGB, INFRARED])

ALPHA = "its last band is marked as transparency but looks like an image, so it was not used"


def tiff(pixels, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, **({"photometric": "rgb", "metadata": None} | options))
    return file.getvalue()


def mask(soft_edge=0):
    """Opaque in the middle, transparent outside, with an edge of many greys."""
    across = np.abs(np.arange(320) - 160)
    alpha = np.where(across < 100, 255, 0) if not soft_edge else np.clip((100 - across) * 255 / soft_edge, 0, 255)
    return np.broadcast_to(alpha.astype(np.uint8), (240, 320))


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("extra", [None, "unspecified", "assocalpha", "unassalpha"])
def test_whatever_its_layout_a_tiff_gives_its_colours_or_a_refusal(bits, compression, planes, byteorder, extra):
    """tifffile is the reference; the fourth band is never taken for transparency."""
    pixels = RGB if extra is None else FOUR
    pixels = pixels if bits == 8 else pixels.astype(np.uint16) * 257
    content = tiff(
        pixels if planes == "contig" else np.moveaxis(pixels, 2, 0),
        planarconfig=planes, compression=compression, byteorder=byteorder, extrasamples=extra and [extra],
    )  # fmt: skip
    planar = planes == "separate" and compression is None and (bits == 16 or extra == "unspecified")
    if planar or extra == "assocalpha":
        with pytest.raises(PhotoUnreadable, match="band|planar|raw mode"):
            opened(content)
        return
    photo = opened(content)
    np.testing.assert_array_equal(photo.pixels(), RGB)
    said = {None: (), "unspecified": ("only 3 of its 4 bands were used",), "unassalpha": (ALPHA,)}
    assert photo.remarks == said[extra]
    assert (photo.sha256 != photo.key) == (extra == "unassalpha")


def test_four_bands_without_a_kind_are_not_colours_with_transparency():
    """Some programs leave out ExtraSamples."""
    content = bytearray(tiff(FOUR, extrasamples=["unassalpha"]))
    at = content.index((338).to_bytes(2, "little"))
    content[at : at + 2] = (65000).to_bytes(2, "little")
    photo = opened(bytes(content))
    np.testing.assert_array_equal(photo.pixels(), RGB)
    assert photo.remarks == (ALPHA,)


@pytest.mark.parametrize(
    "alpha", [mask(), mask(20), np.full((240, 320), 255, np.uint8)], ids=["mask", "soft", "opaque"]
)
def test_true_transparency_is_laid_on_white_without_a_remark(alpha):
    photo = opened(tiff(np.dstack([RGB, alpha]), extrasamples=["unassalpha"]))
    share = alpha[..., None] / 255
    assert np.abs(photo.pixels() - (RGB * share + 255 * (1 - share))).max() <= 1
    assert (photo.remarks, photo.sha256) == ((), photo.key)


def test_a_band_that_would_hide_the_whole_photo_is_not_used():
    photo = opened(tiff(np.dstack([RGB, np.zeros_like(INFRARED)]), extrasamples=["unassalpha"]))
    np.testing.assert_array_equal(photo.pixels(), RGB)
    said = "its last band is marked as transparency but would hide all of the photo, so it was not used"
    assert photo.remarks == (said,)


def test_the_transparency_of_a_png_is_believed():
    varies = Image.fromarray(FOUR)
    photo = opened(encoded(varies, "PNG"))
    share = FOUR[..., 3:] / 255
    assert np.abs(photo.pixels() - (RGB * share + 255 * (1 - share))).max() <= 1
    assert photo.remarks == ()


@pytest.mark.parametrize(("pixels", "photometric", "reason"), [
    (FOUR, "minisblack", "it is a TIFF with 4 grey bands of 8 bits, a layout that is not supported: export an RGB image"),
    (FOUR[..., [0, 1, 2, 3, 3]], "minisblack", "5 grey bands of 8 bits"),
    (RGB, "minisblack", "3 grey bands of 8 bits"),
    (RGB.astype(np.float32), "rgb", r"3 bands \(RGB\) of 32 bits \(floating point\)"),
    (RGB.astype(np.int16), "rgb", r"3 bands \(RGB\) of 16 bits \(signed\)"),
])  # fmt: skip
def test_a_layout_that_is_not_read_is_named_with_what_to_do(pixels, photometric, reason):
    with pytest.raises(PhotoUnreadable, match=reason):
        opened(tiff(pixels, photometric=photometric, planarconfig="contig"))
    with pytest.raises(PhotoUnreadable, match=reason):
        opened(tiff(pixels, photometric=photometric, planarconfig="contig", bigtiff=True))


def test_pages_that_are_not_read_are_remarked_on_but_thumbnails_are_not():
    """Bands of a drone are often one page each."""
    first, other = scene(), scene(seed=1)
    photo = opened(encoded(first, "TIFF", save_all=True, append_images=[other]))
    assert photo.remarks == ("it has several pages, of which only the first was read",)
    np.testing.assert_array_equal(photo.pixels(), RGB)
    with_thumbnail = opened(encoded(first, "TIFF", save_all=True, append_images=[other.resize((80, 60))]))
    assert with_thumbnail.remarks == ()
    np.testing.assert_array_equal(with_thumbnail.pixels(), RGB)


@pytest.mark.parametrize(("tag", "reason"), [
    ((50706, "B", 4, bytes([1, 4, 0, 0]), True), "it is a raw file of a camera: develop it"),
    ((254, "I", 1, 1, True), "its first page is a preview, as in raw files of cameras"),
])  # fmt: skip
def test_a_raw_file_is_not_read_by_its_preview(tag, reason):
    kind = {"subfiletype": 1} if tag[0] == 254 else {"extratags": [tag]}
    with pytest.raises(PhotoUnreadable, match=reason):
        opened(tiff(RGB, **kind))


def test_grey_values_that_stand_for_darkness_are_inverted_or_refused():
    grey = np.asarray(scene().convert("L"))
    photo = opened(tiff(255 - grey, photometric="miniswhite"))
    np.testing.assert_array_equal(photo.pixels()[..., 0], grey)
    with pytest.raises(PhotoUnreadable, match="stand for darkness"):
        opened(tiff(65535 - grey.astype(np.uint16) * 257, photometric="miniswhite"))


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_rows_that_a_transfer_lost_are_remarked_on(mode):
    content = encoded(scene().convert(mode), "TIFF")
    middle = len(content) // 2
    row = 320 * len(mode)
    lost = content[:middle] + bytes(40 * row) + content[middle + 40 * row :]
    (remark,) = opened(lost).remarks
    assert re.match("(39|40) of its rows are black from edge to edge", remark)
    assert opened(content[:middle] + bytes(10 * row) + content[middle + 10 * row :]).remarks == ()
    assert opened(content).remarks == ()


def test_a_black_margin_is_no_loss():
    pixels = np.asarray(scene()).copy()
    pixels[:60] = pixels[-60:] = 0
    pixels[:, :60] = pixels[:, -60:] = 0
    assert opened(encoded(Image.fromarray(pixels), "TIFF")).remarks == ()
    assert opened(encoded(Image.new("RGB", (100, 100)), "TIFF")).remarks == ()
