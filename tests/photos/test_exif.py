import io
import struct
import subprocess
import sys
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

from herbage.photos.exif import PhotoFacts, read_facts
from tests.photos.encoded import encoded, opened

GPS, BASE = ExifTags.GPS, ExifTags.Base
NO_TIME = "it has no capture time: "
NOT_USED = "its position was not used: "


def facts(original=None, digitized=None, changed=None, gps=None):
    """The facts of an image with these tags, and the remarks."""
    image = Image.new("RGB", (8, 4))
    exif = image.getexif()
    inner = exif.get_ifd(ExifTags.IFD.Exif)
    for tags, tag, value in (
        (inner, BASE.DateTimeOriginal, original), (inner, BASE.DateTimeDigitized, digitized), (exif, BASE.DateTime, changed),
    ):  # fmt: skip
        if value is not None:
            tags[tag] = value
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(gps or {})
    return read_facts(image)


def position(latitude=None, longitude=None, south="S", east="E"):
    tags = {
        GPS.GPSLatitudeRef: south, GPS.GPSLatitude: latitude, GPS.GPSLongitudeRef: east, GPS.GPSLongitude: longitude,
    }  # fmt: skip
    found, remarks = facts(gps={tag: value for tag, value in tags.items() if value is not None})
    return (found.latitude, found.longitude), remarks


def test_a_photo_without_exif_has_no_facts_and_no_remarks():
    assert facts() == (PhotoFacts(), ())
    versions = {GPS.GPSVersionID: b"\2\3\0\0", GPS.GPSDateStamp: "2025:09:04"}
    assert facts(gps=versions) == (PhotoFacts(), ()), "a GPS block of a camera that never had a position"


@pytest.mark.parametrize(("text", "expected"), [
    ("2025:09:04 10:30:00", "2025-09-04T10:30:00"),
    ("2025-09-04T10:30:00", "2025-09-04T10:30:00"),
    ("2025-09-04 10:30:00", "2025-09-04T10:30:00"),
    ("2025:09:04 10:30:00.25", "2025-09-04T10:30:00"),
    ("2025-09-04T10:30:00.123456+10:00", "2025-09-04T10:30:00"),
    ("2025:09:04 10:30:00 +1000", "2025-09-04T10:30:00"),
    ("2025:09:04 10:30", "2025-09-04T10:30:00"),
])  # fmt: skip
def test_every_spelling_of_a_capture_time_is_its_local_time(text, expected):
    found, remarks = facts(original=text)
    assert (found.taken_at.isoformat(), remarks) == (expected, ())


@pytest.mark.parametrize(("text", "remark"), [
    ("2025-09-04T00:30:00Z", "its capture time is in UTC, not in local time"),
    ("2025:09:04", "its capture time is a day without a time"),
])  # fmt: skip
def test_a_capture_time_that_is_less_than_a_local_time_is_remarked_on(text, remark):
    found, remarks = facts(original=text)
    assert (found.taken_at.date().isoformat(), remarks) == ("2025-09-04", (remark,))


NOTHING = ["0000:00:00 00:00:00", "    :  :     :  :  ", "", " ", "\0" * 19, "0000-00-00T00:00:00"]


@pytest.mark.parametrize("nothing", NOTHING)
def test_zeros_and_blanks_are_no_date_and_no_remark(nothing):
    assert facts(original=nothing, digitized=nothing, changed=nothing) == (PhotoFacts(), ())
    found, remarks = facts(original=nothing, digitized="2025:09:04 10:05:00", changed="2026:02:01 21:00:00")
    assert (str(found.taken_at), remarks) == ("2025-09-04 10:05:00", ())


@pytest.mark.parametrize("original", [None, *NOTHING])
def test_the_date_of_an_edit_is_no_capture_time(original):
    reason = "2026:02:01 21:00:00 is only the date of the last change of the file"
    assert facts(original=original, changed="2026:02:01 21:00:00") == (PhotoFacts(), (NO_TIME + reason,))


def test_a_date_in_the_future_is_no_capture_time_but_a_day_of_time_zone_is():
    today = datetime.now().replace(microsecond=0)
    for days, taken in ((-400, True), (0.9, True), (1.1, False), (400, False)):
        text = f"{today + timedelta(days=days):%Y:%m:%d %H:%M:%S}"
        found, remarks = facts(original=text)
        assert (found.taken_at is not None) == taken
        assert remarks == (() if taken else (f"{NO_TIME}{text} is in the future",))
    found, remarks = facts(original="2999:01:01 00:00:00", digitized="2025:09:04 10:05:00")
    assert (str(found.taken_at), remarks) == ("2025-09-04 10:05:00", ())


@pytest.mark.parametrize(("text", "reason"), [
    ("1970:01:01 00:00:00", "1970:01:01 00:00:00 is before the time of digital cameras"),
    ("1980:01:01 00:00:00", "1980:01:01 00:00:00 is before the time of digital cameras"),
    ("0000:00:00 99:99:99", "“0000:00:00 99:99:99” is not a date"),
    ("yesterday", "“yesterday” is not a date"),
    ("2025:13:04 10:00:00", "“2025:13:04 10:00:00” is not a date"),
])  # fmt: skip
def test_a_wrong_clock_and_text_that_is_no_date_are_named(text, reason):
    assert facts(original=text) == (PhotoFacts(), (NO_TIME + reason,))


