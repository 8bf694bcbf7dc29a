"""Train all heads on a weighed table, judge them out of fold, and write the model."""

import logging
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from torch import Tensor

import herbage
from herbage.backbones.backbone import Backbone
from herbage.backbones.engine import Device, Precision
from herbage.backbones.opening import open_backbone
from herbage.errors import InputInvalid, PhotosMissing
from herbage.evaluation.baselines import TEXTURE_RECIPE, score_floors
from herbage.evaluation.folds import Folds, make_folds
from herbage.evaluation.learning_curve import learning_curve
from herbage.evaluation.out_of_fold import fit_out_of_fold, oof_table
from herbage.evaluation.scoring import Score, score_estimates
from herbage.files import memory_bytes
from herbage.heads.heads import refuse_unfit
from herbage.model import notebook
from herbage.model.config import (
    BackboneRecord,
    CoverageRecord,
    LearntRecord,
    ModelConfig,
    ScoreRecord,
    TrainingRecord,
    by_target,
)
from herbage.model.folder import refuse_place
from herbage.model.intervals import LEVELS, coverage
from herbage.model.model import HerbageModel
from herbage.photos.photo import PhotoFile, open_photo
from herbage.photos.tables import Unit, WeighedTable, read_weighed_table
from herbage.progress import Track, silent
from herbage.recipe import DEFAULT, Recipe, load_recipe
from herbage.results.figures import thumbnail, worst_photos
from herbage.results.overlay import draw_overlay
from herbage.results.report import model_report
from herbage.steps.run_record import run_record
from herbage.targets import QUADRAT_AREA_M2, TARGETS, check_area, known_targets
from herbage.tokens.extraction import announce, stream_tokens, token_bytes
from herbage.tokens.store import StoredTokens, TokenStore

log = logging.getLogger("herbage")

WORST_SHOWN = 6
HELD_SHARE = 0.25
"""Of the machine's memory that training tokens may take."""


