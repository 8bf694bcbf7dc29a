"""Own cuts: select photos of quadrats to cut and weigh, and correct a model with the weighed cuts."""

import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, Unpack

import numpy as np
import pandas as pd
from jaxtyping import Float

from herbage.backbones.opening import BackboneOptions
from herbage.errors import InputInvalid, PhotosMissing
from herbage.files import common_folder, write_atomic
from herbage.formatting import counted
from herbage.model.assessment import Assessment
from herbage.model.calibration import MIN_CUTS, Errors, fit_correction
from herbage.model.cut_selection import choose_cuts
from herbage.model.domain import mean_token
from herbage.model.estimate import Estimate, skip_failed
from herbage.model.evidence import Evidence
from herbage.model.model import HerbageModel, open_model
from herbage.model.outlying_cuts import OutlyingCut, find_outlying_cuts
from herbage.outputs import check_model_place, check_output_file
from herbage.photos.discovery import find_photos
from herbage.progress import Track, silent
from herbage.remarks import Remark, log_remarks
from herbage.results.report import model_report
from herbage.steps.measuring import MeasuredPhotos, MeasuredSource, both_grams, from_table, log_unused_columns
from herbage.steps.run_record import run_place, run_record
from herbage.tables.numbers import DecimalSign
from herbage.tables.spreadsheet import DateOrder, TableFormat
from herbage.tables.weighed import Unit, WeighedTable, grams_per_unit, read_weighed_table
from herbage.targets import TARGETS, balance, check_area, kg_per_ha, known_targets, main_target
from herbage.tokens.extraction import Extracted

log = logging.getLogger("herbage")

IMPLAUSIBLE_FACTOR = 4.0
"""If the median cut differs from its estimate by more than this factor, the unit is probably wrong."""


def calibrate(
    model: str | Path | HerbageModel,
    cuts: str | Path | pd.DataFrame,
    *,
    photos: str | Path,
    model_out: str | Path | None = None,
    table: str | Path | pd.DataFrame | None = None,
    columns: Mapping[str, str] | None = None,
    decimal: DecimalSign | None = None,
    sheet: str | None = None,
    dates: DateOrder | None = None,
    unit: Unit = "g",
    quadrat_area_m2: float | None = None,
    store: str | Path | None = None,
    overwrite: bool = False,
    track: Track = silent,
    **options: Unpack[BackboneOptions],
) -> HerbageModel:
    """Correct a model with a few weighed photos of a new place, and write it to `model_out` if that is set.

    `cuts` is a table as for `train`; the total alone is enough, and rows without a weight are left out.
    `quadrat_area_m2` is that of the cuts, if it differs from the training quadrat's. Heads with measured columns are
    corrected by the cuts that have all values, in `cuts` or in `table`, a sidecar table; if fewer than 3 have them, the
    calibrated model estimates from the photo alone. A model that was calibrated before
    is calibrated again from its original state. Photos that cannot be read are listed in the result's `dropped`. Raises
    TableInvalid for fewer than 3 cuts, InputInvalid for cuts of other targets, PhotosMissing, OutputExists, and
    ModelInvalid for imported heads.
    """
    started = time.time()
    given = open_model(model)
    source = given.without_calibration()
    evidence = source.require_evidence("Calibration")
    if model_out is not None:
        inputs = [photos, *([] if isinstance(cuts, pd.DataFrame) else [cuts]), *([store] if store else [])]
        check_model_place(Path(model_out), overwrite=overwrite, inputs=inputs, parameter="model_out")
    area = quadrat_area_m2 or source.quadrat_area_m2
    check_area(area)
    values = MeasuredSource(source, Path(photos), table, TableFormat(columns or {}, decimal, sheet, dates))
    weighed = read_weighed_table(cuts, photos, values.main_format, unit=unit, quadrat_area_m2=area, skip_empty=True)
    beside = values.attach(weighed.files, weighed.frame)
    remarks = [*weighed.remarks, *beside.remarks]
    log_remarks(remarks)
    log_unused_columns(source, beside.files)
    backbone = source.open_backbone(**options)
    dropped: dict[str, str] = {}
    made = track(source.estimates(beside.files, backbone, store=store), "calibrate", len(beside.files))
    scale = source.quadrat_area_m2 / area  # the model works in grams per training quadrat
    found = _estimate_cuts(source, skip_failed(made, dropped), weighed.take, scale)
    doubts = [*_doubts(found, evidence.alone, _Weights(unit, 1 / scale / grams_per_unit(unit, area)))]
    doubts += _doubts_on_measured(found, source.measured_names)
    log_remarks(doubts)
    remarks += doubts
    corrected = _corrected_evidence(evidence, found)
    calibrated = HerbageModel(
        source.config,
        source.heads,
        corrected,
        measured_heads=source.measured_heads,
        report=model_report(source.config, corrected, remarks=remarks),
        dropped=dropped,
    )
    if model_out is not None:
        run = run_record(
            "calibrate", started, backbone=backbone, model=calibrated,
            tables={"cuts": cuts, "table": table}, photos=str(photos),
            source_sha256=given.digest, dropped=len(dropped), remarks=remarks,
        )  # fmt: skip
        calibrated.write(Path(model_out).resolve(), run, overwrite=overwrite)
    return calibrated


