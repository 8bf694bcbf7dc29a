"""The command line: thin over herbage.steps. Results go to standard output, everything else to standard error.

Long, because the help of every option of every command stands here and nowhere else.
"""

import json
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, CycloptsError, Group, Parameter, validators

import herbage
from herbage.app.terminal import console, failures, floors_of, listen, score_table, tracker
from herbage.backbones.engine import Device, Precision
from herbage.errors import HerbageError, InputInvalid

DONE, WRONG, INTERRUPTED = 0, 2, 130

app = App(
    name="herbage",
    help="How much pasture stands in a top-view photo: dry weights in grams, with intervals and a map.",
    version=herbage.__version__,
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
)


@Parameter(name="*", group=Group("How it runs", sort_key=10))
@dataclass(frozen=True)
class Engine:
    """How the backbone runs.

    Parameters
    ----------
    backbone
        `texture` (embedded, no download), a hub id, or a folder; by default the recipe's or the model's own.
    device
        Where it computes.
    precision
        What it computes in; auto is the fastest this machine has. With fp32 the tokens are kept in fp32 too.
    """

    backbone: str | None = None
    device: Device = "auto"
    precision: Precision = "auto"

    def options(self) -> dict[str, Any]:
        """As the steps take them."""
        return {"backbone": self.backbone, "device": self.device, "precision": self.precision}


Quiet = Annotated[bool, Parameter(negative="", help="No progress and no remarks, warnings only.")]
Overwrite = Annotated[bool, Parameter(negative="", help="Replace what stands at the output.")]
Columns = Annotated[
    str | None,
    Parameter(help="The table's own names, as NAME=THEIRS with commas between, such as Dry_Total_g=Yield."),
]
Unit = Annotated[
    Literal["g", "g_per_m2", "kg_per_ha"],
    Parameter(help="Of the table's weights: grams a quadrat, grams a square metre, kg of dry matter a hectare."),
]
OnCluster = Annotated[
    str | None,
    Parameter(
        help="auto, or the address of a Ray cluster whose machines see model, photos and results by the same paths."
    ),
]
WorkerCpus = Annotated[
    int | None,
    Parameter(
        validator=validators.Number(gte=1),
        help="Cores of each worker of the cluster; by default a worker has a machine, or a GPU where there are some.",
    ),
]
Json = Annotated[bool, Parameter(name="--json", negative="", help="Machine-readable output.")]


@app.command
def demo(*, out: Path = Path("demo"), overwrite: Overwrite = False, quiet: Quiet = False) -> int:
    """Draw swards of known weight and run the whole story on them, with the embedded backbone.

    For example:
        herbage demo --out demo

    Parameters
    ----------
    out
        The folder for everything that the demo makes.
    """
    from herbage.app.demo import run_demo

    listen(quiet)
    print(run_demo(out, overwrite=overwrite, track=tracker(quiet)))
    return DONE


@app.command
def extract(
    photos: Path,
    *,
    store: Path,
    recipe: str = "field",
    shard: str | None = None,
    cluster: OnCluster = None,
    worker_cpus: WorkerCpus = None,
    status: Annotated[bool, Parameter(negative="")] = False,
    verify: Annotated[bool, Parameter(negative="")] = False,
    engine: Engine = Engine(),
    quiet: Quiet = False,
) -> int:
    """Fill a token store; run again, it does only what is missing.

    For example:
        herbage extract photos/ --store tokens/ --recipe seed
        herbage extract photos/ --store tokens/ --shard 3/16
        herbage extract photos/ --store tokens/ --cluster auto
        herbage extract photos/ --store tokens/ --status

    Parameters
    ----------
    photos
        A folder (searched below), a photo, or a text file of paths, which are relative to that file.
    store
        The folder that keeps the tokens.
    recipe
        seed, field, crosspvt, or a TOML file.
    shard
        i/n: only every n-th photo, so that n processes or machines share the work. Counting i from 0 or 1 both work.
    status
        Only say how many photos are done, how many are missing, and which failed when they were last tried.
    verify
        Read and check every token file that is there; without, damage is noticed when the tokens are used.
    """
    from herbage import steps

    listen(quiet)
    if status:
        so_far = steps.extraction_status(photos, store=store, recipe=recipe, shard=shard, **engine.options())
        print(f"{so_far.present} photos in the store, {so_far.missing} missing, {len(so_far.failed)} failed")
        failures(so_far.failed)
        return DONE
    done = steps.extract(
        photos,
        store=store,
        recipe=recipe,
        shard=shard,
        cluster=cluster,
        worker_cpus=worker_cpus,
        verify=verify,
        track=tracker(quiet),
        **engine.options(),
    )
    print(f"{done.made} photos extracted, {done.present} were in the store, {len(done.failed)} failed")
    return failures(done.failed)


