"""The demo: draws swards of known weight, trains on them, and estimates them."""

import logging
import shutil
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from herbage import steps
from herbage.app.demo_farm import PADDOCKS, make_farm
from herbage.photos.drawing import Light, draw_sward, photo_exif
from herbage.photos.photo import PhotoFile
from herbage.targets import TARGETS

log = logging.getLogger("herbage")

GROUPS, PHOTOS_PER_GROUP, TEST_GROUPS = 12, 4, 3
STATES = ("Tas", "Vic", "NSW", "WA")
QUALITY = 90


def run_demo(out: Path, *, track: steps.Track) -> str:
    """Draw photos, train `field` and `seed`, predict, submit, and make a farm; returns the scores and files as a text.

    Files of an earlier demo are replaced.
    """
    log.info("Drawing %d swards in %d groups", GROUPS * PHOTOS_PER_GROUP, GROUPS)
    truth = draw_photos(out / "photos")
    frame = pd.DataFrame(truth)
    test = frame["group"] >= GROUPS - TEST_GROUPS
    _long_table(frame[~test]).to_csv(out / "train.csv", index=False, lineterminator="\n")
    request = _long_table(frame[test])[["sample_id", "image_path", "target_name"]]
    request.to_csv(out / "test.csv", index=False, lineterminator="\n")

    photos, store, models = out / "photos", out / "tokens", {"field": out / "model", "seed": out / "model-seed"}
    for recipe, place in models.items():
        steps.train(
            out / "train.csv",
            photos=photos,
            model=place,
            store=store,
            recipe=recipe,
            backbone="texture",
            overwrite=True,
            track=track,
        )
    common: dict[str, Any] = {"store": store, "overwrite": True, "track": track}
    steps.predict(models["field"], photos, out=out / "results", maps=True, **common)
    steps.submit(models["field"], out / "test.csv", photos=photos, out=out / "submission.csv", **common)
    make_farm(out, models["field"], store=store, track=track)
    return _summary(out, models, store, frame[test].reset_index(drop=True))


def draw_photos(folder: Path, *, seed: int = 7) -> list[dict[str, object]]:
    """Draw the swards as JPEGs with EXIF time, and GPS in most groups; returns one record of true weights per photo."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    records: list[dict[str, object]] = []
    for group in range(GROUPS):
        state = STATES[group % len(STATES)]
        day = datetime(2025, 3, 1, 9) + timedelta(days=int(17 * group + rng.integers(0, 9)))
        light, lush = Light.draw(rng), rng.uniform(0.35, 1.0)
        where = (-38.0 - rng.uniform(0, 3), 145.0 + rng.uniform(0, 2)) if group % 4 else None
        for number in range(PHOTOS_PER_GROUP):
            green = 60 * lush * rng.uniform(0.25, 1)
            clover = 22 * rng.uniform(0, 1) ** 2 * (rng.uniform() > 0.35)
            sward = draw_sward(rng, light, green=green, dead=28 * rng.uniform(0.05, 1) * (1.2 - lush), clover=clover)
            name = f"sward_{group * PHOTOS_PER_GROUP + number:02d}.jpg"
            taken = day + timedelta(minutes=7 * number)
            place = where and (where[0] + 1e-4 * number, where[1] + 1e-4 * number)
            sward.image.save(folder / name, quality=QUALITY, exif=photo_exif(taken, place))
            records.append(
                {
                    "image_path": f"photos/{name}",
                    "group": group,
                    "State": state,
                    "Sampling_Date": f"{day.year}/{day.month}/{day.day}",
                    **dict(zip(TARGETS, sward.grams.round(4).tolist(), strict=True)),
                }
            )
    return records


def _long_table(frame: pd.DataFrame) -> pd.DataFrame:
    """The competition's columns, five rows per photo."""
    long = frame.melt(
        id_vars=["image_path", "Sampling_Date", "State"],
        value_vars=list(TARGETS),
        var_name="target_name",
        value_name="target",
    )
    long["sample_id"] = long["image_path"].map(lambda path: Path(path).stem) + "__" + long["target_name"]
    long = long.sort_values("image_path", kind="stable")
    return long[["sample_id", "image_path", "Sampling_Date", "State", "target_name", "target"]]


def _summary(out: Path, models: dict[str, Path], store: Path, test: pd.DataFrame) -> str:
    # Imported here, so that drawing does not wait for torch.
    from herbage.evaluation.baselines import MEAN, named_baselines
    from herbage.evaluation.scoring import weighted_r2
    from herbage.model.model import HerbageModel

    truth = test[list(TARGETS)].to_numpy(float)
    files = [PhotoFile(path, out / path) for path in test["image_path"]]
    log.info("Scoring both models on the %d photos that were not used for training", len(files))
    scores: dict[str, tuple[float | None, float | None]] = {}
    baselines: dict[str, tuple[float | None, float | None]] = {}
    for recipe, place in models.items():
        model = HerbageModel.from_pretrained(place)
        evidence = model.require_evidence("The demo")
        made = model.estimates(files, model.open_backbone(), store=store)
        grams = np.stack([estimate.grams for estimate, _ in made])
        scores[f"recipe {recipe}"] = weighted_r2(truth, grams), evidence.alone.score.weighted_r2
        mean = np.broadcast_to(np.array(evidence.training.mean_g, float), truth.shape)
        baselines = {name: (None, baseline.weighted_r2) for name, baseline in evidence.baselines.items()}
        baselines[MEAN] = weighted_r2(truth, mean), baselines[MEAN][1]
    lines = [
        f"{'Weighted R2 of':<32}{f'{len(test)} new photos':>18}{'training photos, out of fold':>32}",
        *(
            f"{name:<32}{_r2(new):>18}{_r2(fold):>32}"
            for name, (new, fold) in (scores | named_baselines(baselines)).items()
        ),
    ]
    lines.append(f"\nWritten to {out}:")
    for name, what in (
        ("photos/", f"{len(list((out / 'photos').glob('*.jpg')))} drawn swards"),
        ("train.csv, test.csv", "their tables"),
        ("model/, model-seed/", "the models, each with its card, out-of-fold table and report.html"),
        ("results/", "predictions.csv, maps/, photos.geojson, report.html"),
        ("submission.csv", "the competition's file"),
        ("paddocks.geojson", f"the {len(PADDOCKS)} paddocks of a farm"),
        (
            "walks/, walk-results/",
            f"{len(list((out / 'walks').rglob('*.webp')))} drawn swards of three walks, estimated",
        ),
        ("farm.gpkg, season/", "the farm with the estimates of all walks, and its season.html"),
    ):
        lines.append(f"  {name:<22} {what}")
    lines += ["\nNext:", *(f"  {do}" for do in _next_steps(out))]
    return "\n".join(lines)


def _next_steps(out: Path) -> list[str]:
    herbage = "herbage" if shutil.which("herbage") else Path(sys.argv[0])  # an environment that is not activated
    return [
        f"open {out / 'results/report.html'} in a browser: every photo with its estimate and map",
        f"open {out / 'season/season.html'}: the farm's cover, growth and feed",
        f"run `{herbage} serve {out / 'model'}` and drop photos of {out / 'photos'} on the page that it names",
        "read docs/tutorials/first-paddock.md, which explains these files",
        "train a model on your own weighed photos, as docs/tutorials/own-photos.md shows: these models know drawn",
        "swards only, and what they estimate for real photos means nothing",
    ]


def _r2(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
