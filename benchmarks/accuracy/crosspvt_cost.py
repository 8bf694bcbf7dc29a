"""What CrossPVT costs: seconds and memory to extract the tiles of a few photos, and to train from a filled store.

    HERBAGE_REAL=DIR python -m benchmarks crosspvt-cost --work WORK

Both are whole commands of their own; what the command takes when there is nothing to extract is taken off. The store in
WORK must hold the tiles of all photos (the benchmark `crosspvt` fills it). Writes WORK/crosspvt_cost.json.
"""

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.accuracy.real_photos import command_line, real_folder
from benchmarks.command import command
from herbage.photos.discovery import find_photos
from herbage.photos.tables import read_weighed_table

PHOTOS = 4
BAR_EXTRACT_S, BAR_TRAIN_S = 40 * 60, 20 * 60


def main() -> None:
    """Measure, print and write the JSON."""
    parser = command_line(__doc__)
    asked = parser.parse_args()
    real = real_folder(parser)
    how: Sequence[object] = ("--recipe", "crosspvt", "--backbone", real / "vits14", "--quiet")
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
