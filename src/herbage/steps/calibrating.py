"""Own cuts: which photos to cut and weigh, and a model corrected by them."""

import logging
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float

from herbage.backbones.backbone import Backbone
from herbage.backbones.engine import Device, Precision
from herbage.errors import InputInvalid, ModelInvalid, PhotosMissing
from herbage.evaluation.comparison import estimated, weighed
from herbage.files import refuse_existing, write_whole
from herbage.model.calibration import Calibrated, Errors, fit_correction, recalibrated
from herbage.model.config import CalibrationRecord
from herbage.model.cut_selection import choose_cuts
from herbage.model.domain import mean_token
from herbage.model.folder import refuse_place
from herbage.model.model import HerbageModel, open_model
from herbage.photos.discovery import find_photos
from herbage.photos.tables import Unit, WeighedTable, read_weighed_table
from herbage.progress import Track, silent
from herbage.results.report import model_report
from herbage.steps.run_record import run_place, run_record
from herbage.targets import TARGETS, balance, check_area, kg_per_ha, known_targets, main_target

log = logging.getLogger("herbage")

ODD_FACTOR = 4.0
"""Cuts so many times heavier, or lighter, than their estimates are more often a wrong unit than a place."""


def calibrate(
    model: str | Path | HerbageModel,
    cuts: str | Path | pd.DataFrame,
    *,
    photos: str | Path,
    model_out: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    unit: Unit = "g",
    quadrat_area_m2: float | None = None,
    store: str | Path | None = None,
    backbone: str | Path | Backbone | None = None,
    device: Device = "auto",
    precision: Precision = "auto",
    overwrite: bool = False,
    track: Track = silent,
) -> HerbageModel:
    """The model corrected by a few weighed photos of a new place, written to `model_out` if it is named.

    `cuts` is a table as for `train`; the total alone will do, and rows without a weight are left out. `quadrat_area_m2`
    is that of the cuts, where it is not the training quadrat's. A model that was calibrated before starts from what it
    was then. Photos that cannot be read stand in the result's `dropped`. Raises TableInvalid for under 3 cuts,
    InputInvalid for cuts of other targets, PhotosMissing, OutputExists, and ModelInvalid for imported heads.
    """
    started = time.time()
    source = open_model(model)
    if source.about.training is None or source.oof is None or source.knowledge is None:
        raise ModelInvalid("Imported heads do not know how wrong they are, so cuts cannot correct them: train a model.")
    if model_out is not None:
        inputs = [photos, *([] if isinstance(cuts, pd.DataFrame) else [cuts]), *([store] if store else [])]
        refuse_place(Path(model_out), overwrite=overwrite, inputs=inputs, option="--model-out")
    area = quadrat_area_m2 or source.quadrat_area_m2
    check_area(area)
    table = read_weighed_table(cuts, photos, columns=columns, unit=unit, quadrat_area_m2=area, skip_empty=True)
    plain = source.without_calibration()
    opened = plain.open_backbone(backbone, device=device, precision=precision)

    rows, grams, dropped = _estimated(plain, table, opened, store, track)
    # Per training quadrat, as the model itself counts.
    weighed_g = table.grams[rows] * source.quadrat_area_m2 / area
    estimated_g = balance(np.array(grams))
    if not any(known_targets(weighed_g + estimated_g)):
        raise InputInvalid("The cuts weigh none of the targets that the model estimates.")
    main = main_target(known_targets(weighed_g + estimated_g))
    _warn_of_odd_weights(weighed_g[:, main], estimated_g[:, main])

    errors = Errors.of(weighed(source.oof), balance(estimated(source.oof)))
    done = fit_correction(weighed_g, estimated_g, errors)
    assert plain.knowledge is not None
    intervals, widened = recalibrated(plain.knowledge.intervals, weighed_g, done)
    record = _record(done, main, widened)
    calibrated = HerbageModel(
        source.about.model_copy(update={"calibration": record}),
        source.heads,
        replace(source.knowledge, intervals=intervals),
        source.oof,
        dropped=dropped,
    )
    calibrated.report = model_report(calibrated)
    if model_out is not None:
        run = run_record(
            "calibrate", started, backbone=opened, model=calibrated, tables={"cuts": cuts}, photos=str(photos),
            source_sha256=source.digest, dropped=len(dropped),
        )  # fmt: skip
        calibrated.write(Path(model_out).resolve(), run, overwrite=overwrite)
    return calibrated


