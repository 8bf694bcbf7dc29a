"""Which property of a file of polygons names the paddocks: the given one, or a guess from the properties' values."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from herbage.errors import InputInvalid
from herbage.formatting import clean, counted
from herbage.remarks import Remark

_PADDOCK = "paddock|pdk|field|parcel|plot|block|camp|schlag|parcelle|potrero|地块"
_NAME = "name|nam|na|nm|label|title|nom|nombre|nome|naam|bezeichnung|名称|名字|名"
_USUAL = (
    r"name",
    rf"({_PADDOCK})s?({_NAME})?|{_NAME}",
    r".*(name|nm|label|title)",
    r"",  # any other text
    rf"({_PADDOCK})?(id|fid|gid|objectid|code|number|no|nr|num|key)",
)
"""Patterns of property names, in lower case without marks and digits; a lower number is a more usual name."""

_NAME_RANK, _PADDOCK_RANK, _PART_RANK, _OTHER_RANK, _ID_RANK = range(5)

_NEARLY_UNIQUE = 0.9
"""The share of different values from which on any text may name paddocks."""

_EXAMPLES, _LISTED = 3, 12


@dataclass(frozen=True)
class _Property:
    """A property of all polygons; `values` are texts, empty where a polygon has none."""

    name: str
    values: tuple[str, ...]
    is_text: bool
    is_whole_number: bool

    @classmethod
    def of(cls, name: str, values: Sequence[Any]) -> "_Property":
        filled = [value for value in values if _text(value)]
        is_text = bool(filled) and all(isinstance(value, str) for value in filled)
        is_whole_number = bool(filled) and all(map(_is_whole_number, filled))
        return cls(name, tuple(map(_text, values)), is_text, is_whole_number)

    @property
    def rank(self) -> int:
        letters = re.sub(r"[\W\d_]", "", self.name.lower())
        return next((rank for rank, usual in enumerate(_USUAL) if re.fullmatch(usual, letters)), _OTHER_RANK)

    @property
    def filled(self) -> list[str]:
        return [value for value in self.values if value]

    @property
    def different(self) -> float:
        """The number of different values divided by the number of polygons."""
        return len(set(self.filled)) / len(self.values)

    @property
    def may_be_names(self) -> bool:
        if self.rank == _OTHER_RANK:
            return self.is_text and len(self.values) > 1 and self.different >= _NEARLY_UNIQUE
        if self.rank == _ID_RANK:
            return (self.is_text or self.is_whole_number) and len(set(self.filled)) == len(self.filled)
        return self.is_text or self.is_whole_number

    def order(self) -> tuple[bool, int, bool, int]:
        """The best names come first: a usual name before others, and among usual names one whose values all differ."""
        is_constant = len(self.values) > 1 and len(set(self.values)) == 1
        return is_constant, max(self.rank, _PADDOCK_RANK), self.different < 1, self.rank

    def __str__(self) -> str:
        examples = list(dict.fromkeys(self.filled))
        shown = ", ".join(examples[:_EXAMPLES]) + (", ..." if len(examples) > _EXAMPLES else "")
        return f"{self.name} ({shown})"


def name_polygons(
    properties: Sequence[Mapping[str, Any]], given: str | None, file: str
) -> tuple[list[str], list[Remark]]:
    """One name per polygon, and remarks about them; `properties` has one mapping per polygon of the file `file`.

    The property is `given`, or guessed. Names are text as written, without outer spaces; a polygon without a name is
    `polygon N`. Raises InputInvalid where the file does not have the given property.
    """
    columns = {key: None for own in properties for key in own}
    every = [_Property.of(name, [own.get(name) for own in properties]) for name in columns]
    if given is not None:
        chosen: _Property | None = _given_property(every, given, file)
        remarks = []
    else:
        chosen = min((one for one in every if one.may_be_names), key=_Property.order, default=None)
        remarks = [_remark_of_choice(chosen, every, file)]
    values = chosen.values if chosen else ("",) * len(properties)
    names = [value or f"polygon {number}" for number, value in enumerate(values, 1)]
    if chosen and (unnamed := [name for name, value in zip(names, values, strict=True) if not value]):
        message = f"{file}: {counted(len(unnamed), 'polygon')} without a name in the property {chosen.name}"
        remarks.append(Remark.of("polygons_without_name", unnamed, message))
    return names, remarks


def _given_property(every: Sequence[_Property], given: str, file: str) -> _Property:
    """The property of this name; upper and lower case may differ if that leaves no doubt."""
    fitting = [one for one in every if one.name == given] or [one for one in every if one.name.lower() == given.lower()]
    if len(fitting) == 1 and any(fitting[0].values):
        return fitting[0]
    fault = "is empty for every polygon of" if fitting else "is not a property of"
    raise InputInvalid(f"`paddock_name={given}` {fault} {file}. {_listing(every)}")


def _remark_of_choice(chosen: _Property | None, every: Sequence[_Property], file: str) -> Remark:
    if not any(one.filled for one in every):
        message = f"{file}: its polygons have no properties, so the paddocks are numbered."
        return Remark("polygons_numbered", message, is_warning=False)
    if chosen is None:
        message = f"{file}: no property names the paddocks, so they are numbered; pass `paddock_name` to name one."
        return Remark("polygons_numbered", f"{message} {_listing(every)}")
    names = list(dict.fromkeys(chosen.filled))
    others = [one for one in every if one.may_be_names and one is not chosen]
    passed_over = [one for one in others if one.rank < chosen.rank]
    if chosen.rank in (_PART_RANK, _OTHER_RANK) or passed_over:
        message = f"{file}: the property {chosen.name} was guessed to name the paddocks; pass `paddock_name` to name"
        return Remark.of("polygons_named_by", names, f"{message} another. {_listing(every)} Paddocks")
    return Remark.of(
        "polygons_named_by", names, f"{file}: paddocks are named by the property {chosen.name}", is_warning=False
    )


def _listing(every: Sequence[_Property]) -> str:
    filled = [one for one in every if one.filled]
    if not filled:
        return "Its polygons have no properties."
    return f"Its properties: {', '.join(map(str, filled[:_LISTED]))}{', ...' if len(filled) > _LISTED else ''}."


def _is_whole_number(value: Any) -> bool:
    """Whether it is exact: numbers from 2**53 on lose digits in a column that has empty cells."""
    if isinstance(value, float):
        return value.is_integer() and abs(value) < 2**53
    return isinstance(value, int) and not isinstance(value, bool)


def _text(value: Any) -> str:
    """The value as text; whole numbers have no decimals, which a column with empty cells would add."""
    if value is None or value != value:
        return ""
    if isinstance(value, float) and _is_whole_number(value):
        value = int(value)
    return clean(str(value))
