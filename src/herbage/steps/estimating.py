"""Photos become estimates, on this machine or on a cluster; maps are drawn where they are made."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from herbage.backbones.backbone import Backbone
from herbage.errors import PhotoUnreadable
from herbage.files import write_whole
from herbage.model.estimate import Estimate
from herbage.model.model import HerbageModel
from herbage.photos.photo import Photo, PhotoFile, open_photo
from herbage.results.figures import thumbnail
from herbage.results.overlay import draw_overlay, map_files
from herbage.tokens.cluster import Cluster, Work, anywhere, stream_on_cluster


@dataclass(frozen=True)
class Settings:
    """What estimates are asked for; `maps` is the folder to draw them into, None for none."""

    level: float
    quadrat_area_m2: float | None
    maps: Path | None
    store: str | Path | None


@dataclass(frozen=True)
class Estimated:
    """A photo's estimate, without its map, and the photo where it is open in this process."""

    file: PhotoFile
    estimate: Estimate
    photo: Photo | None = None


def estimate_photos(
    model: HerbageModel, backbone: Backbone, settings: Settings, files: Sequence[PhotoFile]
) -> Iterator[Estimated]:
    """Each photo's estimate, in order, as it is made."""
    made = model.estimates(
        files,
        backbone,
        level=settings.level,
        quadrat_area_m2=settings.quadrat_area_m2,
        with_map=settings.maps is not None,
        store=settings.store,
    )
    for estimate, item in made:
        if settings.maps is not None and estimate.map is not None and item.photo is not None:
            _draw(model, item.photo, estimate, settings.maps)
        yield Estimated(item.file, replace(estimate, map=None), item.photo)


def estimate_on_cluster(
    model: str | Path,
    engine: dict[str, Any],
    settings: Settings,
    files: Sequence[PhotoFile],
    cluster: Cluster,
) -> Iterator[Estimated]:
    """The same by the workers of a cluster, which open the model themselves; `engine` as `open_backbone` takes it."""
    at_work = replace(
        settings,
        maps=settings.maps and settings.maps.absolute(),
        store=settings.store and Path(settings.store).absolute(),
    )
    engine = engine | {"name": anywhere(engine["name"])}
    for file, made in stream_on_cluster(files, partial(_work, anywhere(model), engine, at_work), cluster):
        yield Estimated(file, Estimate.failed(file.name, made) if isinstance(made, PhotoUnreadable) else made)


def picture_of(item: Estimated, settings: Settings) -> bytes | None:
    """A picture for the report: the overlay, or the photo itself; None where neither can be read any more."""
    try:
        if settings.maps is not None:
            return (settings.maps / map_files(item.estimate.photo)[0]).read_bytes()
        return thumbnail((item.photo or open_photo(item.file)).pixels())
    except (OSError, PhotoUnreadable):
        return None


def _work(model: str, engine: dict[str, Any], settings: Settings) -> Work[Estimate]:
    """What a worker of a cluster does: the same as this machine would."""
    opened = HerbageModel.from_pretrained(model)
    backbone = opened.open_backbone(**engine)

    def work(files: list[PhotoFile]) -> Iterator[tuple[PhotoFile, Estimate]]:
        for item in estimate_photos(opened, backbone, settings, files):
            yield item.file, item.estimate

    return work


def _draw(model: HerbageModel, photo: Photo, estimate: Estimate, folder: Path) -> None:
    """The overlay as PNG, and the map in g/m2 (target, row, column) as .npy."""
    overlay, array = map_files(estimate.photo)
    content = io.BytesIO()
    assert estimate.map_g_per_m2 is not None
    np.save(content, estimate.map_g_per_m2.astype(np.float32))
    write_whole(folder / overlay, draw_overlay(photo.pixels(), estimate, scale_g_per_m2=model.map_scale_g_per_m2))
    write_whole(folder / array, content.getvalue())