def train(
    table: str | Path | pd.DataFrame,
    *,
    photos: str | Path,
    model: str | Path | None = None,
    recipe: str | Path | Recipe = DEFAULT,
    backbone: str | Path | Backbone | None = None,
    store: str | Path | None = None,
    folds: int = 5,
    group_by: Sequence[str] | None = None,
    seed: int = 0,
    quadrat_area_m2: float = QUADRAT_AREA_M2,
    columns: Mapping[str, str] | None = None,
    unit: Unit = "g",
    device: Device = "auto",
    precision: Precision = "auto",
    overwrite: bool = False,
    track: Track = silent,
) -> HerbageModel:
    """Extract what is missing, train all heads, judge them out of fold, and write the model folder if one is named.

    Tokens are kept in `store`, by default in `tokens/` beside the model folder, and in memory alone where there is
    neither. `columns` gives the table's names for herbage's, such as {"Dry_Total_g": "yield"}, and `unit` is what its
    weights are in. Targets that were not weighed, and that no sum determines, have no head. Photos that cannot be read
    are dropped and stand in the model's `dropped`. Raises InputInvalid, TableInvalid, RecipeInvalid, OutputExists and
    TrainingFailed before anything of the model is written.
    """
    started = time.time()
    check_area(quadrat_area_m2)
    if not 0 <= seed < 2**63:
        raise InputInvalid(f"--seed {seed}: expected a whole number from 0 to 2^63 - 1.")
    recipe = load_recipe(recipe)
    if model is not None:
        model = Path(model).resolve()
        store = store or model.parent / "tokens"
        tables = [] if isinstance(table, pd.DataFrame) else [table]
        refuse_place(model, overwrite=overwrite, inputs=[photos, store, *tables])
    weighed_table = read_weighed_table(table, photos, columns=columns, unit=unit, quadrat_area_m2=quadrat_area_m2)
    # The folds are made before the long work, so that a table that allows none says so at once.
    split = make_folds(weighed_table.frame, weighed_table.grams, count=folds, group_by=group_by, seed=recipe.fold_seed)
    opened = open_backbone(backbone or recipe.backbone, device=device, precision=precision)

    refuse_unfit(recipe, opened.width, known_targets(weighed_table.grams))
    tokens, digests, aspects, dropped = _gather(weighed_table.files, opened, recipe, store, track)
    if dropped:
        log.warning("%d of %d photos cannot be read and are left out.", len(dropped), len(weighed_table.files))
    rows = [row for row, file in enumerate(weighed_table.files) if file.name not in dropped]
    judged = weighed_table.keep(rows)
    if dropped:
        split = make_folds(judged.frame, judged.grams, count=folds, group_by=group_by, seed=recipe.fold_seed)

    log.info(
        "Training %s heads: %d photos, %d folds, %d groups", recipe.heads, len(rows), folds, len(split.group_names)
    )
    heads, delivered = fit_out_of_fold(
        recipe, tokens, judged.grams, split, digests, seed,
        None if model is None else _unfinished(model), opened.engine.device, track,
    )  # fmt: skip
    score = score_estimates(judged.grams, delivered)
    log.info("Out-of-fold weighted R2 %.3f", score.weighted_r2)
    floors = _floors(judged, split, digests, score, store, track)

    about = ModelConfig(
        herbage=herbage.__version__,
        recipe=recipe,
        backbone=BackboneRecord.of(opened),
        folds=folds,
        training=TrainingRecord(
            photos=len(rows),
            groups=len(split.group_names),
            grouped_by=split.grouped_by,
            folds=folds,
            seed=seed,
            mean_g=by_target(judged.grams.mean(0)),
            quadrat_area_m2=quadrat_area_m2,
            aspect=float(np.median(aspects)),
            in_words=_in_words(judged),
        ),
        score=ScoreRecord.of(score),
        floors={name: ScoreRecord.of(floor) for name, floor in floors.items()},
        coverage=_coverages(judged.grams, delivered, split.group),
        learning=tuple(
            LearntRecord(photos=count, weighted_r2=None if np.isnan(r2) else r2)
            for count, r2 in learning_curve(recipe, tokens, judged.grams, split)
        ),
    )
    trained = HerbageModel(about, heads, oof=oof_table(judged.frame, judged.grams, split, delivered), dropped=dropped)
    trained.learn(tokens, split.group, digests)
    trained.report = model_report(trained, _worst(trained, judged.files, tokens))
    if model is not None:
        run = run_record(
            "train", started, backbone=opened, model=trained, recipe=recipe, tables={"table": table},
            photos=str(photos), seed=seed, fold_seed=recipe.fold_seed, dropped=len(dropped),
        )  # fmt: skip
        trained.write(model, run, overwrite=overwrite)
        shutil.rmtree(_unfinished(model), ignore_errors=True)
    return trained


def import_heads(
    folder: str | Path,
    *,
    backbone: str | Path | Backbone,
    model: str | Path,
    device: Device = "auto",
    precision: Precision = "auto",
    overwrite: bool = False,
) -> HerbageModel:
    """A model from the public notebook's `target{0..4}/fold{0..4}.pt`; raises CheckpointRefused."""
    started = time.time()
    refuse_place(Path(model), overwrite=overwrite, inputs=[folder])
    opened = open_backbone(backbone, device=device, precision=precision)
    imported = notebook.import_heads(Path(folder), opened)
    run = run_record("import-heads", started, backbone=opened, model=imported, source=str(folder))
    imported.write(Path(model).resolve(), run, overwrite=overwrite)
    return imported


def _floors(
    judged: WeighedTable, split: Folds, digests: Sequence[str], score: Score, store: str | Path | None, track: Track
) -> dict[str, Score]:
    """The floors on the same folds; one that is not beaten is warned about."""
    log.info("For the floors, the texture of the same photos:")
    texture, _, _, _ = _gather(judged.files, open_backbone("texture"), TEXTURE_RECIPE, store, track)
    floors = score_floors(judged.frame, judged.grams, split, digests, texture)
    for name, floor in floors.items():
        if floor.weighted_r2 > score.weighted_r2:
            log.warning("The floor «%s» scores %.3f: this model is not better than that.", name, floor.weighted_r2)
    return floors


