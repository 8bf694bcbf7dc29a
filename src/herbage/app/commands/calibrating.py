"""Commands for own cuts: plan-cuts, calibrate."""

import shlex
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, validators

from herbage.app.options import (
    BackboneArguments,
    MeasuredTable,
    Model,
    OptionalArea,
    Overwrite,
    Photos,
    Quiet,
    Store,
    Table,
    TableArguments,
    TablePhotos,
    Unit,
)
from herbage.app.terminal import begin, print_failures, tracker
from herbage.outputs import check_model_place, check_output_file


def plan_cuts(
    model: Model,
    photos: Photos,
    *,
    count: Annotated[int, Parameter(validator=validators.Number(gte=1))],
    out: Path,
    table: MeasuredTable = None,
    how: TableArguments = TableArguments(),
    store: Store = None,
    engine: BackboneArguments = BackboneArguments(),
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> int:
    """Select photos to cut and weigh for a calibration.

    For example:
        herbage plan-cuts model/ paddock_photos/ --count 10 --out cuts.csv

    Parameters
    ----------
    count
        The number of photos.
    out
        The table to write: one row per photo, with an empty column for the weight. `calibrate` reads the filled table.
    """
    check_output_file(out, overwrite=overwrite)
    begin(quiet, model, photos)
    from herbage import steps

    plan = steps.plan_cuts(
        model,
        photos,
        count=count,
        out=out,
        table=table,
        **how.options(),
        store=store,
        overwrite=overwrite,
        track=tracker(quiet),
        **engine.options(),
    )
    print(plan.iloc[:, :-1].to_string(index=False))
    print(
        f"\nFill in {plan.columns[-1]} of {out}, then run:\n"
        f"{shlex.join(['herbage', 'calibrate', model, str(out), '--photos', plan.attrs['photos'], '--model-out'])} DIR"
    )
    return print_failures(plan.attrs["failed"])


def calibrate(
    model: Model,
    cuts_csv: Table,
    *,
    photos: TablePhotos,
    model_out: Path,
    table: MeasuredTable = None,
    how: TableArguments = TableArguments(),
    unit: Unit = "g",
    quadrat_area: OptionalArea = None,
    store: Store = None,
    engine: BackboneArguments = BackboneArguments(),
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> int:
    """Correct a model for a new place with 3 to 50 own cuts; the total weight alone is enough.

    For example:
        herbage calibrate model/ cuts.csv --photos paddock_photos/ --model-out mine/
        herbage calibrate model/ cuts.xlsx --photos photos/ --model-out mine/ --unit kg_per_ha

    Parameters
    ----------
    cuts_csv
        A table of weighed photos, as for train.
    model_out
        The model folder to write.
    quadrat_area
        Square metres in the photos of the cuts, if this differs from the training photos.
    """
    check_model_place(model_out, overwrite=overwrite, inputs=[photos, cuts_csv], parameter="model_out")
    begin(quiet, model, cuts_csv)
    from herbage import steps

    calibrated = steps.calibrate(
        model,
        cuts_csv,
        photos=photos,
        model_out=model_out,
        table=table,
        **how.options(),
        unit=unit,
        quadrat_area_m2=quadrat_area,
        store=store,
        overwrite=overwrite,
        track=tracker(quiet),
        **engine.options(),
    )
    print("\n".join(calibrated.require_calibration().summary()))
    evidence = calibrated.require_evidence("Calibration")
    if evidence.measured is not None:
        beside = " and ".join(calibrated.measured_names)
        print("\n".join(f"With {beside}: {line}" for line in evidence.measured.calibration_in_words()))
    print(f"Model: {model_out}   report: {model_out / 'report.html'}")
    return print_failures(calibrated.dropped)
