"""One function a step: what the command line, the page and `import herbage` all call.

Long steps take `track`, which wraps an iterable of known length to show progress. Photos that cannot be read never stop
a step: they are in its result, each with its reason. The file is long since every step names all that it takes.
"""

import logging
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

import herbage
from herbage.backbones.backbone import Backbone, open_backbone
from herbage.backbones.engine import Device, Precision
from herbage.backbones.openvino import Exported
from herbage.errors import InputInvalid, ModelInvalid, PhotosMissing, TableInvalid
from herbage.files import memory_bytes, refuse_existing, run_record, write_whole
from herbage.heads.heads import refuse_width
from herbage.judging.compare import Difference, estimated, paired_difference, plain_average, weighed
from herbage.judging.floors import TEXTURE_RECIPE, score_floors
from herbage.judging.folds import Folds, make_folds
from herbage.judging.out_of_fold import fit_out_of_fold, oof_table
from herbage.judging.scoring import score_estimates
from herbage.model import notebook
from herbage.model.config import BackboneRecord, ModelConfig, ScoreRecord, TrainingRecord
from herbage.model.estimate import Estimate
from herbage.model.model import DEFAULT_LEVEL, HerbageModel, refuse_place
from herbage.photos.photo import PhotoFile, find_photos
from herbage.photos.tables import read_test_table, read_weighed_table
from herbage.recipe import DEFAULT, Recipe, load_recipe
from herbage.results.density import draw_overlay, map_name
from herbage.results.export import Parity, export_openvino, refuse_export
from herbage.results.geojson import photos_geojson
from herbage.results.predictions import open_predictions
from herbage.results.report import PredictionsReport, model_report
from herbage.results.submission import submission_table
from herbage.targets import QUADRAT_AREA_M2, g_per_m2
from herbage.tokens.extraction import announce, stream_tokens, take_shard, token_bytes
from herbage.tokens.store import StoredTokens, TokenStore

log = logging.getLogger("herbage")

HELD_SHARE = 0.25
"""Of the machine's memory that training tokens may take."""

Track = Callable[[Iterable[Any], str, int], Iterable[Any]]
"""(items, what is done, how many there are) to the same items."""


def silent(items: Iterable[Any], _: str, __: int) -> Iterable[Any]:
    """No progress."""
    return items


@dataclass
class Extraction:
    """What `extract` did: photos whose tokens it made, those the store had, and the failures with their reasons."""

    made: int = 0
    present: int = 0
    failed: dict[str, str] = field(default_factory=dict)


def extract(
    photos: str | Path,
    *,
    store: str | Path,
    recipe: str | Path | Recipe = DEFAULT,
    backbone: str | Path | None = None,
    device: Device = "auto",
    precision: Precision = "auto",
    shard: str | None = None,
    track: Track = silent,
) -> Extraction:
    """Fill the token store; run again, it does only what is missing and mends what is damaged."""
    recipe = load_recipe(recipe)
    files = _share(photos, shard)
    opened = open_backbone(backbone or recipe.backbone, device=device, precision=precision)
    kept = TokenStore(store, opened, recipe)
    announce(files, opened, recipe, kept)
    done = Extraction()
    for item in track(stream_tokens(files, opened, recipe, kept), "extract", len(files)):
        if item.failure:
            done.failed[item.file.name] = str(item.failure)
        elif item.from_store:
            done.present += 1
        else:
            done.made += 1
    return done


def extraction_status(
    photos: str | Path,
    *,
    store: str | Path,
    recipe: str | Path | Recipe = DEFAULT,
    backbone: str | Path | None = None,
    device: Device = "auto",
    precision: Precision = "auto",
    shard: str | None = None,
) -> tuple[int, int]:
    """How many photos there are, and how many have no tokens in the store; nothing is extracted."""
    recipe = load_recipe(recipe)
    files = _share(photos, shard)
    opened = open_backbone(backbone or recipe.backbone, device=device, precision=precision)
    return len(files), announce(files, opened, recipe, TokenStore(store, opened, recipe))


