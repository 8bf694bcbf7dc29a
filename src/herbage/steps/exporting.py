"""Write a model for another engine, or as a static site."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from herbage.backbones.openvino import Exported
from herbage.files import write_atomic
from herbage.model.model import HerbageModel, open_model
from herbage.outputs import EXPORT_FOLDER, check_output_folder
from herbage.page.site import export_site
from herbage.photos.discovery import find_photos
from herbage.results.export import Parity, export_openvino
from herbage.results.onnx import OnnxParity, export_onnx
from herbage.steps.checks import check_export_options
from herbage.steps.run_record import run_record


def export(
    model: str | Path | HerbageModel,
    *,
    out: str | Path,
    as_format: Literal["openvino", "onnx", "web"] = "openvino",
    precision: Exported | None = None,
    photos: str | Path | None = None,
    store: str | Path | None = None,
    backbone: str | Path | None = None,
    runtime: str | Path | None = None,
    overwrite: bool = False,
) -> Parity | OnnxParity | None:
    """Export the model's backbone to OpenVINO, as a folder that can be used as `backbone`, or the estimator to ONNX.

    The format `web` is a static site that estimates in the browser, without a network after the first visit. `runtime`
    is a folder with its JavaScript packages, as `npm pack` writes them; without it they are fetched once.

    Returns the parity measured on `photos`, None without them. `precision` of OpenVINO is fp32, bf16 (the default)
    or int8, which is calibrated on the photos; that of ONNX and of the site is fp32 (the default) or int8. `store` may
    have the tokens of the model's own backbone. Raises InputInvalid for options that do not fit together, and
    OutputExists.
    """
    started = time.time()
    check_output_folder(Path(out), EXPORT_FOLDER, overwrite=overwrite)
    check_export_options(as_format, precision, photos, runtime)
    files = [] if photos is None else find_photos(photos)
    opened = open_model(model)
    if as_format == "web":
        # A site has no run.json: it is made to be published, and run.json has paths of this computer.
        packages = None if runtime is None else Path(runtime)
        return export_site(opened, backbone, Path(out), files, "int8" if precision == "int8" else "fp32", packages)
    if as_format == "onnx":
        precision = "int8" if precision == "int8" else "fp32"
        parity: Parity | OnnxParity | None = export_onnx(opened, backbone, Path(out), files, precision)
    else:
        precision = precision or "bf16"
        parity = export_openvino(opened, opened.open_backbone(backbone), Path(out), precision, files, store)
    run = run_record(
        "export", started, model=opened, format=as_format, precision=precision,
        photos=None if photos is None else str(photos), parity=None if parity is None else asdict(parity),
    )  # fmt: skip
    write_atomic(Path(out) / "run.json", run)
    return parity
