"""Fill a token store."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from herbage.backbones.backbone import Backbone
from herbage.backbones.engine import Device, Precision
from herbage.backbones.opening import open_backbone
from herbage.errors import PhotosMissing, PhotoUnreadable
from herbage.files import write_whole
from herbage.photos.discovery import find_photos
from herbage.photos.photo import PhotoFile
from herbage.progress import Track, silent
from herbage.recipe import DEFAULT, Recipe, load_recipe
from herbage.steps.run_record import run_record
from herbage.tokens.cluster import Cluster, Work, anywhere, stream_on_cluster
from herbage.tokens.extraction import Extracted, announce, look_up, stream_tokens, take_shard
from herbage.tokens.store import Known, TokenStore

log = logging.getLogger("herbage")


@dataclass
class Extraction:
    """What `extract` did: photos whose tokens it made, those the store had, and the failures with their reasons."""

    made: int = 0
    present: int = 0
    failed: dict[str, str] = field(default_factory=dict)


@dataclass
class ExtractionStatus:
    """Photos whose tokens the store has, those that are missing, and those that failed when they were last tried."""

    present: int = 0
    missing: int = 0
    failed: dict[str, str] = field(default_factory=dict)


def extract(
    photos: str | Path,
    *,
    store: str | Path,
    recipe: str | Path | Recipe = DEFAULT,
    backbone: str | Path | Backbone | None = None,
    device: Device = "auto",
    precision: Precision = "auto",
    shard: str | None = None,
    cluster: str | None = None,
    worker_cpus: int | None = None,
    verify: bool = False,
    track: Track = silent,
) -> Extraction:
    """Fill the token store; run again, it does what is missing, and what is not of its full length.

    With `verify` every byte that the store has of these photos is read and checked, and what is damaged is done again;
    without, that happens when the tokens are used. `cluster`: `auto` or the address of a Ray cluster whose machines see
    the photos and the store by the same paths.
    """
    started = time.time()
    recipe = load_recipe(recipe)
    files = _share(photos, shard)
    opened = open_backbone(backbone or recipe.backbone, device=device, precision=precision)
    kept = TokenStore(store, opened, recipe)
    announce(files, opened, recipe, kept)
    if cluster is None:
        made: Iterator[Extracted] = stream_tokens(files, opened, recipe, kept, read_kept=verify)
    else:
        place = Path(store).absolute()
        work = partial(_work, anywhere(backbone or recipe.backbone), device, precision, recipe, place, verify)
        trying, uses_gpu = place / ".trying", device in ("auto", "cuda")
        where = Cluster(cluster, trying, f"delete {trying}", worker_cpus, uses_gpu)
        made = _on_cluster(files, work, where, kept)
    done = Extraction()
    for item in track(made, "extract", len(files)):
        if item.failure:
            done.failed[item.file.name] = str(item.failure)
        elif item.from_store:
            done.present += 1
        else:
            done.made += 1
    name = "run.json" if shard is None else f"run-{shard.replace('/', '-of-')}.json"
    run = run_record(
        "extract", started, photos=str(photos), recipe=recipe, backbone=opened, shard=shard, cluster=cluster,
        made=done.made, present=done.present, failed=len(done.failed),
    )  # fmt: skip
    write_whole(Path(store) / name, run)
    return done


def extraction_status(
    photos: str | Path,
    *,
    store: str | Path,
    recipe: str | Path | Recipe = DEFAULT,
    backbone: str | Path | Backbone | None = None,
    device: Device = "auto",
    precision: Precision = "auto",
    shard: str | None = None,
) -> ExtractionStatus:
    """How far extraction has come, as far as the store's index knows; no photo is read."""
    recipe = load_recipe(recipe)
    opened = open_backbone(backbone or recipe.backbone, device=device, precision=precision)
    status = ExtractionStatus()
    for file, present, failure in look_up(_share(photos, shard), TokenStore(store, opened, recipe)):
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
    backbone: str | Path | Backbone | None = None,
    store: str | Path | None = None,
    device: Device = "auto",
    precision: Precision = "auto",
    track: Track = silent,
) -> tuple[list[str], Shaped[np.ndarray, "photo view vector width"]]:
    """The photos' names and their tokens in memory, float16 (float32 with precision fp32), for work of your own.

    Photos that cannot be read are left out, with a warning. With a `store`, what it has is read from there, and what it
    lacks is put into it. Raises PhotosMissing.
    """
    recipe = load_recipe(recipe)
    files = find_photos(photos)
    opened = open_backbone(backbone or recipe.backbone, device=device, precision=precision)
    kept = None if store is None else TokenStore(store, opened, recipe)
    names, tokens = [], []
    for item in track(stream_tokens(files, opened, recipe, kept), "extract", len(files)):
        if item.tokens is None:
            log.warning("%s", item.failure)
            continue
        names.append(item.file.name)
        tokens.append(item.tokens.numpy())
    if not names:
        raise PhotosMissing(f"None of the {len(files)} photos of {photos} can be read.")
    return names, np.stack(tokens)


def _on_cluster(
    files: Sequence[PhotoFile], work: Callable[[], Work[Extracted]], cluster: Cluster, store: TokenStore
) -> Iterator[Extracted]:
    """What a cluster made of the photos; what was set aside is noted as any failure is."""
    for file, made in stream_on_cluster(files, work, cluster):
        if isinstance(made, PhotoUnreadable):
            store.index.remember([(file, Known(failure=str(made)))])
            made = Extracted(file, failure=made)
        yield made


def _work(
    backbone: str | Path | Backbone, device: Device, precision: Precision, recipe: Recipe, store: Path, verify: bool
) -> Work[Extracted]:
    """What a worker of a cluster does: the same as this machine would."""
    opened = open_backbone(backbone, device=device, precision=precision)
    kept = TokenStore(store, opened, recipe)

    def work(files: list[PhotoFile]) -> Iterator[tuple[PhotoFile, Extracted]]:
        for item in stream_tokens(files, opened, recipe, kept, read_kept=verify):
            yield item.file, replace(item, photo=None, tokens=None)

    return work


def _share(photos: str | Path, shard: str | None) -> Sequence[PhotoFile]:
    files = find_photos(photos)
    return files if shard is None else take_shard(files, shard)