def train(
    table: str | Path | pd.DataFrame,
    *,
    photos: str | Path,
    model: str | Path | None = None,
    recipe: str | Path | Recipe = DEFAULT,
    backbone: str | Path | None = None,
    store: str | Path | None = None,
    folds: int = 5,
    group_by: Sequence[str] | None = None,
    seed: int = 0,
    quadrat_area_m2: float = QUADRAT_AREA_M2,
    device: Device = "auto",
    precision: Precision = "auto",
    overwrite: bool = False,
    track: Track = silent,
) -> HerbageModel:
    """Extract what is missing, train all heads, judge them out of fold, and write the model folder if one is named.

    Tokens are kept in `store`, by default in `tokens/` beside the model folder, and in memory alone where there is
    neither. Photos that cannot be read are dropped and stand in the model's `dropped`. Raises TableInvalid,
    RecipeInvalid, OutputExists and TrainingFailed before anything of the model is written.
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
    weighed_table = read_weighed_table(table, photos)
    # The folds are made before the long work, so that a table that allows none says so at once.
    split = make_folds(weighed_table.frame, weighed_table.grams, count=folds, group_by=group_by, seed=recipe.fold_seed)
    opened = open_backbone(backbone or recipe.backbone, device=device, precision=precision)

    refuse_width(recipe, opened.width)
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
        recipe, tokens, judged.grams, split, digests, seed, None if model is None else _unfinished(model)
    )
    score = score_estimates(judged.grams, delivered)
    log.info("Out-of-fold weighted R2 %.3f", score.weighted_r2)
    log.info("For the floors, texture on the same photos:")
    texture, _, _, _ = _gather(judged.files, open_backbone("texture"), TEXTURE_RECIPE, store, track)
    floors = score_floors(judged.frame, judged.grams, split, digests, texture)

    for name, floor in floors.items():
        if floor.weighted_r2 > score.weighted_r2:
            log.warning("The floor «%s» scores %.3f: this model is not better than that.", name, floor.weighted_r2)

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
            mean_g=tuple(judged.grams.mean(0).tolist()),
            quadrat_area_m2=quadrat_area_m2,
            aspect=float(np.median(aspects)),
        ),
        score=ScoreRecord.of(score),
        floors={name: ScoreRecord.of(floor) for name, floor in floors.items()},
    )
    trained = HerbageModel(about, heads, oof=oof_table(judged.frame, judged.grams, split, delivered), dropped=dropped)
    trained.learn(tokens, split.group, digests)
    trained.report = model_report(trained)
    if model is not None:
        run = run_record(
            "train", started, seed=seed, table="a table in memory" if isinstance(table, pd.DataFrame) else str(table)
        )
        trained.write(model, run, overwrite=overwrite)
        shutil.rmtree(_unfinished(model), ignore_errors=True)
    return trained


def import_heads(
    folder: str | Path,
    *,
    backbone: str | Path,
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
    run = run_record("import-heads", started, source=str(folder))
    imported.write(Path(model).resolve(), run, overwrite=overwrite)
    return imported


def export(
    model: str | Path | HerbageModel,
    *,
    out: str | Path,
    precision: Exported = "bf16",
    photos: str | Path | None = None,
    store: str | Path | None = None,
    backbone: str | Path | None = None,
    overwrite: bool = False,
) -> Parity | None:
    """The model's backbone as an OpenVINO folder that serves as `--backbone`; returns its parity on the photos.

    `precision`: fp32, bf16, or int8, which is calibrated on the photos. `store` may hold the source's tokens.
    """
    refuse_export(Path(out), overwrite=overwrite)
    if precision == "int8" and photos is None:
        raise InputInvalid("--precision int8 needs --photos: some dozens of photos to measure activations on.")
    files = [] if photos is None else find_photos(photos)
    opened_model = model if isinstance(model, HerbageModel) else HerbageModel.from_pretrained(model)
    source = opened_model.open_backbone(backbone)
    return export_openvino(opened_model, source, Path(out), precision, files, store)


@dataclass(frozen=True)
class Scored:
    """One model's score, its floors where it was trained, and how many photos could not be read."""

    name: str
    score: ScoreRecord
    floors: dict[str, ScoreRecord]
    failed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Scores:
    """Each model's score; of two models the difference (second less first), of several what their average scores."""

    models: list[Scored]
    difference: Difference | None = None
    average: ScoreRecord | None = None


