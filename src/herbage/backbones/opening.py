"""A backbone by its name."""

from pathlib import Path

from herbage.backbones.backbone import Backbone
from herbage.backbones.dinov2 import Dinov2Backbone
from herbage.backbones.engine import Device, Precision
from herbage.backbones.openvino import EXPORT_RECORD, OpenVinoBackbone
from herbage.backbones.texture import TextureBackbone


def open_backbone(name: str | Path | Backbone, *, device: Device = "auto", precision: Precision = "auto") -> Backbone:
    """Open `texture` (embedded), a folder (transformers' or an exported one), or a hub id; an open one is returned.

    Raises BackboneInvalid or WeightsMissing.
    """
    if isinstance(name, Backbone):
        return name
    if str(name) == "texture":
        return TextureBackbone(precision)
    if (Path(name).expanduser() / EXPORT_RECORD).is_file():
        return OpenVinoBackbone(Path(name), device=device, precision=precision)
    return Dinov2Backbone(str(name), device=device, precision=precision)
