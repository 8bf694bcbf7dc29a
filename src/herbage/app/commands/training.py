"""Commands that make a model: train, import-heads."""

from pathlib import Path

from herbage.app.options import Columns, Engine, Overwrite, Quiet, TablePhotos, Unit, names_of
from herbage.app.terminal import error_line, failures, listen, score_table, tracker


def train(
    table: Path,
    *,
    photos: TablePhotos,
    model: Path,
    recipe: str = "field",
    store: Path | None = None,
    folds: int = 5,
    group_by: str | None = None,
    seed: int = 0,
    quadrat_area: float = 0.21,
    columns: Columns = None,
    unit: Unit = "g",
    engine: Engine = Engine(),
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> int:
    """Train all heads on a weighed table and write the model, its out-of-fold table and its report.

    For example:
        herbage train train.csv --photos photos/ --model model/
        herbage train train.csv --photos photos/ --model model/ --recipe seed --backbone ./dinov2-giant
        herbage train mine.csv --photos photos/ --model model/ --group-by Farm,Date --quadrat-area 0.25
        herbage train mine.xlsx --photos photos/ --model model/ --columns image_path=Photo,Dry_Total_g=Yield \
--unit kg_per_ha

    Parameters
    ----------
    table
        Long form (image_path, target_name, target) or wide form (image_path and target columns), .csv or .xlsx. Not
        every target need be there. With columns x1 y1 ... x4 y4, the quadrat's corners in the photo from the upper
        left and clockwise, photos are cut to it.
    model
        The model folder to write.
    recipe
        seed, field, crosspvt, or a TOML file.
    store
        The folder that keeps the tokens; by default tokens/ beside the model.
    folds
        How many folds judge each other.
    group_by
        Columns, with commas between: photos that share them are never split. By default State,Sampling_Date.
    seed
        Of the training; the folds' own seed is in the recipe.
    quadrat_area
        Square metres that a photo shows and a weight stands for.
    """
    from herbage import steps
    from herbage.evaluation.baselines import named_floors
    from herbage.targets import TARGETS

    listen(quiet)
    trained = steps.train(
        table,
        photos=photos,
        model=model,
        recipe=recipe,
        store=store,
        folds=folds,
        group_by=None if group_by is None else [c.strip() for c in group_by.split(",") if c.strip()],
        seed=seed,
        quadrat_area_m2=quadrat_area,
        columns=names_of(columns),
        unit=unit,
        overwrite=overwrite,
        track=tracker(quiet),
        **engine.options(),
    )
    assert trained.about.score is not None
    print(score_table({f"recipe {trained.recipe.name}": trained.about.score, **named_floors(trained.about.floors)}))
    assert trained.about.training is not None
    weighed = dict(zip(TARGETS, trained.about.training.mean_g, strict=True))
    print(error_line(trained.about.score, weighed, quadrat_area))
    print(f"\nModel: {model}   report: {model / 'report.html'}")
    return failures(trained.dropped)


def import_heads(
    folder: Path, *, model: Path, engine: Engine = Engine(), overwrite: Overwrite = False, quiet: Quiet = False
) -> int:
    """Make a model of the public notebook's checkpoints, without running any code in them.

    For example:
        herbage import-heads checkpoints/ --backbone facebook/dinov2-giant --model model/

    Parameters
    ----------
    folder
        Holds target0 to target4, each with fold0.pt to fold4.pt.
    model
        The model folder to write.
    """
    from herbage import steps

    listen(quiet)
    options = {**engine.options(), "backbone": engine.backbone or "facebook/dinov2-giant"}
    steps.import_heads(folder, model=model, overwrite=overwrite, **options)
    print(f"Model: {model}")
    return 0