class _Cuts(NamedTuple):
    """The cuts whose photos can be read, in g per training quadrat; estimates are balanced.

    `measured_g` are the estimates with measured columns, NaN for cuts that lack a value.
    """

    names: list[str]
    weighed_g: Float[np.ndarray, "cut 5"]
    estimated_g: Float[np.ndarray, "cut 5"]
    measured_g: Float[np.ndarray, "cut 5"]

    def with_measured(self) -> "_Cuts":
        """The cuts that have all measured values, with the measured estimates as their estimates."""
        rows = np.flatnonzero(~np.isnan(self.measured_g).all(1))
        own = self.measured_g[rows]
        return _Cuts([self.names[row] for row in rows], self.weighed_g[rows], own, own)


def _estimate_cuts(
    model: HerbageModel,
    estimates: Iterable[tuple[int, Estimate, Extracted]],
    take: Callable[[list[int]], WeighedTable],
    scale: float,
) -> _Cuts:
    """The cuts and their estimates; `take` gives rows of their table, whose weights are multiplied by `scale`."""
    rows, grams, training_photos = [], [], 0
    for row, estimate, item in estimates:
        rows.append(row)
        grams.append(both_grams(model, estimate, item))
        training_photos += estimate.training_photo is True
    if not rows:
        raise PhotosMissing("None of the photos of the cuts can be read.")
    if training_photos:
        log.warning("The model was trained on %d of the cuts, so they add no information.", training_photos)
    own, (alone, measured) = take(rows), np.array(grams).transpose(1, 0, 2)
    cuts = _Cuts([file.name for file in own.files], own.grams * scale, balance(alone), measured)
    if cuts.with_measured().names:
        cuts.measured_g[~np.isnan(cuts.measured_g).all(1)] = balance(cuts.with_measured().estimated_g)
    if not any(known_targets(cuts.weighed_g + cuts.estimated_g)):
        raise InputInvalid("The cuts have no weights of the targets that the model estimates.")
    return cuts


def _corrected_evidence(evidence: Evidence, cuts: _Cuts) -> Evidence:
    """Heads with measured columns are corrected if enough cuts have their values."""
    measured, own = evidence.measured, cuts.with_measured()
    if measured is not None and len(own.names) >= MIN_CUTS:
        measured = _corrected(measured, own)
    return replace(evidence, alone=_corrected(evidence.alone, cuts), measured=measured)


def _corrected(assessment: Assessment, cuts: _Cuts) -> Assessment:
    """The assessment of heads corrected by the cuts."""
    errors = Errors.of(assessment.oof.weighed_g, balance(assessment.oof.estimated_g))
    calibration = fit_correction(cuts.weighed_g, cuts.estimated_g, errors)
    main = main_target(known_targets(cuts.weighed_g + cuts.estimated_g))
    return assessment.calibrated(calibration, cuts.weighed_g, main)


def _doubts_on_measured(cuts: _Cuts, columns: Sequence[str]) -> Iterator[Remark]:
    """Remarks on the cuts with measured values, for a model that has such columns."""
    if not columns:
        return
    own = cuts.with_measured()
    if len(own.names) >= MIN_CUTS:
        yield from _implausible(own, "estimates with measured columns: are their units correct?")
        return
    message = (
        f"{counted(len(own.names), 'cut')} with {' and '.join(columns)}, expected at least {MIN_CUTS}: the calibrated "
        f"model estimates from the photo alone"
    )
    yield Remark("measured_not_calibrated", f"{message}.", len(own.names))


def _doubts(cuts: _Cuts, assessment: Assessment, weights: "_Weights") -> Iterator[Remark]:
    """Remarks on cuts whose weights are probably wrong."""
    unlikely = list(_implausible(cuts, "estimates: are `unit` and `quadrat_area_m2` correct?"))
    if not unlikely:
        oof_g = assessment.oof.weighed_g, balance(assessment.oof.estimated_g)
        outlying = find_outlying_cuts(cuts.weighed_g, cuts.estimated_g, *oof_g)
        unlikely += _outlying(outlying, cuts.names, weights)
    yield from unlikely


class _Weights(NamedTuple):
    """How weights are written in messages: in the table's unit, which has `per_g` per gram in the model's quadrat."""

    unit: Unit
    per_g: float

    def text(self, grams: float) -> str:
        value = grams * self.per_g
        return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _outlying(outlying: Sequence[OutlyingCut], names: Sequence[str], weights: _Weights) -> Iterator[Remark]:
    """Each outlying cut with its weight, the expected weights, and the fault that would explain it."""
    if not outlying:
        return
    label = {"g": "g", "g_per_m2": "g/m2", "kg_per_ha": "kg DM/ha"}[weights.unit]
    cuts = []
    for cut in outlying:
        others = [one for one in outlying if cut.would_fit(one.weighed_g) and one.would_fit(cut.weighed_g)]
        fits = [f"the weight of {names[one.row]} would fit" for one in others]
        slips = ((0.1, "a tenth of it would fit"), (10, "ten times as much would fit"))
        fits += [text for factor, text in slips if cut.would_fit(cut.weighed_g * factor)]
        cuts.append(
            f"{names[cut.row]} (weighed {weights.text(cut.weighed_g)} {label}, expected {weights.text(cut.low_g)} to "
            f"{weights.text(cut.high_g)} {label}{'; ' if fits else ''}{' or '.join(fits)})"
        )
    message = f"{counted(len(cuts), 'cut')} far from what the other cuts and the model's errors lead to expect"
    yield Remark.of("outlying_cuts", cuts, f"{message}; check weight and photo, or remove the row and calibrate again")


