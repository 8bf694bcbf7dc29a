import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageDraw

from herbage.errors import PhotoTooLarge, PhotoUnreadable
from herbage.photos import photo as module
from herbage.photos.discovery import find_photos
from herbage.photos.icc import DISPLAY_P3, profile_of
from herbage.photos.photo import PhotoFile, open_photo
from tests.photos.encoded import encoded, opened, scene


def open_at(path):
    return open_photo(PhotoFile(path.name, path))


def corner_photo(size=(8, 4)):
    """Black, with one white pixel at the top left."""
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    pixels[0, 0] = 255
    return Image.fromarray(pixels)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "TIFF", "JPEG"])
def test_every_format_becomes_upright_rgb(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.new("RGB", (30, 20), (200, 100, 50)).save(path)
    pixels = open_at(path).pixels()
    assert pixels.shape == (20, 30, 3)
    assert pixels.dtype == np.uint8
    np.testing.assert_allclose(pixels.mean((0, 1)), (200, 100, 50), atol=2)


def test_heic_is_read_with_its_facts_where_its_library_is_installed(tmp_path, monkeypatch):
    heif = pytest.importorskip("pillow_heif")
    heif.register_heif_opener()
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2025:09:04 10:00:00"
    sideways = Image.new("RGB", (64, 32), "red")
    sideways.paste("blue", (0, 0, 32, 32))
    sideways.save(tmp_path / "a.HEIC", exif=exif, quality=95)
    photo = open_at(tmp_path / "a.HEIC")
    pixels = photo.pixels().astype(int)
    # HEIF has its own rotation, which its decoder applies; EXIF's must not be applied in addition (ISO/IEC 23008-12).
    assert pixels.shape == (32, 64, 3)
    assert photo.aspect == 2
    assert np.abs(pixels[16, 5] - [0, 0, 255]).max() < 30
    assert np.abs(pixels[16, -5] - [255, 0, 0]).max() < 30
    assert str(photo.facts.taken_at) == "2025-09-04 10:00:00"
    assert photo.remarks == ()
    assert [file.name for file in find_photos(tmp_path)] == ["a.HEIC"]

    monkeypatch.setattr("herbage.photos.pixels._reads_heif", lambda: False)
    with pytest.raises(PhotoUnreadable, match="pip install 'herbage\\[heic\\]'"):
        open_at(tmp_path / "a.HEIC")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, orientation):
    undo = {
        1: [], 2: [Image.Transpose.FLIP_LEFT_RIGHT], 3: [Image.Transpose.ROTATE_180],
        4: [Image.Transpose.FLIP_TOP_BOTTOM], 5: [Image.Transpose.TRANSPOSE], 6: [Image.Transpose.ROTATE_90],
        7: [Image.Transpose.TRANSVERSE], 8: [Image.Transpose.ROTATE_270],
    }[orientation]  # fmt: skip
    upright = corner_photo()
    stored = upright
    for turn in undo:
        stored = stored.transpose(turn)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    stored.save(tmp_path / "a.png", exif=exif)
    photo = open_at(tmp_path / "a.png")
    np.testing.assert_array_equal(photo.pixels(), np.asarray(upright))
    assert photo.aspect == 2


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF"])
def test_the_aspect_and_the_limits_of_corners_are_those_of_the_pixels_in_every_format(format, orientation):
    if format == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    photo = opened(encoded(squares(), format, exif=exif))
    height, width = photo.pixels().shape[:2]
    assert photo.aspect == width / height
    whole = ((0.0, 0.0), (float(width), 0.0), (float(width), float(height)), (0.0, float(height)))
    cut = open_photo(PhotoFile("a", Path("a"), whole, photo.content))
    assert cut.pixels().shape[:2] == (height, width)