def rational(numerator, denominator=1):
    return IFDRational(numerator, denominator)


UNKNOWN = rational(0, 0)


@pytest.mark.parametrize(("latitude", "degrees"), [
    ((38.0, 30.0, 59.99), 38.516664),
    ((38.0, 30.0, 60.0), 38.516667),
    ((38.0, 31.0, UNKNOWN), 38.516667),
    ((38.0, rational(309998, 10000), 0.0), 38.516663),
    ((38.0, rational(310000, 10000)), 38.516667),
    ((rational(38516661, 1000000), 0.0, 0.0), 38.516661),
    ((rational(38516661, 1000000), UNKNOWN, UNKNOWN), 38.516661),
    (rational(38516661, 1000000), 38.516661),
    ((38.0, rational(600000, 10000), 0.0), 39.0),
    ((38.0, 59.0, 60.0), 39.0),
])  # fmt: skip
def test_every_spelling_of_an_angle_is_the_same_place(latitude, degrees):
    (south, east), remarks = position(latitude, (145.0, 15.0, 0.0))
    assert remarks == ()
    assert south == pytest.approx(-degrees, abs=1e-6)
    assert east == 145.25


@given(st.floats(0, 89.999), st.floats(0, 179.999))
def test_degrees_minutes_and_seconds_are_the_inverse_of_their_sum(latitude, longitude):
    def split(angle):
        minutes = angle % 1 * 60
        return float(int(angle)), float(int(minutes)), round(minutes % 1 * 60, 4)

    (south, east), remarks = position(split(latitude), split(longitude))
    if round(latitude, 6) or round(longitude, 6):
        assert remarks == ()
        assert (south, east) == pytest.approx((-latitude, longitude), abs=1e-6)


PLACE = (38.0, 30.0, 0.0), (145.0, 15.0, 0.0)


@pytest.mark.parametrize(("south", "sign"), [
    ("S", -1), ("s", -1), ("S\0", -1), (b"S\0", -1), ("South", -1), (" SOUTH ", -1), ("N", 1), (b"N", 1), ("north", 1),
])  # fmt: skip
def test_the_hemisphere_is_read_however_it_is_written(south, sign):
    assert position(*PLACE, south=south) == ((38.5 * sign, 145.25), ())


@pytest.mark.parametrize(("east", "sign"), [("E", 1), ("W", -1), ("west", -1), (b"W\0", -1), ("East", 1)])
def test_so_is_that_of_the_longitude(east, sign):
    assert position(*PLACE, east=east) == ((-38.5, 145.25 * sign), ())


@pytest.mark.parametrize("south", ["N", "S", None])
def test_negative_degrees_are_south_whatever_the_reference(south):
    west = rational(-38), 30.0, 0.0
    assert position(west, PLACE[1], south=south) == ((-38.5, 145.25), ())
    assert position((rational(-385, 10),), PLACE[1], south=south) == ((-38.5, 145.25), ())
    assert position((0.0, rational(-30), 0.0), PLACE[1], south=south) == ((-0.5, 145.25), ())


ORIGIN = (0.0, 0.0, 0.0)


@pytest.mark.parametrize(("latitude", "longitude", "references", "reason"), [
    (ORIGIN, ORIGIN, ("N", "E"), "it is 0, 0, as written without a fix"),
    (ORIGIN, ORIGIN, (None, None), "it is 0, 0, as written without a fix"),
    ((UNKNOWN,) * 3, (UNKNOWN,) * 3, ("S", "E"), "the latitude is not recorded"),
    ((38.0, UNKNOWN, UNKNOWN), PLACE[1], ("S", "E"), "the minutes of the latitude are not recorded"),
    (*PLACE, (None, None), "the hemisphere is not recorded"),
    (*PLACE, ("S", None), "the hemisphere is not recorded"),
    (*PLACE, ("S", "O"), "the hemisphere of the longitude is recorded as “O”"),
    (*PLACE, ("E", "S"), "the hemisphere of the latitude is recorded as “E”"),
    (PLACE[0], None, ("S", "E"), "the longitude is not recorded"),
    (None, PLACE[1], ("S", "E"), "the latitude is not recorded"),
    ((98.0, 0.0, 0.0), PLACE[1], ("S", "E"), "the latitude is over 90 degrees"),
    (PLACE[0], (180.0, 1.0, 0.0), ("S", "E"), "the longitude is over 180 degrees"),
    ((38.0, 61.0, 0.0), PLACE[1], ("S", "E"), "the latitude has 61 minutes and 0 seconds"),
    ((38.0, 30.0, 99.0), PLACE[1], ("S", "E"), "the latitude has 30 minutes and 99 seconds"),
    ((38.5, 30.0, 0.0), PLACE[1], ("S", "E"), "the latitude is recorded as 38.5 degrees, 30 minutes, 0 seconds"),
    ((38.0, 30.5, 30.0), PLACE[1], ("S", "E"), "the latitude is recorded as 38 degrees, 30.5 minutes, 30 seconds"),
    ((38.0, rational(-30), 0.0), PLACE[1], ("S", "E"), "the latitude has positive degrees and negative minutes or seconds"),
    ((38.0, rational(5, 0), 0.0), PLACE[1], ("S", "E"), "the latitude is not readable"),
    ("38,30.5S", PLACE[1], ("S", "E"), "the latitude is not readable"),
    ((38.0, 30.0, 0.0, 0.0), PLACE[1], ("S", "E"), "the latitude is not readable"),
])  # fmt: skip
def test_a_position_that_cannot_be_known_is_none_and_its_reason_is_named(latitude, longitude, references, reason):
    assert position(latitude, longitude, *references) == ((None, None), (NOT_USED + reason,))


