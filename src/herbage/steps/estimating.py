"""Photos to estimates, on this machine or on a cluster; overlays and maps are written where they are computed."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from herbage.backbones.backbone import Backbone
from herbage.backbones.opening import BackboneOptions
from herbage.errors import PhotoUnreadable
from herbage.files import write_atomic
from herbage.model.estimate import Estimate
from herbage.model.model import HerbageModel
from herbage.photos.photo import Photo, PhotoFile, open_photo
from herbage.results.figures import thumbnail
from herbage.results.overlay import draw_overlay, map_files
from herbage.results.request import PredictRequest
from herbage.tokens.cluster import Cluster, PhotoTask, absolute_folder, stream_on_cluster


@dataclass(frozen=True)
class Folders:
    """Where overlays and maps are written, and where tokens are cached; None if they are not."""

    maps: Path | None
    store: Path | None

    def absolute(self) -> "Folders":
        """The same folders, for workers with another working directory."""
        return Folders(self.maps and self.maps.absolute(), self.store and self.store.absolute())


@dataclass(frozen=True)
class Estimated:
    """A photo's estimate, without its map; `photo` is set where the photo is open in this process."""

    file: PhotoFile
    estimate: Estimate
    photo: Photo | None = None

    def picture(self, maps: Path | None) -> bytes | None:
        """The overlay from the folder `maps`, or else the photo itself; None where it can no longer be read."""
        try:
            if maps is not None:
                return (maps / map_files(self.estimate.photo)[0]).read_bytes()
            return thumbnail((self.photo or open_photo(self.file)).pixels())
        except (OSError, PhotoUnreadable):
            return None


def estimate_photos(
    model: HerbageModel, backbone: Backbone, request: PredictRequest, folders: Folders, files: Sequence[PhotoFile]
) -> Iterator[Estimated]:
    """Yield the estimate of each photo in order."""
    made = model.estimates(
        files,
        backbone,
        level=request.level,
        quadrat_area_m2=request.quadrat_area_m2,
        with_map=request.maps,
        views=request.views,
        store=folders.store,
    )
    for estimate, item in made:
        if folders.maps is not None and estimate.map is not None and item.photo is not None:
            _write_map(model, item.photo, estimate, folders.maps)
        yield Estimated(item.file, replace(estimate, map=None), item.photo)


def estimate_on_cluster(
    model: str | Path,
    options: BackboneOptions,
    request: PredictRequest,
    folders: Folders,
    files: Sequence[PhotoFile],
    cluster: Cluster,
) -> Iterator[Estimated]:
    """Yield the estimate of each photo in order, from the workers of a cluster, which open the model themselves."""
    options = {**options, "backbone": absolute_folder(options.get("backbone"))}
    task = partial(_make_task, absolute_folder(model), options, request, folders.absolute())
    for file, result in stream_on_cluster(files, task, cluster):
        yield Estimated(file, Estimate.failed(file.name, result) if isinstance(result, PhotoUnreadable) else result)


def _make_task(model: str, options: BackboneOptions, request: PredictRequest, folders: Folders) -> PhotoTask[Estimate]:
    """The task of a worker: the same function that a single machine runs."""
    opened = HerbageModel.from_pretrained(model)
    backbone = opened.open_backbone(**options)

    def task(files: list[PhotoFile]) -> Iterator[tuple[PhotoFile, Estimate]]:
        for item in estimate_photos(opened, backbone, request, folders, files):
            yield item.file, item.estimate

    return task


def _write_map(model: HerbageModel, photo: Photo, estimate: Estimate, folder: Path) -> None:
    """Write the overlay as PNG, and the map in g/m2 (target, row, column) as .npy."""
    overlay, array = map_files(estimate.photo)
    content = io.BytesIO()
    np.save(content, np.asarray(estimate.map_g_per_m2, np.float32))
    write_atomic(folder / overlay, draw_overlay(photo.pixels(), estimate, scale_g_per_m2=model.map_scale_g_per_m2))
    write_atomic(folder / array, content.getvalue())
