"""Train all heads on a weighed table, evaluate them out of fold, and write the model."""

import logging
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Unpack

import numpy as np
import pandas as pd
from jaxtyping import Float
from torch import Tensor

import herbage
from herbage.backbones.backbone import Backbone
from herbage.backbones.opening import BackboneOptions, open_backbone, open_backbone_or
from herbage.environment import memory_bytes
from herbage.errors import InputInvalid, PhotosMissing, TableInvalid
from herbage.evaluation.baselines import TEXTURE_RECIPE, remarks_on_sensors, ridge_on, score_baselines, sensor_readings
from herbage.evaluation.folds import make_folds, refuse_leak
from herbage.evaluation.learning_curve import learning_curve
from herbage.evaluation.out_of_fold import OutOfFold, fit_out_of_fold
from herbage.evaluation.scoring import Score, weighted_r2
from herbage.heads.finalise import finalise_grams, photo_map
from herbage.heads.heads import Heads
from herbage.heads.kinds import HEADS
from herbage.heads.measured import MeasuredColumn, measured_inputs
from herbage.heads.training_data import FitOptions, Folds, TrainingData
from herbage.model import notebook
from herbage.model.assessment import Assessment
from herbage.model.config import BackboneRecord, ModelConfig, ScoreRecord, TrainingRecord, by_target
from herbage.model.evidence import Comparisons, Evidence
from herbage.model.model import HerbageModel
from herbage.outputs import check_model_place
from herbage.photos.photo import PhotoFile, open_photo
from herbage.progress import Track, silent
from herbage.recipe import DEFAULT, Recipe, load_recipe
from herbage.remarks import Remark, log_remarks
from herbage.results.figures import thumbnail, worst_photos
from herbage.results.overlay import draw_overlay
from herbage.results.report import model_report
from herbage.steps.run_record import run_record
from herbage.tables.dates import days
from herbage.tables.measured import measured_columns, remarks_on_measured
from herbage.tables.numbers import DecimalSign
from herbage.tables.spreadsheet import DateOrder, TableFormat
from herbage.tables.weighed import Unit, WeighedTable, read_weighed_table
from herbage.targets import QUADRAT_AREA_M2, TARGETS, check_area, known_targets
from herbage.tokens.extraction import log_missing, stream_tokens, token_bytes
from herbage.tokens.layout import tokens_shape
from herbage.tokens.store import StoredTokens, TokenStore

log = logging.getLogger("herbage")

WORST_PHOTOS = 6
MEMORY_SHARE = 0.25
"""Training tokens are held in memory if they fill at most this share of the machine's memory."""


