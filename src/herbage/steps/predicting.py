"""Estimate photos: tables, maps, GeoJSON and report."""

import logging
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import herbage
from herbage.backbones.backbone import Backbone
from herbage.backbones.engine import Device, Precision
from herbage.errors import InputInvalid, PhotoUnreadable
from herbage.evaluation.comparison import estimated, weighed
from herbage.files import write_whole
from herbage.formatting import counted
from herbage.model.estimate import Estimate
from herbage.model.model import DEFAULT_LEVEL, HerbageModel, open_model
from herbage.model.paddock_error import MeanErrors
from herbage.photos.discovery import find_photos
from herbage.photos.photo import PhotoFile, open_photo
from herbage.photos.tables import read_sidecar
from herbage.progress import Track, silent
from herbage.results.geojson import open_photos_geojson
from herbage.results.overlay import map_files
from herbage.results.paddocks import FOLDER, PaddockOf, Paddocks, Polygons, by_column, by_folder, by_polygon
from herbage.results.predictions import PredictionsTable
from herbage.results.report import PredictionsReport
from herbage.results.wedge import draw_wedge
from herbage.steps.estimating import Estimated, Settings, estimate_on_cluster, estimate_photos, picture_of
from herbage.steps.run_record import run_record, table_sha256
from herbage.targets import check_area
from herbage.tokens.cluster import Cluster

log = logging.getLogger("herbage")

PADDOCK_FILES = ("paddocks.csv", "paddocks.geojson", "wedge.png")


@dataclass
class Prediction:
    """What `predict` did: photos estimated, and failures with reason.

    Of those estimated, how many are unlike the training photos, of another shape, training photos themselves, and
    without GPS or a paddock.
    """

    estimated: int = 0
    outside: int = 0
    odd_shape: int = 0
    trained_on: int = 0
    without_position: int = 0
    without_paddock: int = 0
    failed: dict[str, str] = field(default_factory=dict)

    def count(self, estimate: Estimate) -> None:
        """Take one photo's estimate in."""
        if estimate.status != "ok":
            self.failed[estimate.photo] = estimate.message
            return
        self.estimated += 1
        self.outside += estimate.in_domain is False
        self.odd_shape += estimate.odd_shape
        self.trained_on += estimate.trained_on
        self.without_position += estimate.facts.latitude is None

    def warn(self) -> None:
        """Say what the figures do not."""
        if self.estimated and self.without_position == self.estimated:
            log.info("None of the photos says where it was taken, so photos.geojson has no point.")
        if self.trained_on:
            log.warning(
                "%s of the model's own training: new photos will be estimated less well.",
                counted(self.trained_on, "photo"),
            )
        if self.odd_shape:
            log.warning(
                "%s of another shape than the training photos: see the message in the table.",
                counted(self.odd_shape, "photo"),
            )