def _worst(model: HerbageModel, files: Sequence[PhotoFile], tokens: Sequence[Tensor]) -> list[tuple[str, bytes]]:
    """Captions and pictures of the photos that are furthest from their weights."""
    assert model.oof is not None
    shown = []
    for row, (weighed_g, estimated_g) in worst_photos(model.oof, WORST_SHOWN):
        pixels = open_photo(files[row]).pixels()
        estimate = model.estimate_tokens(tokens[row], files[row].name, with_map=True)
        picture = thumbnail(pixels) if estimate.map is None else draw_overlay(pixels, estimate, scale_g_per_m2=None)
        shown.append((f"{files[row].name}: weighed {weighed_g:.1f} g, estimated {estimated_g:.1f} g", picture))
    return shown


def _coverages(
    weighed_g: Float[np.ndarray, "photo 5"], estimated_g: Float[np.ndarray, "photo 5"], group: Int[np.ndarray, " photo"]
) -> tuple[CoverageRecord, ...]:
    measured = {level: coverage(weighed_g, estimated_g, group, level) for level in LEVELS}
    return tuple(
        CoverageRecord(level=level, share=by_target(of.share), width_g=by_target(of.width_g))
        for level, of in measured.items()
        if of is not None
    )


def _in_words(table: WeighedTable) -> str:
    """Where and when the photos were taken, and how much stood there, as far as the table tells."""
    said = []
    if "State" in table.frame:
        counts = table.frame["State"].value_counts()
        said.append("photos by State: " + ", ".join(f"{state} {count}" for state, count in counts.items()))
    if "Sampling_Date" in table.frame:
        dates = pd.to_datetime(table.frame["Sampling_Date"].astype(str), errors="coerce")
        if dates.notna().all():
            said.append(f"taken from {dates.min():%Y-%m-%d} to {dates.max():%Y-%m-%d} on {dates.nunique()} days")
    if "Species" in table.frame:
        said.append(f"{table.frame['Species'].nunique()} kinds of sward")
    for target, grams in zip(TARGETS, table.grams.T, strict=True):
        if not np.isnan(grams).any():
            said.append(f"{target} {grams.min():.1f} to {grams.max():.1f} (mean {grams.mean():.1f})")
    text = "; ".join(said)
    return text[:1].upper() + text[1:]


def _unfinished(model: Path) -> Path:
    """Where a training that is cut off keeps what is finished."""
    return model.parent / f".{model.name}.unfinished"


def _gather(
    files: Sequence[PhotoFile], backbone: Backbone, recipe: Recipe, store: str | Path | None, track: Track
) -> tuple[Sequence[Tensor], list[str], list[float], dict[str, str]]:
    """Tokens, digests and aspects (width over height) of the readable photos, and why the others are not.

    Tokens that would fill much of the memory are left in the store, and read from there when they are asked for.
    """
    kept = None if store is None else TokenStore(store, backbone, recipe)
    if kept is not None:
        announce(files, backbone, recipe, kept)
    held = kept is None or token_bytes(backbone, recipe) * len(files) <= HELD_SHARE * memory_bytes()
    tokens, digests, aspects, dropped = [], [], [], {}
    items = stream_tokens(files, backbone, recipe, kept, open_photos=True)
    for item in track(items, f"extract with {Path(backbone.name).name}", len(files)):
        if item.failure:
            dropped[item.file.name] = str(item.failure)
            continue
        if held:
            tokens.append(item.tokens)
        digests.append(item.sha256)
        aspects.append(item.photo.aspect)
    if not digests:
        raise PhotosMissing(f"None of the {len(files)} photos can be read; the first: {next(iter(dropped.values()))}.")
    if kept is None or held:
        return tokens, digests, aspects, dropped
    log.info("The tokens are read from the store again and again: together they would fill the memory.")
    return StoredTokens(kept, digests), digests, aspects, dropped
