"""Score models, out of fold or on a new weighed table."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Unpack

import numpy as np
import pandas as pd
from jaxtyping import Float

from herbage.backbones.opening import BackboneOptions
from herbage.errors import InputInvalid, PhotosMissing
from herbage.evaluation.baselines import named_baselines
from herbage.evaluation.comparison import Difference, average_estimates, no_better_than_mean, paired_difference
from herbage.evaluation.groups import name_groups
from herbage.evaluation.out_of_fold import OutOfFold
from herbage.evaluation.scoring import score_estimates
from herbage.model.config import ScoreRecord
from herbage.model.estimate import skip_failed
from herbage.model.model import HerbageModel, open_model
from herbage.progress import Track, silent
from herbage.remarks import log_remarks
from herbage.steps.checks import check_new_table
from herbage.steps.comparing import check_comparable, model_names
from herbage.steps.measuring import both_grams, from_columns, log_unused_columns
from herbage.tables.numbers import DecimalSign
from herbage.tables.spreadsheet import DateOrder, TableFormat
from herbage.tables.weighed import Unit, WeighedTable, read_weighed_table

log = logging.getLogger("herbage")


@dataclass(frozen=True)
class ModelScore:
    """One model's score, its baselines if it was trained, and the photos that could not be read with the reason.

    `mean_g` is the mean weight per target, in g per quadrat of `quadrat_area_m2`. `no_better_than_mean` are the targets
    whose estimates are not shown to be better than the mean of the training photos. `measured` is about the estimates
    with the model's measured columns.
    """

    name: str
    score: ScoreRecord
    mean_g: dict[str, float]
    quadrat_area_m2: float
    baselines: dict[str, ScoreRecord]
    no_better_than_mean: list[str]
    measured: "MeasuredScore | None" = None
    failed: dict[str, str] = field(default_factory=dict)

    def named_scores(self) -> dict[str, ScoreRecord]:
        """The scores under display names."""
        if self.measured is None:
            return {self.name: self.score}
        return {self.name: self.score, f"{self.name} with {' and '.join(self.measured.columns)}": self.measured.score}


@dataclass(frozen=True)
class MeasuredScore:
    """The score of the estimates with measured columns, for the photos that have all values.

    `gain` is how much higher it is than that of the photo alone, on the same photos. `no_better_than_mean` is as in
    `ModelScore`.
    """

    columns: tuple[str, ...]
    score: ScoreRecord
    gain: Difference
    no_better_than_mean: list[str]

    @classmethod
    def of(
        cls, columns: tuple[str, ...], table: OutOfFold, mean_g: Float[np.ndarray, "5"] | None
    ) -> "MeasuredScore | None":
        """From a table with measured estimates; None where it has none. `mean_g` is that of `no_better_than_mean`."""
        if table.measured_g is None:
            return None
        own = table.with_measured()
        row_of = {path: row for row, path in enumerate(table.image_path)}
        alone = table.take([row_of[path] for path in own.image_path])
        record = ScoreRecord.of(score_estimates(own.weighed_g, own.estimated_g))
        return cls(columns, record, paired_difference(alone, own), no_better_than_mean(own, mean_g))


@dataclass(frozen=True)
class Scores:
    """Each model's score; for two also the difference (second minus first), for several also that of their average."""

    models: list[ModelScore]
    difference: Difference | None = None
    average: ScoreRecord | None = None

    def frame(self) -> pd.DataFrame:
        """One row per model and baseline: `name`, `photos`, `weighted_r2`, and r2, rmse_g, mae_g, bias_g per target."""
        records = [named for one in self.models for named in one.named_scores().items()]
        records += [named for one in self.models for named in named_baselines(one.baselines).items()]
        return pd.DataFrame([
            {"name": name, "photos": record.photos, "weighted_r2": record.weighted_r2}
            | {f"{t}_{figure}": value for t, own in record.targets.items() for figure, value in own}
            for name, record in records
        ])  # fmt: skip


@dataclass(frozen=True)
class _NewTable:
    """A weighed table to score on, instead of the out-of-fold estimates."""

    table: str | Path | pd.DataFrame
    photos: str | Path
    how: TableFormat
    unit: Unit

    def read(self, quadrat_area_m2: float, measured: tuple[str, ...]) -> WeighedTable:
        """The weights in g per quadrat of this area, with the columns `measured` as numbers."""
        return read_weighed_table(
            self.table,
            self.photos,
            replace(self.how, measured=measured),
            unit=self.unit,
            quadrat_area_m2=quadrat_area_m2,
            skip_empty=True,
        )


