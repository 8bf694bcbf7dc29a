"""The competition's submission file."""

import logging
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Unpack

import numpy as np
import pandas as pd
from jaxtyping import Float

from herbage.backbones.backbone import Backbone
from herbage.backbones.opening import BackboneOptions
from herbage.errors import BackboneInvalid, InputInvalid, PhotosMissing
from herbage.files import write_atomic
from herbage.formatting import counted
from herbage.model.estimate import Estimate, skip_failed
from herbage.model.model import HerbageModel, open_model
from herbage.outputs import check_output_file
from herbage.photos.photo import PhotoFile
from herbage.progress import Track, silent
from herbage.remarks import log_remarks
from herbage.results.submission import submission_table
from herbage.steps.comparing import check_comparable, model_names
from herbage.steps.measuring import MeasuredSource, log_unused_columns
from herbage.steps.run_record import run_place, run_record
from herbage.tables.competition import read_test_table
from herbage.tables.numbers import DecimalSign
from herbage.tables.spreadsheet import DateOrder, TableFormat
from herbage.targets import missing_names

log = logging.getLogger("herbage")

Grams = Float[np.ndarray, "5"]


def submit(
    models: str | Path | HerbageModel | Sequence[str | Path | HerbageModel],
    test_table: str | Path,
    *,
    photos: str | Path,
    out: str | Path,
    table: str | Path | pd.DataFrame | None = None,
    columns: Mapping[str, str] | None = None,
    decimal: DecimalSign | None = None,
    sheet: str | None = None,
    dates: DateOrder | None = None,
    store: str | Path | None = None,
    overwrite: bool = False,
    track: Track = silent,
    **options: Unpack[BackboneOptions],
) -> dict[str, str]:
    """Write the competition's file; returns the photos that could not be read, with the reason.

    For several models, the file has the mean of their estimates. Measured columns of a model are read from
    `test_table`, or from `table`, a sidecar table with `image_path`. A photo that cannot be read gets the model's
    training mean; with imported heads, which have none, the mean of the other photos' estimates. `backbone` replaces
    that of every model. Weights are in g per quadrat. Raises TableInvalid, OutputExists, PhotosMissing, and
    InputInvalid for models that lack a weight, were trained on quadrats of different areas, or are the same.
    """
    started = time.time()
    out = Path(out)
    check_output_file(out, overwrite=overwrite)
    given = [models] if isinstance(models, str | Path | HerbageModel) else list(models)
    opened = [open_model(one) for one in given]
    names = model_names(given)
    _check_models(opened, names)
    measured = tuple(dict.fromkeys(name for model in opened for name in model.measured_names))
    how = TableFormat(columns or {}, decimal, sheet, dates, measured)
    test = read_test_table(test_table, photos, how if table is None else how.without(measured))
    inputs = [
        MeasuredSource(model, Path(photos), own, how).attach(test.files, test.first_rows, str(test_table))
        for model, own in zip(opened, _tables_of(opened, table), strict=True)
    ]
    remarks = list(dict.fromkeys([*test.remarks, *(remark for own in inputs for remark in own.remarks)]))
    log_remarks(remarks)
    backbones = _open_backbones(opened, options)
    failed: dict[str, str] = {}
    grams: list[dict[str, Grams]] = []
    for model, own, backbone in zip(opened, inputs, backbones, strict=True):
        log_unused_columns(model, own.files)
        log.info("Estimating %s", counted(len(own.files), "photo"))
        made = track(model.estimates(own.files, backbone, store=store), "submit", len(own.files))
        estimates = {estimate.photo: estimate for _, estimate, _ in skip_failed(made, failed)}
        _warn_of_training_photos(estimates.values())
        grams.append(_complete({photo: one.grams for photo, one in estimates.items()}, own.files, model))
    blend = {photo: np.mean([one[photo] for one in grams], axis=0) for photo in grams[0]}
    write_atomic(out, submission_table(test.frame, blend).to_csv(index=False, lineterminator="\n"))
    run = run_record(
        "submit", started, used=list(zip(names, opened, backbones, strict=True)),
        tables={"test_table": test_table, "table": table}, photos=str(photos), failed=len(failed), remarks=remarks,
    )  # fmt: skip
    write_atomic(run_place(out), run)
    return failed


def _check_models(models: Sequence[HerbageModel], names: Sequence[str]) -> None:
    """Raises InputInvalid where the mean of the models' estimates is not a submission."""
    if not models:
        raise InputInvalid("`models`: expected at least one model.")
    for model, name in zip(models, names, strict=True):
        if missing := missing_names(model.known):
            raise InputInvalid(
                f"The competition needs all five weights; {name} does not estimate {', '.join(missing)}."
            )
    check_comparable(models, names)
    digests = [model.digest for model in models]
    for number, digest in enumerate(digests):
        if (first := digests.index(digest)) < number:
            raise InputInvalid(f"{names[first]} and {names[number]} are the same model: give it once.")


def _tables_of(
    models: Sequence[HerbageModel], table: str | Path | pd.DataFrame | None
) -> list[str | Path | pd.DataFrame | None]:
    """The sidecar table for the models that have measured columns; for all of them, to be refused, where none has."""
    if not any(model.measured_names for model in models):
        return [table] * len(models)
    return [table if model.measured_names else None for model in models]


def _open_backbones(models: Sequence[HerbageModel], options: BackboneOptions) -> list[Backbone]:
    """Each model's backbone; models that were trained on the same weights share one."""
    opened: dict[str, Backbone] = {}
    for model in models:
        shared = opened.get(model.config.backbone.digest)
        own = options if shared is None else BackboneOptions(backbone=shared)
        try:
            opened[model.config.backbone.digest] = model.open_backbone(**own)
        except BackboneInvalid as error:
            if len(models) == 1:
                raise
            raise BackboneInvalid(f"{error} Without `backbone`, each model uses its own.") from error
    return [opened[model.config.backbone.digest] for model in models]


def _warn_of_training_photos(estimates: Collection[Estimate]) -> None:
    if count := sum(estimate.training_photo is True for estimate in estimates):
        log.warning(
            "The model was trained on %d of these %d photos: is this the test table?", count, len(estimates)
        )  # fmt: skip


def _complete(grams: dict[str, Grams], files: Sequence[PhotoFile], model: HerbageModel) -> dict[str, Grams]:
    """The grams of all photos: those that could not be read get a mean; raises PhotosMissing where there is none."""
    missing = [file.name for file in files if file.name not in grams]
    if not missing:
        return grams
    if model.evidence is not None:
        mean = np.array(model.evidence.training.mean_g, float)
    elif grams:
        mean = np.mean(list(grams.values()), axis=0)
    else:
        raise PhotosMissing(f"None of the {len(files)} photos can be read, and the model has no training mean.")
    return grams | dict.fromkeys(missing, mean)
