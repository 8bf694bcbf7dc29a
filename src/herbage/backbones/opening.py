"""Open a backbone by its name."""

from pathlib import Path
from typing import TypedDict

from herbage.backbones.backbone import Backbone
from herbage.backbones.dinov2 import Dinov2Backbone
from herbage.backbones.engine import Device, Precision
from herbage.backbones.openvino import EXPORT_RECORD, OpenVinoBackbone
from herbage.backbones.texture import TextureBackbone


class BackboneOptions(TypedDict, total=False):
    """The keyword arguments `backbone`, `device` and `precision` of every step that runs a backbone.

    `backbone`: an open backbone, `texture`, a hub id or a folder; by default the recipe's or the model's own. `device`:
    auto, cpu, cuda or mps. `precision`: auto (the fastest on this machine), fp32, bf16 or fp16; with fp32 the tokens
    are stored in float32 too.
    """

    backbone: str | Path | Backbone | None
    device: Device
    precision: Precision


def open_backbone(
    backbone: str | Path | Backbone, *, device: Device = "auto", precision: Precision = "auto"
) -> Backbone:
    """Open `texture` (built in), a folder (of transformers or of an export) or a hub id; return an open one unchanged.

    Raises BackboneInvalid, WeightsMissing or DeviceMissing.
    """
    if isinstance(backbone, Backbone):
        return backbone
    if str(backbone) == "texture":
        return TextureBackbone(precision)
    if (Path(backbone).expanduser() / EXPORT_RECORD).is_file():
        return OpenVinoBackbone(Path(backbone), device=device, precision=precision)
    return Dinov2Backbone(str(backbone), device=device, precision=precision)


def open_backbone_or(default: str, options: BackboneOptions) -> Backbone:
    """Open the backbone of the options, or the default where they name none."""
    return open_backbone(
        options.get("backbone") or default,
        device=options.get("device", "auto"),
        precision=options.get("precision", "auto"),
    )
