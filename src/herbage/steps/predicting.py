"""Estimate photos and write the results folder."""

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Unpack

import numpy as np

import herbage
from herbage.backbones.opening import BackboneOptions
from herbage.errors import InputInvalid, PhotoUnreadable
from herbage.farm.farm import Adding, Farm
from herbage.farm.models import ModelRecord
from herbage.farm.photos import AddOptions, Changes, refuse_without
from herbage.files import write_atomic
from herbage.formatting import counted
from herbage.model.estimate import DEFAULT_LEVEL, Estimate
from herbage.model.model import HerbageModel, open_model
from herbage.photos.copies import same_shot_names
from herbage.photos.discovery import find_photos
from herbage.photos.photo import PhotoFile, open_photo
from herbage.progress import Track, silent
from herbage.remarks import Remark, log_remarks
from herbage.results.folder import PaddockOptions, ResultsFolder
from herbage.results.paddock_assignment import Assignment, read_assignment
from herbage.results.predictions import check_results_place
from herbage.results.request import PredictRequest
from herbage.steps.estimating import Estimated, Folders, estimate_on_cluster, estimate_photos
from herbage.steps.measuring import log_unused_columns, outside_range
from herbage.steps.run_record import run_record, table_sha256
from herbage.tables.numbers import DecimalSign
from herbage.tables.spreadsheet import DateOrder, TableFormat
from herbage.targets import check_area
from herbage.tokens.cluster import Cluster

log = logging.getLogger("herbage")


@dataclass
class PredictionSummary:
    """The result of `predict`: photos estimated, and failures with their reasons.

    The other counts are of estimated photos: out of domain (`outside`), of another shape than the training photos, used
    for training, without a position, estimated with measured columns, with a message in their row, and without a
    paddock. `farm` is what changed in the farm file, None without one.
    """

    estimated: int = 0
    outside: int = 0
    shape_differs: int = 0
    training_photos: int = 0
    without_position: int = 0
    measured: int = 0
    with_message: int = 0
    without_paddock: int = 0
    farm: Changes | None = None
    failed: dict[str, str] = field(default_factory=dict)

    def count(self, estimate: Estimate) -> None:
        """Count one photo's estimate."""
        if estimate.status != "ok":
            self.failed[estimate.photo] = estimate.message
            return
        self.estimated += 1
        self.outside += estimate.in_domain is False
        self.shape_differs += estimate.shape_differs is True
        self.training_photos += estimate.training_photo is True
        self.without_position += estimate.facts.latitude is None
        self.measured += estimate.measured
        self.with_message += bool(estimate.message)

    def __str__(self) -> str:
        counts = {
            "with measured columns": self.measured,
            "with a message in their row": self.with_message,
            "without paddock": self.without_paddock,
        }
        return (
            f"{counted(self.estimated, 'photo')} estimated, {len(self.failed)} failed, "
            f"{self.without_position} without position, {self.outside} out of domain"
            + "".join(f", {count} {what}" for what, count in counts.items() if count)
        )

    def remarks(self) -> Iterator[Remark]:
        """The failed photos, for run.json; the command line and the report list them in another way."""
        if self.failed:
            yield Remark.of("failed_photos", list(self.failed), f"{counted(len(self.failed), 'photo')} failed")

    def warn(self) -> None:
        """Log what a user should know about the estimates."""
        if self.estimated and self.without_position == self.estimated:
            log.info("No photo has a position, so photos.geojson has no points.")
        if self.training_photos:
            log.warning(
                "The model was trained on %d of these photos: expect larger errors on new photos.", self.training_photos
            )
        if self.shape_differs:
            log.warning(
                "%s with another aspect ratio than the training photos: see the column message of predictions.csv.",
                counted(self.shape_differs, "photo"),
            )


