import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

from herbage.errors import PhotoUnreadable
from tests.photos.encoded import encoded, opened, scene

END = b"\xff\xd9"

KINDS = {
    "plain": {"quality": 90},
    "4:4:4": {"quality": 95, "subsampling": 0},
    "4:2:2": {"quality": 80, "subsampling": 1},
    "optimised": {"quality": 85, "optimize": True},
    "progressive": {"quality": 90, "progressive": True},
    "restarts": {"quality": 90, "restart_marker_rows": 1},
}


def segment(marker, content):
    return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content


@pytest.fixture(params=KINDS)
def whole(request):
    return encoded(scene(), "JPEG", **KINDS[request.param])


@pytest.mark.parametrize("size", [(320, 240), (83, 61), (17, 9), (8, 8)])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_jpeg_has_pillows_pixels(kind, mode, size):
    """Pillow is the reference: version 0.1.0 used it, and the tokens in stores are those of its pixels."""
    content = encoded(scene(480, 480).resize(size).convert(mode), "JPEG", **KINDS[kind])
    expected = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    np.testing.assert_array_equal(opened(content).pixels(), expected)


def damaged(content):
    """The same file after what transfers, cards and apps do to it."""
    half, length, block = len(content) // 2, len(content), 4096
    assert length > 2 * block
    return {
        "cut": content[:half],
        "cut and closed": content[:half] + END,
        "lacks a block": content[:half] + content[half + block :],
        "a block of zeros": content[:half] + bytes(block) + content[half + block :],
        "zeros to the end": content[:half] + bytes(length - half),
        "zeros, then closed": content[:half] + bytes(length - half - 2) + END,
        "the second half twice": content[:half] + content[half // 2 :],
    }


def test_damaged_image_data_are_found(whole):
    for name, content in damaged(whole).items():
        with pytest.raises(PhotoUnreadable, match="could not be decoded: .*(truncated|damaged|broken)"):
            pytest.fail(f"{name}: {opened(content).pixels().shape}")


def test_the_message_names_the_damage_and_what_to_do():
    content = damaged(encoded(scene(), "JPEG"))["cut and closed"]
    with pytest.raises(PhotoUnreadable) as caught:
        opened(content).pixels()
    assert str(caught.value) == (
        "a.jpg could not be decoded: its image data are truncated or damaged (premature end of data segment): copy the "
        "photo again"
    )


def test_a_progressive_jpeg_that_ends_after_any_but_its_last_scan_is_found():
    whole = encoded(scene(), "JPEG", progressive=True)
    starts = [at for at in range(len(whole)) if whole[at : at + 2] == b"\xff\xda"]
    assert len(starts) > 5
    for start in starts[1:]:
        tables = whole.rindex(b"\xff\xc4", 0, start) if b"\xff\xc4" in whole[starts[0] : start] else start
        with pytest.raises(PhotoUnreadable, match="last scans of a progressive JPEG are missing|premature end"):
            opened(whole[: max(tables, starts[0] + 20)] + END).pixels()
    assert opened(whole).pixels().shape == (240, 320, 3)


def test_harmless_bytes_are_no_damage(whole):
    """Trailers of phones, a video or a second picture behind the photo, padding, and odd metadata."""
    second = encoded(scene(64, 64, seed=1), "JPEG")
    harmless = {
        "trailer": whole + bytes(700) + b"SEFT" * 9,
        "motion photo": whole + b"\0\0\0\x18ftypmp42" + bytes(5000),
        "second picture": whole + second,
        "padding before the end": whole[:-2] + b"abcd" * 25 + END,
        "zeros before the end": whole[:-2] + bytes(20_000) + END,
        "fill bytes": whole[:-2] + b"\xff" * 300 + END,
        "unknown JFIF": whole[:2] + segment(0xE0, b"JFIF\0\x09\x01\0\0\1\0\1\0\0") + whole[2:],
        "bytes between segments": whole[:2] + segment(0xE5, b"hello") + b"xyz" + whole[2:],
    }
    expected = opened(whole).pixels()
    for name, content in harmless.items():
        np.testing.assert_array_equal(opened(content).pixels(), expected, err_msg=name)


def test_a_harmless_warning_does_not_hide_damage(whole):
    """libjpeg reports its first warning only."""
    odd = whole[:2] + segment(0xE5, b"hello") + b"xyz" + whole[2:]
    for name, content in damaged(odd).items():
        with pytest.raises(PhotoUnreadable, match="could not be decoded"):
            pytest.fail(f"{name}: {opened(content).pixels().shape}")


@pytest.mark.parametrize("colour", ["black", "white", (128, 128, 128)])
@pytest.mark.parametrize("kind", KINDS)
def test_a_photo_of_one_colour_below_is_read(kind, colour):
    """A black band, or overexposed soil, is what a truncated photo looks like after decoding."""
    photo = scene()
    ImageDraw.Draw(photo).rectangle((0, 100, 320, 240), fill=colour)
    assert opened(encoded(photo, "JPEG", **KINDS[kind])).pixels().shape == (240, 320, 3)
    assert opened(encoded(Image.new("RGB", (3000, 2000), colour), "JPEG", **KINDS[kind])).pixels().shape[0] == 2000


def test_a_file_of_several_pictures_gives_the_first():
    first, second = scene(), scene(seed=1)
    content = encoded(first, "MPO", save_all=True, append_images=[second])
    expected = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    np.testing.assert_array_equal(opened(content).pixels(), expected)
    with pytest.raises(PhotoUnreadable):
        opened(content[: len(content) // 4] + END).pixels()
