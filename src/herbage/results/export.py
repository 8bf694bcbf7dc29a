"""A model's backbone in another engine, and how far its tokens, estimates and score are from the model's own."""

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
from herbage.backbones.openvino import EXPORT_RECORD, Exported, OpenVinoBackbone, export_backbone
from herbage.errors import InputInvalid, OutputExists
from herbage.evaluation.comparison import weighed
from herbage.evaluation.out_of_fold import deliver
from herbage.evaluation.scoring import weighted_r2
from herbage.files import is_taken, new_folder, refuse_closed, write_whole
from herbage.model.model import HerbageModel
from herbage.photos.photo import PhotoFile, open_photo
from herbage.targets import TARGETS, main_target
from herbage.tokens.extraction import stream_tokens
from herbage.tokens.layout import shown_images
from herbage.tokens.store import TokenStore

log = logging.getLogger("herbage")

EXPORT_RECORDS = (EXPORT_RECORD, "onnx.json")

VIEWS = 200
"""Images that int8 is calibrated on at most, one after another from all photos."""


@dataclass(frozen=True)
class Parity:
    """How an exported backbone differs from its source on some photos.

    Cosines are of token with token. `estimate_apart` is the mean absolute difference of the total over the mean total
    (of `target`, where the model knows no total).
    The scores are out-of-fold weighted R2 of the photos that the model was trained on, None where there are none: the
    model's own heads on tokens of the source, and on tokens of the export.
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
            f"{self.target}: {self.estimate_apart:.2%} apart (mean absolute difference over the mean)",
        ]
        if self.score_source is not None and self.score_export is not None:
            lines.append(
                f"out-of-fold weighted R2 of {self.trained_photos} training photos: {self.score_source:.4f} before, "
                f"{self.score_export:.4f} after ({self.score_export - self.score_source:+.4f})"
            )
        return "\n".join(lines)


def export_openvino(
    model: HerbageModel,
    source: Backbone,
    out: Path,
    precision: Exported,
    files: Sequence[PhotoFile],
    store: str | Path | None,
) -> Parity | None:
    """Write the backbone to the folder `out`, and where there are photos what it changes, to parity.json too.

    int8 is calibrated on images of the photos, as the recipe shows them. What stands at `out` is replaced
    (`refuse_export` is asked before). Raises InputInvalid where the source has no network.
    """
    if not isinstance(source, Dinov2Backbone):
        raise InputInvalid(f"{source.name} is no network of weights; only a DINOv2 or DINOv3 can be exported.")
    exact = Dinov2Backbone(source.name, device="cpu", precision="fp32")
    with new_folder(out) as new:
        views = _views(model, files, source.patch_px) if precision == "int8" else []
        log.info("Exporting %s in %s%s", source.name, precision, f", measured on {len(views)} images" if views else "")
        export_backbone(exact, new, precision, views)
        del exact
        found = parity(model, source, OpenVinoBackbone(new), files, store) if files else None
        if found is not None:
            write_whole(new / "parity.json", json.dumps(asdict(found), indent=2) + "\n")
    return found


def refuse_export(out: Path, *, overwrite: bool) -> None:
    """Raise OutputExists where an export may not be put: only an export is ever replaced, and only if told to."""
    if is_taken(out):
        if not any((out / record).is_file() for record in EXPORT_RECORDS):
            raise OutputExists(f"--out {out} exists and is no export, so it is never replaced; name another place.")
        if not overwrite:
            raise OutputExists(f"--out {out} exists already; give --overwrite to replace it, or another name.")
    refuse_closed(out.resolve())


def _views(model: HerbageModel, files: Sequence[PhotoFile], patch_px: int) -> list[Callable[[], Tensor]]:
    """Images to calibrate on, one photo after the other, and another image of it each time that a photo comes up."""

    def image(number: int) -> Tensor:
        photo = open_photo(files[number % len(files)])
        shown = shown_images(photo.pixels(), model.recipe, patch_px)
        of_one_size = shown[number % len(shown)]
        return of_one_size[(number // len(files) + number) % len(of_one_size)][None]

    return [partial(image, number) for number in range(VIEWS)]


def parity(
    model: HerbageModel, source: Backbone, export: Backbone, files: Sequence[PhotoFile], store: str | Path | None = None
) -> Parity:
    """Both backbones on the same photos; `store`, where given, spares what it has and keeps the rest."""
    recipe, main = model.recipe, main_target(model.about.known)
    stores = [None if store is None else TokenStore(store, one, recipe) for one in (source, export)]
    pairs = zip(
        stream_tokens(files, source, recipe, stores[0]), stream_tokens(files, export, recipe, stores[1]), strict=True
    )
    cosines, grams, rows = [], [], []
    trained: list[list[np.ndarray]] = []
    for first, second in pairs:
        if first.tokens is None or second.tokens is None:
            log.warning("%s", first.failure or second.failure)
            continue
        own, others = (one[..., : source.width].float().flatten(0, 1) for one in (first.tokens, second.tokens))
        cosines.append(F.cosine_similarity(own, others, dim=-1))
        raw = [model.heads.grams(one).double().mean(-1).numpy() for one in (first.tokens, second.tokens)]
        grams.append([deliver(one.mean(1), recipe)[main] for one in raw])
        row = None if model.knowledge is None else model.knowledge.row(first.sha256)
        if model.oof is not None and row is not None:
            rows.append(row)
            trained.append([deliver(one[:, int(model.oof["fold"].iloc[row])], recipe) for one in raw])
    if not cosines:
        raise InputInvalid("None of the photos can be read, so there is nothing to compare.")
    every, totals = torch.cat(cosines), np.array(grams)
    scores: tuple[float | None, float | None] = (None, None)
    if model.oof is not None and len(trained) > 1:
        weighed_g, both = weighed(model.oof)[rows], np.array(trained).transpose(1, 0, 2)
        scores = (weighted_r2(weighed_g, both[0]), weighted_r2(weighed_g, both[1]))
    return Parity(
        len(cosines),
        float(every.min()),
        float(every.median()),
        float(np.abs(totals[:, 0] - totals[:, 1]).mean() / totals[:, 0].mean()),
        TARGETS[main],
        len(trained),
        *scores,
    )