def predict(
    model: str | Path | HerbageModel,
    photos: str | Path,
    *,
    out: str | Path,
    maps: bool = False,
    level: float = DEFAULT_LEVEL,
    views: int | None = None,
    quadrat_area_m2: float | None = None,
    table: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    decimal: DecimalSign | None = None,
    sheet: str | None = None,
    dates: DateOrder | None = None,
    paddocks: str | None = None,
    paddock_name: str | None = None,
    pre_grazing: float | None = None,
    residual: float | None = None,
    farm: str | Path | None = None,
    date: str | date | None = None,
    reassign: bool = False,
    replace_estimates: bool = False,
    coordinates: bool = True,
    round_coordinates: int | None = None,
    store: str | Path | None = None,
    cluster: str | None = None,
    worker_cpus: int | None = None,
    overwrite: bool = False,
    track: Track = silent,
    **options: Unpack[BackboneOptions],
) -> PredictionSummary:
    """Estimate photos and write predictions.csv, photos.geojson and report.html to the folder `out`.

    It returns counts and failures; `HerbageModel.predict` returns a data frame and writes nothing. `maps` adds an
    overlay and an array in g/m2 per photo. `views` is the number of views per photo, by default that of the recipe.
    `table` is a sidecar table with `image_path` and further columns: the quadrats' corners x1 y1 ... x4 y4, where
    photos show more than the quadrat; the model's measured columns; and the column that `paddocks` names. `columns`
    maps herbage's column names to the table's.

    `paddocks` is such a column, the word `folder`, or a file of polygons (GeoJSON, GeoPackage, KML or Shapefile), whose
    property `paddock_name`, by default a guess, names the paddocks; it adds paddocks.csv, paddocks.geojson and
    wedge.png, whose target line goes from `pre_grazing` to `residual` (kg DM/ha). `farm` is a farm file (`Farm`), to
    which the estimates are added when predictions.csv is complete; without `paddocks`, photos are assigned by their
    positions to its polygons. `date`, `reassign` and `replace_estimates` are those of `Farm.add`.

    `cluster` is `auto` or the address of a Ray cluster whose machines have the model, the photos and `out` at the same
    paths. An interrupted run resumes after its last complete row, if the model and the settings are the same. Memory
    does not grow with the number of photos. Raises InputInvalid, PhotosMissing and OutputExists.
    """
    started = time.time()
    _check_options(model, level, quadrat_area_m2, cluster)
    adding = _begin_adding(farm, date, AddOptions(reassign, replace_estimates), by_position=paddocks is None)
    check_results_place(Path(out), overwrite=overwrite)
    opened = open_model(model)
    recipe = opened.recipe.in_prediction(views)
    how = TableFormat(columns or {}, decimal, sheet, dates)
    found = find_photos(photos)
    own, of_farm = _outside(Path(out), found, Path(photos)), None if adding is None else adding.polygons
    read = read_assignment(own, Path(photos), paddocks, table, how, paddock_name, opened.measured_names, of_farm)
    files, assignment = read.files, read.assignment
    remarks = [*found.remarks, *read.remarks, *_same_shots(files, assignment), *outside_range(opened, files)]
    remarks += _on_targets(opened)
    log_remarks(remarks)
    log_unused_columns(opened, files)
    record = ModelRecord.of(opened)
    if adding is not None:
        adding.identify(files, assignment, record)
    backbone = opened.open_backbone(**options)
    _warn_of_level(opened, level)
    request = PredictRequest(
        herbage=herbage.__version__, model=opened.digest, backbone=backbone.digest, engine=backbone.engine.record(),
        level=level, quadrat_area_m2=quadrat_area_m2, maps=maps and _has_map(opened), views=recipe.views,
        table=None if table is None else table_sha256(table), table_format=how,
        coordinates=coordinates, round_coordinates=round_coordinates,
    )  # fmt: skip
    of_paddocks = None if assignment is None else PaddockOptions(assignment, pre_grazing, residual)
    folder = ResultsFolder(Path(out), opened, request, paddocks=of_paddocks, remarks=remarks, overwrite=overwrite)
    reused = folder.begin(files)
    log.info("Estimating %s", counted(len(files), "photo"))
    if reused:
        log.info("%d of %d photos are already in the table.", reused, len(files))

    folders, left = Folders(folder.maps, None if store is None else Path(store)), files[reused:]
    if cluster is None or isinstance(model, HerbageModel):
        made = estimate_photos(opened, backbone, request, folders, left)
    else:
        uses_gpu = options.get("device", "auto") in ("auto", "cuda")
        where = Cluster(cluster, folder.attempts, "run it again with `overwrite=True`", worker_cpus, uses_gpu)
        made = estimate_on_cluster(model, options, request, folders, left, where)
    area = quadrat_area_m2 or opened.quadrat_area_m2
    reread = not coordinates or (assignment is not None and assignment.polygons is not None)
    earlier = _from_rows(files, folder.reused_rows(), level, area, reread_facts=reread)
    summary = _fill(folder, track(chain(earlier, made), "predict", len(files)))
    if adding is not None:
        summary.farm = adding.add(folder.estimates(area), record)
        folder.remarks += summary.farm.remarks()
    log_remarks(folder.remarks[len(remarks) :])
    summary.warn()
    run = run_record(
        "predict", started, backbone=backbone, model=opened, tables={"table": table},
        photos=str(photos), level=level, maps=request.maps, views=request.views, quadrat_area_m2=area, cluster=cluster,
        kept_rows=reused, estimated=summary.estimated, failed=len(summary.failed), measured=summary.measured,
        remarks=[*folder.remarks, *summary.remarks()],
    )  # fmt: skip
    write_atomic(Path(out) / "run.json", run)
    folder.finish()
    return summary


