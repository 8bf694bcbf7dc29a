"""Estimate photos: tables, maps, GeoJSON, report, and the competition's file."""

import io
import logging
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from herbage.backbones.engine import Device, Precision
from herbage.errors import InputInvalid, PhotosMissing
from herbage.files import refuse_existing, run_record, write_whole
from herbage.judging.compare import estimated, weighed
from herbage.model.estimate import Estimate
from herbage.model.means import MeanErrors
from herbage.model.model import DEFAULT_LEVEL, HerbageModel
from herbage.photos.photo import Photo, PhotoFile, find_photos
from herbage.photos.tables import read_sidecar, read_test_table
from herbage.results.density import draw_overlay, map_name
from herbage.results.figures import thumbnail
from herbage.results.geojson import open_photos_geojson
from herbage.results.paddocks import FOLDER, PaddockOf, Paddocks, Polygons, by_column, by_folder, by_polygon
from herbage.results.predictions import open_predictions
from herbage.results.report import PredictionsReport
from herbage.results.submission import submission_table
from herbage.results.wedge import draw_wedge
from herbage.steps.progress import Track, silent
from herbage.targets import check_area, missing_names

log = logging.getLogger("herbage")


@dataclass
class Prediction:
    """What `predict` did: photos estimated, how many lack GPS or a paddock or are strange, and failures with reason."""

    estimated: int = 0
    outside: int = 0
    without_position: int = 0
    without_paddock: int = 0
    failed: dict[str, str] = field(default_factory=dict)


def predict(
    model: str | Path | HerbageModel,
    photos: str | Path,
    *,
    out: str | Path,
    maps: bool = False,
    level: float = DEFAULT_LEVEL,
    quadrat_area_m2: float | None = None,
    table: str | Path | None = None,
    paddocks: str | None = None,
    pre_grazing: float | None = None,
    residual: float | None = None,
    coordinates: bool = True,
    round_coordinates: int | None = None,
    store: str | Path | None = None,
    backbone: str | Path | None = None,
    device: Device = "auto",
    precision: Precision = "auto",
    overwrite: bool = False,
    track: Track = silent,
) -> Prediction:
    """predictions.csv, photos.geojson, report.html, and with `maps` an overlay and an array a photo, all below `out`.

    `table` is a sidecar of facts about the photos: the quadrats' corners, x1 y1 ... x4 y4, where photos show more, and
    the column that `paddocks` names. `paddocks` may also be the word `folder`, or a .geojson file of polygons; it adds
    paddocks.csv, paddocks.geojson and wedge.png, whose target line goes from `pre_grazing` to `residual` (kg DM/ha).
    Rows, maps and points are written as they come, so that memory stays flat.
    """
    started = time.time()
    if not 0 < level < 1:
        raise InputInvalid(f"--level {level}: expected a share between 0 and 1, such as 0.9.")
    if quadrat_area_m2 is not None:
        check_area(quadrat_area_m2)
    out = Path(out)
    refuse_existing(out / "predictions.csv", overwrite=overwrite)
    opened_model = model if isinstance(model, HerbageModel) else HerbageModel.from_pretrained(model)
    files = _outside(out, find_photos(photos), Path(photos))
    files, paddock_of, polygons = _beside(files, table, paddocks)
    opened = opened_model.open_backbone(backbone, device=device, precision=precision)
    _warn_of_level(opened_model, level)
    if maps and not opened_model.recipe.has_map:
        log.warning("Recipe %s has no patch map, so --maps writes none.", opened_model.recipe.name)
    report = PredictionsReport(opened_model.about, level)
    summary = None if paddock_of is None else summarise(opened_model, level)
    done = Prediction()
    drawn: set[str] = set()
    odd = 0
    made = opened_model.estimates(
        files, opened, level=level, quadrat_area_m2=quadrat_area_m2, with_map=maps, store=store
    )
    with open_predictions(out / "predictions.csv") as rows, open_photos_geojson(out / "photos.geojson") as points:
        for estimate, item in track(made, "predict", len(files)):
            done.without_position += estimate.status == "ok" and estimate.facts.latitude is None
            done.outside += estimate.in_domain is False
            place = paddock_of(item.file, estimate) if paddock_of and estimate.status == "ok" else None
            estimate = replace(estimate, facts=estimate.facts.veiled(coordinates, round_coordinates))
            rows.add(estimate)
            picture = None
            if estimate.status != "ok":
                done.failed[estimate.photo] = estimate.message
            else:
                done.estimated += 1
                odd += bool(estimate.message)
                points.add(estimate)
                if summary is not None:
                    summary.add(place, estimate)
                if estimate.map is not None:
                    picture = _draw(opened_model, item.photo, estimate, out / "maps", drawn)
                elif report.wants_picture:
                    picture = thumbnail(item.photo.pixels())
            report.add(estimate, picture)
    if odd:
        log.warning("%d photos have another shape than the training photos: see their message in the table.", odd)
    for stale in [*(out / "maps").glob("*.png"), *(out / "maps").glob("*.npy")]:
        if stale.name not in drawn:
            stale.unlink()
    if summary is not None:
        write_whole(out / "paddocks.csv", summary.csv())
        if coordinates:
            write_whole(out / "paddocks.geojson", summary.geojson(polygons, round_coordinates))
        _draw_wedge(out, summary.table(), report, pre_grazing, residual)
        done.without_paddock = summary.without
    write_whole(out / "report.html", report.html())
    write_whole(
        out / "run.json", run_record("predict", started, model=str(model), photos=str(photos), level=level, maps=maps)
    )
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
    files: list[PhotoFile], table: str | Path | None, paddocks: str | None
) -> tuple[list[PhotoFile], PaddockOf | None, Polygons | None]:
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
        files, told = read_sidecar(table, files, column)
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


