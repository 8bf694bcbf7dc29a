"""The command that estimates photos."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from herbage.app.options import (
    Columns,
    Engine,
    Model,
    OnCluster,
    Overwrite,
    Photos,
    Quiet,
    Store,
    WorkerCpus,
    names_of,
)
from herbage.app.terminal import failures, listen, tracker
from herbage.formatting import counted


def predict(
    model: Model,
    photos: Photos,
    *,
    out: Path,
    maps: Annotated[bool, Parameter(negative="")] = False,
    level: float = 0.9,
    quadrat_area: float | None = None,
    table: Path | None = None,
    columns: Columns = None,
    paddocks: str | None = None,
    pre_grazing: float | None = None,
    residual: float | None = None,
    round_coordinates: int | None = None,
    no_coordinates: Annotated[bool, Parameter(negative="")] = False,
    store: Store = None,
    cluster: OnCluster = None,
    worker_cpus: WorkerCpus = None,
    engine: Engine = Engine(),
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> int:
    """Estimate photos: predictions.csv, photos.geojson, report.html, and with --maps a picture a photo.

    Cut off and run again, it goes on behind the rows that are there, if the model and the settings are the same.

    For example:
        herbage predict model/ new_photos/ --out results/ --maps
        herbage predict model/ paths.txt --out results/ --level 0.8 --no-coordinates
        herbage predict model/ farm/ --out results/ --paddocks folder --pre-grazing 2800 --residual 1500
        herbage predict model/ state/ --out results/ --cluster auto

    Parameters
    ----------
    out
        The folder for the results.
    maps
        Write maps/: where the weight stands, a picture and an array a photo.
    level
        How often the intervals should hold.
    quadrat_area
        Square metres that these photos show, where it differs from the training photos.
    table
        A table of image_path and what is known of photos: x1 y1 ... x4 y4, the quadrat's corners where they show more
        than it, and a column that --paddocks names.
    paddocks
        Which photos belong together: a column of --table, the word folder, or a .geojson file of polygons. Adds
        paddocks.csv, paddocks.geojson and wedge.png.
    pre_grazing
        Where the feed wedge's target line begins, kg DM/ha.
    residual
        Where it ends, kg DM/ha.
    round_coordinates
        Digits to keep of latitude and longitude, for privacy.
    no_coordinates
        Leave latitude and longitude out.
    """
    from herbage import steps

    listen(quiet)
    done = steps.predict(
        model,
        photos,
        out=out,
        maps=maps,
        level=level,
        quadrat_area_m2=quadrat_area,
        table=table,
        columns=names_of(columns),
        paddocks=paddocks,
        pre_grazing=pre_grazing,
        residual=residual,
        coordinates=not no_coordinates,
        round_coordinates=round_coordinates,
        store=store,
        cluster=cluster,
        worker_cpus=worker_cpus,
        overwrite=overwrite,
        track=tracker(quiet),
        **engine.options(),
    )
    print(
        f"{counted(done.estimated, 'photo')} estimated, {len(done.failed)} failed, "
        f"{done.without_position} without GPS, {done.outside} unlike the training photos"
        + (f", {done.without_paddock} in no paddock" if done.without_paddock else "")
        + f": {out}"
    )
    return failures(done.failed)
