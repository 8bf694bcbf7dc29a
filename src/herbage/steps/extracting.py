"""Fill a token store."""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from herbage.backbones.backbone import open_backbone
from herbage.backbones.engine import Device, Precision
from herbage.photos.photo import PhotoFile, find_photos
from herbage.recipe import DEFAULT, Recipe, load_recipe
from herbage.steps.progress import Track, silent
from herbage.tokens.cluster import Work, stream_on_cluster
from herbage.tokens.extraction import announce, stream_tokens, take_shard
from herbage.tokens.store import TokenStore


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
    cluster: str | None = None,
    worker_cpus: int | None = None,
    track: Track = silent,
) -> Extraction:
    """Fill the token store; run again, it does only what is missing and mends what is damaged.

    `cluster`: `auto` or the address of a Ray cluster whose machines see the photos and the store by the same paths.
    """
    recipe = load_recipe(recipe)
    files = _share(photos, shard)
    opened = open_backbone(backbone or recipe.backbone, device=device, precision=precision)
    kept = TokenStore(store, opened, recipe)
    announce(files, opened, recipe, kept)
    if cluster is None:
        made = stream_tokens(files, opened, recipe, kept)
    else:
        work = partial(_work, backbone or recipe.backbone, device, precision, recipe, Path(store).absolute())
        made = stream_on_cluster(
            files,
            work,
            cluster=cluster,
            trying=Path(store).absolute() / ".trying",
            worker_cpus=worker_cpus,
            uses_gpu=device in ("auto", "cuda"),
        )
    done = Extraction()
    for item in track(made, "extract", len(files)):
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


def _work(backbone: str | Path, device: Device, precision: Precision, recipe: Recipe, store: Path) -> Work:
    """What a worker of a cluster does: the same as this machine would."""
    opened = open_backbone(backbone, device=device, precision=precision)
    kept = TokenStore(store, opened, recipe)
    return lambda files: stream_tokens(files, opened, recipe, kept)


def _share(photos: str | Path, shard: str | None) -> list[PhotoFile]:
    files = find_photos(photos)
    return files if shard is None else take_shard(files, shard)
