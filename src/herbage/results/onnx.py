"""Export the estimator to one ONNX file: a photo's pixels in, its dry weights and their map out."""

import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from herbage.backbones.backbone import Backbone
from herbage.backbones.dinov2 import Dinov2Backbone, quiet_transformers
from herbage.backbones.texture import TextureBackbone, texture_features
from herbage.backbones.views import grid_shape
from herbage.errors import InputInvalid
from herbage.evaluation.scoring import weighted_r2
from herbage.files import new_folder, write_atomic
from herbage.heads.finalise import finalise_map
from herbage.heads.heads import Heads
from herbage.heads.measured import append_measured, measured_inputs
from herbage.model.assessment import Assessment
from herbage.model.domain import mean_token
from herbage.model.estimate import DEFAULT_LEVEL
from herbage.model.model import HerbageModel
from herbage.photos.photo import PhotoFile, open_photo
from herbage.results.export import score_line
from herbage.results.onnx_int8 import quantise
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
    """Differences between ONNX Runtime and herbage in fp32 on some photos.

    `main_apart_median` is the median relative difference of the main target. The others are the largest of any target:
    those of grams, intervals and maps relative to the mean main target, that of the distance from the training photos
    in its own unit; None where the file does not have this output. The scores are weighted R2 of the training photos
    among the photos, None if there are fewer than two. The heads were trained on them, so only their difference counts.
    """

    photos: int
    main_apart_median: float
    grams_apart: float
    interval_apart: float | None
    distance_apart: float | None
    map_apart: float | None
    trained_photos: int = 0
    score_source: float | None = None
    score_export: float | None = None

    def __str__(self) -> str:
        of_maps = "" if self.map_apart is None else f", of maps {self.map_apart:.1e}"
        lines = [
            f"{self.photos} photos: largest difference of grams {self.grams_apart:.1e} of the mean total{of_maps}; "
            f"total {self.main_apart_median:.2%} at the median"
        ]
        lines += score_line("weighted R2", self.trained_photos, self.score_source, self.score_export)
        return "\n".join(lines)


def export_onnx(
    model: HerbageModel,
    source: str | Path | None,
    out: Path,
    files: Sequence[PhotoFile],
    precision: Literal["fp32", "int8"] = "fp32",
) -> OnnxParity | None:
    """Write estimator.onnx, and onnx.json with its inputs, outputs and parity; an existing folder is replaced.

    With int8 the backbone's weights have 8 bits (`herbage.results.onnx_int8`); the rest is fp32.
    Raises InputInvalid where the ONNX libraries are missing, for a backbone that cannot be exported, and for tiles,
    whose number of pixels depends on the photo in a way that torch's exporter does not support.
    """
    if model.recipe.crops == "tiles":
        raise InputInvalid(
            f"`as_format=onnx` does not support the tiles of recipe {model.recipe.name}; `as_format=openvino` does."
        )
    try:
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401  # torch's exporter needs it
    except ImportError as error:
        raise InputInvalid(f"`as_format=onnx` needs more packages: {INSTALL}") from error
    backbone = model.open_backbone(source, device="cpu", precision="fp32")
    with new_folder(out) as new:
        _write_network(Estimator(model, backbone), new / NETWORK)
        if precision == "int8":
            _to_int8(new, backbone)
        _forget_where_it_was_made(new / NETWORK)
        found = _check_network(new / NETWORK, model, backbone, files)
        record = _record(model, found) | {"precision": precision}
        write_atomic(new / EXPORT_RECORD, json.dumps(record, indent=2) + "\n")
    if found is not None and precision == "fp32" and found.grams_apart > TOLERANCE:
        log.warning("The ONNX file differs from herbage by more than %.0e of the mean total.", TOLERANCE)
    return found


def _to_int8(folder: Path, backbone: Backbone) -> None:
    if not isinstance(backbone, Dinov2Backbone):
        raise InputInvalid(f"`precision=int8`: the backbone {backbone.name} has no weights; pass `precision=fp32`.")
    exact = folder / NETWORK
    quantise(exact, folder / "int8.onnx")
    for path in folder.glob(f"{NETWORK}*"):
        path.unlink()
    (folder / "int8.onnx").rename(exact)


def _forget_where_it_was_made(network: Path) -> None:
    """Remove the exporter's notes on each node, which have paths of this computer."""
    import onnx

    opened = onnx.load(network, load_external_data=False)
    for node in opened.graph.node:
        del node.metadata_props[:]
    write_atomic(network, opened.SerializeToString())


