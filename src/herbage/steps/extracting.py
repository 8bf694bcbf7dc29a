"""Fill a token store."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Unpack

import numpy as np
from jaxtyping import Shaped

from herbage.backbones.opening import BackboneOptions, open_backbone_or
from herbage.errors import PhotosMissing, PhotoUnreadable
from herbage.files import write_atomic
from herbage.photos.discovery import find_photos
from herbage.photos.photo import PhotoFile
from herbage.progress import Track, silent
from herbage.recipe import DEFAULT, Recipe, load_recipe
from herbage.remarks import log_remarks
from herbage.steps.run_record import run_record
from herbage.tokens.cluster import Cluster, PhotoTask, absolute_folder, stream_on_cluster
from herbage.tokens.extraction import Extracted, log_missing, stored_photos, stream_tokens, take_shard
from herbage.tokens.store import IndexEntry, TokenStore

log = logging.getLogger("herbage")


@dataclass
class ExtractionSummary:
    """The result of `extract`: photos extracted, photos whose tokens were stored already, and failures with reasons."""

    made: int = 0
    present: int = 0
    failed: dict[str, str] = field(default_factory=dict)


@dataclass
class ExtractionStatus:
    """Photos whose tokens are stored, photos without tokens, and photos that failed in the last attempt."""

    present: int = 0
    missing: int = 0
    failed: dict[str, str] = field(default_factory=dict)


def extract(
    photos: str | Path,
    *,
    store: str | Path,
    recipe: str | Path | Recipe = DEFAULT,
    shard: str | None = None,
    views: int | None = None,
    cluster: str | None = None,
    worker_cpus: int | None = None,
    verify: bool = False,
    track: Track = silent,
    **options: Unpack[BackboneOptions],
) -> ExtractionSummary:
    """Fill the token store; a second run extracts only what is missing or truncated.

    `views` extracts the first views of the recipe only, which suffice for prediction. With `verify` every stored byte
    of these photos is read and checked, and damaged files are extracted again; without it, that happens when the tokens
    are used. `cluster` is `auto` or the address of a Ray cluster whose machines have the photos and the store at the
    same paths. Raises PhotosMissing and InputInvalid.
    """
    started = time.time()
    recipe = _with_views(load_recipe(recipe), views)
    files = _sharded(photos, shard)
    backbone = open_backbone_or(recipe.backbone, options)
    token_store = TokenStore(store, backbone, recipe)
    log_missing(files, backbone, recipe, token_store)
    if cluster is None:
        items: Iterator[Extracted] = stream_tokens(files, backbone, recipe, token_store, read_stored=verify)
    else:
        place = Path(store).absolute()
        on_worker: BackboneOptions = {**options, "backbone": absolute_folder(options.get("backbone"))}
        task = partial(_make_task, on_worker, recipe, place, verify)
        attempts, uses_gpu = place / ".attempts", options.get("device", "auto") in ("auto", "cuda")
        where = Cluster(cluster, attempts, f"delete {attempts}", worker_cpus, uses_gpu)
        items = _on_cluster(files, task, where, token_store)
    summary = ExtractionSummary()
    for item in track(items, "extract", len(files)):
        if item.failure:
            summary.failed[item.file.name] = str(item.failure)
        elif item.from_store:
            summary.present += 1
        else:
            summary.made += 1
    name = "run.json" if shard is None else f"run-{shard.replace('/', '-of-')}.json"
    run = run_record(
        "extract", started, photos=str(photos), recipe=recipe, backbone=backbone, shard=shard, cluster=cluster,
        made=summary.made, present=summary.present, failed=len(summary.failed),
    )  # fmt: skip
    write_atomic(Path(store) / name, run)
    return summary


def extraction_status(
    photos: str | Path,
    *,
    store: str | Path,
    recipe: str | Path | Recipe = DEFAULT,
    shard: str | None = None,
    views: int | None = None,
    **options: Unpack[BackboneOptions],
) -> ExtractionStatus:
    """The progress of an extraction according to the store's index; no photo is read."""
    recipe = _with_views(load_recipe(recipe), views)
    backbone = open_backbone_or(recipe.backbone, options)
    status = ExtractionStatus()
    for file, present, failure in stored_photos(_sharded(photos, shard), TokenStore(store, backbone, recipe)):
        if failure:
            status.failed[file.name] = failure
        else:
            status.present += present
            status.missing += not present
    return status


def photo_tokens(
    photos: str | Path,
    *,
    recipe: str | Path | Recipe = DEFAULT,
    store: str | Path | None = None,
    track: Track = silent,
    **options: Unpack[BackboneOptions],
) -> tuple[list[str], Shaped[np.ndarray, "photo view vector width"]]:
    """The photos' names and their tokens in memory, float16 (float32 with precision fp32).

    Photos that cannot be read are left out with a warning. With a `store`, stored tokens are read from it and missing
    ones are added to it. Raises PhotosMissing.
    """
    recipe = load_recipe(recipe)
    files = find_photos(photos)
    backbone = open_backbone_or(recipe.backbone, options)
    token_store = None if store is None else TokenStore(store, backbone, recipe)
    names, tokens = [], []
    for item in track(stream_tokens(files, backbone, recipe, token_store), "extract", len(files)):
        if item.tokens is None:
            log.warning("%s", item.failure)
            continue
        names.append(item.file.name)
        tokens.append(item.tokens.numpy())
    if not names:
        raise PhotosMissing(f"None of the {len(files)} photos of {photos} can be read.")
    return names, np.stack(tokens)


def _on_cluster(
    files: Sequence[PhotoFile], make_task: Callable[[], PhotoTask[Extracted]], cluster: Cluster, store: TokenStore
) -> Iterator[Extracted]:
    """The results of a cluster; skipped photos are recorded in the index like other failures."""
    for file, result in stream_on_cluster(files, make_task, cluster):
        if isinstance(result, PhotoUnreadable):
            store.index.update([(file, IndexEntry(failure=str(result)))])
            result = Extracted(file, failure=result)
        yield result


def _make_task(options: BackboneOptions, recipe: Recipe, store: Path, verify: bool) -> PhotoTask[Extracted]:
    """The task of a worker: the same function that a single machine runs."""
    backbone = open_backbone_or(recipe.backbone, options)
    token_store = TokenStore(store, backbone, recipe)

    def task(files: list[PhotoFile]) -> Iterator[tuple[PhotoFile, Extracted]]:
        for item in stream_tokens(files, backbone, recipe, token_store, read_stored=verify):
            yield item.file, replace(item, photo=None, tokens=None)

    return task


def _with_views(recipe: Recipe, views: int | None) -> Recipe:
    return recipe if views is None else recipe.in_prediction(views)


def _sharded(photos: str | Path, shard: str | None) -> Sequence[PhotoFile]:
    files = find_photos(photos)
    log_remarks(files.remarks)
    return files if shard is None else take_shard(files, shard)