def train(
    table: str | Path | pd.DataFrame,
    *,
    photos: str | Path,
    model: str | Path | None = None,
    recipe: str | Path | Recipe = DEFAULT,
    store: str | Path | None = None,
    folds: int = 5,
    group_by: Sequence[str] | None = None,
    measured: Sequence[str] = (),
    seed: int = 0,
    quadrat_area_m2: float = QUADRAT_AREA_M2,
    columns: Mapping[str, str] | None = None,
    decimal: DecimalSign | None = None,
    sheet: str | None = None,
    dates: DateOrder | None = None,
    unit: Unit = "g",
    overwrite: bool = False,
    track: Track = silent,
    **options: Unpack[BackboneOptions],
) -> HerbageModel:
    """Extract missing tokens, train all heads, evaluate them out of fold, and write the model folder if `model` is set.

    Tokens are cached in `store`, by default `tokens/` next to the model folder; without both, in memory only. `columns`
    maps herbage's column names to the table's, such as {"Dry_Total_g": "yield"}; `unit` is the unit of its weights.
    Targets that were not weighed, and that no sum determines, get no head. `measured` are columns of numbers, such as
    Height_Ave_cm, that a second set of heads is given in addition to the photo; it is trained on the photos that have
    all of them. Photos that cannot be read are left out and listed in the model's `dropped`. Raises InputInvalid,
    TableInvalid, RecipeInvalid, OutputExists and TrainingFailed before any file of the model is written.
    """
    started = time.time()
    recipe, place = load_recipe(recipe), None if model is None else Path(model).resolve()
    _check_options(recipe, measured, seed, quadrat_area_m2)
    if place is not None:
        store = store or place.parent / "tokens"
        tables = [] if isinstance(table, pd.DataFrame) else [table]
        check_model_place(place, overwrite=overwrite, inputs=[photos, store, *tables])
    how = TableFormat(columns or {}, decimal, sheet, dates, tuple(measured))
    weighed = read_weighed_table(table, photos, how, unit=unit, quadrat_area_m2=quadrat_area_m2)
    measured_columns(weighed.frame, measured, "the table")
    on_measured = remarks_on_measured(weighed.frame, measured, "the table", in_training=True)
    # Before the long work, so that a table that allows no folds is reported at once.
    split_folds = partial(_split, count=folds, group_by=group_by, dates=dates, seed=recipe.fold_seed)
    split = split_folds(weighed)
    remarks = [*weighed.remarks, *split.remarks, *remarks_on_sensors(weighed.frame, measured), *on_measured]
    log_remarks(remarks)
    backbone = open_backbone_or(recipe.backbone, options)
    HEADS[recipe.heads].check(recipe, backbone.width, known_targets(weighed.grams))

    found = _extract(weighed.files, backbone, recipe, store, track)
    on_photos = _on_photos(found, weighed)
    if found.dropped:
        weighed = weighed.take(found.rows)
        split = split_folds(weighed)
    refuse_leak(split, found.digests, [file.name for file in weighed.files])
    log_remarks(on_photos)
    remarks += on_photos
    data = TrainingData(found.tokens, weighed.grams, split, found.digests, sensor_readings(weighed.frame, measured))

    groups = len(split.group_names)
    log.info("Training %s heads: %d photos, %d folds, %d groups", recipe.heads, len(data), folds, groups)
    checkpoint = None if place is None else place.parent / f".{place.name}.unfinished"
    fit = FitOptions(seed, checkpoint, backbone.engine.device, track)
    heads, estimated = fit_out_of_fold(recipe, data, fit)
    beside = _fit_measured(recipe, data, weighed.frame, measured, fit)

    predicted = data.first_views(tokens_shape(recipe.in_prediction(), 0)[0])
    evidence = Evidence.fit(
        _training_record(weighed, split, dates, seed, quadrat_area_m2, found.aspects),
        predicted,
        OutOfFold.of(weighed.frame, data, estimated, beside.estimated_g),
        _maps(heads, recipe, predicted.tokens),
        Comparisons(_baselines(weighed, data, measured, store, track), learning_curve(recipe, data)),
    )
    _log_score(evidence, measured)
    config = ModelConfig(
        herbage=herbage.__version__,
        recipe=recipe,
        backbone=BackboneRecord.of(backbone),
        folds=folds,
        measured_columns=beside.columns,
        delivered=HEADS[recipe.heads].delivered,
    )
    trained = HerbageModel(config, heads, evidence, measured_heads=beside.heads, dropped=found.dropped)
    trained.report = model_report(config, evidence, _worst(trained, weighed.files, predicted), remarks)
    if place is not None:
        run = run_record(
            "train", started, backbone=backbone, model=trained, recipe=recipe, tables={"table": table},
            photos=str(photos), seed=seed, fold_seed=recipe.fold_seed, dropped=len(found.dropped), remarks=remarks,
        )  # fmt: skip
        trained.write(place, run, overwrite=overwrite)
    if checkpoint is not None:
        shutil.rmtree(checkpoint, ignore_errors=True)
    return trained