def test_a_turned_tiff_with_transparency_has_the_aspect_of_its_pixels():
    """It is decoded when it is opened, and decoding turns it."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    photo = opened(encoded(squares().convert("RGBA"), "TIFF", exif=exif))
    assert photo.aspect == photo.pixels().shape[1] / photo.pixels().shape[0] == 160 / 240


def test_other_formats_than_8_bit_rgb_are_converted_as_documented(tmp_path):
    def pixel(image, name, **options):
        image.save(tmp_path / name, **options)
        return tuple(open_at(tmp_path / name).pixels()[0, 0].tolist())

    assert pixel(Image.new("L", (4, 4), 77), "grey.png") == (77, 77, 77)
    assert pixel(Image.fromarray(np.full((4, 4), 257 * 90, np.uint16)), "grey16.png") == (90, 90, 90)
    assert pixel(Image.new("RGBA", (4, 4), (10, 20, 30, 0)), "alpha.png") == (255, 255, 255)
    assert pixel(Image.new("RGBA", (4, 4), (10, 20, 30, 255)), "opaque.png") == (10, 20, 30)
    assert pixel(Image.new("RGB", (4, 4), (200, 0, 0)).quantize(4), "palette.png") == (200, 0, 0)
    assert pixel(Image.new("CMYK", (4, 4), (0, 255, 255, 0)), "cmyk.tif") == (255, 0, 0)
    pages = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    assert pixel(pages[0], "pages.tif", save_all=True, append_images=pages[1:]) == (255, 0, 0)
    Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "float.tif")
    with pytest.raises(PhotoUnreadable, match="has no defined range"):
        open_at(tmp_path / "float.tif").pixels()


def test_broken_photos_are_named_with_their_reason(tmp_path):
    complete = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)).save(complete, "JPEG")
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("this is no image")
    (tmp_path / "half.jpg").write_bytes(complete.getvalue()[: len(complete.getvalue()) // 2])
    for name, reason in (("empty.jpg", "0 bytes"), ("text.jpg", "not a readable image"), ("gone.jpg", "No such file")):
        with pytest.raises(PhotoUnreadable, match=rf"{name}.*{reason}"):
            open_at(tmp_path / name)
    with pytest.raises(PhotoUnreadable, match=r"half.jpg could not be decoded: .*truncated"):
        open_at(tmp_path / "half.jpg").pixels()


def damaged_photos():
    for format in ("JPEG", "PNG", "WEBP", "TIFF", "HEIF"):
        try:
            content = encoded(scene(), format)
        except KeyError:  # pillow-heif is not installed
            continue
        for share in (0.02, 0.5, 0.9):
            yield f"{format} {share}", content[: int(share * len(content))]
    jpeg, half = encoded(scene(), "JPEG"), len(encoded(scene(), "JPEG")) // 2
    yield "without EOI", jpeg[:-2]
    yield "a block of ones", jpeg[:half] + b"\xff" * 4096 + jpeg[half + 4096 :]
    yield "a first block of ones", b"\xff" * 4096 + jpeg[4096:]
    yield "a cut LZW TIFF", encoded(scene(), "TIFF", compression="tiff_lzw")[: 9 * half // 10]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("name", "content"), [pytest.param(*one, id=one[0]) for one in damaged_photos()])
def test_messages_about_damage_say_what_to_do(name, content):
    with pytest.raises(PhotoUnreadable, match="copy the photo again$"):
        opened(content, name).pixels()


def test_lack_of_memory_is_not_taken_for_damage(monkeypatch):
    def fail(*_):
        raise MemoryError("not enough memory")

    monkeypatch.setattr(module, "decode", fail)
    with pytest.raises(PhotoUnreadable, match="could not be decoded: not enough memory$"):
        opened(encoded(scene(), "JPEG")).pixels()


def test_a_photo_over_the_limit_is_skipped_undecoded(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PIXEL_LIMIT", 100)
    Image.new("RGB", (11, 10)).save(tmp_path / "big.png")
    with pytest.raises(PhotoTooLarge, match="11 x 10 pixels, over the limit of 100"):
        open_at(tmp_path / "big.png")


def test_a_decompression_bomb_is_skipped(tmp_path):
    Image.new("1", (20000, 20000)).save(tmp_path / "bomb.png")
    with pytest.raises(PhotoTooLarge, match="over the limit"):
        open_at(tmp_path / "bomb.png")


def test_the_message_about_a_broken_photo_is_always_the_same(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"no image\x01")
    messages = set()
    for _ in range(3):
        with pytest.raises(PhotoUnreadable) as caught:
            open_at(tmp_path / "a.jpg")
        messages.add(str(caught.value))
    (message,) = messages
    assert message.startswith("a.jpg is not a readable image: cannot identify image file; it is damaged, or no photo")


def squares(size=(240, 160)):
    """An image whose colour encodes the position: red increases to the right, green downwards."""
    across, down = np.meshgrid(np.linspace(0, 1, size[0]), np.linspace(0, 1, size[1]))
    return Image.fromarray((np.stack([across, down, np.zeros_like(across)], -1) * 255).astype(np.uint8))


def test_a_photo_with_corners_is_cropped_to_them(tmp_path):
    """An upright rectangle of corners is a plain crop."""
    squares().save(tmp_path / "a.png")
    uncropped = open_at(tmp_path / "a.png")
    corners = ((40.0, 30.0), (140.0, 30.0), (140.0, 90.0), (40.0, 90.0))
    cut = open_photo(PhotoFile("a.png", tmp_path / "a.png", corners))
    assert cut.aspect == pytest.approx(100 / 60)
    np.testing.assert_allclose(cut.pixels(), uncropped.pixels()[30:90, 40:140], atol=1)
    assert cut.sha256 != uncropped.sha256 == open_at(tmp_path / "a.png").sha256
    assert cut.sha256 == open_photo(PhotoFile("b", tmp_path / "a.png", corners)).sha256


def test_perspective_is_corrected(tmp_path):
    """A quadrat distorted by a known projective map is restored."""
    quadrat = squares((200, 100))
    forward = np.array([[0.8, 0.15, 60], [0.05, 0.9, 40], [2e-4, 1e-3, 1]])

    def project(x, y):
        u, v, w = forward @ [x, y, 1]
        return float(u / w), float(v / w)

    inverse = np.linalg.inv(forward)
    askew = quadrat.transform(
        (400, 300),
        Image.Transform.PERSPECTIVE,
        (inverse / inverse[2, 2]).flatten()[:8].tolist(),
        Image.Resampling.BICUBIC,
    )
    askew.save(tmp_path / "askew.png")
    corners = tuple(project(x, y) for x, y in ((0, 0), (200, 0), (200, 100), (0, 100)))
    photo = open_photo(PhotoFile("askew", tmp_path / "askew.png", corners))
    back = np.asarray(Image.fromarray(photo.pixels()).resize((200, 100), Image.Resampling.BICUBIC)).astype(int)
    inner = (slice(6, -6), slice(6, -6))
    assert np.abs(back - np.asarray(quadrat).astype(int))[inner].max() < 8


def test_corners_are_those_of_the_upright_photo(tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    squares().save(tmp_path / "turned.png", exif=exif)
    corners = ((0.0, 0.0), (160.0, 0.0), (160.0, 240.0), (0.0, 240.0))
    turned = open_photo(PhotoFile("t", tmp_path / "turned.png", corners))
    np.testing.assert_allclose(turned.pixels(), open_at(tmp_path / "turned.png").pixels(), atol=1)


def test_corners_outside_their_photo_are_refused(tmp_path):
    squares().save(tmp_path / "a.png")
    file = PhotoFile("a.png", tmp_path / "a.png", ((0.0, 0.0), (300.0, 0.0), (300.0, 160.0), (0.0, 160.0)))
    with pytest.raises(PhotoUnreadable, match="a.png is 240 x 160 pixels, but corners of its quadrat are outside it"):
        open_photo(file)


QUARTER = ((25.0, 25.0), (75.0, 25.0), (75.0, 75.0), (25.0, 75.0))
"""Corners in percent, as annotation tools export them."""


def test_corners_in_percent_are_refused_with_the_way_out(tmp_path):
    squares((1600, 1000)).save(tmp_path / "a.png")
    with pytest.raises(
        PhotoUnreadable, match="look like percent of the photo .*expected pixels: multiply x by 16 and y by 10"
    ):
        open_photo(PhotoFile("a.png", tmp_path / "a.png", QUARTER))


def test_corners_in_percent_cannot_be_told_from_pixels_of_a_small_photo(tmp_path):
    squares((200, 200)).save(tmp_path / "a.png")
    assert open_photo(PhotoFile("a.png", tmp_path / "a.png", QUARTER)).remarks == ()
    squares((100, 90)).save(tmp_path / "b.png")
    tiny = ((10.0, 10.0), (20.0, 10.0), (20.0, 20.0), (10.0, 20.0))
    (remark,) = open_photo(PhotoFile("b.png", tmp_path / "b.png", tiny)).remarks
    assert remark == "the quadrat between its corners covers only 1.1% of the photo"


@pytest.mark.parametrize(("side", "remarks"), [
    (222.0, ("the quadrat between its corners covers only 4.9% of the photo",)), (224.0, ()), (800.0, ()),
])  # fmt: skip
def test_a_quadrat_that_covers_little_of_the_photo_is_remarked_on(tmp_path, side, remarks):
    squares((1000, 1000)).save(tmp_path / "a.png")
    end = 100 + side
    corners = ((100.0, 100.0), (end, 100.0), (end, end), (100.0, end))
    assert open_photo(PhotoFile("a.png", tmp_path / "a.png", corners)).remarks == remarks


def test_the_area_of_any_quadrilateral_is_that_of_its_pixels():
    drawn = Image.new("L", (400, 300))
    corners = ((50.0, 20.0), (380.0, 60.0), (300.0, 280.0), (20.0, 200.0))
    ImageDraw.Draw(drawn).polygon(corners, fill=1)
    assert module._area_px(corners) == pytest.approx(np.asarray(drawn).sum(), rel=0.01)


def test_a_file_is_read_by_its_content(tmp_path):
    squares().save(tmp_path / "really.png")
    (tmp_path / "really.png").rename(tmp_path / "called.heic")
    assert open_at(tmp_path / "called.heic").pixels().shape == (160, 240, 3)
    heif = pytest.importorskip("pillow_heif")
    heif.register_heif_opener()
    squares().save(tmp_path / "really.heic")
    (tmp_path / "really.heic").rename(tmp_path / "called.jpg")
    assert open_at(tmp_path / "called.jpg").pixels().shape == (160, 240, 3)


def test_a_plain_photo_keeps_the_digest_and_the_pixels_of_version_0_1_0(tmp_path):
    """The digest is that of the bytes, combined with the corners; the pixels are Pillow's."""
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 255, (61, 83, 3), np.uint8))
    corners = ((10.0, 8.0), (70.0, 9.0), (69.0, 50.0), (9.0, 51.0))
    for name, options in {"a.jpg": {}, "b.jpg": {"progressive": True}, "a.png": {}, "a.webp": {}, "a.tif": {}}.items():
        noise.save(tmp_path / name, **options)
        photo = open_at(tmp_path / name)
        assert photo.sha256 == photo.key == hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
        np.testing.assert_array_equal(photo.pixels(), np.asarray(Image.open(tmp_path / name)))
        assert (photo.remarks, photo.converted_from) == ((), None)
        cut = open_photo(PhotoFile(name, tmp_path / name, corners))
        assert cut.sha256 == cut.key == hashlib.sha256(f"{photo.sha256} {corners}".encode()).hexdigest()


