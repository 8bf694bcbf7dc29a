"""What the field recipe costs beside plain ridge on halves: seconds a photo to estimate, and seconds to train.

    HERBAGE_REAL=DIR python -m benchmarks cost --work WORK

Both models estimate the same photos in turn, so the ratio holds on a machine that others use too. Training runs from a
filled store. Writes WORK/cost.json.
"""

import json
import os
import time
from pathlib import Path

import numpy as np

from benchmarks.accuracy.ladder import FIELD_RECIPE, PLAIN
from benchmarks.accuracy.real_photos import command_line, real_folder
from herbage import steps
from herbage.model.model import HerbageModel
from herbage.photos.discovery import find_photos
from herbage.recipe import Recipe

PHOTOS = 4
ROUNDS = 3
BAR_RATIO, BAR_TRAIN_S = 6.0, 300.0


def trained(real: Path, work: Path, recipe: Recipe) -> tuple[HerbageModel, float]:
    """A model, and the seconds that training it took from a filled store."""
    how = {"photos": real, "recipe": recipe, "backbone": real / "vits14", "store": work / "tokens"}
    steps.train(real / "train.csv", **how)
    started = time.monotonic()
    model = steps.train(real / "train.csv", **how)
    return model, time.monotonic() - started


def main() -> None:
    """Measure, print and write the JSON."""
    parser = command_line(__doc__)
    asked = parser.parse_args()
    real = real_folder(parser)
    models, train_s = {}, {}
    one_view = FIELD_RECIPE.model_copy(update={"views": 1})
    for name, recipe in (("ridge", PLAIN), ("field", FIELD_RECIPE), ("field, 1 view", one_view)):
        models[name], train_s[name] = trained(real, asked.work, recipe)
    files = find_photos(real / "train")[:PHOTOS]
    backbone = models["field"].open_backbone(real / "vits14")
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(ROUNDS):
        for name, model in models.items():
            started = time.monotonic()
            for _ in model.estimates(files, backbone):
                pass
            seconds[name].append((time.monotonic() - started) / PHOTOS)
    photo_s = {name: float(np.median(each)) for name, each in seconds.items()}
    ratio = photo_s["field"] / photo_s["ridge"]
    for name, value in photo_s.items():
        print(f"estimate a photo by {name}: {value:.2f} s")
    print(f"field / ridge {ratio:.2f} (bar: at most {BAR_RATIO:g}): {'met' if ratio <= BAR_RATIO else 'MISSED'}")
    for name, value in train_s.items():
        print(f"train {name} from a filled store: {value:.1f} s (bar: under {BAR_TRAIN_S:g} s)")
    machine = f"{len(os.sched_getaffinity(0))} cores, {backbone.engine.device} in {backbone.engine.precision}"
    record = {"machine": machine, "photo_s": photo_s, "ratio": ratio, "train_s": train_s}
    (asked.work / "cost.json").write_text(json.dumps(record))


if __name__ == "__main__":
    main()