@app.command
def train(
    table: Path,
    *,
    photos: Path,
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
    photos
        The folder below which image_path is looked up.
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
        columns=_names(columns),
        unit=unit,
        overwrite=overwrite,
        track=tracker(quiet),
        **engine.options(),
    )
    assert trained.about.score is not None
    print(score_table({f"recipe {trained.recipe.name}": trained.about.score, **floors_of(trained.about.floors)}))
    print(f"\nModel: {model}   report: {model / 'report.html'}")
    return failures(trained.dropped)


@app.command
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

    listen(quiet)
    scores = steps.score(
        models,
        table=table,
        photos=photos,
        columns=_names(columns),
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
            print(score_table({one.name: one.score, **floors_of(one.floors)}))
            print()
        if difference is not None:
            print(
                f"{scored[1].name} less {scored[0].name}: {difference.value:+.3f} weighted R2, "
                f"95 % interval over groups {difference.low:+.3f} to {difference.high:+.3f}"
            )
        if average is not None:
            print(f"The plain average of the {len(scored)} models' estimates: {average.weighted_r2:.3f} weighted R2")
    return failures({name: why for one in scored for name, why in one.failed.items()}, to_stdout=not as_json)


@app.command
def predict(
    model: str,
    photos: Path,
    *,
    out: Path,
    maps: Annotated[bool, Parameter(negative="")] = False,
    level: float = 0.9,
    quadrat_area: float | None = None,
    table: Path | None = None,
    paddocks: str | None = None,
    pre_grazing: float | None = None,
    residual: float | None = None,
    round_coordinates: int | None = None,
    no_coordinates: Annotated[bool, Parameter(negative="")] = False,
    store: Path | None = None,
    cluster: OnCluster = None,
    worker_cpus: WorkerCpus = None,
    engine: Engine = Engine(),
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> int:
    """Estimate photos: predictions.csv, photos.geojson, report.html, and with --maps a picture a photo.

    Cut off and run again, it goes on behind the rows that are there, if the model and the settings are the same.

    For example:
        herbage predict model/ new_photos/ --out results/ --maps
        herbage predict model/ paths.txt --out results/ --level 0.8 --no-coordinates
        herbage predict model/ farm/ --out results/ --paddocks folder --pre-grazing 2800 --residual 1500
        herbage predict model/ state/ --out results/ --cluster auto

    Parameters
    ----------
    model
        A model folder or a hub id.
    photos
        A folder (searched below), a photo, or a text file of paths, which are relative to that file.
    out
        The folder for the results.
    maps
        Write maps/*.png: where the weight stands, over each photo.
    level
        How often the intervals should hold.
    quadrat_area
        Square metres that these photos show, where it differs from the training photos.
    table
        A table of image_path and what is known of photos: x1 y1 ... x4 y4, the quadrat's corners where they show more
        than it, and a column that --paddocks names.
    paddocks
        Which photos belong together: a column of --table, the word folder, or a .geojson file of polygons. Adds
        paddocks.csv, paddocks.geojson and wedge.png.
    pre_grazing
        Where the feed wedge's target line begins, kg DM/ha.
    residual
        Where it ends, kg DM/ha.
    round_coordinates
        Digits to keep of latitude and longitude, for privacy.
    no_coordinates
        Leave latitude and longitude out.
    store
        Keep tokens in this folder, and use what it has.
    """
    from herbage import steps

    listen(quiet)
    done = steps.predict(
        model,
        photos,
        out=out,
        maps=maps,
        level=level,
        quadrat_area_m2=quadrat_area,
        table=table,
        paddocks=paddocks,
        pre_grazing=pre_grazing,
        residual=residual,
        coordinates=not no_coordinates,
        round_coordinates=round_coordinates,
        store=store,
        cluster=cluster,
        worker_cpus=worker_cpus,
        overwrite=overwrite,
        track=tracker(quiet),
        **engine.options(),
    )
    print(
        f"{done.estimated} photos estimated, {len(done.failed)} failed, {done.without_position} without GPS, "
        f"{done.outside} unlike the training photos"
        + (f", {done.without_paddock} in no paddock" if done.without_paddock else "")
        + f": {out}"
    )
    return failures(done.failed)


@app.command
def submit(
    model: str,
    test_csv: Path,
    *,
    photos: Path,
    out: Path,
    store: Path | None = None,
    engine: Engine = Engine(),
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> int:
    """Write the competition's submission.csv.

    For example:
        herbage submit model/ test.csv --photos test/ --out submission.csv

    Parameters
    ----------
    model
        A model folder or a hub id.
    test_csv
        sample_id, image_path, target_name.
    photos
        The folder below which image_path is looked up.
    out
        The file to write.
    store
        Keep tokens in this folder, and use what it has.
    """
    from herbage import steps

    listen(quiet)
    failed = steps.submit(
        model,
        test_csv,
        photos=photos,
        out=out,
        store=store,
        overwrite=overwrite,
        track=tracker(quiet),
        **engine.options(),
    )
    print(f"Wrote {out}" + (f"; {len(failed)} unreadable photos were given the mean" if failed else ""))
    return failures(failed)


@app.command
def plan_cuts(
    model: str,
    photos: Path,
    *,
    count: int,
    out: Path,
    store: Path | None = None,
    engine: Engine = Engine(),
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> int:
    """Propose which photos to cut and weigh, so that a calibration learns most from them.

    For example:
        herbage plan-cuts model/ paddock_photos/ --count 10 --out cuts.csv

    Parameters
    ----------
    model
        A model folder or a hub id.
    photos
        A folder (searched below), a photo, or a text file of paths: those that can still be cut.
    count
        How many to cut.
    out
        The table to write, a row a photo, with an empty column for its weight: `calibrate` reads it when filled in.
    store
        Keep tokens in this folder, and use what it has.
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
        f"herbage calibrate {model} {out} --photos {plan.attrs['photos']} --model-out DIR"
    )
    return DONE


@app.command
def calibrate(
    model: str,
    cuts_csv: Path,
    *,
    photos: Path,
    model_out: Path,
    columns: Columns = None,
    unit: Unit = "g",
    quadrat_area: float | None = None,
    store: Path | None = None,
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
    model
        A model folder or a hub id.
    cuts_csv
        A table of weighed photos, as for train.
    photos
        The folder below which image_path is looked up.
    model_out
        The model folder to write.
    quadrat_area
        Square metres that the cuts' photos show, where it differs from the training photos.
    store
        Keep tokens in this folder, and use what it has.
    """
    from herbage import steps

    listen(quiet)
    calibrated = steps.calibrate(
        model,
        cuts_csv,
        photos=photos,
        model_out=model_out,
        columns=_names(columns),
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


@app.command
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
    return DONE


@app.command
def export(
    model: Path,
    *,
    out: Path,
    as_format: Annotated[Literal["openvino", "onnx"], Parameter(name="--format")] = "openvino",
    precision: Literal["fp32", "bf16", "int8"] | None = None,
    photos: Path | None = None,
    store: Path | None = None,
    backbone: str | None = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> int:
    """Write the model for another engine.

    openvino: its backbone, whose folder then serves as --backbone everywhere. onnx: all of it in one file, from a
    photo's pixels to grams and map, for programs in any language.

    For example:
        herbage export model/ --out dinov2-int8/ --precision int8 --photos photos/
        herbage predict model/ new_photos/ --out results/ --backbone dinov2-int8/
        herbage export model/ --out estimator/ --format onnx --photos photos/

    Parameters
    ----------
    out
        The folder to write.
    as_format
        openvino (the backbone, for processors) or onnx (the whole estimator).
    precision
        What openvino computes in, by default bf16; int8 is the fastest and is calibrated on --photos. onnx is fp32.
    photos
        Photos to calibrate int8 on, and to say how far tokens, estimates and score are from the model's own.
    store
        A token store that may hold the model's own tokens of these photos; what it lacks is put into it.
    backbone
        Where the model's backbone stands, if not where the model remembers it.
    """
    from herbage import steps

    listen(quiet)
    found = steps.export(
        model,
        out=out,
        as_format=as_format,
        precision=precision,
        photos=photos,
        store=store,
        backbone=backbone,
        overwrite=overwrite,
    )
    if found is not None:
        print(found)
    print(f"{'Backbone' if as_format == 'openvino' else 'Estimator'}: {out}")
    return DONE


@app.command
def serve(
    model: str,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    engine: Engine = Engine(),
    quiet: Quiet = False,
) -> int:
    """Open the page: drop photos or take them with a phone, and see their estimates and maps.

    Other programs ask it at /api/predictions; /openapi.json says how. For example:
        herbage serve model/
        herbage serve model/ --host 0.0.0.0 --token "$(openssl rand -hex 8)"
        curl -F photos=@a.jpg http://127.0.0.1:8000/api/predictions

    Parameters
    ----------
    model
        A model folder or a hub id.
    host
        127.0.0.1 answers this computer alone; 0.0.0.0 answers everybody who can reach it, such as a phone.
    port
        Where to answer; 0 takes a free one.
    token
        What everybody has to give: by opening the address that is printed, or as `Authorization: Bearer TOKEN`.
    """
    from herbage.app.web.serving import serve as answer
    from herbage.model.model import HerbageModel

    listen(quiet)
    opened = HerbageModel.from_pretrained(model)
    backbone = opened.open_backbone(engine.backbone, device=engine.device, precision=engine.precision)
    try:
        answer(opened, backbone, host=host, port=port, token=token, announce=lambda said: print(said, flush=True))
    except KeyboardInterrupt:
        # At once: leaving in the usual way would wait for the photo that is in hand.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        console.print("Ended.")
        os._exit(INTERRUPTED)
    return DONE


@app.command
def check(*, as_json: Json = False) -> int:
    """Say what this machine has, and how to get what is missing.

    For example:
        herbage check
        herbage check --json

    Parameters
    ----------
    as_json
        Machine-readable output.
    """
    from herbage.app.machine import describe_machine

    facts = describe_machine()
    if as_json:
        print(json.dumps(facts, indent=2))
    else:
        width = max(map(len, facts))
        print("\n".join(f"{name:<{width}}  {value}" for name, value in facts.items()))
    return DONE


def _names(columns: str | None) -> dict[str, str]:
    """--columns as a mapping from herbage's names to the table's."""
    pairs = [pair.partition("=") for pair in columns.split(",")] if columns else []
    if wrong := [own for own, between, theirs in pairs if not (own.strip() and between and theirs.strip())]:
        raise InputInvalid(f"--columns: {', '.join(wrong)} is no NAME=THEIRS; expected such as Dry_Total_g=Yield.")
    return {own.strip(): theirs.strip() for own, _, theirs in pairs}


def main() -> None:
    """Run a command and exit: 0 done, 1 some photos failed, 2 the call or its input is wrong, 130 interrupted."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """The exit code of a command."""
    try:
        code = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
        return code if isinstance(code, int) else DONE
    except CycloptsError as error:
        console.print(f"herbage: {error}".rstrip(), style="red", markup=False, soft_wrap=True)
        console.print("Try `herbage --help`, or `herbage COMMAND --help`.", markup=False)
    except HerbageError as error:
        console.print(f"herbage: {error}", style="red", markup=False, soft_wrap=True)
    except KeyboardInterrupt:
        console.print("Interrupted; finished work is kept.")
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except OSError as error:
        console.print(f"herbage: {error}", style="red", markup=False, soft_wrap=True)
    except Exception as error:
        if os.environ.get("HERBAGE_DEBUG"):
            raise
        said = f"herbage: this should not have happened: {type(error).__name__}: {error}"
        console.print(said, style="red", markup=False, soft_wrap=True)
        console.print("Set HERBAGE_DEBUG=1 and run it again to see where; please report it with that.", markup=False)
    return WRONG
