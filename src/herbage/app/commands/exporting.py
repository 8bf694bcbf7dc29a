"""The command that writes a model for another engine."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from herbage.app.options import Backbone, Model, OptionalPhotos, Overwrite, Quiet, Store
from herbage.app.terminal import log_to_console
from herbage.outputs import EXPORT_FOLDER, check_output_folder


def export(
    model: Model,
    *,
    out: Path,
    as_format: Annotated[Literal["openvino", "onnx"], Parameter(name="--format")] = "openvino",
    precision: Literal["fp32", "bf16", "int8"] | None = None,
    photos: OptionalPhotos = None,
    store: Store = None,
    backbone: Backbone = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> int:
    """Write the model for another engine.

    openvino: the backbone, as a folder to use as --backbone. onnx: the whole estimator in one file, from a photo's
    pixels to grams and map, for programs in any language.

    For example:
        herbage export model/ --out dinov2-int8/ --precision int8 --photos photos/
        herbage predict model/ new_photos/ --out results/ --backbone dinov2-int8/
        herbage export model/ --out estimator/ --format onnx --photos photos/

    Parameters
    ----------
    out
        The folder to write.
    as_format
        openvino (the backbone, for CPUs) or onnx (the whole estimator).
    precision
        Precision of openvino, by default bf16; int8 is the fastest and is calibrated on --photos. onnx is fp32 by
        default, or int8.
    photos
        Photos to calibrate int8 on, and to measure the difference of tokens, estimates and score on.
    store
        A folder with cached tokens of these photos; missing ones are added.
    backbone
        The folder of the model's backbone, if it was moved after training.
    """
    check_output_folder(out, EXPORT_FOLDER, overwrite=overwrite)
    from herbage import steps

    log_to_console(quiet)
    parity = steps.export(
        model,
        out=out,
        as_format=as_format,
        precision=precision,
        photos=photos,
        store=store,
        backbone=backbone,
        overwrite=overwrite,
    )
    if parity is not None:
        print(parity)
    print(f"{'Backbone' if as_format == 'openvino' else 'Estimator'}: {out}")
    return 0
