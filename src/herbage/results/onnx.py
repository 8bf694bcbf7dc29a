"""The whole estimator as one ONNX file: a photo's pixels in, its dry weights and their map out."""

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

from herbage.backbones.dinov2 import Dinov2Backbone, hushed
from herbage.backbones.texture import texture_numbers
from herbage.backbones.views import grid_shape
from herbage.errors import InputInvalid
from herbage.files import new_folder, write_whole
from herbage.model.calibration import parts
from herbage.model.model import HerbageModel
from herbage.photos.photo import PhotoFile, open_photo
from herbage.recipe import Recipe
from herbage.targets import COMPONENTS, SCORE_WEIGHTS, SUMS, TARGETS, Known, balances, main_target
from herbage.tokens.extraction import stream_tokens
from herbage.tokens.layout import Seen, kept_tokens, shown_images

log = logging.getLogger("herbage")

NETWORK = "estimator.onnx"
EXPORT_RECORD = "onnx.json"
INSTALL = "pip install 'herbage[onnx]'"
OPSET = 20
TOLERANCE = 1e-4


@dataclass(frozen=True)
class OnnxParity:
    """How far ONNX Runtime is from herbage in fp32: the largest difference of any target over the mean total."""

    photos: int
    grams_apart: float
    map_apart: float | None

    def __str__(self) -> str:
        beside = "" if self.map_apart is None else f", of maps {self.map_apart:.1e}"
        return f"{self.photos} photos: largest difference of grams {self.grams_apart:.1e} of the mean total{beside}"


def export_onnx(
    model: HerbageModel, source: str | Path | None, out: Path, files: Sequence[PhotoFile]
) -> OnnxParity | None:
    """Write `estimator.onnx` below the folder `out`, onnx.json that says what goes in and comes out, and the parity.

    In fp32. What stands at `out` is replaced. Raises InputInvalid where the ONNX libraries are missing, and for tiles,
    whose cuts depend on the photo's size in a way that torch's exporter cannot follow.
    """
    if model.recipe.crops == "tiles":
        raise InputInvalid(
            f"--format onnx cannot follow the tiles of recipe {model.recipe.name}; --format openvino can."
        )
    try:
        import onnxruntime
        import onnxscript  # noqa: F401  # what torch's exporter needs
    except ImportError as error:
        raise InputInvalid(f"--format onnx needs more packages: {INSTALL}") from error
    backbone = model.open_backbone(source, device="cpu", precision="fp32")
    with new_folder(out) as new:
        _write_network(Estimator(model, backbone), new / NETWORK)
        session = onnxruntime.InferenceSession(new / NETWORK, providers=["CPUExecutionProvider"])
        found = _parity(model, backbone, session, files) if files else None
        rows, columns = grid_shape(model.recipe)
        record = {
            "herbage": model.about.herbage,
            "recipe": model.recipe.name,
            "backbone": model.about.backbone.name,
            "input": {"photo": "uint8 (height, width, 3): a photo's RGB, turned upright"},
            "output": {
                "grams": f"float32 (5): {', '.join(TARGETS)}, in g a quadrat of {model.quadrat_area_m2:g} m2",
                **({"map": f"float32 (5, {rows}, {columns}): the grams, if the whole photo looked like this patch"}
                   if model.recipe.has_map else {}),
            },
            "parity": None if found is None else asdict(found),
        }  # fmt: skip
        write_whole(new / EXPORT_RECORD, json.dumps(record, indent=2) + "\n")
    return found


