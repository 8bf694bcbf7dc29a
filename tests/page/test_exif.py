"""EXIF data read in the browser, compared with Python's reader on the same files."""

import base64
import struct
from datetime import datetime, timedelta

import numpy as np
import pytest
from PIL import ExifTags, Image

from herbage.photos.exif import read_facts
from herbage.photos.pixels import open_image
from tests.photos.encoded import encoded

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of damaged metadata
GPS, BASE = ExifTags.GPS, ExifTags.Base
DIRECTORY = ExifTags.IFD
ASCII, SHORT, LONG, RATIONAL, UNDEFINED, SIGNED, DOUBLE = 2, 3, 4, 5, 7, 10, 12
PLACE = ((38, 1), (30, 1), (0, 1)), ((145, 1), (15, 1), (0, 1))
READ = """async (files) => {
  const { readExif } = await import("./exif.js");
  return files.map((file) => {
    const { takenAt, latitude, longitude, remarks } = readExif(Uint8Array.from(atob(file), (c) => c.charCodeAt(0)).buffer);
    return [takenAt, latitude, longitude, remarks];
  });
}"""


def tiff(main=(), inner=(), gps=(), order="<"):
    """An EXIF block of directories whose entries are (tag, type, values as bytes, count)."""
    directories = [[*main], [*inner], [*gps]]
    pointers = [
        tag for tag, entries in zip((DIRECTORY.Exif, DIRECTORY.GPSInfo), directories[1:], strict=True) if entries
    ]
    directories[0] += [(tag, 4, bytes(4), 1) for tag in pointers]
    starts, at = [], 8
    for entries in directories:
        starts.append(at)
        at += 6 + 12 * len(entries)
    block = struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, 8)
    values = b""
    for entries in directories:
        block += struct.pack(f"{order}H", len(entries))
        for tag, type, value, count in entries:
            if tag in pointers:
                value = struct.pack(f"{order}I", starts[1 if tag == DIRECTORY.Exif else 2])
            if len(value) > 4:
                value, values = struct.pack(f"{order}I", at + len(values)), values + value
            block += struct.pack(f"{order}HHI", tag, type, count) + value.ljust(4, b"\0")
        block += bytes(4)
    return b"Exif\0\0" + block + values


def text(tag, value, type=ASCII):
    value = value.encode("latin-1") if isinstance(value, str) else value
    return tag, type, value, len(value)


def angle(tag, parts, type=SIGNED, order="<"):
    packed = b"".join(struct.pack(order + ("ii" if type == SIGNED else "II"), *part) for part in parts)
    return tag, type, packed, len(parts)


def position(latitude, longitude, south="S\0", east="E\0", type=SIGNED, order="<"):
    """The entries of a GPS directory; None leaves one out."""
    given = [
        None if south is None else text(GPS.GPSLatitudeRef, south),
        None if latitude is None else angle(GPS.GPSLatitude, latitude, type, order),
        None if east is None else text(GPS.GPSLongitudeRef, east),
        None if longitude is None else angle(GPS.GPSLongitude, longitude, type, order),
    ]
    return [entry for entry in given if entry]


def photo(block, format="JPEG"):
    return encoded(Image.new("RGB", (8, 4)), format, exif=block)


def in_python(content):
    with open_image(content) as image:
        facts, remarks = read_facts(image)
    return [facts.taken_at and facts.taken_at.isoformat(), facts.latitude, facts.longitude, list(remarks)]


def in_the_page(modules, photos):
    return modules.evaluate(READ, [base64.b64encode(content).decode() for content in photos])


def same(page, python):
    numbers = zip(page[1:3], python[1:3], strict=True)
    close = all(a is b is None or (None not in (a, b) and abs(a - b) <= 1e-12) for a, b in numbers)
    return close and (page[0], page[3]) == (python[0], python[3])


def check(modules, photos):
    """Compare the page with Python on every photo; returns Python's results."""
    expected = [in_python(content) for content in photos]
    found = in_the_page(modules, photos)
    differ = [pair for pair in zip(found, expected, strict=True) if not same(*pair)]
    assert not differ[:3]
    return expected