def _record(model: HerbageModel, parity: OnnxParity | None) -> dict[str, Any]:
    """onnx.json: the network's inputs and outputs in words, and its parity."""
    inputs = {"photo": "uint8 (height, width, 3): a photo's RGB, upright"}
    if names := model.measured_names if model.uses_measured else ():
        inputs["measured"] = f"float32 ({len(names)}): {', '.join(names)}; NaN where one was not measured"
    outputs = {"grams": f"float32 (5): {', '.join(TARGETS)}, in g per quadrat of {model.quadrat_area_m2:g} m2"}
    if model.evidence is not None:
        for end in ("low", "high"):
            outputs[end] = f"float32 (5): the {end} end of the {DEFAULT_LEVEL:.0%} interval, in g; NaN where unknown"
        limit = f"{model.evidence.domain.limit:.6g}"
        outputs["distance"] = f"float32 (): the distance from the training photos; in domain up to {limit}"
    if model.recipe.has_map:
        rows, columns = grid_shape(model.recipe)
        outputs["map"] = f"float32 (5, {rows}, {columns}): the grams if the whole photo looked like this patch"
    return {
        "herbage": model.config.herbage,
        "recipe": model.recipe.name,
        "backbone": model.config.backbone.name,
        "input": inputs,
        "output": outputs,
        "level": DEFAULT_LEVEL,
        "distance_limit": None if model.evidence is None else model.evidence.domain.limit,
        "parity": None if parity is None else asdict(parity),
    }


class Estimator(torch.nn.Module):
    """From pixels to grams and map in torch and fp32, with the functions that estimate photos elsewhere.

    Raises InputInvalid for a backbone that is neither a DINOv2 or DINOv3 nor `texture`.
    """

    def __init__(self, model: HerbageModel, backbone: Backbone) -> None:
        super().__init__()
        if not isinstance(backbone, Dinov2Backbone | TextureBackbone):
            raise InputInvalid(f"`as_format=onnx`: the backbone {backbone.name} cannot be exported.")
        self.model, self.recipe = model, model.recipe.in_prediction()
        self.columns = model.config.measured_columns if model.uses_measured else ()
        # A copy: tensors that heads cache while they are traced cannot be used for computing.
        self.heads, self.measured_heads = deepcopy((model.heads, model.measured_heads))
        self.network = backbone.model if isinstance(backbone, Dinov2Backbone) else None
        self.first_patch = backbone.first_patch if isinstance(backbone, Dinov2Backbone) else 0
        self.patch_px = backbone.patch_px

    @property
    def outputs(self) -> list[str]:
        """The names of what `forward` returns."""
        known = [] if self.model.evidence is None else ["low", "high", "distance"]
        return ["grams", *known, *(["map"] if self.recipe.has_map else [])]

    def forward(
        self, photo: UInt8[Tensor, "height width 3"], measured: Float[Tensor, " column"] | None = None
    ) -> tuple[Tensor, ...]:
        """`grams` (target), its interval `low` and `high`, `distance` (), and `map` (target, row, column), in float32.

        Interval and distance are missing where the model has no evidence, and the map where the recipe has none.
        `measured` are the values of the model's measured columns, NaN for none.
        """
        images = input_images(photo, self.recipe, self.patch_px)
        tokens = upright_tokens([BackboneOutput(*self._vectors(of)) for of in images], self.recipe)
        evidence = self.model.evidence
        found = self._estimate(self.heads, tokens, None if evidence is None else evidence.alone)
        if measured is not None and self.measured_heads is not None and evidence is not None:
            inputs = measured_inputs(self.columns, measured, xp=torch)
            extended = append_measured(tokens, inputs.nan_to_num())
            beside = self._estimate(self.measured_heads, extended, evidence.measured)
            found = {name: torch.where(inputs.isfinite().all(), beside[name], found[name]) for name in found}
        if evidence is not None:
            found["distance"] = evidence.domain.distance(mean_token(tokens)[None])[0].float()
        return tuple(found[name] for name in self.outputs)

    def _estimate(self, heads: Heads, tokens: Tensor, assessment: Assessment | None) -> dict[str, Tensor]:
        """Grams, with interval and map where there are any."""
        grams = self.model.finalise(heads.grams(tokens), assessment, xp=torch)
        found = {"grams": grams.float()}
        if assessment is not None:
            low, high = assessment.intervals.around(grams, DEFAULT_LEVEL, xp=torch)
            found |= {"low": low.float(), "high": high.float()}
        density = heads.density(tokens)
        if density is not None and self.recipe.has_map:
            raw = density.reshape(-1, *grid_shape(self.recipe))
            found["map"] = finalise_map(raw, grams, self.recipe, self.model.known, xp=torch).float()
        return found

    def _vectors(self, images: Float[Tensor, "image 3 side side"]) -> tuple[Tensor, Tensor]:
        if self.network is None:
            patches = texture_features(images, self.patch_px)
            return patches.mean(1), patches
        vectors = self.network(images).last_hidden_state
        return vectors[:, 0], vectors[:, self.first_patch :]


