"""The request of a `predict` run."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from herbage.tables.spreadsheet import TableFormat


@dataclass(frozen=True)
class PredictRequest:
    """Everything that changes a row or a map of a `predict` run.

    An interrupted run is resumed only by an equal request, so an option that changes rows has to be a field here.
    `model`, `backbone` and `table` are digests; `engine` is the record of the backbone's engine.
    """

    herbage: str
    model: str
    backbone: str
    engine: Mapping[str, str]
    level: float
    quadrat_area_m2: float | None
    maps: bool
    views: int
    table: str | None
    table_format: TableFormat
    coordinates: bool
    round_coordinates: int | None

    def key(self) -> dict[str, Any]:
        """All fields as plain values, to compare with those of an interrupted run."""
        return asdict(self)