NOW = datetime.now().replace(microsecond=0)
FUTURE = [f"{NOW + timedelta(days=days):%Y:%m:%d %H:%M:%S}" for days in (-400, 0.9, 1.1, 400)]
NOTHING = ["0000:00:00 00:00:00", "    :  :     :  :  ", "", " ", "\0" * 19, "0000-00-00T00:00:00"]
TIMES = [
    "2025:09:04 10:30:00", "2025-09-04T10:30:00", "2025-09-04 10:30:00", "2025:09:04 10:30:00.25", "2025:09:04 10:30",
    "2025-09-04T10:30:00.123456+10:00", "2025:09:04 10:30:00 +1000", "2025-09-04T00:30:00Z", "2025:09:04 10:30z",
    "2025:09:04", "2025:09:04 10", "2025:09:04T", "2025:09:04 1030", "2025:09:04 103000,5", "2025:09:04 10:3000",
    "2025:09:04 10:30:00+24:00", "2025:09:04 10:30:00-23:59:59.5", "2025:09:04 10:30:00+10:3000", "2025:09:04 Z",
    "2025:09:04 +10", "2025:09:04 24:00:00", "2025:09:04 10:30:60", "2024:02:29 10:30:00", "2025:02:29 10:30:00",
    "2025:13:04 10:00:00", "0000:00:00 99:99:99", "0000:01:01 10:00:00", "0050:01:01 10:00:00", "yesterday",
    "1970:01:01 00:00:00", "1980:01:01 00:00:00", "1989:12:31 23:59:59", "1990:01:01 00:00:00", "2025/09/04 10:30:00",
    " 2025:09:04 10:30:00 \0\0", "2025:09:04\0 10:30:00", "2025:09:04 10:30:00\xa0", "4. März 2025", "\xff\xfe", *FUTURE,
]  # fmt: skip
"""With what is no date, and what only looks like one."""


def test_every_capture_time_is_read_as_in_python(modules):
    good = "2025:09:04 10:05:00"
    inner = [[text(BASE.DateTimeOriginal, time, type)] for time in TIMES + NOTHING for type in (ASCII, UNDEFINED, 1)]
    inner += [
        [text(BASE.DateTimeOriginal, time), text(BASE.DateTimeDigitized, digitized)]
        for time in TIMES + NOTHING for digitized in (good, "1980:01:01 00:00:00", "tomorrow", "")
    ]  # fmt: skip
    changed = [text(BASE.DateTime, time) for time in ("2026:02:01 21:00:00", "0000:00:00 00:00:00")]
    blocks = [tiff(main, entries) for entries in inner for main in ([], [changed[0]])]
    blocks += [tiff([entry]) for entry in changed]
    found = check(modules, [photo(block) for block in blocks])
    assert len({remark for *_, remarks in found for remark in remarks}) > 60


ORIGIN, NOT_KNOWN = ((0, 1), (0, 1), (0, 1)), (0, 0)
ANGLES = [
    ((38, 1), (30, 1), (5999, 100)), ((38, 1), (30, 1), (60, 1)), ((38, 1), (31, 1), NOT_KNOWN), ((38, 1), (60, 1), (0, 1)),
    ((38, 1), (309998, 10000), (0, 1)), ((38, 1), (310000, 10000)), ((38516661, 1000000), (0, 1), (0, 1)),
    ((38516661, 1000000), NOT_KNOWN, NOT_KNOWN), ((38516661, 1000000),), ((38, 1),), ((38, 1), (59, 1), (60, 1)),
    ((-38, 1), (30, 1), (0, 1)), ((-385, 10),), ((0, 1), (-30, 1), (0, 1)), ((38, 1), (-30, 1), (0, 1)), ORIGIN,
    (NOT_KNOWN,) * 3, ((38, 1), NOT_KNOWN, NOT_KNOWN), ((38, 1), NOT_KNOWN, (30, 1)), ((98, 1), (0, 1), (0, 1)), (NOT_KNOWN,),
    ((38, 1), (61, 1), (0, 1)), ((38, 1), (30, 1), (99, 1)), ((77, 2), (30, 1), (0, 1)), ((38, 1), (61, 2), (30, 1)),
    ((5, 0), (30, 1), (0, 1)), ((5, 0), NOT_KNOWN, NOT_KNOWN), ((38, 1), (5, 0), (0, 1)), ((38, 1),) * 4, ((38, 1), NOT_KNOWN),
    ((38, -1), (0, -5), (0, 1)), ((90, 1), (0, 1), (1, 1000)), ((90, 1), (0, 1), (0, 1)), ((180, 1), (1, 1), (0, 1)), (), None,
]  # fmt: skip
FORMATTED = [
    (1233, 32), (2049, 16), (3851665, 100000), (3851667, 100000), (12345250, 1000), (12345750, 1000), (1000005, 10), (999999, 1),
    (9999995, 10), (9999994, 10), (1000000, 1), (1000005, 1), (2000015, 1), (2**31 - 1, 1), (2**31 - 1, 7), (1, 9999), (1, 10000),
    (1, 10001), (1, 2**31 - 1), (100, 3), (1, 3), (-1, 3), (123456789, 1000), (60001, 1000),
]  # fmt: skip
"""Numbers for messages: ties in binary and only in decimals, and large and small ones."""