def import_heads(
    folder: str | Path, *, model: str | Path, overwrite: bool = False, **options: Unpack[BackboneOptions]
) -> HerbageModel:
    """Convert the public notebook's `target{0..4}/fold{0..4}.pt` to a model; raises CheckpointRefused.

    The backbone is by default facebook/dinov2-giant, as in the notebook.
    """
    started = time.time()
    check_model_place(Path(model), overwrite=overwrite, inputs=[folder])
    backbone = open_backbone_or(load_recipe("seed").backbone, options)
    imported = notebook.import_heads(Path(folder), backbone)
    run = run_record("import-heads", started, backbone=backbone, model=imported, source=str(folder))
    imported.write(Path(model).resolve(), run, overwrite=overwrite)
    return imported


@dataclass
class _Extracted:
    """Table rows, tokens, digests and aspects (width over height) of the readable photos; `dropped` has the others.

    `messages` are what is to say about single photos, after their names.
    """

    tokens: Sequence[Tensor]
    rows: list[int] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    aspects: list[float] = field(default_factory=list)
    dropped: dict[str, str] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)


def _split(weighed: WeighedTable, **options: Any) -> Folds:
    """The folds of a table's photos; the quadrats of a photo are in one group."""
    return make_folds(weighed.frame, weighed.grams, photos=[str(file.path) for file in weighed.files], **options)


class _Measured(NamedTuple):
    """The heads with measured columns and their out-of-fold estimates, NaN for photos that lack a value."""

    columns: tuple[MeasuredColumn, ...] = ()
    heads: Heads | None = None
    estimated_g: Float[np.ndarray, "photo 5"] | None = None


def _fit_measured(
    recipe: Recipe, data: TrainingData, frame: pd.DataFrame, names: Sequence[str], fit: FitOptions
) -> _Measured:
    """Fit the heads with measured columns on the photos that have all values; raises TableInvalid for too few."""
    if not names:
        return _Measured()
    values = measured_columns(frame, names, "the table")
    columns = tuple(MeasuredColumn.fit(name, of) for name, of in zip(names, values.T, strict=True))
    inputs = measured_inputs(columns, values)
    rows = np.flatnonzero(~np.isnan(inputs).any(1)).tolist()
    if len(np.unique(data.folds.fold[rows])) < data.folds.count:
        raise TableInvalid(
            f"`measured`: {len(rows)} of {len(data)} photos have a number in {' and '.join(names)}; expected some in "
            f"each of the {data.folds.count} folds."
        )
    log.info("Training %s heads with %s: %d photos", recipe.heads, " and ".join(names), len(rows))
    heads, estimated = fit_out_of_fold(recipe, data.with_measured(rows, inputs[rows]), fit)
    of_all = np.full(data.grams.shape, np.nan)
    of_all[rows] = estimated
    return _Measured(columns, heads, of_all)


def _check_options(recipe: Recipe, measured: Sequence[str], seed: int, quadrat_area_m2: float) -> None:
    check_area(quadrat_area_m2)
    if measured and not HEADS[recipe.heads].takes_measured:
        raise InputInvalid(
            f"`measured`: the {recipe.heads} heads of recipe {recipe.name} take no measured columns; use recipe field."
        )
    if repeated := [name for name in dict.fromkeys(measured) if list(measured).count(name) > 1]:
        raise InputInvalid(f"`measured` names {', '.join(repeated)} more than once.")
    if not 0 <= seed < 2**63:
        raise InputInvalid(f"`seed={seed}`: expected a whole number from 0 to 2^63 - 1.")


