"""A season of a large farm: a walk is added to its file, and its report is written.

python -m benchmarks farm [--quick]

The estimates are drawn: paddocks in a grid, a walk per week with photos in all of them, and cover that grows until it
is grazed. Each measurement runs in a process of its own.
"""

import argparse
import json
import shutil
import subprocess
import sys
from datetime import date, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import numpy as np
import shapely

from benchmarks.harness import option_parser, parse, peak_gb, run_herbage
from benchmarks.speed.timing import report, timed
from herbage.farm.farm import Farm
from herbage.farm.models import ErrorsRecord, ModelRecord
from herbage.farm.photos import PhotoIdentity
from herbage.model.estimate import Estimate
from herbage.model.paddock_error import MeanErrors
from herbage.photos.exif import PhotoFacts
from herbage.targets import QUADRAT_AREA_M2, SUMS, TARGETS

PADDOCKS, WALKS, PHOTOS, NEW_PHOTOS = 200, 60, 100_000, 1_000
ADDING_BAR_S, REPORT_BAR_S, BAR_GB = 10, 20, 1
FIRST_DAY = date(2025, 9, 1)
WEST, SOUTH, SIDE = 147.0, -41.5, 0.001
"""The corner of the farm and the side of a paddock, in degrees."""
GRAZED, READY, GROWTH = 1500.0, 2800.0, 40.0
"""Cover after and before grazing in kg DM/ha, and its growth per day."""


def main() -> None:
    """Draw the farm, measure both, write farm.json."""
    parser = option_parser(__doc__)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parse(parser)
    size = (20, 6, 600, 60) if options.quick else (PADDOCKS, WALKS, PHOTOS, NEW_PHOTOS)
    place = options.work / "farm"
    if options.one:
        print(json.dumps(add_walk(place, *size) if options.one == "add" else draw_farm(place, *size[:3])))
        return
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    paddocks, walks, photos, new = size
    quick = ["--quick"] if options.quick else []
    drawn, added = (_in_own_process(step, options.work, quick) for step in ("draw", "add"))
    seconds, gb = run_herbage("farm", place / "farm.gpkg", "--out", place / "season", "--quiet")
    of_report = {"work": "`herbage farm --out`", "seconds": seconds, "peak_gb": gb, "bar_s": REPORT_BAR_S}
    of_walk = {"work": f"a walk of {new:,} photos added", **added, "bar_s": ADDING_BAR_S}
    farm = {
        "paddocks": paddocks, "walks": walks, "photos": photos, "file_mb": drawn["file_mb"],
        "drawn_s": drawn["seconds"],
    }  # fmt: skip
    report("farm", [{**line, "bar_gb": BAR_GB} for line in (of_walk, of_report)], options.out, farm=farm)


def _in_own_process(step: str, work: Path, quick: list[str]) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks", "farm", "--one", step, "--work", str(work), *quick]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def draw_farm(place: Path, paddocks: int, walks: int, photos: int) -> dict[str, float]:
    """PLACE/farm.gpkg, written in one transaction: its size in MB, and the seconds."""
    farm = Farm(place / "farm.gpkg")
    write_polygons(place / "paddocks.geojson", paddocks)
    farm.import_paddocks(place / "paddocks.geojson")
    estimates = draw_walks(farm, range(walks), photos)
    seconds = timed(lambda: farm.add_estimates(estimates, a_model()))
    return {"seconds": seconds, "file_mb": farm.path.stat().st_size / 1e6}


def add_walk(place: Path, paddocks: int, walks: int, photos: int, new: int) -> dict[str, float]:
    """Seconds and peak memory of adding one more walk to a copy of the farm."""
    farm = Farm(shutil.copy(place / "farm.gpkg", place / "added.gpkg"))
    estimates = draw_walks(farm, range(walks, walks + 1), new)
    seconds = timed(lambda: farm.add_estimates(estimates, a_model()))
    rows = farm.visits()
    assert (len(rows), rows["photos"].sum()) == (paddocks * (walks + 1), photos + new)
    return {"seconds": seconds, "peak_gb": peak_gb(Path("/proc/self/status").read_text("utf-8"))}


def write_polygons(place: Path, paddocks: int) -> None:
    """Squares in a grid, named P001, P002 and so on."""
    features = [
        {"type": "Feature", "properties": {"name": f"P{number + 1:03}"}, "geometry": shapely.geometry.mapping(square)}
        for number, square in enumerate(squares(paddocks))
    ]
    place.write_text(json.dumps({"type": "FeatureCollection", "features": features}))


def squares(paddocks: int) -> list[shapely.Polygon]:
    """The shapes of the paddocks."""
    corners = [(WEST + SIDE * (number % 20), SOUTH + SIDE * (number // 20)) for number in range(paddocks)]
    return [shapely.box(west, south, west + SIDE, south + SIDE) for west, south in corners]


def draw_walks(farm: Farm, walks: range, photos: int) -> list[tuple[Estimate, PhotoIdentity]]:
    """As many estimates, over these walks and all paddocks in turn."""
    own = [paddock.id for paddock in farm.paddocks().by_id.values()]
    rng = np.random.default_rng(walks.start)
    drawn = []
    for number in range(photos):
        walk, paddock = walks[number * len(walks) // photos], number % len(own)
        day = FIRST_DAY + timedelta(weeks=walk)
        since_grazing = (GROWTH * 7 * walk + 37 * paddock) % (READY - GRAZED)
        grams = SUMS @ rng.dirichlet((2, 6, 12)) * max(GRAZED + since_grazing + rng.normal(0, 300), 0)
        grams *= QUADRAT_AREA_M2 / 10
        taken = datetime(day.year, day.month, day.day, 9) + timedelta(seconds=3 * (number % 5000))
        longitude = WEST + SIDE * (paddock % 20 + rng.uniform(0.1, 0.9))
        latitude = SOUTH + SIDE * (paddock // 20 + rng.uniform(0.1, 0.9))
        name = f"{day}/IMG_{number:06}.jpg"
        estimate = Estimate(
            name, grams=grams, low=grams * 0.6, high=grams * 1.5, quadrat_area_m2=QUADRAT_AREA_M2,
            in_domain=bool(rng.uniform() < 0.95), facts=PhotoFacts(taken, latitude, longitude), training_photo=False,
            shape_differs=False,
        ).rounded()  # fmt: skip
        identity = PhotoIdentity(sha256(name.encode()).hexdigest(), day, f"P{paddock + 1:03}", own[paddock])
        drawn.append((estimate, identity))
    return drawn


def a_model() -> ModelRecord:
    """A model whose errors are drawn: 20 groups of 3 photos."""
    rng = np.random.default_rng(0)
    weighed = rng.uniform(20, 60, (60, 5))
    error = np.repeat(rng.normal(0, 2, (20, 5)), 3, axis=0) + rng.normal(0, 4, weighed.shape)
    errors = ErrorsRecord.of(MeanErrors.fit(weighed, weighed + error, np.repeat(np.arange(20), 3)))
    return ModelRecord(
        digest="a" * 64, name="field on texture", targets=TARGETS, quadrat_area_m2=QUADRAT_AREA_M2, alone=errors
    )
