"""The competition's submission file."""

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Unpack

import numpy as np
import pandas as pd

from herbage.backbones.opening import BackboneOptions
from herbage.errors import InputInvalid, PhotosMissing
from herbage.files import write_atomic
from herbage.formatting import counted
from herbage.model.estimate import skip_failed
from herbage.model.model import HerbageModel, open_model
from herbage.outputs import check_output_file
from herbage.progress import Track, silent
from herbage.remarks import log_remarks
from herbage.results.submission import submission_table
from herbage.steps.measuring import from_columns, from_table, log_unused_columns
from herbage.steps.run_record import run_place, run_record
from herbage.tables.competition import read_test_table
from herbage.tables.numbers import DecimalSign
from herbage.tables.spreadsheet import DateOrder, TableFormat
from herbage.targets import missing_names

log = logging.getLogger("herbage")


def submit(
    model: str | Path | HerbageModel,
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

    The model's measured columns are read from `test_table`, or from `table`, a sidecar table with `image_path`. Photos
    that cannot be read get the training mean; with imported heads, which have none, the mean of the other photos'
    estimates. Weights are in g per quadrat. Raises TableInvalid, OutputExists, PhotosMissing, and InputInvalid for a
    model that does not estimate all five weights.
    """
    started = time.time()
    out = Path(out)
    check_output_file(out, overwrite=overwrite)
    opened = open_model(model)
    names = opened.measured_names
    how = TableFormat(columns or {}, decimal, sheet, dates, names)
    test = read_test_table(test_table, photos, how if table is None else how.without(names))
    if table is None:
        first_rows = test.frame.drop_duplicates("image_path")
        beside = from_columns(opened, test.files, first_rows, str(test_table))
    else:
        beside = from_table(opened, test.files, Path(photos), table, how.for_sidecar(names))
    files, remarks = beside.files, [*test.remarks, *beside.remarks]
    log_remarks(remarks)
    log_unused_columns(opened, files)
    if missing := missing_names(opened.known):
        raise InputInvalid(
            f"The competition needs all five weights; this model does not estimate {', '.join(missing)}."
        )
    backbone = opened.open_backbone(**options)
    log.info("Estimating %s", counted(len(files), "photo"))
    failed: dict[str, str] = {}
    made = track(opened.estimates(files, backbone, store=store), "submit", len(files))
    grams = {estimate.photo: estimate.grams for _, estimate, _ in skip_failed(made, failed)}
    if failed:
        if opened.evidence is not None:
            mean = np.array(opened.evidence.training.mean_g, float)
        elif grams:
            mean = np.mean(list(grams.values()), axis=0)
        else:
            raise PhotosMissing(
                f"None of the {len(files)} photos of {test_table} can be read, and the model has no training mean."
            )
        grams |= dict.fromkeys(failed, mean)
    write_atomic(out, submission_table(test.frame, grams).to_csv(index=False, lineterminator="\n"))
    run = run_record(
        "submit", started, backbone=backbone, model=opened, tables={"test_table": test_table, "table": table},
        photos=str(photos),
        failed=len(failed), remarks=remarks,
    )  # fmt: skip
    write_atomic(run_place(out), run)
    return failed