def _draw(model: HerbageModel, photo: Photo, estimate: Estimate, folder: Path, drawn: set[str]) -> bytes:
    """The overlay as PNG, and the map in g/m2 (target, row, column) as .npy; returns the overlay."""
    overlay = draw_overlay(photo.pixels(), estimate, scale_g_per_m2=model.map_scale_g_per_m2)
    name = map_name(estimate.photo)
    array = io.BytesIO()
    assert estimate.map_g_per_m2 is not None
    np.save(array, estimate.map_g_per_m2.astype(np.float32))
    write_whole(folder / name, overlay)
    write_whole(folder / f"{name.removesuffix('.png')}.npy", array.getvalue())
    drawn |= {name, f"{name.removesuffix('.png')}.npy"}
    return overlay


def _draw_wedge(
    out: Path, table: pd.DataFrame, report: PredictionsReport, pre_grazing: float | None, residual: float | None
) -> None:
    if table.empty:
        log.warning("None of the photos belongs to a paddock.")
        return
    wedge = draw_wedge(table, pre_grazing=pre_grazing, residual=residual)
    write_whole(out / "wedge.png", wedge)
    report.add_paddocks(table, wedge)


def submit(
    model: str | Path | HerbageModel,
    test_table: str | Path,
    *,
    photos: str | Path,
    out: str | Path,
    store: str | Path | None = None,
    backbone: str | Path | None = None,
    device: Device = "auto",
    precision: Precision = "auto",
    overwrite: bool = False,
    track: Track = silent,
) -> dict[str, str]:
    """Write the competition's file; a photo that cannot be read gets the training mean and is returned with its reason.

    Imported heads know no training mean: there the mean of the other photos' estimates serves.
    """
    out = Path(out)
    refuse_existing(out, overwrite=overwrite)
    test, files = read_test_table(test_table, photos)
    opened_model = model if isinstance(model, HerbageModel) else HerbageModel.from_pretrained(model)
    if missing := missing_names(opened_model.about.known):
        raise InputInvalid(f"The competition asks for all five weights; this model has no {', '.join(missing)}.")
    opened = opened_model.open_backbone(backbone, device=device, precision=precision)
    grams, failed = {}, {}
    for estimate, _ in track(opened_model.estimates(files, opened, store=store), "submit", len(files)):
        if estimate.status == "ok":
            grams[estimate.photo] = estimate.grams
        else:
            failed[estimate.photo] = estimate.message
    training = opened_model.about.training
    if failed:
        if training is None and not grams:
            raise PhotosMissing(
                f"None of the {len(files)} photos of {test_table} can be read, and there is no mean to give."
            )
        mean = np.array(training.mean_g, float) if training else np.mean(list(grams.values()), axis=0)
        grams |= dict.fromkeys(failed, mean)
    write_whole(out, submission_table(test, grams).to_csv(index=False, lineterminator="\n"))
    return failed


def _outside(out: Path, files: list[PhotoFile], photos: Path) -> list[PhotoFile]:
    """The photos that are not results of an earlier run, where results stand among the photos."""
    place = out.resolve()
    if place == photos.resolve() or not place.is_relative_to(photos.resolve()):
        return files
    return [file for file in files if not file.path.resolve().is_relative_to(place)]