def test_every_angle_is_read_as_in_python(modules):
    gps = [position(angle, PLACE[1]) for angle in ANGLES]
    gps += [position(PLACE[0], angle, type=type) for angle in ANGLES[:11] for type in (RATIONAL, SIGNED)]
    gps += [position(angle, angle, None, None) for angle in ANGLES]
    gps += [position(((38, 1), number, (30, 1)), PLACE[1]) for number in FORMATTED]
    gps += [position((number, (30, 1), (0, 1)), PLACE[1]) for number in FORMATTED]
    found = check(modules, [photo(tiff(gps=entries)) for entries in gps])
    assert len({remark for *_, remarks in found for remark in remarks}) > 50


def test_hemispheres_and_types_are_read_as_in_python(modules):
    words = [
        "S\0",
        "s",
        "S\0\0\0",
        "South",
        " SOUTH ",
        "N",
        "north\0",
        "E",
        "W\0",
        "west",
        "East",
        "O",
        "",
        "\0",
        None,
        "\xc3",
    ]
    gps = [position(*PLACE, south=word, east=other) for word in words for other in words]
    gps += [position(ORIGIN, PLACE[1], south=word) for word in words]
    gps += [[text(GPS.GPSLatitudeRef, b"S\0", UNDEFINED), *position(*PLACE, south=None)]]
    gps += [
        position(*PLACE, type=RATIONAL)[::-1],
        position(*PLACE) + position(ORIGIN, ORIGIN),
    ]  # the first of a tag counts
    longs = struct.pack("<3I", 38, 30, 30)
    texts = "38,30.5S", "inf", "nan"
    numbers = [(LONG, longs, 3), (LONG, longs, 2), (LONG, longs, 1), (SHORT, struct.pack("<3H", 38, 30, 30), 3)]
    numbers += [(8, struct.pack("<3h", -38, 30, 30), 3), (6, struct.pack("3b", -38, 30, 30), 3), (9, longs, 3)]
    numbers += [(DOUBLE, struct.pack("<3d", 38, 30, last), 3) for last in (30, float("nan"), float("inf"))]
    numbers += [(11, struct.pack("<2f", 38, 30.5), 2)]
    numbers += [(type, text.encode(), len(text)) for text in texts for type in (ASCII, UNDEFINED)]
    gps += [[(GPS.GPSLatitude, *number), *position(None, PLACE[1])] for number in numbers]
    gps += [[text(GPS.GPSVersionID, b"\2\3\0\0", 1)], [text(GPS.GPSDateStamp, "2025:09:04\0")]]
    check(modules, [photo(tiff(gps=entries)) for entries in gps])


def test_a_number_in_a_text_is_not_readable_in_the_page(modules):
    content = photo(tiff(gps=[text(GPS.GPSLatitude, "38.5\0"), *position(None, PLACE[1])]))
    assert in_python(content) == [None, -38.5, 145.25, []]
    reason = "its position was not used: the latitude is not readable"
    assert in_the_page(modules, [content]) == [[None, None, None, [reason]]]


