"""Options that several commands have, and how a table's own names are given."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Group, Parameter, validators

from herbage.backbones.engine import Device, Precision
from herbage.errors import InputInvalid


@Parameter(name="*", group=Group("How it runs", sort_key=10))
@dataclass(frozen=True)
class Engine:
    """How the backbone runs.

    Parameters
    ----------
    backbone
        `texture` (embedded, no download), a hub id, or a folder; by default the recipe's or the model's own.
    device
        Where it computes.
    precision
        What it computes in; auto is the fastest this machine has. With fp32 the tokens are kept in fp32 too.
    """

    backbone: str | None = None
    device: Device = "auto"
    precision: Precision = "auto"

    def options(self) -> dict[str, Any]:
        """As the steps take them."""
        return {"backbone": self.backbone, "device": self.device, "precision": self.precision}


Model = Annotated[str, Parameter(help="A model folder or a hub id.")]
Photos = Annotated[
    Path,
    Parameter(help="A folder (searched below), a photo, or a text file of paths, which are relative to that file."),
]
TablePhotos = Annotated[
    Path, Parameter(help="The folder below which image_path is looked up, with or without its first folder.")
]
Store = Annotated[Path | None, Parameter(help="Keep tokens in this folder, and use what it has.")]
Quiet = Annotated[bool, Parameter(negative="", help="No progress and no remarks, warnings only.")]
Overwrite = Annotated[bool, Parameter(negative="", help="Replace what stands at the output.")]
Columns = Annotated[
    str | None,
    Parameter(help="The table's own names, as NAME=THEIRS with commas between, such as Dry_Total_g=Yield."),
]
Unit = Annotated[
    Literal["g", "g_per_m2", "kg_per_ha"],
    Parameter(help="Of the table's weights: grams a quadrat, grams a square metre, kg of dry matter a hectare."),
]
OnCluster = Annotated[
    str | None,
    Parameter(
        help="auto, or the address of a Ray cluster whose machines see model, photos and results by the same paths."
    ),
]
WorkerCpus = Annotated[
    int | None,
    Parameter(
        validator=validators.Number(gte=1),
        help="Cores of each worker of the cluster; by default a worker has a machine, or a GPU where there are some.",
    ),
]
Json = Annotated[bool, Parameter(name="--json", negative="", help="Machine-readable output.")]


def names_of(columns: str | None) -> dict[str, str]:
    """--columns as a mapping from herbage's names to the table's."""
    pairs = [pair.partition("=") for pair in columns.split(",")] if columns else []
    if wrong := [own for own, between, theirs in pairs if not (own.strip() and between and theirs.strip())]:
        raise InputInvalid(f"--columns: {', '.join(wrong)} is no NAME=THEIRS; expected such as Dry_Total_g=Yield.")
    return {own.strip(): theirs.strip() for own, _, theirs in pairs}
