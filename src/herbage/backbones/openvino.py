"""A backbone exported to OpenVINO: one folder, made once, that serves as `--backbone` on every machine."""

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from herbage.backbones.dinov2 import Dinov2Backbone
from herbage.backbones.engine import Engine, Precision, cpu_has_bf16
from herbage.errors import BackboneInvalid, InputInvalid
from herbage.files import write_whole

NETWORK, RECORD = "backbone.xml", "openvino.json"
FORMAT = 1

Exported = Literal["fp32", "bf16", "int8"]


@dataclass(frozen=True)
class ExportRecord:
    """What openvino.json says: what the network was made from, and how. `photos` calibrated it, 0 for none."""

    format: int
    source: str
    source_digest: str
    precision: Exported
    patch_px: int
    width: int
    first_patch: int
    photos: int


class OpenVinoBackbone:
    """A DINOv2 that OpenVINO runs on the CPU. `source_digest` is that of the weights it was made from.

    Its own digest is that of its files, so its tokens are never taken for the source's.
    """

    batch_images = 1

    def __init__(self, folder: Path, *, precision: Precision = "auto") -> None:
        openvino = _library()
        self.record = _read_record(folder)
        if precision not in ("auto", self.record.precision):
            raise BackboneInvalid(
                f"--precision {precision}: {folder} was exported in {self.record.precision}; "
                f"leave --precision out, or export it again."
            )
        tokens = "float32" if self.record.precision == "fp32" else "float16"
        self.engine = Engine(f"openvino {openvino.__version__}", "cpu", self.record.precision, tokens)
        self.name = str(folder.expanduser().resolve())
        self.digest = _files_digest(folder)
        self.source_digest = self.record.source_digest
        self.patch_px, self.width = self.record.patch_px, self.record.width
        self._core = openvino.Core()
        self._network = folder / NETWORK
        self._by_side: dict[int, Any] = {}

    def __call__(
        self, images: Float[Tensor, "image 3 side side"]
    ) -> tuple[Float[Tensor, "image width"], Float[Tensor, "image patch width"]]:
        """The class vector and the patch vectors, float32."""
        vectors = torch.from_numpy(np.array(self._compiled(images.shape[-1])(images.numpy())[0]))
        return vectors[:, 0], vectors[:, self.record.first_patch :]

    def _compiled(self, side_px: int) -> Any:
        """The network for images of one size: its position table is resampled once, when it is compiled."""
        if side_px not in self._by_side:
            network = self._core.read_model(self._network)
            network.reshape([-1, 3, side_px, side_px])
            inner = "f32" if self.record.precision == "fp32" or not cpu_has_bf16() else "bf16"
            self._by_side[side_px] = self._core.compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": inner})
        return self._by_side[side_px]


def is_exported(folder: str | Path) -> bool:
    """Whether this is a folder that `export_backbone` made."""
    return (Path(folder).expanduser() / RECORD).is_file()


def export_backbone(
    source: Dinov2Backbone, place: Path, precision: Exported, views: Sequence[Float[Tensor, "view 3 side side"]] = ()
) -> None:
    """Write the folder `place`. For int8, `views` are the images of some photos, on which activations are measured."""
    openvino = _library()
    network = _converted(source)
    if precision == "int8":
        if not views:
            raise InputInvalid("--precision int8 needs --photos: the photos to measure activations on.")
        network = _quantised(network, [one.numpy() for one in views])
    place.mkdir(parents=True, exist_ok=True)
    openvino.save_model(network, place / NETWORK, compress_to_fp16=precision != "fp32")
    record = ExportRecord(
        FORMAT, source.name, source.digest, precision, source.patch_px, source.width, source.first_patch, len(views)
    )
    # Last, so that a folder with a record is whole.
    write_whole(place / RECORD, json.dumps(asdict(record), indent=2) + "\n")


class _Vectors(torch.nn.Module):
    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> Tensor:
        vectors: Tensor = self.model(pixels).last_hidden_state
        return vectors


def _converted(source: Dinov2Backbone) -> Any:
    openvino = _library()
    example = torch.zeros(2, 3, 16 * source.patch_px, 16 * source.patch_px)
    with torch.no_grad():
        return openvino.convert_model(
            _Vectors(source.model.float()), example_input=example, input=[openvino.PartialShape([-1, 3, -1, -1])]
        )


def _quantised(network: Any, batches: list[np.ndarray]) -> Any:
    try:
        import nncf
    except ImportError as error:
        raise InputInvalid("int8 needs NNCF: pip install 'herbage[openvino]'.") from error
    logging.getLogger("nncf").setLevel(logging.ERROR)
    return nncf.quantize(
        network, nncf.Dataset(batches), model_type=nncf.ModelType.TRANSFORMER, subset_size=len(batches)
    )


def _read_record(folder: Path) -> ExportRecord:
    try:
        record = ExportRecord(**json.loads((folder / RECORD).read_text("utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise BackboneInvalid(f"{folder / RECORD} is damaged: {error}. Export the backbone again.") from error
    if record.format != FORMAT:
        raise BackboneInvalid(f"{folder} has export format {record.format}; this herbage reads {FORMAT}. Export again.")
    return record


def _files_digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for name in (NETWORK, Path(NETWORK).with_suffix(".bin")):
        try:
            digest.update((folder / name).read_bytes())
        except OSError as error:
            raise BackboneInvalid(f"{folder} is no whole export: {error}. Export the backbone again.") from error
    return digest.hexdigest()


def _library() -> Any:
    try:
        import openvino
    except ImportError as error:
        raise BackboneInvalid("An exported backbone needs OpenVINO: pip install 'herbage[openvino]'.") from error
    return openvino
