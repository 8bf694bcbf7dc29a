"""The command that writes a model for another engine, or as a static site."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from herbage.app.options import Backbone, Model, OptionalPhotos, Overwrite, Quiet, Store
from herbage.app.terminal import begin
from herbage.outputs import EXPORT_FOLDER, check_output_folder

WRITTEN = {"openvino": "Backbone", "onnx": "Estimator", "web": "Site"}


def export(
    model: Model,
    *,
    out: Path,
    as_format: Annotated[Literal["openvino", "onnx", "web"], Parameter(name="--format")] = "openvino",
    precision: Literal["fp32", "bf16", "int8"] | None = None,
    photos: OptionalPhotos = None,
    store: Store = None,
    backbone: Backbone = None,
    runtime: Path | None = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> int:
    """Write the model for another engine, or as a web page that needs no server.

    openvino: the backbone, as a folder to use as --backbone. onnx: the whole estimator in one file, from a photo's
    pixels to grams and map, for programs in any language. web: the page with the estimator in it, as files for any
    static host; after one visit it works on a phone without a network.

    For example:
        herbage export model/ --out dinov2-int8/ --precision int8 --photos photos/
        herbage predict model/ new_photos/ --out results/ --backbone dinov2-int8/
        herbage export model/ --out estimator/ --format onnx --photos photos/
        herbage export model/ --out site/ --format web --precision int8 --photos photos/

    Parameters
    ----------
    out
        The folder to write.
    as_format
        openvino (the backbone, for CPUs), onnx (the whole estimator) or web (a static site).
    precision
        Precision of openvino, by default bf16; int8 is the fastest and is calibrated on --photos. onnx and web are
        fp32 by default, or int8.
    photos
        Photos to calibrate int8 on, and to measure the difference of tokens, estimates and score on.
    backbone
        The folder of the model's backbone, if it was moved after training.
    runtime
        A folder with the JavaScript packages of the web format; without it npm fetches them, once.
    """
    check_output_folder(out, EXPORT_FOLDER, overwrite=overwrite)
    from herbage.steps.checks import check_export_options

    check_export_options(as_format, precision, photos, runtime)
    begin(quiet, model)
    from herbage import steps

    parity = steps.export(
        model,
        out=out,
        as_format=as_format,
        precision=precision,
        photos=photos,
        store=store,
        backbone=backbone,
        runtime=runtime,
        overwrite=overwrite,
    )
    if parity is not None:
        print(parity)
    print(f"{WRITTEN[as_format]}: {out}")
    return 0
