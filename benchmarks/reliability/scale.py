"""A million entries with a backbone that costs nothing: listing, what is missing, the store, resuming, merging, rows.

python -m benchmarks scale [--sizes 10000 100000 1000000] [--work WORK]

Each size is a process of its own, so that its peak memory is its own. The photos are 32 x 16 pixels, a thousand in a
folder, and all differ; so what is timed is everything but decoding and the backbone.
"""

import argparse
import json
import logging
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.command import asked
from herbage.backbones.engine import resolve_engine
from herbage.model.estimate import Estimate
from herbage.photos.discovery import PhotoList, find_photos
from herbage.recipe import load_recipe
from herbage.results.geojson import open_photos_geojson
from herbage.results.predictions import PredictionsTable
from herbage.tokens.extraction import look_up, stream_tokens, take_shard
from herbage.tokens.store import TokenStore

RECIPE = load_recipe("seed").model_copy(update={"grid": 2, "views": 1, "blur_sigma": 0.0})
A_FOLDER = 1000


class Stub:
    """A backbone of width 4 that says 0 of everything."""

    name, digest, source_digest = "stub", "0" * 64, "0" * 64
    patch_px, width, batch_patches = 1, 4, 0
    engine = resolve_engine("cpu", "fp32", library="stub")

    def __call__(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The class vectors and the patches'."""
        return torch.zeros(len(images), 4), torch.zeros(len(images), 4, 4)


def main() -> None:
    """Measure each size, print, write scale.json."""
    parser = asked(__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one, options.work / f"scale-{options.one}")))
        return
    options.out.mkdir(parents=True, exist_ok=True)
    lines = []
    for size in options.sizes:
        place = options.work / f"scale-{size}"
        shutil.rmtree(place, ignore_errors=True)
        draw(place / "photos", size)
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks", "scale", "--one", str(size)]
        done = subprocess.run([*command, "--work", options.work], stdout=subprocess.PIPE, text=True, check=True)
        lines.append(json.loads(done.stdout.splitlines()[-1]))
        print(lines[-1], flush=True)
        (options.out / "scale.json").write_text(json.dumps(lines, indent=1) + "\n")
        shutil.rmtree(place)


def draw(folder: Path, count: int) -> None:
    """So many photos that differ by the bytes behind their end."""
    picture = BytesIO()
    Image.fromarray(np.full((16, 32, 3), 90, np.uint8)).save(picture, "png")
    for number in range(count):
        place = folder / f"{number // A_FOLDER:04}"
        if number % A_FOLDER == 0:
            place.mkdir(parents=True)
        (place / f"{number:07}.png").write_bytes(picture.getvalue() + number.to_bytes(4, "big"))


def measure(count: int, place: Path) -> dict[str, float]:
    """Seconds of each step, and the peak memory of all in GB."""
    logging.getLogger("herbage").setLevel(logging.ERROR)
    took: dict[str, float] = {"photos": count}
    stores = [TokenStore(place / name, Stub(), RECIPE) for name in ("one", "two")]

    @contextmanager
    def timed(name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        took[name] = time.perf_counter() - started

    with timed("listing"):
        files = find_photos(place / "photos")
    assert len(files) == count
    with timed("missing"):
        assert not any(present for _, present, _ in look_up(files, stores[0]))
    with timed("storing"):
        for shard, store in enumerate(stores):
            for item in stream_tokens(take_shard(files, f"{shard}/2"), Stub(), RECIPE, store, read_kept=False):
                assert not item.from_store
    with timed("merging"):
        subprocess.run(["cp", "-Rn", f"{stores[1].root}/.", stores[0].root], check=True)
    for name in ("resuming_merged", "resuming"):
        with timed(name):
            for item in stream_tokens(files, Stub(), RECIPE, stores[0], read_kept=False):
                assert item.from_store
    with timed("rows"):
        write_rows(files, 0, count // 2, place / "results")
    with timed("rows_resumed"):
        write_rows(files, count // 2, count, place / "results")
    took["peak_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return took


def write_rows(files: PhotoList, known: int, until: int, folder: Path) -> None:
    """Rows and points as `predict` writes them, behind those that are known, cut off before the last unless it is."""
    folder.mkdir(exist_ok=True)
    table = PredictionsTable(folder / "predictions.csv", overwrite=False)
    assert table.begin(files, {"model": "stub"}) == known
    estimate = Estimate("", grams=np.arange(5.0), low=np.zeros(5), high=np.full(5, 9.0), quadrat_area_m2=0.21)
    try:
        with table.grow() as rows, open_photos_geojson(folder / "photos.geojson") as points:
            for cells in table.kept_rows(known):
                points.add(Estimate.of_row(cells, level=0.9, quadrat_area_m2=0.21))
            for file in files[known:until]:
                object.__setattr__(estimate, "photo", file.name)
                rows.add(estimate)
                points.add(estimate)
            if until < len(files):
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        return
    assert not (folder / ".predictions.unfinished.json").exists()


if __name__ == "__main__":
    main()
