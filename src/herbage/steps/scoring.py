"""How good models are, out of fold or on a new table."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from herbage.backbones.backbone import Backbone
from herbage.backbones.engine import Device, Precision
from herbage.errors import InputInvalid, ModelInvalid, PhotosMissing, TableInvalid
from herbage.evaluation.baselines import named_floors
from herbage.evaluation.comparison import Difference, estimated, paired_difference, plain_average, weighed
from herbage.evaluation.folds import Folds
from herbage.evaluation.out_of_fold import oof_table
from herbage.evaluation.scoring import score_estimates
from herbage.model.config import ScoreRecord
from herbage.model.model import HerbageModel, open_model
from herbage.photos.tables import Unit, WeighedTable, read_weighed_table
from herbage.progress import Track, silent
from herbage.targets import known_targets

log = logging.getLogger("herbage")


@dataclass(frozen=True)
class Scored:
    """One model's score, its floors where it was trained, and the photos that could not be read with their reasons.

    `mean_g` is what was weighed on average, g a quadrat of `quadrat_area_m2`, by target.
    """

    name: str
    score: ScoreRecord
    mean_g: dict[str, float]
    quadrat_area_m2: float
    floors: dict[str, ScoreRecord]
    failed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Scores:
    """Each model's score; of two models the difference (second less first), of several what their average scores."""

    models: list[Scored]
    difference: Difference | None = None
    average: ScoreRecord | None = None

    def frame(self) -> pd.DataFrame:
        """A row a model and floor: `name`, `photos`, `weighted_r2`, and each target's r2, rmse_g, mae_g and bias_g."""
        records = [(one.name, one.score) for one in self.models]
        records += [named for one in self.models for named in named_floors(one.floors).items()]
        return pd.DataFrame([
            {"name": name, "photos": record.photos, "weighted_r2": record.weighted_r2}
            | {f"{t}_{figure}": value for t, own in record.targets.items() for figure, value in own}
            for name, record in records
        ])  # fmt: skip


def score(
    models: str | Path | HerbageModel | Sequence[str | Path | HerbageModel],
    *,
    table: str | Path | pd.DataFrame | None = None,
    photos: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    unit: Unit = "g",
    backbone: str | Path | Backbone | None = None,
    device: Device = "auto",
    precision: Precision = "auto",
    track: Track = silent,
) -> Scores:
    """Each model's out-of-fold score, or its score on a new weighed table; of several, how they compare too.

    `unit` is what the new table's weights are in. Raises InputInvalid and TableInvalid for what cannot be
    compared, and ModelInvalid where imported heads have no out-of-fold estimates.
    """
    several = [models] if isinstance(models, str | Path | HerbageModel) else models
    opened = [open_model(one) for one in several]
    if table is None and photos is not None:
        raise InputInvalid("--photos goes with --table: without one the out-of-fold estimates are scored.")
    scored, judged = [], []
    for model, named in zip(opened, several, strict=True):
        name = model.recipe.name if isinstance(named, HerbageModel) else str(named)
        failed: dict[str, str] = {}
        if table is not None:
            if photos is None:
                raise TableInvalid("--table needs --photos, the folder of its photos.")
            area = model.quadrat_area_m2
            new = read_weighed_table(table, photos, columns=columns, unit=unit, quadrat_area_m2=area, skip_empty=True)
            opened_backbone = model.open_backbone(backbone, device=device, precision=precision)
            oof, failed = _judge_new(model, new, opened_backbone, track)
        elif model.oof is None:
            raise ModelInvalid(
                f"{name} has no out-of-fold estimates (its heads were imported): give --table and --photos."
            )
        else:
            oof = model.oof
            if model.about.calibration is not None:
                log.warning(
                    "%s was corrected by own cuts: this is its score before them. A --table of cuts that were kept "
                    "back says what they did.", name,
                )  # fmt: skip
        judged.append(oof)
        record = ScoreRecord.of(score_estimates(weighed(oof), estimated(oof)))
        mean_g = {target: float(oof[target].mean()) for target in record.targets}
        floors = model.about.floors if table is None else {}
        scored.append(Scored(name, record, mean_g, model.quadrat_area_m2, floors, failed))
    if len(judged) == 1 or (table is None and any(model.about.calibration for model in opened)):
        return Scores(scored)
    average = plain_average(judged)
    return Scores(
        scored,
        paired_difference(*judged) if len(judged) == 2 else None,
        ScoreRecord.of(score_estimates(weighed(average), estimated(average))),
    )


def _judge_new(
    model: HerbageModel, new: WeighedTable, backbone: Backbone, track: Track
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Weighed and estimated grams of a new table, in the form of oof.csv, and the photos that cannot be read."""
    made, seen = [], 0
    for estimate, _ in track(model.estimates(new.files, backbone), "score", len(new.files)):
        made.append(estimate)
        seen += estimate.trained_on
    if seen:
        log.warning(
            "%d of these %d photos are the model's own training photos, so this score reads too high; "
            "`herbage score MODEL` without --table gives the out-of-fold score.", seen, len(made),
        )  # fmt: skip
    good = [row for row, estimate in enumerate(made) if estimate.status == "ok"]
    if not good:
        raise PhotosMissing(f"None of the {len(made)} photos of the table can be read.")
    kept = new.keep(good)
    every = np.arange(len(good))
    alone = Folds(np.zeros(len(good), int), every, kept.frame["image_path"].tolist(), ())
    if not any(known_targets(kept.grams + np.stack([made[row].grams for row in good]))):
        raise InputInvalid("The table weighs none of the targets that the model estimates.")
    failed = {estimate.photo: estimate.message for estimate in made if estimate.status != "ok"}
    return oof_table(kept.frame, kept.grams, alone, np.stack([made[row].grams for row in good])), failed