def test_a_photo_whose_colours_are_converted_has_another_digest(tmp_path):
    squares().save(tmp_path / "a.png", icc_profile=profile_of(DISPLAY_P3))
    corners = ((40.0, 30.0), (140.0, 30.0), (140.0, 90.0), (40.0, 90.0))
    digests = set()
    for of in (None, corners):
        photo = open_photo(PhotoFile("a.png", tmp_path / "a.png", of))
        assert photo.converted_from == DISPLAY_P3
        digests |= {photo.sha256, photo.key}
    assert len(digests) == 4


@pytest.mark.parametrize(
    "head", [b"GRIB\0\0\0\1", b"\x89HDF\r\n\x1a\n", b"BUFR", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"GIF89a"]
)
def test_other_formats_that_pillow_could_read_are_unreadable(tmp_path, head):
    (tmp_path / "a.jpg").write_bytes(head + b"0" * 200)
    with pytest.raises(PhotoUnreadable, match="is not a readable image"):
        open_at(tmp_path / "a.jpg")


def test_an_extremely_long_photo_is_skipped_before_it_is_decoded(tmp_path):
    for size in ((1, 51), (2000, 39)):
        Image.new("RGB", size).save(tmp_path / "a.png")
        with pytest.raises(PhotoTooLarge, match="a longer side of at most 50 times the shorter one"):
            open_at(tmp_path / "a.png")
    Image.new("RGB", (50, 1)).save(tmp_path / "a.png")
    assert open_at(tmp_path / "a.png").aspect == 50