def _extract(
    files: Sequence[PhotoFile], backbone: Backbone, recipe: Recipe, store: str | Path | None, track: Track
) -> _Extracted:
    """The tokens of the photos; those that would fill much of the memory are read from the store on demand."""
    token_store = None if store is None else TokenStore(store, backbone, recipe)
    if token_store is not None:
        log_missing(files, backbone, recipe, token_store)
    in_memory = token_store is None or token_bytes(backbone, recipe) * len(files) <= MEMORY_SHARE * memory_bytes()
    tokens: list[Tensor] = []
    found = _Extracted(tokens)
    items = stream_tokens(files, backbone, recipe, token_store, open_photos=True)
    for row, item in enumerate(track(items, f"extract with {Path(backbone.name).name}", len(files))):
        if item.failure:
            found.dropped[item.file.name] = str(item.failure)
            continue
        if in_memory:
            tokens.append(item.tokens)
        found.rows.append(row)
        found.digests.append(item.sha256)
        found.aspects.append(item.photo.aspect)
        found.messages += [f"{item.file.name} ({'; '.join(item.photo.remarks)})"] if item.photo.remarks else []
    if not found.digests:
        first = next(iter(found.dropped.values()))
        raise PhotosMissing(f"None of the {len(files)} photos can be read; the first: {first}.")
    if token_store is not None and not in_memory:
        log.info("The tokens would fill much of the memory, so they are read from the store during training.")
        found.tokens = StoredTokens(token_store, found.digests)
    return found


def _on_photos(found: _Extracted, weighed: WeighedTable) -> list[Remark]:
    """Remarks on single photos: those that cannot be read, copies of others, and what was not used of the others."""
    remarks = []
    if found.dropped:
        message = f"{len(found.dropped)} of {len(weighed.files)} photos cannot be read and are left out"
        remarks.append(Remark.of("unreadable_photos", list(found.dropped.values()), message))
    first: dict[str, str] = {}
    names = [weighed.files[row].name for row in found.rows]
    originals = [first.setdefault(digest, name) for digest, name in zip(found.digests, names, strict=True)]
    copies = [f"{name} = {original}" for name, original in zip(names, originals, strict=True) if name != original]
    if copies:
        remarks.append(Remark.of("copies", copies, "Photos that are byte-equal to another one count twice"))
    if found.messages:
        message = "Remarks on single photos"
        remarks.append(Remark.of("photo_remarks", found.messages, message, is_warning=False))
    return remarks


def _training_record(
    weighed: WeighedTable,
    split: Folds,
    dates: DateOrder | None,
    seed: int,
    quadrat_area_m2: float,
    aspects: Sequence[float],
) -> TrainingRecord:
    return TrainingRecord(
        photos=len(weighed.files),
        groups=len(split.group_names),
        grouped_by=split.grouped_by,
        folds=split.count,
        seed=seed,
        mean_g=by_target(weighed.grams.mean(0)),
        quadrat_area_m2=quadrat_area_m2,
        aspect=float(np.median(aspects)),
        in_words=_describe(weighed, dates),
    )


def _maps(heads: Heads, recipe: Recipe, tokens: Sequence[Tensor]) -> list[Float[np.ndarray, "5 row column"]]:
    """The maps of the training photos, for their colour scale; empty where the heads have none."""
    maps = (photo_map(heads, one, finalise_grams(heads.grams(one).numpy(), recipe), recipe) for one in tokens)
    return [one for one in maps if one is not None]


def _baselines(
    weighed: WeighedTable, data: TrainingData, measured: Sequence[str], store: str | Path | None, track: Track
) -> dict[str, Score]:
    log.info("Extracting texture features for the baselines")
    texture = _extract(weighed.files, open_backbone("texture"), TEXTURE_RECIPE, store, track)
    return score_baselines(data, texture.tokens, measured)


def _log_score(evidence: Evidence, measured: Sequence[str]) -> None:
    """Log the scores, and warn of each baseline that is better and of targets no better than their mean."""
    own = evidence.alone.score.weighted_r2
    log.info("Out-of-fold weighted R2 %s", "n/a" if own is None else f"{own:.3f}")
    for name, baseline in evidence.baselines.items():
        if own is not None and baseline.weighted_r2 is not None and baseline.weighted_r2 > own:
            log.warning("The baseline “%s” scores higher (%.3f) than this model.", name, baseline.weighted_r2)
    if targets := evidence.alone.no_better_than_mean:
        log.warning("Not shown to be better than the mean of the training photos: %s.", ", ".join(targets))
    if evidence.measured is not None:
        _warn_of_worse_measured(evidence.measured, evidence.oof)
        _warn_of_better_baseline(evidence.measured, evidence.baselines, ridge_on(measured))


