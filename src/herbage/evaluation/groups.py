"""Name the group of each photo: photos of one group are never split over folds."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from herbage.errors import TableInvalid
from herbage.formatting import clean, counted
from herbage.remarks import NAMES_SHOWN, Remark
from herbage.tables.dates import days
from herbage.tables.spreadsheet import DateOrder
from herbage.tables.validation import did_you_mean, lookalikes

GROUP_BY = ("State", "Sampling_Date")

ADVICE = (
    "photos of one place and day can be in training and evaluation, and the score will be too high. Set `group_by` to "
    "the columns that photos of one place and day share"
)


@dataclass(frozen=True)
class Groups:
    """The name of each photo's group, and the columns that define groups; no columns where each photo is a group."""

    names: list[str]
    grouped_by: tuple[str, ...] = ()
    remarks: tuple[Remark, ...] = ()


def name_groups(
    frame: pd.DataFrame,
    group_by: Sequence[str] | None = None,
    *,
    photos: Sequence[str] | None = None,
    dates: DateOrder | None = None,
) -> Groups:
    """The groups of a table's rows: rows that share all of `group_by`, and rows that share a photo.

    `group_by` is by default State and Sampling_Date where the table has both. Dates count as days. Upper and lower
    case and runs of spaces are ignored. `photos` identifies the photo of each row, by default `image_path`. Raises
    TableInvalid where a column or a value is missing, or a date could be two days.
    """
    photos = [str(path) for path in (frame["image_path"] if photos is None else photos)]
    if group_by is None and set(GROUP_BY) <= set(frame.columns):
        group_by = GROUP_BY
    if not group_by:
        lacking = [column for column in GROUP_BY if column not in frame.columns]
        similar = [other for others in lookalikes(lacking, frame.columns).values() for other in others]
        why = f"the table lacks {' or '.join(GROUP_BY)}" if group_by is None else "`group_by` is empty"
        why += f" (it has {' and '.join(similar)}: rename it)" if similar and group_by is None else ""
        first: dict[str, str] = {}
        names = [first.setdefault(photo, path) for photo, path in zip(photos, frame["image_path"], strict=True)]
        return Groups(names, remarks=(Remark("ungrouped_folds", f"UNGROUPED FOLDS: {why}, so {ADVICE}."),))
    columns = [_one_spelling(frame, column, dates) for column in _existing(frame, group_by)]
    written = [" ".join(cells) for cells in zip(*columns, strict=True)]
    spellings: dict[str, dict[str, None]] = defaultdict(dict)
    for name in written:
        spellings[name.casefold()][name] = None
    names = _joined([next(iter(spellings[name.casefold()])) for name in written], photos)
    return Groups(names, tuple(group_by), (*_other_spellings(spellings), *_single_photos(names, photos)))


def _existing(frame: pd.DataFrame, group_by: Sequence[str]) -> Sequence[str]:
    """The columns; raises TableInvalid where one, or one of its values, is missing."""
    group_by = [clean(column) for column in group_by]
    if missing := [column for column in group_by if column not in frame.columns]:
        raise TableInvalid(
            f"`group_by`: the table has no column {', '.join(missing)}; it has {', '.join(frame.columns)}"
            f"{did_you_mean(missing, frame.columns) or '.'}"
        )
    for column in group_by:
        if paths := list(dict.fromkeys(frame["image_path"][frame[column].isna()])):
            more = f" and {len(paths) - NAMES_SHOWN} more" if len(paths) > NAMES_SHOWN else ""
            raise TableInvalid(
                f"{counted(len(paths), 'photo')} without {column}, which `group_by` needs: "
                f"{', '.join(paths[:NAMES_SHOWN])}{more}."
            )
    return group_by


def _one_spelling(frame: pd.DataFrame, column: str, dates: DateOrder | None) -> list[str]:
    """A column's values with single spaces; dates as days."""
    text = [" ".join(str(value).split()) for value in frame[column]]
    as_days = days(text, column, frame["image_path"].tolist(), dates)
    return text if as_days is None else as_days


def _joined(names: list[str], photos: Sequence[str]) -> list[str]:
    """Groups that share a photo become one, which is named after all of them."""
    groups_of: dict[str, set[str]] = defaultdict(set)
    for name, photo in zip(names, photos, strict=True):
        groups_of[photo].add(name)
    joined = {name: {name} for name in names}
    for shared in groups_of.values():
        union = set().union(*(joined[name] for name in shared))
        joined |= dict.fromkeys(union, union)
    return [" + ".join(sorted(joined[name])) for name in names]


def _other_spellings(spellings: dict[str, dict[str, None]]) -> Iterator[Remark]:
    several = [" = ".join(of_group) for of_group in spellings.values() if len(of_group) > 1]
    if several:
        yield Remark.of(
            "group_spellings", several, "Groups whose names differ only in upper and lower case are one group"
        )


def _single_photos(names: Sequence[str], photos: Sequence[str]) -> Iterator[Remark]:
    """A warning where most groups have one photo: photos of one place and day are then probably in several groups."""
    sizes = Counter(name for name, _ in {(name, photo) for name, photo in zip(names, photos, strict=True)})
    single = [name for name, photos_of_group in sizes.items() if photos_of_group == 1]
    if len(single) > len(sizes) / 2:
        message = f"UNGROUPED FOLDS: {len(single)} of {len(sizes)} groups have a single photo, so {ADVICE}"
        yield Remark.of("single_photo_groups", sorted(single), message)
