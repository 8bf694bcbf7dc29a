"""A model for another engine."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from herbage.backbones.openvino import Exported
from herbage.errors import InputInvalid
from herbage.files import write_whole
from herbage.model.model import HerbageModel, open_model
from herbage.photos.discovery import find_photos
from herbage.results.export import Parity, export_openvino, refuse_export
from herbage.results.onnx import OnnxParity, export_onnx
from herbage.steps.run_record import run_record


def export(
    model: str | Path | HerbageModel,
    *,
    out: str | Path,
    as_format: Literal["openvino", "onnx"] = "openvino",
    precision: Exported | None = None,
    photos: str | Path | None = None,
    store: str | Path | None = None,
    backbone: str | Path | None = None,
    overwrite: bool = False,
) -> Parity | OnnxParity | None:
    """The model's backbone as an OpenVINO folder that serves as `--backbone`, or the whole estimator in ONNX.

    Returns its parity on the photos. `precision` of OpenVINO: fp32, bf16 (the default), or int8, which is calibrated on
    the photos; ONNX is fp32. `store` may hold the source's tokens. Raises InputInvalid for what does not go together,
    and OutputExists.
    """
    started = time.time()
    refuse_export(Path(out), overwrite=overwrite)
    if precision == "int8" and photos is None:
        raise InputInvalid("--precision int8 needs --photos: some dozens of photos to measure activations on.")
    if as_format == "onnx" and precision not in (None, "fp32"):
        raise InputInvalid(f"--format onnx is fp32, not {precision}; --format openvino has fp32, bf16 and int8.")
    files = [] if photos is None else find_photos(photos)
    opened_model = open_model(model)
    if as_format == "onnx":
        precision = "fp32"
        parity: Parity | OnnxParity | None = export_onnx(opened_model, backbone, Path(out), files)
    else:
        precision = precision or "bf16"
        source = opened_model.open_backbone(backbone)
        parity = export_openvino(opened_model, source, Path(out), precision, files, store)
    run = run_record(
        "export", started, model=opened_model, format=as_format, precision=precision,
        photos=None if photos is None else str(photos), parity=None if parity is None else asdict(parity),
    )  # fmt: skip
    write_whole(Path(out) / "run.json", run)
    return parity
