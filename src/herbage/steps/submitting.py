"""The competition's file."""

import logging
import time
from pathlib import Path

import numpy as np

from herbage.backbones.backbone import Backbone
from herbage.backbones.engine import Device, Precision
from herbage.errors import InputInvalid, PhotosMissing
from herbage.files import refuse_existing, write_whole
from herbage.formatting import counted
from herbage.model.model import HerbageModel, open_model
from herbage.photos.tables import read_test_table
from herbage.progress import Track, silent
from herbage.results.submission import submission_table
from herbage.steps.run_record import run_place, run_record
from herbage.targets import missing_names

log = logging.getLogger("herbage")


def submit(
    model: str | Path | HerbageModel,
    test_table: str | Path,
    *,
    photos: str | Path,
    out: str | Path,
    store: str | Path | None = None,
    backbone: str | Path | Backbone | None = None,
    device: Device = "auto",
    precision: Precision = "auto",
    overwrite: bool = False,
    track: Track = silent,
) -> dict[str, str]:
    """Write the competition's file; a photo that cannot be read gets the training mean and is returned with its reason.

    Imported heads know no training mean: there the mean of the other photos' estimates serves. Weights are g a quadrat.
    Raises TableInvalid, InputInvalid for a model that does not know all five weights, and PhotosMissing.
    """
    started = time.time()
    out = Path(out)
    refuse_existing(out, overwrite=overwrite)
    test, files = read_test_table(test_table, photos)
    opened_model = open_model(model)
    if missing := missing_names(opened_model.about.known):
        raise InputInvalid(f"The competition asks for all five weights; this model has no {', '.join(missing)}.")
    opened = opened_model.open_backbone(backbone, device=device, precision=precision)
    log.info("Estimating %s", counted(len(files), "photo"))
    grams, failed = {}, {}
    for estimate, _ in track(opened_model.estimates(files, opened, store=store), "submit", len(files)):
        if estimate.status == "ok":
            grams[estimate.photo] = estimate.grams
        else:
            failed[estimate.photo] = estimate.message
    training = opened_model.about.training
    if failed:
        if training is None and not grams:
            raise PhotosMissing(
                f"None of the {len(files)} photos of {test_table} can be read, and there is no mean to give."
            )
        mean = np.array(training.mean_g, float) if training else np.mean(list(grams.values()), axis=0)
        grams |= dict.fromkeys(failed, mean)
    write_whole(out, submission_table(test, grams).to_csv(index=False, lineterminator="\n"))
    run = run_record(
        "submit", started, backbone=opened, model=opened_model, tables={"test_table": test_table}, photos=str(photos),
        failed=len(failed),
    )  # fmt: skip
    write_whole(run_place(out), run)
    return failed
