"""Capture time and position from a photo's EXIF data, and why they were not used."""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Literal

from PIL import ExifTags, Image

FIRST_DIGITAL_YEAR = 1990
"""Earlier capture times come from a clock that lost its power: it restarts in 1970 or 1980."""

CLOCK_ERROR = timedelta(days=1)
"""How far a capture time may be in the future: clocks are wrong, and the time zone is not recorded."""

DAY_LENGTH = len("2025:09:04")

WORDS = {"N": 1, "NORTH": 1, "S": -1, "SOUTH": -1}, {"E": 1, "EAST": 1, "W": -1, "WEST": -1}
"""Hemispheres and their signs, for latitude and longitude."""


@dataclass(frozen=True)
class PhotoFacts:
    """EXIF data of a photo: local capture time, and WGS 84 coordinates in degrees."""

    taken_at: datetime | None = None
    latitude: float | None = None
    longitude: float | None = None

    def redacted(self, coordinates: bool, digits: int | None) -> "PhotoFacts":
        """A copy without coordinates, or with coordinates rounded to `digits` decimals (unless None), for privacy."""
        if not coordinates:
            return replace(self, latitude=None, longitude=None)
        if digits is None or self.latitude is None or self.longitude is None:
            return self
        return replace(self, latitude=round(self.latitude, digits), longitude=round(self.longitude, digits))


NO_FACTS = PhotoFacts()

DAMAGED = "its EXIF data is damaged and was not used"

# Pillow's warnings of damaged metadata would go to standard error; what was lost is a remark on the photo.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

TIMES = ExifTags.Base.DateTimeOriginal, ExifTags.Base.DateTimeDigitized
USED = (*TIMES, ExifTags.GPS.GPSLatitude, ExifTags.GPS.GPSLongitude)
"""Tags whose values are looked up when a block may be cut off; that a maker's note is damaged does not matter."""

TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 9: 4, 10: 8}
"""Bytes per value of the types of EXIF (TIFF 6.0)."""


def is_possible_day(day: date) -> bool:
    """Whether a photo can have been taken on this day."""
    return day.year >= FIRST_DIGITAL_YEAR and day <= (datetime.now() + CLOCK_ERROR).date()


def orientation(image: Image.Image) -> int:
    """EXIF's orientation, 1 to 8; 1 where none is recorded or the EXIF data is damaged."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # a damaged EXIF block must not make the photo unusable
        if _is_behind_pixels(image):
            raise
        return 1
    return value if value in range(1, 9) else 1


def read_facts(image: Image.Image) -> tuple[PhotoFacts, tuple[str, ...]]:
    """The facts of an opened image, and remarks on what was recorded but not used."""
    try:
        exif = image.getexif()
        inner, gps = exif.get_ifd(ExifTags.IFD.Exif), exif.get_ifd(ExifTags.IFD.GPSInfo)
    except Exception:  # a damaged EXIF block must not make the photo unusable
        if _is_behind_pixels(image):
            raise
        return NO_FACTS, (DAMAGED,)
    remarks = []
    taken_at, remark = _capture_time(exif, inner)
    if remark:
        remarks.append(remark)
    latitude = longitude = None
    try:
        latitude, longitude = _position(gps)
    except _Unusable as reason:
        remarks.append(f"its position was not used: {reason}")
    if None in (taken_at, latitude) and _is_cut(image.info.get("exif") or b""):
        lost = "its capture time" if taken_at is None else "its position"
        is_all = taken_at is None and latitude is None
        remarks.append(DAMAGED if is_all else f"its EXIF data is damaged, and {lost} could not be read")
    return PhotoFacts(taken_at, latitude, longitude), tuple(remarks)


def _is_behind_pixels(image: Image.Image) -> bool:
    """Whether the pixels had to be decoded to look for EXIF data, so that it may be they that are damaged."""
    return image.format == "PNG" and not image.info.get("exif")


def _is_cut(block: bytes) -> bool:
    """Whether a directory of an EXIF block, or the value of a tag in USED, is beyond its end."""
    block = block.removeprefix(b"Exif\0\0")
    order: Literal["little", "big"] = "little" if block[:2] == b"II" else "big"

    def number(at: int, length: int) -> int:
        return int.from_bytes(block[at : at + length], order)

    if 0 < len(block) < 8:
        return True
    directories = [number(4, 4)] if block else []
    for place, start in enumerate(directories):  # grows by the directories that the first one names
        entries = range(start + 2, start + 2 + 12 * number(start, 2), 12)
        if entries.stop > len(block):
            return True
        for at in entries:
            tag, size = number(at, 2), TYPE_BYTES.get(number(at + 2, 2), 0) * number(at + 4, 4)
            if tag in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo) and not place and number(at + 8, 4):
                directories.append(number(at + 8, 4))
            elif tag in USED and size > 4 and number(at + 8, 4) + size > len(block):
                return True
    return False


def _capture_time(main: Mapping[int, Any], inner: Mapping[int, Any]) -> tuple[datetime | None, str | None]:
    """DateTimeOriginal, or else DateTimeDigitized, with a remark.

    DateTime is the date of the last change of the file: editors and resizers set it, so it is no capture time.
    """
    refused = []
    for tag in TIMES:
        text = _text(inner.get(tag))
        if not _has_date(text):
            continue
        taken = _parse_time(text)
        if taken is None:
            refused.append(f"“{text}” is not a date")
        elif taken.replace(tzinfo=None) > datetime.now() + CLOCK_ERROR:
            refused.append(f"{text} is in the future")
        elif taken.year < FIRST_DIGITAL_YEAR:
            refused.append(f"{text} is before the time of digital cameras")
        else:
            local = taken.replace(tzinfo=None, microsecond=0)
            if len(text) == DAY_LENGTH:
                return local, "its capture time is a day without a time"
            return local, "its capture time is in UTC, not in local time" if text.upper().endswith("Z") else None
    if _has_date(changed := _text(main.get(ExifTags.Base.DateTime))):
        refused.append(f"{changed} is only the date of the last change of the file")
    return None, f"it has no capture time: {', and '.join(refused)}" if refused else None


def _parse_time(text: str) -> datetime | None:
    """Read EXIF's "2025:09:04 10:00:00", or ISO 8601 with or without a fraction of a second and an offset."""
    day, time = text[:DAY_LENGTH].replace(":", "-"), text[DAY_LENGTH:].replace(" ", "").removeprefix("T")
    try:
        return datetime.fromisoformat(f"{day}T{time}" if time else day)
    except ValueError:
        return None