def score(
    models: str | Path | HerbageModel | Sequence[str | Path | HerbageModel],
    *,
    table: str | Path | pd.DataFrame | None = None,
    photos: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    decimal: DecimalSign | None = None,
    sheet: str | None = None,
    dates: DateOrder | None = None,
    unit: Unit = "g",
    store: str | Path | None = None,
    track: Track = silent,
    **options: Unpack[BackboneOptions],
) -> Scores:
    """Each model's out-of-fold score, or its score on a new weighed table; several models are also compared.

    `unit` is that of the new table's weights, and `store` caches the tokens of its photos; scores are in g per quadrat.
    Raises InputInvalid and TableInvalid where the models or tables cannot be compared, and ModelInvalid where imported
    heads have no out-of-fold estimates.
    """
    new = _new_table(table, photos, TableFormat(columns or {}, decimal, sheet, dates), unit)
    given = [models] if isinstance(models, str | Path | HerbageModel) else models
    opened, names = [open_model(one) for one in given], model_names(given)
    check_comparable(opened, names)
    scores, tables = [], []
    for model, name in zip(opened, names, strict=True):
        failed: dict[str, str] = {}
        oof = _own_estimates(model, name) if new is None else _estimate_table(model, new, failed, options, store, track)
        tables.append(oof.delivered())
        scores.append(_model_score(model, name, oof, failed, is_new=new is not None))
    # The out-of-fold estimates of a calibrated model are those of the model before its calibration.
    calibrated = any(model.evidence is not None and model.evidence.alone.calibration for model in opened)
    if len(tables) == 1 or (new is None and calibrated):
        return Scores(scores)
    if new is not None and len(set(tables[0].group)) == len(tables[0]):
        log.warning(
            "The table has no groups of State and Sampling_Date, so the interval of the difference takes photos as "
            "independent; it may be too narrow."
        )
    average = average_estimates(tables)
    return Scores(
        scores,
        paired_difference(*tables) if len(tables) == 2 else None,
        ScoreRecord.of(score_estimates(average.weighed_g, average.estimated_g)),
    )


def _model_score(model: HerbageModel, name: str, oof: OutOfFold, failed: dict[str, str], *, is_new: bool) -> ModelScore:
    """The scores of one model's estimates; those of a new table are compared with the training mean."""
    record, evidence = ScoreRecord.of(score_estimates(oof.weighed_g, oof.estimated_g)), model.evidence
    mean_g = np.array(evidence.training.mean_g, float) if is_new and evidence is not None else None
    no_better = [] if evidence is None else no_better_than_mean(oof, mean_g)
    return ModelScore(
        name,
        record,
        {str(target): float(mean) for target, mean in oof.frame()[list(record.targets)].mean().items()},
        model.quadrat_area_m2,
        {} if is_new or evidence is None else evidence.baselines,
        no_better,
        MeasuredScore.of(model.measured_names, oof, mean_g),
        failed,
    )


def _new_table(
    table: str | Path | pd.DataFrame | None,
    photos: str | Path | None,
    how: TableFormat,
    unit: Unit,
) -> _NewTable | None:
    check_new_table(table, photos)
    return None if table is None or photos is None else _NewTable(table, photos, how, unit)


def _own_estimates(model: HerbageModel, name: str) -> OutOfFold:
    evidence = model.require_evidence(f"The score of {name}")
    if evidence.alone.calibration is not None:
        log.warning(
            "%s was corrected by own cuts: this is its score before the correction. To score the correction, pass a "
            "`table` of cuts that were not used for it.", name,
        )  # fmt: skip
    return evidence.oof


def _estimate_table(
    model: HerbageModel,
    new: _NewTable,
    failed: dict[str, str],
    options: BackboneOptions,
    store: str | Path | None,
    track: Track,
) -> OutOfFold:
    """Weighed and estimated grams of a new table; photos that cannot be read are added to `failed`."""
    table = new.read(model.quadrat_area_m2, model.measured_names)
    beside = from_columns(model, table.files, table.frame)
    log_remarks([*table.remarks, *beside.remarks])
    log_unused_columns(model, beside.files)
    made = model.estimates(beside.files, model.open_backbone(**options), store=store)
    rows, grams, training_photos = [], [], 0
    for row, estimate, item in skip_failed(track(made, "score", len(table.files)), failed):
        rows.append(row)
        grams.append(both_grams(model, estimate, item))
        training_photos += estimate.training_photo is True
    if training_photos:
        log.warning(
            "The model was trained on %d of these %d photos, so this score is too high; `herbage score MODEL` without "
            "`table` gives the out-of-fold score.", training_photos, len(table.files),
        )  # fmt: skip
    if not rows:
        raise PhotosMissing(f"None of the {len(table.files)} photos of the table can be read.")
    readable = table.take(rows)
    names = readable.frame["image_path"].tolist()
    groups = name_groups(readable.frame, photos=[str(file.path) for file in readable.files], dates=new.how.dates).names
    alone_g, measured_g = np.array(grams).transpose(1, 0, 2)
    fold = np.zeros(len(rows), int)
    estimates = OutOfFold(names, groups, fold, readable.grams, alone_g)
    if not np.isnan(measured_g).all():
        estimates = replace(estimates, measured_g=measured_g)
    if not any(estimates.known):
        raise InputInvalid("The table has no weights of the targets that the model estimates.")
    return estimates
