"""The command for the season of a farm."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from herbage.app.options import Level, Overwrite, Quiet, visit_of
from herbage.app.terminal import begin
from herbage.errors import InputInvalid
from herbage.formatting import counted
from herbage.outputs import check_output_files
from herbage.remarks import log_remarks

if TYPE_CHECKING:
    from herbage.farm.farm import Farm


def farm(
    farm: Annotated[Path, Parameter(help="A farm file (GeoPackage), as `herbage predict --farm` writes it.")],
    *,
    out: Path | None = None,
    paddocks: Path | None = None,
    paddock_name: str | None = None,
    add: Path | None = None,
    date: str | None = None,
    reassign: Annotated[bool, Parameter(negative="")] = False,
    replace_estimates: Annotated[bool, Parameter(negative="")] = False,
    drop_visit: str | None = None,
    export: Path | None = None,
    level: Level = 0.9,
    pre_grazing: float | None = None,
    residual: float | None = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> int:
    """Print the newest walk of a farm: cover, growth, feed on hand and feed wedge; with --out also write the season.

    Only --paddocks, --add and --drop-visit change the farm file. For example:
        herbage farm farm.gpkg --paddocks paddocks.geojson
        herbage farm farm.gpkg --out season/ --pre-grazing 2800 --residual 1500
        herbage farm farm.gpkg --add walk-2026-09-04.json
        herbage farm farm.gpkg --drop-visit North,2026-09-04
        herbage farm farm.gpkg --export tables/

    Parameters
    ----------
    out
        A folder for season.html, season.csv, wedge.png and growth.png.
    paddocks
        A file of polygons (GeoJSON, GeoPackage, KML, Shapefile or zipped Shapefile): adds its paddocks to the farm, and
        updates the shapes of paddocks of the same name.
    paddock_name
        The property of the polygons that names the paddocks; by default it is guessed and reported.
    add
        The file of a walk, which the web page saves.
    date
        The day, YYYY-MM-DD, of photos without a capture time in the file of --add.
    reassign
        Move photos that are in the farm already to the paddocks of --add.
    replace_estimates
        Replace estimates of photos that are in the farm already by those of --add.
    drop_visit
        PADDOCK,DATE: delete the photos of a visit from the farm. A copy of the file is made first.
    export
        A folder for the tables as CSV and the layers as GeoJSON.
    level
        The level of intervals.
    pre_grazing
        Cover in kg DM/ha at which paddocks are grazed, where the farm has no target for a paddock.
    residual
        Cover in kg DM/ha that is left after grazing, where the farm has no target for a paddock.
    """
    if paddock_name is not None and paddocks is None:
        raise InputInvalid(f"`paddock_name={paddock_name}`: expected a file of polygons as `paddocks` as well.")
    visit = None if drop_visit is None else visit_of(drop_visit)
    begin(quiet, farm)
    from herbage.farm.export import EXPORTED
    from herbage.farm.farm import Farm
    from herbage.farm.photos import AddOptions, refuse_without
    from herbage.farm.report import FILES

    if add is None:
        refuse_without("the file of a walk as `add`", date, AddOptions(reassign, replace_estimates))
    # Before the farm is changed: a run that is refused changes nothing.
    for folder, names in ((out, FILES), (export, EXPORTED)):
        if folder is not None:
            check_output_files(folder, names, overwrite=overwrite)
    opened = Farm(farm)
    if paddocks is not None:
        log_remarks(opened.import_paddocks(paddocks, paddock_name=paddock_name))
    if add is not None:
        changes = opened.add_walk(add, date=date, reassign=reassign, replace_estimates=replace_estimates)
        print(changes)
        log_remarks(changes.remarks())
    if visit is not None:
        copy = opened.drop_visit(*visit)
        print(f"{drop_visit} deleted from the farm. A copy of the farm before that: {copy}")
    if export is not None:
        print(f"{counted(len(opened.export(export, overwrite=overwrite)), 'file')} written: {export}")
    _print_season(opened, out, level, pre_grazing, residual, overwrite)
    return 0


def _print_season(
    farm: "Farm", out: Path | None, level: float, pre_grazing: float | None, residual: float | None, overwrite: bool
) -> None:
    from herbage.farm.report import summary

    if out is None:
        season = farm.season(level=level, pre_grazing=pre_grazing, residual=residual)
        log_remarks(season.remarks())
    else:
        from herbage.steps.farming import farm_report

        season = farm_report(
            farm, out=out, level=level, pre_grazing=pre_grazing, residual=residual, overwrite=overwrite
        )
    print(summary(season))
    if out is not None:
        print(f"Season: {out / 'season.html'}")
