"""The command that says how good models are."""

import json
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from herbage.app.options import Columns, Engine, Json, Quiet, Unit, names_of
from herbage.app.terminal import error_line, failures, listen, score_table, tracker


def score(
    models: Annotated[list[str], Parameter(negative="")],
    /,
    *,
    table: Path | None = None,
    photos: Path | None = None,
    columns: Columns = None,
    unit: Unit = "g",
    engine: Engine = Engine(),
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """The out-of-fold score of a model, or its score on a new weighed table.

    Of two models also the paired difference; of two or more also what the plain average of their estimates scores.

    For example:
        herbage score model/
        herbage score model-a/ model-b/ --json
        herbage score model/ --table new.csv --photos new_photos/

    Parameters
    ----------
    models
        Model folders or hub ids.
    table
        A new weighed table to judge by, instead of the out-of-fold estimates.
    photos
        The folder of the new table's photos.
    """
    from herbage import steps
    from herbage.evaluation.baselines import named_floors

    listen(quiet)
    scores = steps.score(
        models,
        table=table,
        photos=photos,
        columns=names_of(columns),
        unit=unit,
        track=tracker(quiet),
        **engine.options(),
    )
    scored, difference, average = scores.models, scores.difference, scores.average
    if as_json:
        plain: dict[str, Any] = {
            "models": [
                {
                    "model": one.name,
                    **one.score.model_dump(mode="json"),
                    "mean_g": one.mean_g,
                    "quadrat_area_m2": one.quadrat_area_m2,
                    "floors": {name: floor.model_dump(mode="json") for name, floor in one.floors.items()},
                }
                for one in scored
            ]
        }
        if difference is not None:
            plain["difference"] = difference._asdict()
        if average is not None:
            plain["average"] = average.model_dump(mode="json")
        print(json.dumps(plain, indent=2))
    else:
        for one in scored:
            print(score_table({one.name: one.score, **named_floors(one.floors)}))
            print(f"{error_line(one.score, one.mean_g, one.quadrat_area_m2)}\n")
        if difference is not None:
            print(
                f"{scored[1].name} minus {scored[0].name}: {difference.value:+.3f} weighted R2, "
                f"95 % interval over groups {difference.low:+.3f} to {difference.high:+.3f}"
            )
        if average is not None:
            print(f"The plain average of the {len(scored)} models' estimates: {average.weighted_r2:.3f} weighted R2")
    return failures({name: why for one in scored for name, why in one.failed.items()}, to_stdout=not as_json)
