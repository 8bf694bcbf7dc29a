"""Export the estimator to one ONNX file: a photo's pixels in, its dry weights and their map out."""

import json
import logging
import warnings
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from herbage.backbones.backbone import Backbone
from herbage.backbones.dinov2 import Dinov2Backbone, quiet_transformers
from herbage.backbones.texture import TextureBackbone, texture_features
from herbage.backbones.views import grid_shape
from herbage.errors import InputInvalid
from herbage.files import new_folder, write_atomic
from herbage.heads.finalise import finalise_map
from herbage.model.model import HerbageModel
from herbage.photos.photo import PhotoFile, open_photo
from herbage.targets import TARGETS, main_target
from herbage.tokens.extraction import stream_tokens
from herbage.tokens.layout import BackboneOutput, input_images, upright_tokens

log = logging.getLogger("herbage")

NETWORK = "estimator.onnx"
EXPORT_RECORD = "onnx.json"
INSTALL = "pip install 'herbage[onnx]'"
OPSET = 20
TOLERANCE = 1e-4


@dataclass(frozen=True)
class OnnxParity:
    """Largest difference between ONNX Runtime and herbage in fp32, of any target, relative to the mean main target."""

    photos: int
    grams_apart: float
    map_apart: float | None

    def __str__(self) -> str:
        of_maps = "" if self.map_apart is None else f", of maps {self.map_apart:.1e}"
        return f"{self.photos} photos: largest difference of grams {self.grams_apart:.1e} of the mean total{of_maps}"


def export_onnx(
    model: HerbageModel, source: str | Path | None, out: Path, files: Sequence[PhotoFile]
) -> OnnxParity | None:
    """Write estimator.onnx in fp32, and onnx.json with its inputs, outputs and parity; an existing folder is replaced.

    Raises InputInvalid where the ONNX libraries are missing, for a backbone that cannot be exported, and for tiles,
    whose number of pixels depends on the photo in a way that torch's exporter does not support.
    """
    if model.recipe.crops == "tiles":
        raise InputInvalid(
            f"`as_format=onnx` does not support the tiles of recipe {model.recipe.name}; `as_format=openvino` does."
        )
    try:
        import onnxruntime
        import onnxscript  # noqa: F401  # torch's exporter needs it
    except ImportError as error:
        raise InputInvalid(f"`as_format=onnx` needs more packages: {INSTALL}") from error
    backbone = model.open_backbone(source, device="cpu", precision="fp32")
    with new_folder(out) as new:
        _write_network(Estimator(model, backbone), new / NETWORK)
        session = onnxruntime.InferenceSession(new / NETWORK, providers=["CPUExecutionProvider"])
        found = _measure_parity(model, backbone, session, files) if files else None
        rows, columns = grid_shape(model.recipe)
        record = {
            "herbage": model.config.herbage,
            "recipe": model.recipe.name,
            "backbone": model.config.backbone.name,
            "input": {"photo": "uint8 (height, width, 3): a photo's RGB, upright"},
            "output": {
                "grams": f"float32 (5): {', '.join(TARGETS)}, in g per quadrat of {model.quadrat_area_m2:g} m2",
                **({"map": f"float32 (5, {rows}, {columns}): the grams if the whole photo looked like this patch"}
                   if model.recipe.has_map else {}),
            },
            "parity": None if found is None else asdict(found),
        }  # fmt: skip
        write_atomic(new / EXPORT_RECORD, json.dumps(record, indent=2) + "\n")
    return found


class Estimator(torch.nn.Module):
    """From pixels to grams and map in torch and fp32, with the functions that estimate photos elsewhere.

    Raises InputInvalid for a backbone that is neither a DINOv2 or DINOv3 nor `texture`.
    """

    def __init__(self, model: HerbageModel, backbone: Backbone) -> None:
        super().__init__()
        if not isinstance(backbone, Dinov2Backbone | TextureBackbone):
            raise InputInvalid(f"`as_format=onnx`: the backbone {backbone.name} cannot be exported.")
        self.model, self.recipe = model, model.recipe
        # A copy: tensors that heads cache while they are traced cannot be used for computing.
        self.heads = deepcopy(model.heads)
        self.network = backbone.model if isinstance(backbone, Dinov2Backbone) else None
        self.first_patch = backbone.first_patch if isinstance(backbone, Dinov2Backbone) else 0
        self.patch_px = backbone.patch_px

    def forward(self, photo: UInt8[Tensor, "height width 3"]) -> tuple[Tensor, ...]:
        """`grams` (target), and `map` (target, row, column) where the recipe has one."""
        images = input_images(photo, self.recipe, self.patch_px)
        tokens = upright_tokens([BackboneOutput(of, *self._vectors(of)) for of in images], self.recipe)
        grams = self.model.finalise(self.heads.grams(tokens).mean((1, 2)), xp=torch)
        density = self.heads.density(tokens)
        if density is None or not self.recipe.has_map:
            return (grams,)
        raw = density.mean((1, 2)).clamp(min=0).reshape(-1, *grid_shape(self.recipe))
        return grams, finalise_map(raw, grams, self.recipe, self.model.known, xp=torch)

    def _vectors(self, images: Float[Tensor, "image 3 side side"]) -> tuple[Tensor, Tensor]:
        if self.network is None:
            patches = texture_features(images, self.patch_px)
            return patches.mean(1), patches
        vectors = self.network(images).last_hidden_state
        return vectors[:, 0], vectors[:, self.first_patch :]


def _write_network(estimator: Estimator, place: Path) -> None:
    height, width = torch.export.Dim("height", min=32), torch.export.Dim("width", min=64)
    example = torch.randint(256, (300, 600, 3), dtype=torch.uint8)
    names = ["grams", "map"] if estimator.recipe.has_map else ["grams"]
    # The warnings are addressed to the authors of the exporter.
    with torch.no_grad(), warnings.catch_warnings(), quiet_transformers():
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        torch.onnx.export(
            estimator.eval(), (example,), place, dynamo=True, opset_version=OPSET, verbose=False, external_data=True,
            input_names=["photo"], output_names=names, dynamic_shapes={"photo": {0: height, 1: width}},
        )  # fmt: skip


def _measure_parity(model: HerbageModel, backbone: Backbone, session: Any, files: Sequence[PhotoFile]) -> OnnxParity:
    grams_apart, maps_apart, totals = [0.0], [0.0], []
    for item in stream_tokens(files, backbone, model.recipe):
        if item.tokens is None:
            log.warning("%s", item.failure)
            continue
        own = model.estimate_tokens(item.tokens, item.file.name, with_map=True)
        grams, *maps = session.run(None, {"photo": open_photo(item.file).pixels()})
        totals.append(own.grams[main_target(model.known)])
        grams_apart.append(float(np.nanmax(np.abs(grams - own.grams))))
        if own.map is not None:
            maps_apart.append(float(np.nanmax(np.abs(maps[0] - own.map))))
    if not totals:
        raise InputInvalid("None of the photos can be read, so there is nothing to compare.")
    mean = float(np.mean(totals))
    found = OnnxParity(len(totals), max(grams_apart) / mean, max(maps_apart) / mean if model.recipe.has_map else None)
    if found.grams_apart > TOLERANCE:
        log.warning("The ONNX file differs from herbage by more than %.0e of the mean total.", TOLERANCE)
    return found