def test_a_place_on_the_equator_or_on_the_meridian_of_greenwich_is_a_place():
    assert position(ORIGIN, PLACE[1]) == ((0, 145.25), ())
    assert position(PLACE[0], ORIGIN) == ((-38.5, 0), ())


@pytest.mark.parametrize("suffix", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_facts_are_read_from_every_format(suffix):
    exif = Image.Exif()
    exif[BASE.Orientation] = 1
    exif.get_ifd(ExifTags.IFD.Exif)[BASE.DateTimeOriginal] = "2015:09:04 10:30:00"
    exif.get_ifd(ExifTags.IFD.GPSInfo).update({
        GPS.GPSLatitudeRef: "S", GPS.GPSLatitude: (42.0, 30.0, 36.0),
        GPS.GPSLongitudeRef: "E", GPS.GPSLongitude: (147.0, 15.0, UNKNOWN),
    })  # fmt: skip
    file = io.BytesIO()
    Image.new("RGB", (8, 4)).save(file, suffix, exif=exif.tobytes())
    with Image.open(file) as image:
        found, remarks = read_facts(image)
    assert (str(found.taken_at), remarks) == ("2015-09-04 10:30:00", ())
    assert (found.latitude, found.longitude) == pytest.approx((-42.51, 147.25))


def test_a_damaged_exif_block_is_remarked_on(monkeypatch):
    def fail(self, tag):
        raise ValueError("broken")

    monkeypatch.setattr(Image.Exif, "get_ifd", fail)
    assert read_facts(Image.new("RGB", (8, 4))) == (PhotoFacts(), ("its EXIF data is damaged and was not used",))


def whole_block():
    """EXIF data whose last bytes are the capture time and the position."""
    exif = Image.Exif()
    exif[BASE.Make] = "a maker of cameras"
    exif.get_ifd(ExifTags.IFD.Exif)[BASE.DateTimeOriginal] = "2015:09:04 10:30:00"
    exif.get_ifd(ExifTags.IFD.GPSInfo).update({
        GPS.GPSLatitudeRef: "S", GPS.GPSLatitude: (42.0, 30.0, 36.0),
        GPS.GPSLongitudeRef: "E", GPS.GPSLongitude: (147.0, 15.0, 0.0),
    })  # fmt: skip
    return exif.tobytes()


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_facts_are_read_from_a_cut_block_or_their_loss_is_remarked_on(format):
    block = whole_block()
    for length in range(7, len(block) + 1):
        photo = opened(encoded(Image.new("RGB", (8, 4)), format, exif=block[:length]))
        assert photo.pixels().shape == (4, 8, 3)
        is_whole = photo.facts.taken_at is not None and photo.facts.latitude is not None
        assert is_whole == (not photo.remarks), length
        assert is_whole or "its EXIF data is damaged" in photo.remarks[-1], length
    assert is_whole


def test_a_directory_that_names_itself_is_read_once():
    block = struct.pack("<2sHIHHHIII", b"II", 42, 8, 1, ExifTags.IFD.Exif, 4, 1, 8, 0)
    photo = opened(encoded(Image.new("RGB", (8, 4)), "JPEG", exif=b"Exif\0\0" + block))
    assert photo.facts == PhotoFacts()


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_a_block_without_facts_is_not_damaged(format):
    exif = Image.Exif()
    exif[BASE.Make] = "a maker of cameras"
    empty = Image.Exif()
    empty.get_ifd(ExifTags.IFD.GPSInfo)
    for block in (exif.tobytes(), empty.tobytes(), b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"):
        assert opened(encoded(Image.new("RGB", (8, 4)), format, exif=block)).remarks == ()


def test_damaged_exif_data_is_not_reported_on_standard_error(tmp_path):
    (tmp_path / "a.jpg").write_bytes(encoded(Image.new("RGB", (8, 4)), "JPEG", exif=whole_block()[:40]))
    program = (
        "import sys; from pathlib import Path; from herbage.photos.photo import PhotoFile, open_photo;"
        "photo = open_photo(PhotoFile('a', Path(sys.argv[1]))); photo.pixels(); print(photo.remarks)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "a.jpg"], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("('its EXIF data is damaged and was not used',)\n", "")