def _estimated(
    model: HerbageModel, table: WeighedTable, backbone: Backbone, store: str | Path | None, track: Track
) -> tuple[list[int], list[Float[np.ndarray, "5"]], dict[str, str]]:
    """Rows of the table whose photos can be read, their estimates, and why the others cannot be read."""
    rows, grams, dropped, own = [], [], {}, 0
    made = model.estimates(table.files, backbone, store=store)
    for row, (estimate, _) in enumerate(track(made, "calibrate", len(table.files))):
        if estimate.status != "ok":
            dropped[estimate.photo] = estimate.message
            continue
        rows.append(row)
        grams.append(estimate.grams)
        own += estimate.trained_on
    if own:
        log.warning("%d of the cuts are the model's own training photos: they say nothing new of it.", own)
    if not grams:
        raise PhotosMissing(f"None of the {len(table.files)} photos of the cuts can be read.")
    return rows, grams, dropped


def _warn_of_odd_weights(weighed_g: Float[np.ndarray, " cut"], estimated_g: Float[np.ndarray, " cut"]) -> None:
    times = weighed_g.mean() / max(estimated_g.mean(), 1e-6)
    if not 1 / ODD_FACTOR <= times <= ODD_FACTOR:
        log.warning(
            "The cuts weigh %.3g times what the model says of their photos: are --unit and --quadrat-area right?", times
        )


def _record(done: Calibrated, main: int, widened: float) -> CalibrationRecord:
    """What the model keeps of its calibration; errors are those of the target `main`."""
    both = np.stack([done.source_g[:, main], done.residual_g[:, main]])
    rmse, bias = np.sqrt((both**2).mean(1)).tolist(), (-both.mean(1)).tolist()
    return CalibrationRecord(
        cuts=both.shape[1],
        kind=done.kind,
        slope=tuple(done.correction.slope.tolist()),
        offset_g=tuple(done.correction.offset_g.tolist()),
        loss_g2=done.loss,
        target=TARGETS[main],
        rmse_g=(rmse[0], rmse[1]),
        bias_g=(bias[0], bias[1]),
        widened=widened,
    )


def plan_cuts(
    model: str | Path | HerbageModel,
    photos: str | Path,
    *,
    count: int,
    out: str | Path | None = None,
    store: str | Path | None = None,
    backbone: str | Path | Backbone | None = None,
    device: Device = "auto",
    precision: Precision = "auto",
    overwrite: bool = False,
    track: Track = silent,
) -> pd.DataFrame:
    """Which photos of a folder to cut and weigh, so that a calibration learns most; written to `out` if it is named.

    A row a photo: `image_path`, its estimate, and an empty column to fill in, which `calibrate` reads as it is; the
    folder that the paths are below stands in the table's `attrs["photos"]`, and photos that cannot be read in its
    `attrs["failed"]`, with their reasons. Estimates are in g a quadrat and kg DM/ha.
    Raises InputInvalid for a count that cannot be, PhotosMissing and OutputExists.
    """
    started = time.time()
    if out is not None:
        refuse_existing(Path(out), overwrite=overwrite)
    opened_model = open_model(model)
    files = find_photos(photos)
    if not 1 <= count <= len(files):
        raise InputInvalid(f"--count {count}: expected 1 to {len(files)}, the photos that there are.")
    opened = opened_model.open_backbone(backbone, device=device, precision=precision)
    paths, grams, means, failed = [], [], [], {}
    for estimate, item in track(opened_model.estimates(files, opened, store=store), "plan-cuts", len(files)):
        if estimate.status != "ok":
            failed[estimate.photo] = estimate.message
            continue
        paths.append(_absolute(item.file.path))
        grams.append(estimate.grams)
        means.append(mean_token(item.tokens).numpy())
    if count > len(paths):
        raise InputInvalid(f"--count {count}: expected 1 to {len(paths)}, the photos that can be read.")
    main = main_target(opened_model.about.known)
    weights = np.array(grams)[:, main]
    chosen = choose_cuts(weights, np.array(means), count)
    folder = Path(photos) if Path(photos).is_dir() else Path(os.path.commonpath([path.parent for path in paths]))
    plan = pd.DataFrame({
        "image_path": [paths[row].relative_to(_absolute(folder)).as_posix() for row in chosen],
        f"{TARGETS[main]}_estimated": weights[chosen].round(2),
        f"{TARGETS[main].removesuffix('_g')}_kg_per_ha_estimated": kg_per_ha(
            weights[chosen], opened_model.quadrat_area_m2
        ).round().astype(int),
        TARGETS[main]: [None] * count,
    })  # fmt: skip
    plan.attrs |= {"photos": str(folder), "failed": failed}
    if out is not None:
        write_whole(Path(out), plan.to_csv(index=False, lineterminator="\n"))
        run = run_record("plan-cuts", started, backbone=opened, model=opened_model, photos=str(photos), count=count)
        write_whole(run_place(Path(out)), run)
    return plan


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100  # a link keeps the name it goes by
