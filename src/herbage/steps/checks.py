"""Checks of a step's inputs that need no torch, for commands to run before they import the step."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from herbage.errors import InputInvalid, TableInvalid

if TYPE_CHECKING:
    from herbage.tables.spreadsheet import TableFormat
    from herbage.tables.weighed import Unit


def check_training_table(
    table: str | Path,
    photos: str | Path,
    how: "TableFormat",
    *,
    unit: "Unit",
    quadrat_area_m2: float,
    group_by: Sequence[str] | None,
) -> None:
    """Read a table of weighed photos and name its groups, as `train` does; raises TableInvalid."""
    from herbage.evaluation.groups import name_groups
    from herbage.tables.measured import measured_columns
    from herbage.tables.weighed import read_weighed_table

    frame = read_weighed_table(table, photos, how, unit=unit, quadrat_area_m2=quadrat_area_m2).frame
    measured_columns(frame, how.measured, "the table")
    name_groups(frame, group_by, dates=how.dates)


def check_new_table(table: object, photos: object) -> None:
    """Check that `score` has both a table and its photos, or neither; raises InputInvalid and TableInvalid."""
    if table is None and photos is not None:
        raise InputInvalid("`photos` requires `table`: without a table the out-of-fold estimates are scored.")
    if table is not None and photos is None:
        raise TableInvalid("`table` requires `photos`, the folder of its photos.")


def check_export_options(as_format: str, precision: str | None, photos: object, runtime: object) -> None:
    """Check that the options of an export fit together; raises InputInvalid."""
    if precision == "int8" and photos is None:
        raise InputInvalid("`precision=int8` needs `photos`: some dozens of photos to measure its differences on.")
    if as_format != "openvino" and precision == "bf16":
        raise InputInvalid(f"`as_format={as_format}` has fp32 and int8, not bf16; `as_format=openvino` has it.")
    if runtime is not None and as_format != "web":
        raise InputInvalid("`runtime` has the JavaScript packages of a site; it needs `as_format=web`.")
