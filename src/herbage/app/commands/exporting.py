"""The command that writes a model for another engine."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from herbage.app.options import Overwrite, Quiet
from herbage.app.terminal import listen


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
    return 0