def test_random_rationals_are_read_as_in_python(modules):
    rng = np.random.default_rng(0)
    photos = []
    for _ in range(500):
        order, type = rng.choice(["<", ">"]), int(rng.choice([RATIONAL, SIGNED]))
        angles = []
        for limit in (90, 180):
            below = rng.choice([1, 1, 10, 100, 9973, 10**6, 0], 3)
            parts = [
                int(share * top * max(1, part))
                for share, top, part in zip(rng.random(3), (limit, 60, 60), below, strict=True)
            ]
            fraction = rng.integers(4)  # which number has the fraction, or any of them
            pairs = [
                (part // max(1, d), 1) if i < fraction else (part if i == fraction or fraction == 3 else 0, d)
                for i, (part, d) in enumerate(zip(parts, below.tolist(), strict=True))
            ]
            angles.append(
                [(-n, d) if type == SIGNED and rng.random() < 0.1 else (n, d) for n, d in pairs][: rng.integers(1, 4)]
            )
        references = rng.choice(["N\0", "S"]), rng.choice(["E\0", "W"])
        photos.append(photo(tiff(gps=position(*angles, *references, type, order), order=order)))
    found = check(modules, photos)
    assert 100 < sum(latitude is not None for _, latitude, *_ in found) < 400


CAMERA = [text(BASE.Make, "a maker of cameras\0")], [text(BASE.DateTimeOriginal, "2015:09:04 10:30:00\0")]


def test_every_container_is_read_as_in_python(modules):
    empty = Image.Exif()
    empty.get_ifd(DIRECTORY.GPSInfo)
    blocks = [tiff(*CAMERA, position(*PLACE, order=order), order) for order in "<>"]
    blocks += [tiff(CAMERA[0]), empty.tobytes(), b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0", b""]
    photos = [photo(block, format) for block in blocks for format in ("JPEG", "PNG", "WEBP")]
    found = check(modules, [*photos, photo(b"", "TIFF")])
    assert all(remarks == [] for *_, remarks in found)


def test_heic_is_read_as_in_python(modules):
    pytest.importorskip("pillow_heif").register_heif_opener()
    found = check(modules, [photo(tiff(*CAMERA, position(*PLACE)), "HEIF")])
    assert found == [["2015-09-04T10:30:00", -38.5, 145.25, []]]


@pytest.mark.parametrize(("format", "order"), [("JPEG", "<"), ("JPEG", ">"), ("PNG", ">"), ("WEBP", ">")])
def test_a_block_cut_at_any_length_is_read_as_in_python(modules, format, order):
    block = tiff(*CAMERA, position(*PLACE, order=order), order)
    found = check(modules, [photo(block[:length], format) for length in range(7, len(block))])
    assert all("its EXIF data is damaged" in remarks[-1] for *_, remarks in found)


def test_no_fact_is_read_from_damaged_bytes_that_python_does_not_read(modules):
    """The page remarks on more: also on cut values of types that EXIF does not have."""
    rng = np.random.default_rng(0)
    photos = []
    for _ in range(1000):
        order = str(rng.choice(["<", ">"]))
        block = bytearray(tiff(*CAMERA, position(*PLACE, order=order), order))
        for place in rng.integers(14, len(block), rng.integers(1, 4)):
            block[place] = rng.choice([0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 12, 255, rng.integers(9, 256)])
        photos.append(photo(bytes(block), str(rng.choice(["JPEG", "PNG", "WEBP"]))))
    pairs = list(zip(in_the_page(modules, photos), map(in_python, photos), strict=True))
    for page, python in pairs:
        assert page[0] in (None, python[0])
        assert page[1:3] == [None, None] or same([*page[:3], []], [page[0], *python[1:3], []])
        assert same(page, python) or page[3]
    assert sum(same(*pair) for pair in pairs) > 0.99 * len(pairs)


HEADERS = [
    b"I",
    b"II*\0",
    b"II*\0\x08\0\0",
    b"XX*\0\x08\0\0\0",
    b"II\0*\x08\0\0\0",
    b"II*\0\0\0\0\0",
    b"II*\0" + b"\xff" * 4,
]


def test_a_block_with_a_wrong_header_is_read_as_in_python(modules):
    whole = tiff(*CAMERA, position(*PLACE))
    blocks = [b"Exif\0\0" + header + rest for header in HEADERS for rest in (b"", whole[14:])]
    check(
        modules,
        [photo(block, format) for block in [*blocks, b"Exif\0\0" + whole] for format in ("JPEG", "PNG", "WEBP")],
    )


def test_a_block_in_two_segments_of_a_jpeg_is_one(modules):
    def segment(data):
        return b"\xff\xe1" + struct.pack(">H", len(data) + 2) + data

    block = tiff(*CAMERA, position(*PLACE))
    head, tail = photo(block).split(segment(block))
    parts = [(block[:length], block[length:]) for length in (6, 20, 60, 150)]
    photos = [head + segment(first) + segment(b"Exif\0\0" + second) + tail for first, second in parts]
    assert check(modules, photos) == [["2015-09-04T10:30:00", -38.5, 145.25, []]] * 4


def test_what_is_no_photo_has_no_facts_and_no_remarks(modules):
    cut = [photo(tiff(*CAMERA), format)[:30] for format in ("JPEG", "PNG", "WEBP")]
    no_photos = [b"", b"a", b"\xff\xd8", b"\xff\xd8\xff\xe1", b"RIFF\0\0\0\0WEBP", b"GIF89a" + bytes(20), *cut]
    assert in_the_page(modules, no_photos) == [[None, None, None, []]] * len(no_photos)
