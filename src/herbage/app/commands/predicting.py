"""The command that estimates photos."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter

from herbage.app.options import (
    BackboneArguments,
    Level,
    Model,
    OnCluster,
    OptionalArea,
    OptionalTable,
    Overwrite,
    Photos,
    Quiet,
    Store,
    TableArguments,
    Views,
    WorkerCpus,
)
from herbage.app.terminal import begin, print_failures, tracker


@Parameter(name="*", group=Group("Paddocks", sort_key=3))
@dataclass(frozen=True)
class PaddockArguments:
    """How photos are assigned to paddocks.

    Parameters
    ----------
    paddocks
        How photos are assigned to paddocks: a column of --table, the word folder, or a file of polygons (GeoJSON,
        GeoPackage, KML, Shapefile or zipped Shapefile). Adds paddocks.csv, paddocks.geojson and wedge.png.
    paddock_name
        The property of the polygons that names the paddocks; by default it is guessed and reported.
    pre_grazing
        Start of the feed wedge's target line, kg DM/ha.
    residual
        End of the target line, kg DM/ha.
    """

    paddocks: str | None = None
    paddock_name: str | None = None
    pre_grazing: float | None = None
    residual: float | None = None


@Parameter(name="*", group=Group("Farm file", sort_key=4))
@dataclass(frozen=True)
class FarmArguments:
    """What goes into a farm file.

    Parameters
    ----------
    farm
        A farm file (GeoPackage) to add the estimates to; without --paddocks, photos are assigned to its polygons.
    date
        The day, YYYY-MM-DD, of photos without a capture time.
    reassign
        Move photos that are in the farm already to the paddocks of this run.
    replace_estimates
        Replace estimates of photos that are in the farm already, such as those of another model.
    """

    farm: Path | None = None
    date: str | None = None
    reassign: Annotated[bool, Parameter(negative="")] = False
    replace_estimates: Annotated[bool, Parameter(negative="")] = False


def predict(
    model: Model,
    photos: Photos,
    *,
    out: Path,
    maps: Annotated[bool, Parameter(negative="")] = False,
    level: Level = 0.9,
    views: Views = None,
    quadrat_area: OptionalArea = None,
    table: OptionalTable = None,
    how: TableArguments = TableArguments(),
    by: PaddockArguments = PaddockArguments(),
    of_farm: FarmArguments = FarmArguments(),
    round_coordinates: int | None = None,
    no_coordinates: Annotated[bool, Parameter(negative="")] = False,
    store: Store = None,
    cluster: OnCluster = None,
    worker_cpus: WorkerCpus = None,
    engine: BackboneArguments = BackboneArguments(),
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> int:
    """Estimate photos and write predictions.csv, photos.geojson, report.html, and with --maps one overlay per photo.

    An interrupted run resumes after its last complete row, if the model and the settings are the same.

    For example:
        herbage predict model/ new_photos/ --out results/ --maps
        herbage predict model/ paths.txt --out results/ --level 0.8 --no-coordinates
        herbage predict model/ farm/ --out results/ --paddocks folder --pre-grazing 2800 --residual 1500
        herbage predict model/ farm/ --out results/ --paddocks farm.gpkg --paddock-name LABEL
        herbage predict model/ walk/ --out results/ --farm farm.gpkg
        herbage predict model/ photos/ --out results/ --table heights.csv
        herbage predict model/ state/ --out results/ --cluster auto

    Parameters
    ----------
    out
        The folder for the results.
    maps
        Write maps/ with one overlay (PNG) and one array (g/m2) per photo.
    level
        The share of weights that intervals should contain.
    views
        The number of views per photo, by default that of the recipe; time is proportional to it.
    quadrat_area
        Square metres in these photos, if this differs from the training photos.
    table
        A table of image_path and the model's measured columns, such as Height_Ave_cm; the quadrat's corners (x1 y1 ...
        x4 y4), where photos show more than the quadrat; and the column that --paddocks names.
    round_coordinates
        Decimal places of latitude and longitude, for privacy.
    no_coordinates
        Omit latitude and longitude.
    """
    from herbage.results.predictions import check_results_place

    check_results_place(out, overwrite=overwrite)
    begin(quiet, model, photos)
    from herbage import steps

    summary = steps.predict(
        model,
        photos,
        out=out,
        maps=maps,
        level=level,
        views=views,
        quadrat_area_m2=quadrat_area,
        table=table,
        **how.options(),
        **vars(by),
        **vars(of_farm),
        coordinates=not no_coordinates,
        round_coordinates=round_coordinates,
        store=store,
        cluster=cluster,
        worker_cpus=worker_cpus,
        overwrite=overwrite,
        track=tracker(quiet),
        **engine.options(),
    )
    print(f"{summary}: {out}")
    if summary.farm is not None:
        print(f"{summary.farm}: {of_farm.farm}")
    return print_failures(summary.failed)