def _warn_of_worse_measured(measured: Assessment, oof: OutOfFold) -> None:
    """Warn where heads with measured columns score lower than the photo alone on the same photos."""
    rows = np.flatnonzero(~np.isnan(np.asarray(oof.measured_g)).all(1))
    alone, beside = weighted_r2(oof.weighed_g[rows], oof.estimated_g[rows]), measured.score.weighted_r2
    if beside is not None and beside < alone:
        log.warning(
            "The heads with measured columns score lower (%.3f) than the photo alone (%.3f) on the same %d photos: "
            "train without `measured`, or measure more photos.", beside, alone, len(rows),
        )  # fmt: skip
    if targets := measured.no_better_than_mean:
        log.warning("With measured columns, not shown to be better than the mean: %s.", ", ".join(targets))


def _warn_of_better_baseline(measured: Assessment, baselines: Mapping[str, ScoreRecord], name: str) -> None:
    """Warn where the measured columns alone score higher than the photo with them, on the same photos."""
    own, columns_alone = measured.score.weighted_r2, baselines[name].weighted_r2
    if own is not None and columns_alone is not None and columns_alone > own:
        log.warning(
            "The baseline “%s” scores higher (%.3f) than the photo with these columns (%.3f): the photo adds nothing "
            "to them.", name, columns_alone, own,
        )  # fmt: skip


def _worst(model: HerbageModel, files: Sequence[PhotoFile], data: TrainingData) -> list[tuple[str, bytes]]:
    """Captions and pictures of the photos with the largest errors."""
    found = []
    oof = model.require_evidence("The report").oof
    for row, (weighed_g, estimated_g) in worst_photos(oof, WORST_PHOTOS):
        pixels = open_photo(files[row]).pixels()
        estimate = model.estimate_tokens(data.tokens[row], files[row].name, with_map=True)
        picture = thumbnail(pixels) if estimate.map is None else draw_overlay(pixels, estimate, scale_g_per_m2=None)
        found.append((f"{files[row].name}: weighed {weighed_g:.1f} g, estimated {estimated_g:.1f} g", picture))
    return found


def _sampling_days(frame: pd.DataFrame, dates: DateOrder | None) -> set[str]:
    """The days of Sampling_Date; empty where the table has none, or where a photo has none."""
    if "Sampling_Date" not in frame or frame["Sampling_Date"].isna().any():
        return set()
    return set(days(frame["Sampling_Date"].tolist(), "Sampling_Date", frame["image_path"].tolist(), dates) or ())


def _describe(weighed: WeighedTable, dates: DateOrder | None) -> str:
    """Where and when the photos were taken, and the range of weights, as far as the table has them."""
    facts = []
    if "State" in weighed.frame:
        counts = weighed.frame["State"].value_counts()
        facts.append("photos by State: " + ", ".join(f"{state} {count}" for state, count in counts.items()))
    with suppress(TableInvalid):  # a column that is not used for groups may be unclear
        if sampled := _sampling_days(weighed.frame, dates):
            facts.append(f"taken from {min(sampled)} to {max(sampled)} on {len(sampled)} days")
    if "Species" in weighed.frame:
        facts.append(f"{weighed.frame['Species'].nunique()} sward types")
    for target, grams in zip(TARGETS, weighed.grams.T, strict=True):
        if not np.isnan(grams).any():
            facts.append(f"{target} {grams.min():.1f} to {grams.max():.1f} (mean {grams.mean():.1f})")
    text = "; ".join(facts)
    return text[:1].upper() + text[1:]
