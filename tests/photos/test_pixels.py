import io
import struct
import zlib

import numpy as np
import pytest
import tifffile

from herbage.errors import PhotoUnreadable
from tests.photos.encoded import encoded, opened, scene

RGB = np.asarray(scene())
GREY = np.asarray(scene().convert("L"))


def tiff(pixels, **options):
    file = io.BytesIO()
    kind = "rgb" if pixels.ndim == 3 else "minisblack"
    tifffile.imwrite(file, pixels, photometric=kind, metadata=None, **options)
    return file.getvalue()


def png(pixels, chunks=()):
    """A 16-bit PNG of grey or colours, with other chunks after its header (PNG, third edition)."""
    height, width = pixels.shape[:2]

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = pixels.astype(">u2").reshape(height, -1)
    data = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", width, height, 16, 2 if pixels.ndim == 3 else 0, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(data)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


WRITERS = pytest.mark.parametrize("write", [tiff, png])


@WRITERS
@pytest.mark.parametrize("pixels", [RGB, GREY], ids=["rgb", "grey"])
def test_true_16_bits_are_read_without_a_remark(write, pixels):
    photo = opened(write(pixels.astype(np.uint16) * 257))
    np.testing.assert_array_equal(photo.pixels(), np.dstack([GREY] * 3) if pixels.ndim == 2 else RGB)
    assert (photo.remarks, photo.sha256) == ((), photo.key)
    fine = np.random.default_rng(0).integers(0, 65536, pixels.shape).astype(np.uint16)
    found = opened(write(fine)).pixels()
    assert np.abs(found - fine.reshape(*fine.shape[:2], -1) / 257).max() <= 1


@WRITERS
@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("pixels", [RGB, GREY], ids=["rgb", "grey"])
def test_unscaled_values_of_a_camera_are_refused_with_their_bits(write, bits, pixels):
    values = (pixels.astype(np.uint32) << 8 >> (16 - bits)).astype(np.uint16)
    used = max(int(values.max()).bit_length(), 8)
    assert used == bits
    with pytest.raises(
        PhotoUnreadable, match=f"its values use {bits} of the 16 bits of the file, .*stretch its values"
    ):
        opened(write(values))


@WRITERS
@pytest.mark.parametrize("share", [0.1, 0.24])
def test_a_dark_photo_of_true_16_bits_is_read_with_a_remark(write, share):
    values = (RGB.astype(np.uint32) * 257 * share).astype(np.uint16)
    photo = opened(write(values))
    used = int(values.max()).bit_length()
    assert used in (13, 14)
    (remark,) = photo.remarks
    assert remark.startswith(f"its values use {used} of 16 bits and were read as a dark photo")
    np.testing.assert_array_equal(photo.pixels(), values >> 8)


@WRITERS
def test_a_photo_with_one_bright_stone_is_not_dark(write):
    values = (RGB.astype(np.uint32) * 257 // 20).astype(np.uint16)
    values[:3, :3] = 60000
    assert opened(write(values)).remarks == ()


STATED = {
    "MaxSampleValue": lambda pixels, bits: tiff(pixels, extratags=[(281, "H", 1, 2**bits - 1, True)]),
    "sBIT": lambda pixels, bits: png(pixels, [(b"sBIT", bytes([bits] * (3 if pixels.ndim == 3 else 1)))]),
}


@pytest.mark.parametrize("write", STATED.values(), ids=STATED)
def test_grey_values_are_scaled_by_the_range_that_the_file_states(write):
    photo = opened(write((GREY.astype(np.uint16) << 4) + 8, 12))
    assert np.abs(photo.pixels()[..., 0].astype(int) - GREY).max() <= 1
    assert photo.remarks == ()
    assert photo.sha256 != photo.key
    with pytest.raises(PhotoUnreadable, match="use 12 of the 16 bits"):
        opened(write(RGB.astype(np.uint16) << 4, 12))


@pytest.mark.parametrize("write", STATED.values(), ids=STATED)
def test_a_file_that_states_16_bits_is_believed_however_dark(write):
    photo = opened(write(GREY.astype(np.uint16), 16))
    assert photo.pixels().max() <= 1
    assert (photo.remarks, photo.sha256) == ((), photo.key)


@pytest.mark.parametrize("write", STATED.values(), ids=STATED)
def test_scaled_values_are_not_scaled_again(write):
    """PNG's sBIT states the bits before the values were scaled to 16; TIFF's largest value may be wrong."""
    photo = opened(write(GREY.astype(np.uint16) * 257, 12))
    np.testing.assert_array_equal(photo.pixels()[..., 0], GREY)
    assert photo.remarks == ()


def test_the_largest_value_of_the_image_is_no_range():
    """TIFF 6.0 describes MaxSampleValue as the largest value used, not as the largest possible one."""
    values = GREY.astype(np.uint16) << 4
    with pytest.raises(PhotoUnreadable, match="use 12 of the 16 bits"):
        opened(tiff(values, extratags=[(281, "H", 1, int(values.max()), True)]))


def test_12_bits_per_sample_are_scaled():
    """Pillow reads them as they are."""
    values = (GREY.astype(np.uint16) << 4) + 8
    pairs = values.reshape(240, -1, 2).astype(np.uint32)
    packed = (pairs[..., 0] << 12 | pairs[..., 1]).astype(">u4").view(np.uint8).reshape(240, -1, 4)[..., 1:]
    content = bytearray(tiff(packed.reshape(240, -1)))
    for tag, value in ((256, 320), (258, 12)):
        at = content.index(struct.pack("<H", tag), 8)
        kind, _ = struct.unpack("<HI", content[at + 2 : at + 8])
        content[at + 8 : at + 12] = struct.pack("<I" if kind == 4 else "<H2x", value)
    photo = opened(bytes(content))
    assert np.abs(photo.pixels()[..., 0].astype(int) - GREY).max() <= 1
    assert photo.sha256 != photo.key


def test_remarks_and_refusals_do_not_depend_on_decoding_the_photo():
    """Tokens may come from a store, and then `pixels` is not called."""
    four = np.dstack([RGB, np.asarray(scene(seed=1).convert("L"))])
    assert opened(tiff(four, extrasamples=["unassalpha"])).remarks
    with pytest.raises(PhotoUnreadable):
        opened(tiff(RGB.astype(np.uint16)))


@pytest.mark.parametrize("options", [{"quality": 80}, {"lossless": True}])
def test_a_webp_whose_end_was_never_written_is_refused(options):
    content = encoded(scene(), "WEBP", **options)
    half = len(content) // 2
    for damaged in (content[:half] + bytes(len(content) - half), content[:half] + bytes(len(content) - half + 100)):
        with pytest.raises(PhotoUnreadable, match="its last bytes are zeros, since a transfer broke off"):
            opened(damaged)
    assert opened(content + bytes(2000)).pixels().shape == (240, 320, 3), "bytes behind the image"


def test_a_png_with_a_missing_part_is_refused():
    content = encoded(scene(), "PNG")
    half = len(content) // 2
    for damaged in (content[:half], content[:half] + content[-12:], content[:half] + bytes(len(content) - half)):
        with pytest.raises(PhotoUnreadable, match="truncated|unrecognized|broken"):
            opened(damaged).pixels()