def predict(
    model: str | Path | HerbageModel,
    photos: str | Path,
    *,
    out: str | Path,
    maps: bool = False,
    level: float = DEFAULT_LEVEL,
    quadrat_area_m2: float | None = None,
    table: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    paddocks: str | None = None,
    pre_grazing: float | None = None,
    residual: float | None = None,
    coordinates: bool = True,
    round_coordinates: int | None = None,
    store: str | Path | None = None,
    cluster: str | None = None,
    worker_cpus: int | None = None,
    backbone: str | Path | Backbone | None = None,
    device: Device = "auto",
    precision: Precision = "auto",
    overwrite: bool = False,
    track: Track = silent,
) -> Prediction:
    """Write predictions.csv, photos.geojson, report.html, and with `maps` an overlay and an array a photo, below `out`.

    `table` is a sidecar of facts about the photos: the quadrats' corners, x1 y1 ... x4 y4, where photos show more, and
    the column that `paddocks` names; `columns` gives its names for herbage's. `paddocks` may also be the word `folder`,
    or a .geojson file of polygons; it adds paddocks.csv, paddocks.geojson and wedge.png, whose target line goes from
    `pre_grazing` to `residual` (kg DM/ha).
    `cluster`: `auto` or the address of a Ray cluster whose machines see the model, the photos and `out` by the same
    paths; they keep no tokens unless there is a `store`.
    Rows, maps and points are written as they come, so that memory stays flat; cut off and run again, it goes on behind
    the rows that are there, if the model and the settings are the same.
    Raises InputInvalid, PhotosMissing and OutputExists.
    """
    started = time.time()
    if not 0 < level < 1:
        raise InputInvalid(f"--level {level}: expected a share between 0 and 1, such as 0.9.")
    if quadrat_area_m2 is not None:
        check_area(quadrat_area_m2)
    if cluster is not None and isinstance(model, HerbageModel):
        raise InputInvalid("A cluster's workers open the model themselves: give its folder or hub id.")
    out = Path(out)
    rows_table = PredictionsTable(out / "predictions.csv", overwrite=overwrite)
    opened_model = open_model(model)
    files = _outside(out, find_photos(photos), Path(photos))
    files, paddock_of, polygons = _beside(files, table, columns, paddocks)
    opened = opened_model.open_backbone(backbone, device=device, precision=precision)
    _warn_of_level(opened_model, level)
    if maps and not opened_model.recipe.has_map:
        log.warning("Recipe %s has no patch map, so --maps writes none.", opened_model.recipe.name)
        maps = False
    settings = Settings(level, quadrat_area_m2, out / "maps" if maps else None, store)
    changes_rows = {
        "herbage": herbage.__version__, "model": opened_model.digest, "backbone": opened.digest, "level": level,
        **opened.engine.record(), "quadrat_area_m2": quadrat_area_m2, "maps": maps,
        "table": table and table_sha256(table), "columns": dict(columns or {}),
        "coordinates": coordinates, "round_coordinates": round_coordinates,
    }  # fmt: skip
    stale = _maps_of(rows_table, out / "maps")
    others = {out / name for name in PADDOCK_FILES if rows_table.place.exists()}
    kept = rows_table.begin(files, changes_rows)
    log.info("Estimating %s", counted(len(files), "photo"))
    if kept:
        log.info("%d of %d photos have their rows already.", kept, len(files))
    area = quadrat_area_m2 or opened_model.quadrat_area_m2
    read_facts = polygons is not None or not coordinates
    again = _again(files, rows_table.kept_rows(kept), level, area, read_facts=read_facts)
    if cluster is None or isinstance(model, HerbageModel):
        made = estimate_photos(opened_model, opened, settings, files[kept:])
    else:
        engine = {"name": backbone, "device": device, "precision": precision}
        trying, uses_gpu = out.absolute() / ".trying", device in ("auto", "cuda")
        if not kept:
            shutil.rmtree(trying, ignore_errors=True)
        where = Cluster(cluster, trying, "give --overwrite", worker_cpus, uses_gpu)
        made = estimate_on_cluster(model, engine, settings, files[kept:], where)

    done = Prediction()
    report = PredictionsReport(opened_model.about, level)
    summary = None if paddock_of is None else summarise(opened_model, level)
    with rows_table.grow() as rows, open_photos_geojson(out / "photos.geojson") as points:
        for number, item in enumerate(track(chain(again, made), "predict", len(files))):
            done.count(item.estimate)
            facts = item.estimate.facts.veiled(coordinates, round_coordinates)
            estimate = replace(item.estimate, facts=facts).rounded()
            if number >= kept:
                rows.add(estimate)
            points.add(estimate)
            report.add(estimate, partial(picture_of, item, settings))
            if estimate.status == "ok":
                if paddock_of is not None and summary is not None:
                    summary.add(paddock_of(item.file, item.estimate), estimate)
                if maps:
                    stale -= set(map_files(estimate.photo))
    shutil.rmtree(out / ".trying", ignore_errors=True)
    if summary is not None:
        done.without_paddock = summary.without
        files_of = {"paddocks.csv": summary.csv().encode()}
        if coordinates:
            files_of["paddocks.geojson"] = summary.geojson(polygons, round_coordinates).encode()
        if (wedge := _wedge(summary.table(), report, pre_grazing, residual)) is not None:
            files_of["wedge.png"] = wedge
        for name, content in files_of.items():
            write_whole(out / name, content)
            others.discard(out / name)
    # Of an earlier run, and what a worker was writing when it died.
    for path in [*others, *(out / "maps" / name for name in stale), *(out / "maps").glob(".*.tmp")]:
        path.unlink(missing_ok=True)
    write_whole(out / "report.html", report.html())
    done.warn()
    run = run_record(
        "predict", started, backbone=opened, model=opened_model, tables={"table": table} if table else {},
        photos=str(photos), level=level, maps=maps, quadrat_area_m2=area, cluster=cluster, kept_rows=kept,
        estimated=done.estimated, failed=len(done.failed),
    )  # fmt: skip
    write_whole(out / "run.json", run)
    return done


