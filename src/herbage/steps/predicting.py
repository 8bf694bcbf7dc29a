"""Estimate photos: tables, maps, GeoJSON, report, and the competition's file."""

import logging
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from herbage.backbones.engine import Device, Precision
from herbage.errors import InputInvalid, PhotosMissing
from herbage.files import refuse_existing, run_record, write_whole
from herbage.model.estimate import Estimate
from herbage.model.model import DEFAULT_LEVEL, HerbageModel
from herbage.photos.photo import PhotoFile, find_photos
from herbage.photos.tables import read_test_table, with_corners
from herbage.results.density import draw_overlay, map_name
from herbage.results.geojson import photos_geojson
from herbage.results.predictions import open_predictions
from herbage.results.report import PredictionsReport
from herbage.results.submission import submission_table
from herbage.steps.progress import Track, silent
from herbage.targets import check_area, g_per_m2, missing_names

log = logging.getLogger("herbage")


@dataclass
class Prediction:
    """What `predict` did: photos estimated, how many of them lack GPS or are strange, and failures with reasons."""

    estimated: int = 0
    outside: int = 0
    without_position: int = 0
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
    coordinates: bool = True,
    round_coordinates: int | None = None,
    store: str | Path | None = None,
    backbone: str | Path | None = None,
    device: Device = "auto",
    precision: Precision = "auto",
    overwrite: bool = False,
    track: Track = silent,
) -> Prediction:
    """predictions.csv, photos.geojson, report.html, and with `maps` an overlay a photo, all below `out`.

    `table` is a sidecar that gives the quadrats' corners, x1 y1 ... x4 y4, of photos that show more.
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
    if table is not None:
        files = with_corners(files, table)
    opened = opened_model.open_backbone(backbone, device=device, precision=precision)
    knowledge = opened_model.knowledge
    if knowledge is not None and np.isnan(knowledge.intervals.quantile(level)).all():
        groups = len(np.unique(knowledge.intervals.group))
        log.warning(
            "%d groups of training photos allow intervals up to level %.2f; at %g their cells stay empty.",
            groups, groups / (groups + 1), level,
        )  # fmt: skip
    # By area, so that the colours mean the same whatever quadrat these photos show.
    scale = None if knowledge is None else g_per_m2(knowledge.map_scale_g, opened_model.quadrat_area_m2)
    if maps and not opened_model.recipe.has_map:
        log.warning("Recipe %s has no patch map, so --maps writes none.", opened_model.recipe.name)
    report = PredictionsReport(opened_model.about, level)
    done = Prediction()
    placed: list[Estimate] = []
    drawn: set[str] = set()
    odd = 0
    made = opened_model.estimates(
        files, opened, level=level, quadrat_area_m2=quadrat_area_m2, with_map=maps, store=store
    )
    with open_predictions(out / "predictions.csv") as rows:
        for estimate, item in track(made, "predict", len(files)):
            done.without_position += estimate.status == "ok" and estimate.facts.latitude is None
            done.outside += estimate.in_domain is False
            estimate = replace(estimate, facts=estimate.facts.veiled(coordinates, round_coordinates))
            rows.add(estimate)
            overlay = None
            if estimate.status != "ok":
                done.failed[estimate.photo] = estimate.message
            else:
                done.estimated += 1
                odd += bool(estimate.message)
                if estimate.facts.latitude is not None:
                    placed.append(replace(estimate, map=None))
                if estimate.map is not None:
                    overlay = draw_overlay(item.photo.pixels(), estimate, scale_g_per_m2=scale)
                    drawn.add(map_name(estimate.photo))
                    write_whole(out / "maps" / map_name(estimate.photo), overlay)
            report.add(estimate, overlay)
    if odd:
        log.warning("%d photos have another shape than the training photos: see their message in the table.", odd)
    for stale in (out / "maps").glob("*.png"):
        if stale.name not in drawn:
            stale.unlink()
    write_whole(out / "photos.geojson", photos_geojson(placed))
    write_whole(out / "report.html", report.html())
    write_whole(
        out / "run.json", run_record("predict", started, model=str(model), photos=str(photos), level=level, maps=maps)
    )
    return done


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