class Estimator(torch.nn.Module):
    """From pixels to grams and their map, all of it in torch: what herbage does photo by photo, in fp32."""

    def __init__(self, model: HerbageModel, backbone: Any) -> None:
        super().__init__()
        # Heads of its own: what they cache while they are traced is no tensor to compute with.
        self.recipe, self.heads, self.known = model.recipe, deepcopy(model.heads), model.about.known
        self.network = backbone.model if isinstance(backbone, Dinov2Backbone) else None
        self.calibration = model.about.calibration
        self.first_patch = getattr(backbone, "first_patch", 0)
        self.patch_px = backbone.patch_px

    def forward(self, photo: UInt8[Tensor, "height width 3"]) -> tuple[Tensor, ...]:
        """`grams` (target), and `map` (target, row, column) where the recipe has one."""
        seen = [Seen(images, *self._see(images)) for images in shown_images(photo, self.recipe, self.patch_px)]
        tokens = kept_tokens(seen, self.recipe)
        grams = _delivered(self.heads.grams(tokens).mean((1, 2)), self.recipe, self.known)
        if self.calibration is not None:
            grams = self._corrected(_delivered(grams, self.recipe.model_copy(update={"balance": True}), self.known))
        density = self.heads.density(tokens)
        if density is None or not self.recipe.has_map:
            return (grams,)
        raw = density.mean((1, 2)).clamp(min=0)
        mean = raw.mean(1, keepdim=True)
        share = torch.where(mean > 0, raw / torch.where(mean > 0, mean, 1.0), 1.0)
        maps = (share * grams[:, None]).reshape(len(TARGETS), *grid_shape(self.recipe))
        if self.recipe.balance and all(self.known):
            maps = torch.einsum("tc,crk->trk", torch.tensor(SUMS).float(), maps[list(COMPONENTS)])
        return grams, maps

    def _corrected(self, grams: Float[Tensor, "5"]) -> Float[Tensor, "5"]:
        """`herbage.model.calibration.Correction` in torch."""
        assert self.calibration is not None
        own, sums = parts(self.known)
        slope, offset_g = torch.tensor(self.calibration.slope), torch.tensor(self.calibration.offset_g)
        corrected = (grams[own] * slope + offset_g).clamp(min=0) @ torch.tensor(sums).float().T
        return torch.where(torch.tensor(self.known), corrected, torch.nan)

    def _see(self, images: Float[Tensor, "image 3 side side"]) -> tuple[Tensor, Tensor]:
        if self.network is None:
            patches = texture_numbers(images, self.patch_px)
            return patches.mean(1), patches
        vectors = self.network(images).last_hidden_state
        return vectors[:, 0], vectors[:, self.first_patch :]


def _delivered(raw: Float[Tensor, "5"], recipe: Recipe, known: Known) -> Float[Tensor, "5"]:
    """`herbage.evaluation.out_of_fold.deliver` in torch."""
    if not recipe.balance:
        return raw.clamp(min=0)
    there = torch.tensor(known)
    raw = torch.where(there, raw, 0.0)
    solutions, sums, weights = (torch.tensor(of).float() for of in (balances(known), SUMS, SCORE_WEIGHTS))
    components = solutions @ raw
    every = components @ sums.T
    loss = (every - raw) ** 2 @ (weights * there)
    feasible = (components >= 0).all(-1)
    return torch.where(there, every[torch.where(feasible, loss, torch.inf).argmin()], torch.nan)


def _write_network(estimator: Estimator, place: Path) -> None:
    height, width = torch.export.Dim("height", min=32), torch.export.Dim("width", min=64)
    example = torch.randint(256, (300, 600, 3), dtype=torch.uint8)
    names = ["grams", "map"] if estimator.recipe.has_map else ["grams"]
    # What they warn of is for the exporter's own authors.
    with torch.no_grad(), warnings.catch_warnings(), hushed():
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        torch.onnx.export(
            estimator.eval(), (example,), place, dynamo=True, opset_version=OPSET, verbose=False, external_data=True,
            input_names=["photo"], output_names=names, dynamic_shapes={"photo": {0: height, 1: width}},
        )  # fmt: skip


def _parity(model: HerbageModel, backbone: Any, session: Any, files: Sequence[PhotoFile]) -> OnnxParity:
    grams_apart, maps_apart, totals = [0.0], [0.0], []
    for item in stream_tokens(files, backbone, model.recipe):
        if item.tokens is None:
            log.warning("%s", item.failure)
            continue
        own = model.estimate_tokens(item.tokens, item.file.name, with_map=True)
        grams, *maps = session.run(None, {"photo": open_photo(item.file).pixels()})
        totals.append(own.grams[main_target(model.about.known)])
        grams_apart.append(float(np.nanmax(np.abs(grams - own.grams))))
        if own.map is not None:
            maps_apart.append(float(np.nanmax(np.abs(maps[0] - own.map))))
    if not totals:
        raise InputInvalid("None of the photos can be read, so there is nothing to compare.")
    mean = float(np.mean(totals))
    found = OnnxParity(len(totals), max(grams_apart) / mean, max(maps_apart) / mean if model.recipe.has_map else None)
    if found.grams_apart > TOLERANCE:
        log.warning("The ONNX file is further from herbage than %.0e of the mean total.", TOLERANCE)
    return found
