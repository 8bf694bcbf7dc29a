"""Commands for a new place: plan-cuts, calibrate."""

import shlex
from pathlib import Path

from herbage.app.options import Columns, Engine, Model, Overwrite, Quiet, Store, TablePhotos, Unit, names_of
from herbage.app.terminal import failures, listen, tracker


def plan_cuts(
    model: Model,
    photos: Path,
    *,
    count: int,
    out: Path,
    store: Store = None,
    engine: Engine = Engine(),
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> int:
    """Propose which photos to cut and weigh, so that a calibration learns most from them.

    For example:
        herbage plan-cuts model/ paddock_photos/ --count 10 --out cuts.csv

    Parameters
    ----------
    photos
        A folder (searched below), a photo, or a text file of paths: those that can still be cut.
    count
        How many to cut.
    out
        The table to write, a row a photo, with an empty column for its weight: `calibrate` reads it when filled in.
    """
    from herbage import steps

    listen(quiet)
    plan = steps.plan_cuts(
        model,
        photos,
        count=count,
        out=out,
        store=store,
        overwrite=overwrite,
        track=tracker(quiet),
        **engine.options(),
    )
    print(plan.iloc[:, :-1].to_string(index=False))
    print(
        f"\nFill in {plan.columns[-1]} of {out}, then:\n"
        f"{shlex.join(['herbage', 'calibrate', model, str(out), '--photos', plan.attrs['photos'], '--model-out'])} DIR"
    )
    return failures(plan.attrs["failed"])


def calibrate(
    model: Model,
    cuts_csv: Path,
    *,
    photos: TablePhotos,
    model_out: Path,
    columns: Columns = None,
    unit: Unit = "g",
    quadrat_area: float | None = None,
    store: Store = None,
    engine: Engine = Engine(),
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> int:
    """Correct a model for a new place with a few own cuts, 3 to 50; the total alone will do.

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
        Square metres that the cuts' photos show, where it differs from the training photos.
    """
    from herbage import steps

    listen(quiet)
    calibrated = steps.calibrate(
        model,
        cuts_csv,
        photos=photos,
        model_out=model_out,
        columns=names_of(columns),
        unit=unit,
        quadrat_area_m2=quadrat_area,
        store=store,
        overwrite=overwrite,
        track=tracker(quiet),
        **engine.options(),
    )
    assert calibrated.about.calibration is not None
    print("\n".join(calibrated.about.calibration.said()))
    print(f"Model: {model_out}   report: {model_out / 'report.html'}")
    return failures(calibrated.dropped)
