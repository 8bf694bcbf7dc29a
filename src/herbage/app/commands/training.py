"""Commands that create a model: train, import-heads."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, validators

from herbage.app.options import (
    BackboneArguments,
    Overwrite,
    QuadratArea,
    Quiet,
    Recipe,
    Table,
    TableArguments,
    TablePhotos,
    Unit,
    names_of,
)
from herbage.app.terminal import begin, error_line, print_failures, score_table, tracker
from herbage.outputs import check_model_place


def train(
    table: Table,
    *,
    photos: TablePhotos,
    model: Path,
    recipe: Recipe = "field",
    store: Path | None = None,
    folds: Annotated[int, Parameter(validator=validators.Number(gte=2))] = 5,
    group_by: str | None = None,
    measured: str | None = None,
    seed: int = 0,
    quadrat_area: QuadratArea = 0.21,
    how: TableArguments = TableArguments(),
    unit: Unit = "g",
    engine: BackboneArguments = BackboneArguments(),
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> int:
    """Train all heads on a weighed table and write the model, its out-of-fold table and its report.

    For example:
        herbage train train.csv --photos photos/ --model model/
        herbage train train.csv --photos photos/ --model model/ --recipe seed --backbone ./dinov2-giant
        herbage train mine.csv --photos photos/ --model model/ --group-by Farm,Date --quadrat-area 0.25
        herbage train train.csv --photos photos/ --model model/ --measured Height_Ave_cm
        herbage train mine.xlsx --photos photos/ --model model/ --columns image_path=Photo,Dry_Total_g=Yield \
--unit kg_per_ha

    Parameters
    ----------
    table
        Long form (image_path, target_name, target) or wide form (image_path and target columns), .csv or .xlsx. Targets
        may be missing. With columns x1 y1 ... x4 y4, the quadrat's corners in the photo from the upper left and
        clockwise, photos are cropped to the quadrat.
    model
        The model folder to write.
    store
        The folder of cached tokens; by default tokens/ next to the model.
    folds
        The number of folds.
    group_by
        Columns, separated by commas: photos with equal values are never split over folds. By default
        State,Sampling_Date.
    measured
        Columns of numbers measured in addition to the photo, separated by commas, such as
        Height_Ave_cm,Pre_GSHH_NDVI. A second set of heads uses them where a photo has all values; other photos are
        estimated from the photo alone.
    seed
        The seed of the training; the seed of the folds is part of the recipe.
    quadrat_area
        Square metres of the quadrat, which a photo shows and a weight refers to.
    """
    check_model_place(model, overwrite=overwrite, inputs=[table, photos])
    begin(quiet, table)
    from herbage.steps.checks import check_training_table

    groups, beside = None if group_by is None else names_of(group_by), names_of(measured)
    check_training_table(table, photos, how.format(beside), unit=unit, quadrat_area_m2=quadrat_area, group_by=groups)
    from herbage import steps
    from herbage.evaluation.baselines import named_baselines
    from herbage.targets import TARGETS

    trained = steps.train(
        table,
        photos=photos,
        model=model,
        recipe=recipe,
        store=store,
        folds=folds,
        group_by=groups,
        measured=beside,
        seed=seed,
        quadrat_area_m2=quadrat_area,
        **how.options(),
        unit=unit,
        overwrite=overwrite,
        track=tracker(quiet),
        **engine.options(),
    )
    evidence = trained.require_evidence("The score")
    scores = {f"recipe {trained.recipe.name}": evidence.alone.score}
    if evidence.measured is not None:
        scores[f"with {' and '.join(trained.measured_names)}"] = evidence.measured.score
    print(score_table({**scores, **named_baselines(evidence.baselines)}))
    print(error_line(evidence.alone.score, dict(zip(TARGETS, evidence.training.mean_g, strict=True)), quadrat_area))
    print(f"\nModel: {model}   report: {model / 'report.html'}")
    return print_failures(trained.dropped)


def import_heads(
    folder: Annotated[Path, Parameter(validator=validators.Path(exists=True, file_okay=False))],
    *,
    model: Path,
    engine: BackboneArguments = BackboneArguments(),
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> int:
    """Convert the public notebook's checkpoints to a model, without running any code in them.

    For example:
        herbage import-heads checkpoints/ --backbone facebook/dinov2-giant --model model/

    Parameters
    ----------
    folder
        Contains target0 to target4, each with fold0.pt to fold4.pt.
    model
        The model folder to write.
    """
    check_model_place(model, overwrite=overwrite, inputs=[folder])
    begin(quiet, folder)
    from herbage import steps

    steps.import_heads(folder, model=model, overwrite=overwrite, **engine.options())
    print(f"Model: {model}")
    return 0
