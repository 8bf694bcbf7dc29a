"""The command that scores models."""

import json
from typing import TYPE_CHECKING, Any

from herbage.app.options import (
    BackboneArguments,
    Json,
    Models,
    OptionalPhotos,
    OptionalTable,
    Quiet,
    Store,
    TableArguments,
    Unit,
)
from herbage.app.terminal import begin, error_line, print_failures, score_table, tracker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from herbage.evaluation.comparison import Difference
    from herbage.steps import Scores
    from herbage.steps.scoring import MeasuredScore, ModelScore


def score(
    models: Models,
    /,
    *,
    table: OptionalTable = None,
    photos: OptionalPhotos = None,
    how: TableArguments = TableArguments(),
    unit: Unit = "g",
    store: Store = None,
    engine: BackboneArguments = BackboneArguments(),
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Print the out-of-fold score of models, or their score on a new weighed table.

    For two models also the paired difference; for two or more also the score of the average of their estimates.

    For example:
        herbage score model/
        herbage score model-a/ model-b/ --json
        herbage score model/ --table new.csv --photos new_photos/

    Parameters
    ----------
    models
        Model folders or hub ids.
    table
        A new weighed table to score on, instead of the out-of-fold estimates.
    photos
        The folder of the new table's photos.
    """
    from herbage.steps.checks import check_new_table

    check_new_table(table, photos)
    begin(quiet, *models)
    from herbage import steps

    scores = steps.score(
        models,
        table=table,
        photos=photos,
        **how.options(),
        unit=unit,
        store=store,
        track=tracker(quiet),
        **engine.options(),
    )
    if as_json:
        print(json.dumps(_as_json(scores), indent=2))
    else:
        _print_tables(scores)
    failed = {name: reason for one in scores.models for name, reason in one.failed.items()}
    return print_failures(failed, to_stdout=not as_json)


def _as_json(scores: "Scores") -> dict[str, Any]:
    plain: dict[str, Any] = {
        "models": [
            {
                "model": one.name,
                **one.score.model_dump(mode="json"),
                "mean_g": one.mean_g,
                "quadrat_area_m2": one.quadrat_area_m2,
                "floors": {name: baseline.model_dump(mode="json") for name, baseline in one.baselines.items()},
                "no_better_than_mean": one.no_better_than_mean,
                "measured": None if one.measured is None else _measured_as_json(one.measured),
            }
            for one in scores.models
        ]
    }
    if scores.difference is not None:
        plain["difference"] = scores.difference._asdict()
    if scores.average is not None:
        plain["average"] = scores.average.model_dump(mode="json")
    return plain


def _measured_as_json(measured: "MeasuredScore") -> dict[str, Any]:
    return {
        "columns": list(measured.columns),
        **measured.score.model_dump(mode="json"),
        "gain": measured.gain._asdict(),
    }


def _print_tables(scores: "Scores") -> None:
    from herbage.evaluation.baselines import named_baselines

    models, difference = scores.models, scores.difference
    for one in models:
        print(score_table({**one.named_scores(), **named_baselines(one.baselines)}))
        print(error_line(one.score, one.mean_g, one.quadrat_area_m2))
        if one.no_better_than_mean:
            print(f"Not shown to be better than the mean of the training photos: {', '.join(one.no_better_than_mean)}")
        if one.measured is not None:
            if one.measured.no_better_than_mean:
                print(
                    f"The same with {' and '.join(one.measured.columns)}: {', '.join(one.measured.no_better_than_mean)}"
                )
            print(f"With {' and '.join(one.measured.columns)} minus photo alone: {_difference(one.measured.gain)}")
        print()
    if difference is not None:
        print(f"{models[1].name} minus {models[0].name}: {_difference(difference)}{_as_delivered(models)}")
    if scores.average is not None:
        average = f"{scores.average.weighted_r2:.3f} weighted R2{_as_delivered(models)}"
        print(f"Average of the {len(models)} models' estimates: {average}")


def _as_delivered(models: "Sequence[ModelScore]") -> str:
    return " (with measured columns where a photo has them)" if any(one.measured for one in models) else ""


def _difference(difference: "Difference") -> str:
    interval = f"{difference.low:+.3f} to {difference.high:+.3f}"
    return f"{difference.value:+.3f} weighted R2, 95 % interval over groups {interval}"