def _fill(folder: ResultsFolder, estimates: Iterable[Estimated]) -> PredictionSummary:
    """Add the estimates to the folder and count them."""
    summary = PredictionSummary()
    with folder:
        for item in estimates:
            summary.count(item.estimate)
            folder.add(item.file, item.estimate, partial(item.picture, folder.maps))
    summary.without_paddock = folder.unassigned
    return summary


def _begin_adding(
    farm: str | Path | None, day: str | date | None, options: AddOptions, *, by_position: bool
) -> Adding | None:
    if farm is not None:
        return Farm(farm).begin(day, options, by_position=by_position)
    refuse_without("a farm file as `farm`", day, options)
    return None


def _check_options(
    model: str | Path | HerbageModel, level: float, quadrat_area_m2: float | None, cluster: str | None
) -> None:
    if not 0 < level < 1:
        raise InputInvalid(f"`level={level}`: expected a share between 0 and 1, such as 0.9.")
    if quadrat_area_m2 is not None:
        check_area(quadrat_area_m2)
    if cluster is not None and isinstance(model, HerbageModel):
        raise InputInvalid("`cluster`: workers open the model themselves, so pass its folder or hub id as `model`.")


def _has_map(model: HerbageModel) -> bool:
    if not model.recipe.has_map:
        log.warning("Recipe %s has no patch map, so no maps are written.", model.recipe.name)
    return model.recipe.has_map


def _warn_of_level(model: HerbageModel, level: float) -> None:
    if model.evidence is None:
        return
    sets = {"": model.evidence.alone, " with measured columns": model.evidence.measured}
    for of, assessment in sets.items():
        if assessment is None or not np.isnan(assessment.intervals.quantile(level)).all():
            continue
        groups = len(np.unique(assessment.intervals.group))
        log.warning(
            "%d groups of training photos%s allow intervals up to level %.2f; at level %g their cells are empty.",
            groups, of, groups / (groups + 1), level,
        )  # fmt: skip


def _same_shots(files: Sequence[PhotoFile], assignment: Assignment | None) -> Iterator[Remark]:
    """A remark on photos that are probably one shot, stored or edited twice; byte-equal copies have their own."""
    copies = () if assignment is None else assignment.copies
    shots = same_shot_names(file for file in files if file.name not in copies)
    if shots:
        names = [" = ".join(file.name for file in shot) for shot in shots]
        yield Remark.of(
            "same_shots", names, f"{counted(len(shots), 'shot')} probably stored twice, by the files' names"
        )


def _on_targets(model: HerbageModel) -> Iterator[Remark]:
    """A remark on targets whose estimates are not shown to be better than a mean; the tables do not show it."""
    if model.evidence is not None and (targets := model.evidence.alone.no_better_than_mean):
        message = "Not shown to be better than the mean of the training photos, so do not rely on these estimates"
        yield Remark.of("no_better_than_mean", targets, message)


def _outside(out: Path, files: Sequence[PhotoFile], photos: Path) -> Sequence[PhotoFile]:
    """The photos without the results of an earlier run, where the results folder is inside the photos' folder."""
    place = out.resolve()
    if place == photos.resolve() or not place.is_relative_to(photos.resolve()):
        return files
    return [file for file in files if not file.path.resolve().is_relative_to(place)]


def _from_rows(
    files: Sequence[PhotoFile], rows: Iterable[dict[str, Any]], level: float, area: float, *, reread_facts: bool
) -> Iterator[Estimated]:
    """Estimates from the rows of an interrupted run.

    With `reread_facts` capture time and position are read from the photos again, since the rows may not have them.
    """
    for file, cells in zip(files, rows, strict=False):
        estimate = Estimate.of_row(cells | {"photo": file.name}, level=level, quadrat_area_m2=area)
        if reread_facts:
            with suppress(PhotoUnreadable):
                estimate = replace(estimate, facts=open_photo(file).facts)
        yield Estimated(file, estimate)