def _implausible(cuts: _Cuts, what: str) -> Iterator[Remark]:
    """Cuts that are probably in another unit: by the median, which a single wrong weight does not change much."""
    main = main_target(known_targets(cuts.weighed_g + cuts.estimated_g))
    factor = np.median(cuts.weighed_g[:, main] / np.maximum(cuts.estimated_g[:, main], 1e-6))
    if not 1 / IMPLAUSIBLE_FACTOR <= factor <= IMPLAUSIBLE_FACTOR:
        yield Remark("implausible_cuts", f"The cuts weigh {factor:.3g} times the model's {what}", len(cuts.names))


def plan_cuts(
    model: str | Path | HerbageModel,
    photos: str | Path,
    *,
    count: int,
    out: str | Path | None = None,
    table: str | Path | pd.DataFrame | None = None,
    columns: Mapping[str, str] | None = None,
    decimal: DecimalSign | None = None,
    sheet: str | None = None,
    dates: DateOrder | None = None,
    store: str | Path | None = None,
    overwrite: bool = False,
    track: Track = silent,
    **options: Unpack[BackboneOptions],
) -> pd.DataFrame:
    """Select photos to cut and weigh for a calibration, and write the table to `out` if that is set.

    One row per photo: `image_path`, its estimate in g per quadrat and kg DM/ha, the model's measured columns, and an
    empty column to fill in; `calibrate` reads the filled table. `table` is a sidecar table with measured columns.
    `attrs["photos"]` of the data frame is the folder of the paths, and `attrs["failed"]` holds photos that cannot be
    read, with the reason. Raises InputInvalid for an impossible count, PhotosMissing and OutputExists.
    """
    started = time.time()
    if out is not None:
        check_output_file(Path(out), overwrite=overwrite)
    opened = open_model(model)
    files = find_photos(photos)
    beside = (
        MeasuredPhotos(files)
        if table is None
        else from_table(opened, files, Path(photos), table, TableFormat(columns or {}, decimal, sheet, dates))
    )
    log_remarks([*files.remarks, *beside.remarks])
    log_unused_columns(opened, beside.files)
    if not 1 <= count <= len(files):
        raise InputInvalid(f"`count={count}`: expected 1 to {len(files)}, the number of photos.")
    backbone = opened.open_backbone(**options)
    failed: dict[str, str] = {}
    made = track(opened.estimates(beside.files, backbone, store=store), "plan-cuts", len(files))
    plan = _plan(opened, skip_failed(made, failed), count, Path(photos))
    plan.attrs["failed"] = failed
    if out is not None:
        write_atomic(Path(out), plan.to_csv(index=False, lineterminator="\n"))
        run = run_record(
            "plan-cuts", started, backbone=backbone, model=opened, tables={"table": table}, photos=str(photos),
            count=count,
        )  # fmt: skip
        write_atomic(run_place(Path(out)), run)
    return plan


def _plan(
    model: HerbageModel, estimates: Iterable[tuple[int, Estimate, Extracted]], count: int, photos: Path
) -> pd.DataFrame:
    """The table of `plan_cuts`; the folder of its paths is `photos`, or that of the files in a list."""
    paths, grams, means, measured = [], [], [], []
    for _, estimate, item in estimates:
        paths.append(_absolute(item.file.path))
        grams.append(estimate.grams)
        means.append(mean_token(item.content()[1]).numpy())
        measured.append(item.file.measured or (None,) * len(model.measured_names))
    if count > len(paths):
        raise InputInvalid(f"`count={count}`: expected 1 to {len(paths)}, the number of readable photos.")
    main = main_target(model.known)
    weights = np.array(grams)[:, main]
    chosen = choose_cuts(weights, np.array(means), count)
    per_ha = kg_per_ha(weights[chosen], model.quadrat_area_m2).round().astype(int)
    folder = photos if photos.is_dir() else common_folder(path.parent for path in paths)
    plan = pd.DataFrame({
        "image_path": [paths[row].relative_to(_absolute(folder)).as_posix() for row in chosen],
        f"{TARGETS[main]}_estimated": weights[chosen].round(2),
        f"{TARGETS[main].removesuffix('_g')}_kg_per_ha_estimated": per_ha,
        **{name: [measured[row][number] for row in chosen] for number, name in enumerate(model.measured_names)},
        TARGETS[main]: [None] * count,
    })  # fmt: skip
    plan.attrs["photos"] = str(folder)
    return plan


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100  # unlike resolve, it does not follow links