def summarise(model: HerbageModel, level: float) -> Paddocks:
    """An empty summary of paddocks, which knows how wrong the model's means are."""
    errors, widened = None, 1.0
    if model.oof is not None:
        _, group = np.unique(model.oof["group"].astype(str), return_inverse=True)
        errors = MeanErrors.learn(weighed(model.oof), estimated(model.oof), group)
    if model.about.calibration is not None:
        widened = model.about.calibration.widened
    return Paddocks(
        errors, known=model.about.known, quadrat_area_m2=model.quadrat_area_m2, level=level, widened=widened
    )


def _beside(
    files: Sequence[PhotoFile],
    table: str | Path | None,
    columns: Mapping[str, str] | None,
    paddocks: str | None,
) -> tuple[Sequence[PhotoFile], PaddockOf | None, Polygons | None]:
    """The photos with their corners, which paddock each belongs to, and the paddocks' shapes where there are any."""
    polygons = None
    if paddocks is not None and Path(paddocks).suffix.lower() in (".geojson", ".json"):
        polygons = Polygons.read(Path(paddocks))
    column = None if paddocks is None or polygons is not None or paddocks == FOLDER else paddocks
    if column is not None and table is None:
        raise InputInvalid(
            f"--paddocks {column}: give a column of --table, the word folder, or a .geojson file of polygons."
        )
    told: dict[str, str] = {}
    if table is not None:
        files, told = read_sidecar(table, files, column, columns)
    if paddocks is None:
        return files, None, None
    if polygons is not None:
        return files, by_polygon(polygons), polygons
    return files, by_folder if column is None else by_column(told), None


def _warn_of_level(model: HerbageModel, level: float) -> None:
    knowledge = model.knowledge
    if knowledge is not None and np.isnan(knowledge.intervals.quantile(level)).all():
        groups = len(np.unique(knowledge.intervals.group))
        log.warning(
            "%d groups of training photos allow intervals up to level %.2f; at %g their cells stay empty.",
            groups, groups / (groups + 1), level,
        )  # fmt: skip


def _wedge(
    table: pd.DataFrame, report: PredictionsReport, pre_grazing: float | None, residual: float | None
) -> bytes | None:
    if table.empty:
        log.warning("None of the photos belongs to a paddock; polygons find photos that say where they were taken.")
        return None
    wedge = draw_wedge(table, pre_grazing=pre_grazing, residual=residual)
    report.add_paddocks(table, wedge)
    return wedge


def _maps_of(table: PredictionsTable, folder: Path) -> set[str]:
    """The map files of an earlier run: what else may stand in the folder is not ours."""
    there = {path.name for path in folder.glob("*")}
    return {name for photo in (table.photos() if there else ()) for name in map_files(photo) if name in there}


def _outside(out: Path, files: Sequence[PhotoFile], photos: Path) -> Sequence[PhotoFile]:
    """The photos that are not results of an earlier run, where results stand among the photos."""
    place = out.resolve()
    if place == photos.resolve() or not place.is_relative_to(photos.resolve()):
        return files
    return [file for file in files if not file.path.resolve().is_relative_to(place)]


def _again(
    files: Sequence[PhotoFile], rows: Iterable[dict[str, Any]], level: float, area: float, *, read_facts: bool
) -> Iterator[Estimated]:
    """Estimates from the rows of a run that was cut off.

    With `read_facts` capture time and position are read from the photos again: the rows may not have them as they were.
    """
    for file, cells in zip(files, rows, strict=False):
        estimate = Estimate.of_row(cells | {"photo": file.name}, level=level, quadrat_area_m2=area)
        if read_facts:
            with suppress(PhotoUnreadable):
                estimate = replace(estimate, facts=open_photo(file).facts)
        yield Estimated(file, estimate)
