"""Export a model's backbone to another engine, and measure how its tokens, estimates and score change."""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from herbage.backbones.backbone import Backbone
from herbage.backbones.dinov2 import Dinov2Backbone
from herbage.backbones.openvino import Exported, OpenVinoBackbone, export_backbone
from herbage.errors import InputInvalid
from herbage.evaluation.scoring import weighted_r2
from herbage.files import new_folder, write_atomic
from herbage.heads.finalise import finalise_grams
from herbage.model.model import HerbageModel
from herbage.photos.photo import PhotoFile, open_photo
from herbage.targets import TARGETS, main_target
from herbage.tokens.extraction import stream_tokens
from herbage.tokens.layout import input_images
from herbage.tokens.store import TokenStore

log = logging.getLogger("herbage")

CALIBRATION_IMAGES = 200
"""Number of images on which int8 is calibrated, taken from all photos in turn."""


@dataclass(frozen=True)
class Parity:
    """How an exported backbone differs from its source on some photos.

    Cosines compare each token with its counterpart. `estimate_apart` is the mean absolute difference of `target`,
    divided by its mean. The scores are out-of-fold weighted R2 of the model's heads on tokens of the source and of the
    export, for the training photos among the photos; None if there are fewer than two.
    """

    photos: int
    cosine_min: float
    cosine_median: float
    estimate_apart: float
    target: str
    trained_photos: int = 0
    score_source: float | None = None
    score_export: float | None = None

    def __str__(self) -> str:
        lines = [
            f"tokens of {self.photos} photos: cosine {self.cosine_median:.5f} median, {self.cosine_min:.5f} smallest",
            f"{self.target}: mean absolute difference {self.estimate_apart:.2%} of the mean",
        ]
        lines += score_line("out-of-fold weighted R2", self.trained_photos, self.score_source, self.score_export)
        return "\n".join(lines)


def score_line(score: str, photos: int, source: float | None, export: float | None) -> list[str]:
    """A line on how a score of training photos changes by an export; none where it is unknown."""
    if source is None or export is None:
        return []
    return [f"{score} of {photos} training photos: {source:.4f} before, {export:.4f} after ({export - source:+.4f})"]


def export_openvino(
    model: HerbageModel,
    source: Backbone,
    out: Path,
    precision: Exported,
    files: Sequence[PhotoFile],
    store: str | Path | None,
) -> Parity | None:
    """Write the backbone to the folder `out`, with parity.json if there are photos; an existing folder is replaced.

    int8 is calibrated on the recipe's input images of the photos. Raises InputInvalid where the source is not a network
    that can be exported.
    """
    if not isinstance(source, Dinov2Backbone):
        raise InputInvalid(f"The backbone {source.name} cannot be exported; only DINOv2 and DINOv3 can.")
    exact = Dinov2Backbone(source.name, device="cpu", precision="fp32")
    with new_folder(out) as new:
        images = _calibration_images(model, files, source.patch_px) if precision == "int8" else []
        log.info("Exporting %s in %s%s", source.name, precision, f", calibrated on {len(images)} images" * bool(images))
        export_backbone(exact, new, precision, images)
        del exact
        found = measure_parity(model, source, OpenVinoBackbone(new), files, store) if files else None
        if found is not None:
            write_atomic(new / "parity.json", json.dumps(asdict(found), indent=2) + "\n")
    return found


def _calibration_images(model: HerbageModel, files: Sequence[PhotoFile], patch_px: int) -> list[Callable[[], Tensor]]:
    """Functions that return one input image each; they take the photos in turn, and each time another of its images."""

    def image(number: int) -> Tensor:
        photo = open_photo(files[number % len(files)])
        images = input_images(photo.pixels(), model.recipe, patch_px)
        of_one_size = images[number % len(images)]
        return of_one_size[(number // len(files) + number) % len(of_one_size)][None]

    return [partial(image, number) for number in range(CALIBRATION_IMAGES)]


def measure_parity(
    model: HerbageModel, source: Backbone, export: Backbone, files: Sequence[PhotoFile], store: str | Path | None = None
) -> Parity:
    """Compare both backbones on the same photos; tokens are read from and added to `store`, if there is one."""
    recipe, main, evidence = model.recipe.in_prediction(), main_target(model.known), model.evidence
    stores = [None if store is None else TokenStore(store, one, recipe) for one in (source, export)]
    pairs = zip(
        stream_tokens(files, source, recipe, stores[0]), stream_tokens(files, export, recipe, stores[1]), strict=True
    )
    cosines, grams, rows = [], [], []
    out_of_fold: list[list[np.ndarray]] = []
    for first, second in pairs:
        if first.tokens is None or second.tokens is None:
            log.warning("%s", first.failure or second.failure)
            continue
        own, others = (one.float().flatten(0, 1) for one in (first.tokens, second.tokens))
        cosines.append(F.cosine_similarity(own, others, dim=-1))
        pair = (first.tokens, second.tokens)
        grams.append([finalise_grams(model.heads.grams(one).numpy(), recipe)[main] for one in pair])
        row = None if evidence is None else evidence.row(first.sha256)
        if evidence is not None and row is not None:
            rows.append(row)
            fold = evidence.oof.fold[row]
            out_of_fold.append([finalise_grams(model.heads.fold_grams(one)[:, fold].numpy(), recipe) for one in pair])
    if not cosines:
        raise InputInvalid("None of the photos can be read, so there is nothing to compare.")
    every, totals = torch.cat(cosines), np.array(grams)
    scores: tuple[float | None, float | None] = (None, None)
    if evidence is not None and len(rows) > 1:
        weighed_g, both = evidence.oof.weighed_g[rows], np.array(out_of_fold).transpose(1, 0, 2)
        scores = (weighted_r2(weighed_g, both[0]), weighted_r2(weighed_g, both[1]))
    return Parity(
        len(cosines),
        float(every.min()),
        float(every.median()),
        float(np.abs(totals[:, 0] - totals[:, 1]).mean() / totals[:, 0].mean()),
        TARGETS[main],
        len(rows),
        *scores,
    )