def _has_date(text: str) -> bool:
    """Whether a date is recorded: unknown ones are zeros or blanks, with or without colons."""
    return bool(text.strip("0:-/ T"))


class _Unusable(ValueError):
    """Why a recorded position is not used."""


def _position(gps: Mapping[int, Any]) -> tuple[float | None, float | None]:
    """Latitude and longitude in degrees, None where none are recorded; raises _Unusable."""
    tags = ExifTags.GPS
    if tags.GPSLatitude not in gps and tags.GPSLongitude not in gps:
        return None, None
    latitude = _degrees("latitude", gps.get(tags.GPSLatitude), gps.get(tags.GPSLatitudeRef), WORDS[0], 90)
    longitude = _degrees("longitude", gps.get(tags.GPSLongitude), gps.get(tags.GPSLongitudeRef), WORDS[1], 180)
    if latitude == longitude == 0:
        raise _Unusable("it is 0, 0, as written without a fix")
    return latitude, longitude


def _degrees(name: str, recorded: Any, reference: Any, words: Mapping[str, int], limit: int) -> float:
    """The signed angle `name`; its hemisphere is given by a negative number or by the reference."""
    size, is_negative = _angle(name, recorded)
    if size > limit:
        raise _Unusable(f"the {name} is over {limit} degrees")
    hemisphere = _text(reference)
    if hemisphere and hemisphere.upper() not in words:
        raise _Unusable(f"the hemisphere of the {name} is recorded as “{hemisphere}”")
    if is_negative:  # a program that ignores the reference wrote it: beside N, or S, or nothing, the place is south
        return -size
    if not hemisphere and size:
        raise _Unusable("the hemisphere is not recorded")
    return words.get(hemisphere.upper(), 1) * size


def _angle(name: str, recorded: Any) -> tuple[float, bool]:
    """Degrees from one to three numbers (degrees, minutes, seconds; the last may have a fraction), and their sign."""
    parts = list(recorded) if isinstance(recorded, (tuple, list)) else [recorded]
    known = [part for part in parts if part is not None and not _is_unknown(part)]
    if not known:
        raise _Unusable(f"the {name} is not recorded")
    if _is_unknown(parts[-1]):  # unknown seconds are 0, and unknown minutes are 0 beside a fraction of a degree
        if len(known) == 1 and float(known[0]).is_integer():
            raise _Unusable(f"the minutes of the {name} are not recorded")
        parts = known
    try:
        degrees, minutes, seconds = [*(float(part) for part in parts), 0.0, 0.0][: max(3, len(parts))]
    except (TypeError, ValueError, ArithmeticError) as error:
        raise _Unusable(f"the {name} is not readable") from error
    if not all(map(math.isfinite, (degrees, minutes, seconds))):
        raise _Unusable(f"the {name} is not readable")
    if abs(minutes) > 60 or abs(seconds) > 60:  # 60 itself is rounded up, and carries
        raise _Unusable(f"the {name} has {minutes:g} minutes and {seconds:g} seconds")
    if (degrees % 1 and (minutes or seconds)) or (minutes % 1 and seconds):
        raise _Unusable(f"the {name} is recorded as {degrees:g} degrees, {minutes:g} minutes, {seconds:g} seconds")
    if min(minutes, seconds) < 0 < degrees:
        raise _Unusable(f"the {name} has positive degrees and negative minutes or seconds")
    return abs(degrees) + abs(minutes) / 60 + abs(seconds) / 3600, min(degrees, minutes, seconds) < 0


def _is_unknown(part: Any) -> bool:
    """Whether it is 0/0, which stands for an unknown number."""
    return getattr(part, "denominator", 1) == 0 and getattr(part, "numerator", 1) == 0


def _text(value: Any) -> str:
    """The text of an EXIF value, which may be bytes and padded."""
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    text = value if isinstance(value, str) else ""
    return "".join(char for char in text if char.isprintable()).strip()
