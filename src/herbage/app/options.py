"""Options that several commands share, and the checks of arguments that need no heavy library.

A command imports `herbage.steps`, and with it torch, only after its arguments have been checked here, so that a wrong
path or option is reported at once.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter, validators

from herbage.errors import InputInvalid, PhotosMissing, TableInvalid
from herbage.hub import check_backbone_name, check_model_name

if TYPE_CHECKING:
    from herbage.tables.spreadsheet import TableFormat

FLAGS = {"quadrat_area_m2": "--quadrat-area", "as_format": "--format"}
"""Options whose name differs from that of the Python parameter."""

PARAMETERS = frozenset({
    "add", "as_format", "backbone", "cluster", "columns", "count", "date", "dates", "decimal", "device", "drop_visit",
    "farm", "folds", "group_by", "host", "level", "maps", "measured", "model", "model_out", "models", "out",
    "overwrite", "paddock_name", "paddocks", "photos", "port", "pre_grazing", "precision", "quadrat_area_m2",
    "reassign", "recipe", "replace_estimates", "residual", "round_coordinates", "runtime", "seed", "shard", "sheet",
    "store", "table", "token", "unit", "verify", "views", "worker_cpus",
})  # fmt: skip
"""Parameters that messages of the library name, all of which are options of some command."""


def as_options(message: str) -> str:
    """A message of the library with its parameters, such as `overwrite=True`, written as options: --overwrite."""

    def option(found: re.Match[str]) -> str:
        name, value = found["name"], found["value"]
        if name not in PARAMETERS:
            return found[0]
        flag = FLAGS.get(name, f"--{name.replace('_', '-')}")
        return flag if value in (None, "True") else f"{flag} {value.strip(chr(34))}"

    return re.sub(r"`(?P<name>\w+)(?:=(?P<value>[^`]*))?`", option, message)


def checked(check: Callable[[Any], None], **parameter: Any) -> Parameter:
    """An option whose value, if one is given, is checked before the command starts."""
    return Parameter(validator=lambda _, value: None if value is None else check(value), **parameter)


def _check_folder(path: Path) -> None:
    if not path.is_dir():
        found = "it is a file" if path.exists() else "it does not exist"
        raise PhotosMissing(f"`photos={path}`: expected a folder; {found}.")


def _check_photos(path: Path) -> None:
    if not path.exists():
        raise PhotosMissing(f"{path} does not exist: expected a folder of photos, a photo, or a text file of paths.")


def _check_table(path: Path) -> None:
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "does not exist"
        raise TableInvalid(f"{path} {found}: expected a table, as .csv or .xlsx.")


def _check_models(names: list[str]) -> None:
    for name in names:
        check_model_name(name)


def _check_recipe(name: str) -> None:
    from herbage.recipe import load_recipe

    load_recipe(name)


def _check_area(area: float) -> None:
    from herbage.targets import check_area

    check_area(area)


def _check_shard(shard: str) -> None:
    from herbage.photos.discovery import parse_shard

    parse_shard(shard)


def _check_columns(columns: str) -> None:
    column_names(columns)


Backbone = Annotated[str | None, checked(check_backbone_name)]


@Parameter(name="*", group=Group("How it runs", sort_key=10))
@dataclass(frozen=True)
class BackboneArguments:
    """How the backbone runs.

    Parameters
    ----------
    backbone
        `texture` (built in, no download), a hub id, or a folder; by default the recipe's or the model's own.
    device
        The device that computes.
    precision
        The precision of computation; auto is the fastest on this machine. With fp32 tokens are stored in fp32 too.
    """

    backbone: Backbone = None
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"

    def options(self) -> dict[str, Any]:
        """The keyword arguments of steps."""
        return {"backbone": self.backbone, "device": self.device, "precision": self.precision}


Model = Annotated[str, checked(check_model_name, help="A model folder or a hub id.")]
Models = Annotated[list[str], checked(_check_models, negative="")]
Photos = Annotated[
    Path,
    checked(
        _check_photos,
        help="A folder (searched recursively), a photo, or a text file of paths relative to that file.",
    ),
]
TablePhotos = Annotated[
    Path, checked(_check_folder, help="The folder of the table's photos; image_path may start with its name.")
]
Table = Annotated[Path, checked(_check_table)]
MeasuredTable = Annotated[
    Path | None,
    checked(_check_table, help="A table of image_path and the model's measured columns, such as Height_Ave_cm."),
]
OptionalTable = Annotated[Path | None, checked(_check_table)]
OptionalPhotos = Annotated[Path | None, checked(_check_photos)]
Recipe = Annotated[str, checked(_check_recipe, help="seed, field, crosspvt, or a TOML file.")]
QuadratArea = Annotated[float, checked(_check_area)]
OptionalArea = Annotated[float | None, checked(_check_area)]
Shard = Annotated[str | None, checked(_check_shard)]
Views = Annotated[int | None, Parameter(validator=validators.Number(gte=1))]
Level = Annotated[float, Parameter(validator=validators.Number(gt=0, lt=1))]
Store = Annotated[Path | None, Parameter(help="A folder to cache tokens in.")]
Quiet = Annotated[bool, Parameter(negative="", help="Show warnings only, no progress.")]
Overwrite = Annotated[bool, Parameter(negative="", help="Replace an existing output.")]
Unit = Annotated[
    Literal["g", "g_per_m2", "kg_per_ha"],
    Parameter(help="Unit of the weights: grams per quadrat, grams per square metre, kg of dry matter per hectare."),
]
OnCluster = Annotated[
    str | None,
    Parameter(
        help="auto, or the address of a Ray cluster whose machines have all files and folders at the same paths."
    ),
]
WorkerCpus = Annotated[
    int | None,
    Parameter(
        validator=validators.Number(gte=1),
        help="Cores per worker of the cluster; by default a worker has a whole machine, or a GPU if there are any.",
    ),
]
Json = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON.")]


@Parameter(name="*", group=Group("How the table is read", sort_key=5))
@dataclass(frozen=True)
class TableArguments:
    """How the table is read, where its own values do not decide it.

    Parameters
    ----------
    columns
        The table's column names as NAME=TABLE_NAME, separated by commas, such as Dry_Total_g=Yield.
    decimal
        The decimal sign of the table's numbers.
    sheet
        The sheet of a workbook.
    dates
        The order of day and month in dates such as 4/9/2025.
    """

    columns: Annotated[str | None, checked(_check_columns)] = None
    decimal: Literal["point", "comma"] | None = None
    sheet: str | None = None
    dates: Literal["day-first", "month-first"] | None = None

    def options(self) -> dict[str, Any]:
        """The keyword arguments of steps."""
        return {
            "columns": column_names(self.columns),
            "decimal": self.decimal,
            "sheet": self.sheet,
            "dates": self.dates,
        }

    def format(self, measured: Sequence[str] = ()) -> "TableFormat":
        """The format as the readers of tables take it, for commands that read a table before they import torch."""
        from herbage.tables.spreadsheet import TableFormat

        return TableFormat(**self.options(), measured=tuple(measured))


def visit_of(text: str) -> tuple[str, str]:
    """--drop-visit as paddock and day; a name may have commas. Raises InputInvalid."""
    paddock, comma, day = text.rpartition(",")
    if not comma or not paddock.strip():
        raise InputInvalid(f"`drop_visit={text}`: expected PADDOCK,DATE, such as North,2026-09-04.")
    return paddock.strip(), day.strip()


def names_of(columns: str | None) -> list[str]:
    """The names in a list separated by commas."""
    return [name.strip() for name in (columns or "").split(",") if name.strip()]


def column_names(columns: str | None) -> dict[str, str]:
    """--columns as a mapping from herbage's names to the table's; raises InputInvalid."""
    # A comma without a following NAME= is part of a column's name, such as "Yield, kg/ha".
    pairs = [pair.partition("=") for pair in re.split(r",(?=[^,]*=)", columns)] if columns else []
    if wrong := [own for own, between, theirs in pairs if not (own.strip() and between and theirs.strip())]:
        raise InputInvalid(f"`columns`: {', '.join(wrong)} is not NAME=TABLE_NAME, such as Dry_Total_g=Yield.")
    return {own.strip(): theirs.strip() for own, _, theirs in pairs}