def _write_network(estimator: Estimator, place: Path) -> None:
    height, width = torch.export.Dim("height", min=32), torch.export.Dim("width", min=64)
    inputs: dict[str, Tensor] = {"photo": torch.randint(256, (300, 600, 3), dtype=torch.uint8)}
    shapes: dict[str, Any] = {"photo": {0: height, 1: width}}
    if estimator.columns:
        inputs["measured"], shapes["measured"] = torch.ones(len(estimator.columns)), None
    # The warnings are addressed to the authors of the exporter.
    with torch.no_grad(), warnings.catch_warnings(), quiet_transformers():
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        torch.onnx.export(
            estimator.eval(), tuple(inputs.values()), place, dynamo=True, opset_version=OPSET, verbose=False,
            external_data=True, input_names=list(inputs), output_names=estimator.outputs, dynamic_shapes=shapes,
        )  # fmt: skip


@dataclass(frozen=True)
class _Compared:
    """The outputs of herbage and of the exported file for one photo, by name.

    `row` is that of the photo in the out-of-fold table, None for others and where measured values were given.
    """

    expected: dict[str, Any]
    made: dict[str, Any]
    row: int | None

    def largest_difference(self, name: str) -> float:
        return float(np.nanmax(np.abs(self.made[name] - self.expected[name]), initial=0.0))


def _compare(model: HerbageModel, backbone: Backbone, session: Any, files: Sequence[PhotoFile]) -> Iterator[_Compared]:
    """Each photo without measured values, and with those in the middle of the training range where there are any."""
    columns, evidence = model.config.measured_columns if model.uses_measured else (), model.evidence
    measured = [(np.nan,) * len(columns), *([tuple((of.low + of.high) / 2 for of in columns)] if columns else [])]
    names = [one.name for one in session.get_outputs()]
    for item in stream_tokens(files, backbone, model.recipe.in_prediction()):
        if item.tokens is None:
            log.warning("%s", item.failure)
            continue
        photo = open_photo(item.file).pixels()
        for values in measured:
            own = model.estimate_tokens(item.tokens, item.file.name, with_map=True, measured=values)
            expected = {"grams": own.grams, "low": own.low, "high": own.high, "map": own.map}
            if evidence is not None:
                expected["distance"] = evidence.domain.distance(mean_token(item.tokens)[None])[0].numpy()
            inputs = {"photo": photo, **({"measured": np.array(values, np.float32)} if columns else {})}
            row = evidence.row(item.sha256) if evidence is not None and not own.measured else None
            yield _Compared(expected, dict(zip(names, session.run(None, inputs), strict=True)), row)


def _check_network(
    network: Path, model: HerbageModel, backbone: Backbone, files: Sequence[PhotoFile]
) -> OnnxParity | None:
    """Open the exported network and measure its parity on the photos, if there are any.

    The session ends with this function: it maps the weights into memory, and Windows renames no folder of such files.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    return _measure_parity(model, backbone, session, files) if files else None


def _measure_parity(model: HerbageModel, backbone: Backbone, session: Any, files: Sequence[PhotoFile]) -> OnnxParity:
    compared = list(_compare(model, backbone, session, files))
    if not compared:
        raise InputInvalid("None of the photos can be read, so there is nothing to compare.")
    main = main_target(model.known)
    expected, made = (np.array([getattr(one, of)["grams"][main] for one in compared]) for of in ("expected", "made"))
    unit = {
        "grams": expected.mean(),
        "low": expected.mean(),
        "high": expected.mean(),
        "distance": 1.0,
        "map": expected.mean(),
    }
    apart = {name: max(one.largest_difference(name) for one in compared) / unit[name] for name in compared[0].made}
    return OnnxParity(
        photos=len(compared) // (2 if model.uses_measured else 1),
        main_apart_median=float(np.median(np.abs(made - expected) / np.maximum(expected, 1e-9))),
        grams_apart=apart["grams"],
        interval_apart=max(apart["low"], apart["high"]) if "low" in apart else None,
        distance_apart=apart.get("distance"),
        map_apart=apart.get("map"),
        **_scores(model, compared),
    )


def _scores(model: HerbageModel, compared: Sequence[_Compared]) -> dict[str, Any]:
    trained = {one.row: one for one in compared if one.row is not None}
    if model.evidence is None or len(trained) < 2:
        return {}
    weighed = model.evidence.alone.oof.weighed_g[list(trained)]
    source, export = (
        weighted_r2(weighed, np.array([getattr(one, of)["grams"] for one in trained.values()], float))
        for of in ("expected", "made")
    )
    return {"trained_photos": len(trained), "score_source": source, "score_export": export}
