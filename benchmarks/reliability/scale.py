"""Many photos with a backbone that costs nothing: listing, storing, merging, resuming, and writing rows.

python -m benchmarks scale [--sizes 10000 100000] [--quick]

Each size runs in its own process, so that peak memory is measured per size. The photos are 32 x 16 pixels, a thousand
per folder, and all differ, so everything but decoding and the backbone is timed. A million take about 40 minutes.
"""

import argparse
import json
import logging
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

from benchmarks.harness import option_parser, parse, peak_gb, write_result
from herbage.backbones.engine import resolve_engine
from herbage.model.estimate import Estimate
from herbage.photos.discovery import PhotoList, find_photos
from herbage.recipe import load_recipe
from herbage.results.geojson import open_photos_geojson
from herbage.results.predictions import PredictionsTable
from herbage.tokens.extraction import stored_photos, stream_tokens, take_shard
from herbage.tokens.store import TokenStore

RECIPE = load_recipe("seed").model_copy(update={"grid": 2, "views": 1, "blur_sigma": 0.0})
PER_FOLDER = 1000


class Stub:
    """A backbone of width 4 that returns zeros."""

    name, digest, source_digest = "stub", "0" * 64, "0" * 64
    patch_px, width, batch_patches = 1, 4, 0
    engine = resolve_engine("cpu", "fp32", library="stub")

    def __call__(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Class vectors and patch vectors."""
        return torch.zeros(len(images), 4), torch.zeros(len(images), 4, 4)


def main() -> None:
    """Measure each size, print, write scale.json."""
    parser = option_parser(__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parse(parser)
    if options.one:
        print(json.dumps(measure(options.one, options.work / f"scale-{options.one}")))
        return
    lines = []
    for size in [1_000, 2_000] if options.quick else options.sizes:
        place = options.work / f"scale-{size}"
        shutil.rmtree(place, ignore_errors=True)
        draw(place / "photos", size)
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks", "scale", "--one", str(size)]
        done = subprocess.run([*command, "--work", options.work], stdout=subprocess.PIPE, text=True, check=True)
        lines.append(json.loads(done.stdout.splitlines()[-1]))
        print(lines[-1], flush=True)
        write_result("scale", options.out, lines=lines)
        shutil.rmtree(place)


def draw(folder: Path, count: int) -> None:
    """`count` photos; a few bytes appended to each make them all differ."""
    picture = BytesIO()
    Image.fromarray(np.full((16, 32, 3), 90, np.uint8)).save(picture, "png")
    for number in range(count):
        place = folder / f"{number // PER_FOLDER:04}"
        if number % PER_FOLDER == 0:
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
        assert not any(present for _, present, _ in stored_photos(files, stores[0]))
    with timed("storing"):
        for shard, store in enumerate(stores):
            for item in stream_tokens(take_shard(files, f"{shard}/2"), Stub(), RECIPE, store, read_stored=False):
                assert not item.from_store
    with timed("merging"):
        subprocess.run(["cp", "-Rn", f"{stores[1].root}/.", stores[0].root], check=True)
    for name in ("resuming_merged", "resuming"):
        with timed(name):
            for item in stream_tokens(files, Stub(), RECIPE, stores[0], read_stored=False):
                assert item.from_store
    with timed("rows"):
        write_rows(files, 0, count // 2, place / "results")
    with timed("rows_resumed"):
        write_rows(files, count // 2, count, place / "results")
    took["peak_gb"] = peak_gb(Path("/proc/self/status").read_text("utf-8"))
    return took


def write_rows(files: PhotoList, known: int, until: int, folder: Path) -> None:
    """Write rows and points as `predict` does, from row `known` on; interrupted where `until` is not the end."""
    folder.mkdir(exist_ok=True)
    table = PredictionsTable(folder / "predictions.csv", overwrite=False)
    assert table.begin(files, {"model": "stub"}) == known
    estimate = Estimate("", grams=np.arange(5.0), low=np.zeros(5), high=np.full(5, 9.0), quadrat_area_m2=0.21)
    try:
        with table.writer() as rows, open_photos_geojson(folder / "photos.geojson") as points:
            for cells in table.rows(known):
                points.add(Estimate.of_row(cells, level=0.9, quadrat_area_m2=0.21))
            for file in files[known:until]:
                object.__setattr__(estimate, "photo", file.name)
                rows.add(estimate)
                points.add(estimate)
            if until < len(files):
                raise KeyboardInterrupt
        table.finish()
    except KeyboardInterrupt:
        return
    assert not (folder / ".predictions.unfinished.json").exists()
