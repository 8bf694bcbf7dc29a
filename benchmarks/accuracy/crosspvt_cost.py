"""What CrossPVT costs: seconds and memory to extract the tiles of a few photos, and to train from a filled store.

    HERBAGE_REAL=DIR python -m benchmarks crosspvt-cost --work WORK

Both are whole commands of their own; what the command takes when there is nothing to extract is taken off. The store in
WORK must hold the tiles of all photos (the benchmark `crosspvt` fills it). Writes WORK/crosspvt_cost.json.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.accuracy.real_photos import command_line, real_folder
from herbage.photos.photo import find_photos
from herbage.photos.tables import read_weighed_table

PHOTOS = 4
BAR_EXTRACT_S, BAR_TRAIN_S = 40 * 60, 20 * 60
HERBAGE = (sys.executable, "-c", "from herbage.app.cli import main; main()")


def command(*arguments: object) -> tuple[float, float]:
    """Wall seconds and peak memory (GB) of a herbage command; raises where it fails."""
    started = time.monotonic()
    process = subprocess.Popen([*HERBAGE, *map(str, arguments), "--quiet"], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"herbage {' '.join(map(str, arguments))} failed")
    return time.monotonic() - started, usage.ru_maxrss / 1e6


def main() -> None:
    """Measure, print and write the JSON."""
    parser = command_line(__doc__)
    asked = parser.parse_args()
    real = real_folder(parser)
    how: Sequence[object] = ("--recipe", "crosspvt", "--backbone", real / "vits14")
    count = len(read_weighed_table(real / "train.csv", real).files)
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        (place / "some.txt").write_text("\n".join(str(f.path.resolve()) for f in find_photos(real / "train")[:PHOTOS]))
        extract = ("extract", place / "some.txt", "--store", place / "tokens", *how)
        (first_s, extract_gb), (again_s, _) = command(*extract), command(*extract)
        table = ("train", real / "train.csv", "--photos", real, "--store", asked.work / "tokens")
        train_s, train_gb = command(*table, "--model", place / "model", *how)
        model_mb = sum(f.stat().st_size for f in (place / "model").iterdir()) / 1e6
    photo_s = (first_s - again_s) / PHOTOS
    record = {
        "cores": len(os.sched_getaffinity(0)),
        "photos": count,
        "photo_s": photo_s,
        "extract_gb": extract_gb,
        "train_s": train_s,
        "train_gb": train_gb,
        "model_mb": model_mb,
    }
    for what, seconds, bar in (("extract", photo_s * count, BAR_EXTRACT_S), ("train", train_s, BAR_TRAIN_S)):
        print(f"{what}: {seconds:.0f} s for {count} photos (bar {bar} s): {'met' if seconds <= bar else 'MISSED'}")
    (asked.work / "crosspvt_cost.json").write_text(json.dumps(record))
    print(json.dumps(record))


if __name__ == "__main__":
    main()