def score(
    models: Sequence[str | Path],
    *,
    table: str | Path | None = None,
    photos: str | Path | None = None,
    backbone: str | Path | None = None,
    device: Device = "auto",
    precision: Precision = "auto",
    track: Track = silent,
) -> Scores:
    """Each model's out-of-fold score, or its score on a new weighed table; of several, how they compare too."""
    opened = [HerbageModel.from_pretrained(path) for path in models]
    if table is None and photos is not None:
        raise InputInvalid("--photos goes with --table: without one the out-of-fold estimates are scored.")
    scored, judged = [], []
    for name, model in zip(models, opened, strict=True):
        failed: dict[str, str] = {}
        if table is not None:
            if photos is None:
                raise TableInvalid("--table needs --photos, the folder of its photos.")
            oof, failed = _judge_new(
                model, table, photos, model.open_backbone(backbone, device=device, precision=precision), track
            )
        elif model.oof is None:
            raise ModelInvalid(
                f"{name} has no out-of-fold estimates (its heads were imported): give --table and --photos."
            )
        else:
            oof = model.oof
        judged.append(oof)
        record = ScoreRecord.of(score_estimates(weighed(oof), estimated(oof)))
        scored.append(Scored(str(name), record, model.about.floors if table is None else {}, failed))
    if len(judged) == 1:
        return Scores(scored)
    average = plain_average(judged)
    return Scores(
        scored,
        paired_difference(*judged) if len(judged) == 2 else None,
        ScoreRecord.of(score_estimates(weighed(average), estimated(average))),
    )


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
    coordinates: bool = True,
    round_coordinates: int | None = None,
    store: str | Path | None = None,
    backbone: str | Path | None = None,
    device: Device = "auto",
    precision: Precision = "auto",
    overwrite: bool = False,
    track: Track = silent,
) -> Prediction:
    """predictions.csv, photos.geojson, report.html, and with `maps` an overlay a photo, all below `out`."""
    started = time.time()
    if not 0 < level < 1:
        raise InputInvalid(f"--level {level}: expected a share between 0 and 1, such as 0.9.")
    if quadrat_area_m2 is not None:
        check_area(quadrat_area_m2)
    out = Path(out)
    refuse_existing(out / "predictions.csv", overwrite=overwrite)
    opened_model = model if isinstance(model, HerbageModel) else HerbageModel.from_pretrained(model)
    files = _outside(out, find_photos(photos), Path(photos))
    opened = opened_model.open_backbone(backbone, device=device, precision=precision)
    knowledge = opened_model.knowledge
    if knowledge is not None and np.isnan(knowledge.intervals.half_width_g(level)).all():
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
    made = opened_model.estimates(
        files, opened, level=level, quadrat_area_m2=quadrat_area_m2, with_map=maps, store=store
    )
    with open_predictions(out / "predictions.csv") as table:
        for estimate, item in track(made, "predict", len(files)):
            done.without_position += estimate.status == "ok" and estimate.facts.latitude is None
            done.outside += estimate.in_domain is False
            estimate = replace(estimate, facts=estimate.facts.veiled(coordinates, round_coordinates))
            table.add(estimate)
            overlay = None
            if estimate.status != "ok":
                done.failed[estimate.photo] = estimate.message
            else:
                done.estimated += 1
                if estimate.facts.latitude is not None:
                    placed.append(replace(estimate, map=None))
                if estimate.map is not None:
                    overlay = draw_overlay(item.photo.pixels(), estimate, scale_g_per_m2=scale)
                    drawn.add(map_name(estimate.photo))
                    write_whole(out / "maps" / map_name(estimate.photo), overlay)
            report.add(estimate, overlay)
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
        mean = np.array(training.mean_g) if training else np.mean(list(grams.values()), axis=0)
        grams |= dict.fromkeys(failed, mean)
    write_whole(out, submission_table(test, grams).to_csv(index=False, lineterminator="\n"))
    return failed


def _unfinished(model: Path) -> Path:
    """Where a training that is cut off keeps what is finished."""
    return model.parent / f".{model.name}.unfinished"


def _gather(
    files: list[PhotoFile], backbone: Backbone, recipe: Recipe, store: str | Path | None, track: Track
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


def _judge_new(
    model: HerbageModel, table: str | Path, photos: str | Path, backbone: Backbone, track: Track
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Weighed and estimated grams of a new table, in the form of oof.csv, and the photos that cannot be read."""
    new = read_weighed_table(table, photos)
    made, seen = [], 0
    for estimate, item in track(model.estimates(new.files, backbone), "score", len(new.files)):
        made.append(estimate)
        seen += model.knowledge is not None and estimate.status == "ok" and model.knowledge.row(item.sha256) is not None
    if seen:
        log.warning(
            "%d of these %d photos are the model's own training photos, so this score reads too high; "
            "`herbage score MODEL` without --table gives the out-of-fold score.", seen, len(made),
        )  # fmt: skip
    good = [row for row, estimate in enumerate(made) if estimate.status == "ok"]
    if not good:
        raise PhotosMissing(f"None of the {len(made)} photos of {table} can be read.")
    kept = new.keep(good)
    every = np.arange(len(good))
    alone = Folds(np.zeros(len(good), int), every, kept.frame["image_path"].tolist(), ())
    failed = {estimate.photo: estimate.message for estimate in made if estimate.status != "ok"}
    return oof_table(kept.frame, kept.grams, alone, np.stack([made[row].grams for row in good])), failed


def check_area(quadrat_area_m2: float) -> None:
    """Raise InputInvalid for what is no quadrat's area."""
    if not 1e-4 <= quadrat_area_m2 <= 1e4:
        raise InputInvalid(f"--quadrat-area {quadrat_area_m2}: expected square metres between 0.0001 and 10000.")


def _outside(out: Path, files: list[PhotoFile], photos: Path) -> list[PhotoFile]:
    """The photos that are not results of an earlier run, where results stand among the photos."""
    place = out.resolve()
    if place == photos.resolve() or not place.is_relative_to(photos.resolve()):
        return files
    return [file for file in files if not file.path.resolve().is_relative_to(place)]


def _share(photos: str | Path, shard: str | None) -> list[PhotoFile]:
    files = find_photos(photos)
    return files if shard is None else take_shard(files, shard)