def test_corners_do_not_circumvent_the_limits(tmp_path, monkeypatch):
    Image.new("RGB", (1000, 1000)).save(tmp_path / "a.png")
    sliver = ((0.0, 0.0), (1000.0, 990.0), (1000.0, 1000.0), (0.0, 10.0))
    thin = ((0.0, 0.0), (1000.0, 0.0), (1000.0, 10.0), (0.0, 10.0))
    with pytest.raises(PhotoTooLarge, match="a longer side of at most 50 times"):
        open_photo(PhotoFile("a.png", tmp_path / "a.png", thin))
    monkeypatch.setattr(module, "PIXEL_LIMIT", 1_100_000)
    across = ((0.0, 500.0), (500.0, 0.0), (1000.0, 500.0), (500.0, 1000.0))
    assert open_photo(PhotoFile("a.png", tmp_path / "a.png", across)).aspect == 1
    wide = ((0.0, 0.0), (1000.0, 900.0), (1000.0, 1000.0), (0.0, 1000.0))
    assert open_photo(PhotoFile("a.png", tmp_path / "a.png", wide)).pixels().size < 3 * 1_100_000
    with pytest.raises(PhotoTooLarge):
        open_photo(PhotoFile("a.png", tmp_path / "a.png", sliver))
    Image.new("RGB", (1000, 50)).save(tmp_path / "b.png")
    outside = ((0.0, -19.0), (1000.0, -19.0), (1000.0, 50.0), (0.0, 50.0))
    with pytest.raises(PhotoUnreadable, match="are outside it"):
        open_photo(PhotoFile("b.png", tmp_path / "b.png", outside))
