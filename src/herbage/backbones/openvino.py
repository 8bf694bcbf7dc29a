"""Backbones exported to OpenVINO: a folder that any machine can use as `backbone`."""

import hashlib
import json
import logging
import os
import re
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from herbage.backbones.dinov2 import Dinov2Backbone, quiet_transformers
from herbage.backbones.engine import Device, Engine, Precision, cpu_has_bf16
from herbage.errors import BackboneInvalid, DeviceMissing, InputInvalid
from herbage.files import user_cache, write_atomic

FORMAT = 1
NETWORK = "backbone.xml"
EXPORT_RECORD = "openvino.json"
"""The file with the ExportRecord in an exported folder."""

INSTALL = "pip install 'herbage[openvino]'"

# openvino and nncf send usage statistics through this package, unless it cannot be imported.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None blocks the import

Exported = Literal["fp32", "bf16", "int8"]

SMOOTHING = 0.6
"""Migration strength alpha of SmoothQuant (Xiao et al. 2023, arXiv:2211.10438).

It sets how much of the quantisation difficulty of outliers moves from activations to weights.
"""

PEAK = 32.0
"""Largest ratio of maximum to root mean square of a linear layer's input at which int8 quantises the layer.

Above it, the 255 steps of int8 are too coarse. In ViT-S this excludes 6 of 72 linear layers, which removes a third of
int8's error and costs a tenth of its speed.
"""

PEAK_IMAGES = 12
"""Images on which that ratio is measured."""


@dataclass(frozen=True)
class ExportRecord:
    """How the network was exported, and from which weights.

    `views`: number of images on which int8 was calibrated. `left_out`: linear layers that int8 does not quantise.
    """

    format: int
    source: str
    source_digest: str
    precision: Exported
    patch_px: int
    width: int
    first_patch: int
    views: int
    left_out: list[str]


class OpenVinoBackbone:
    """An exported DINOv2 or DINOv3 that OpenVINO runs on the CPU.

    Its digest is that of the exported files, so its tokens are not mixed with those of the original. Raises
    BackboneInvalid or DeviceMissing when it is opened.
    """

    batch_patches = 0

    def __init__(self, folder: Path, *, device: Device = "auto", precision: Precision = "auto") -> None:
        library = _openvino()
        folder = folder.expanduser().resolve()
        self.record = _read_record(folder)
        if device not in ("auto", "cpu"):
            raise DeviceMissing(f'`device="{device}"`: an exported backbone runs on the CPU; omit `device`.')
        if precision not in ("auto", self.record.precision):
            raise BackboneInvalid(
                f'`precision="{precision}"`: {folder} was exported in {self.record.precision}; '
                f"omit `precision`, or export the backbone again."
            )
        tokens = "float32" if self.record.precision == "fp32" else "float16"
        self.engine = Engine(f"openvino {library.__version__.split('-')[0]}", "cpu", self.record.precision, tokens)
        self.name = str(folder)
        self.digest = _digest(folder)
        self.source_digest = self.record.source_digest
        self.patch_px, self.width = self.record.patch_px, self.record.width
        self._network = folder / NETWORK
        self._threads = torch.get_num_threads()
        self._free: dict[tuple[int, int], SimpleQueue[Any]] = {}
        self._lock = threading.Lock()

    def __call__(
        self, images: Float[Tensor, "image 3 side side"]
    ) -> tuple[Float[Tensor, "image width"], Float[Tensor, "image patch width"]]:
        """Compute the class vector and the patch vectors of each image, float32; thread-safe."""
        free = self._requests(images.shape[-1], torch.get_num_threads())
        request = free.get()
        try:
            vectors = torch.from_numpy(np.array(request.infer(images.numpy())[0]))
        finally:
            free.put(request)
        return vectors[:, 0], vectors[:, self.record.first_patch :]

    def _requests(self, side_px: int, threads: int) -> "SimpleQueue[Any]":
        """The idle inference requests for one image size, for callers that use `threads` threads each.

        There are as many as the machine can run in parallel. They are created together and reused, because a request
        created later may wait for another one. Compiling resamples the position table, once per size.
        """
        with self._lock:
            if (side_px, threads) not in self._free:
                core = _openvino().Core()
                if cache := _cache():
                    core.set_property({"CACHE_DIR": cache})
                network = core.read_model(self._network)
                network.reshape([-1, 3, side_px, side_px])
                callers = max(1, self._threads // threads)
                options = {
                    "INFERENCE_PRECISION_HINT": "bf16" if self.record.precision != "fp32" and cpu_has_bf16() else "f32",
                    "INFERENCE_NUM_THREADS": self._threads,
                    "NUM_STREAMS": callers,
                    # With pinning, two callers may get threads on the same core.
                    "ENABLE_CPU_PINNING": False,
                }
                compiled = core.compile_model(network, "CPU", options)
                self._free[side_px, threads] = SimpleQueue()
                for _ in range(callers):
                    self._free[side_px, threads].put(compiled.create_infer_request())
            return self._free[side_px, threads]


def export_backbone(
    source: Dinov2Backbone, place: Path, precision: Exported, views: Sequence[Callable[[], Tensor]] = ()
) -> None:
    """Export a backbone to the folder `place`.

    `source` must have been opened on the CPU in fp32. `views` is for int8: each function returns a calibration image
    of shape (1, 3, side, side). Raises BackboneInvalid without OpenVINO, and InputInvalid for int8 without NNCF.
    """
    library = _openvino()
    example = torch.zeros(2, 3, 16 * source.patch_px, 16 * source.patch_px)
    # The libraries warn about tracing and unknown settings, which users of herbage cannot change.
    with torch.no_grad(), warnings.catch_warnings(), quiet_transformers():
        warnings.simplefilter("ignore")
        network = library.convert_model(
            _Vectors(source.model), example_input=example, input=[library.PartialShape([-1, 3, -1, -1])]
        )
        left_out = peaked_products(source, views[:PEAK_IMAGES]) if precision == "int8" else []
        if precision == "int8":
            network = _quantised(network, views, left_out)
    place.mkdir(parents=True, exist_ok=True)
    library.save_model(network, place / NETWORK, compress_to_fp16=precision != "fp32")
    record = ExportRecord(
        FORMAT, source.name, source.digest, precision, source.patch_px, source.width, source.first_patch,
        len(views), left_out,
    )  # fmt: skip
    # Written last, so that a folder with a record is complete.
    write_atomic(place / EXPORT_RECORD, json.dumps(asdict(record), indent=2) + "\n")


class _Vectors(torch.nn.Module):
    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> Tensor:
        vectors: Tensor = self.model(pixels).last_hidden_state
        return vectors


def peaked_products(source: Dinov2Backbone, views: Sequence[Callable[[], Tensor]]) -> list[str]:
    """Names of the linear layers whose input has a maximum above PEAK times its root mean square on these images."""
    peaks: dict[str, float] = {}

    def add_hook(name: str, layer: torch.nn.Module) -> Any:
        def update_peak(_: torch.nn.Module, inputs: tuple[Tensor]) -> None:
            (x,) = inputs
            peaks[name] = max(peaks.get(name, 0.0), float(x.abs().max() / x.square().mean().sqrt()))

        return layer.register_forward_pre_hook(update_peak)

    linear = [(name, layer) for name, layer in source.model.named_modules() if isinstance(layer, torch.nn.Linear)]
    hooks = [add_hook(name, layer) for name, layer in linear]
    try:
        for view in views:
            source(view())
    finally:
        for hook in hooks:
            hook.remove()
    return [name for name, peak in peaks.items() if peak > PEAK]


def _quantised(network: Any, views: Sequence[Callable[[], Tensor]], left_out: Sequence[str]) -> Any:
    try:
        import nncf
    except ImportError as error:
        raise InputInvalid(f"int8 needs NNCF: {INSTALL}") from error
    logging.getLogger("nncf").setLevel(logging.ERROR)
    smooth = nncf.AdvancedSmoothQuantParameters(matmul=SMOOTHING)
    return nncf.quantize(
        network,
        nncf.Dataset(list(views), lambda view: view().numpy()),
        subset_size=len(views),
        model_type=nncf.ModelType.TRANSFORMER,
        ignored_scope=nncf.IgnoredScope(patterns=[rf"__module\.model\.{re.escape(name)}/.*" for name in left_out]),
        advanced_parameters=nncf.AdvancedQuantizationParameters(smooth_quant_alphas=smooth),
    )


def _read_record(folder: Path) -> ExportRecord:
    place = folder / EXPORT_RECORD
    try:
        record = ExportRecord(**json.loads(place.read_text("utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise BackboneInvalid(f"{place} is damaged: {error}. Export the backbone again.") from error
    if record.format != FORMAT:
        raise BackboneInvalid(f"{place} has format {record.format}, expected {FORMAT}. Export the backbone again.")
    return record


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for name in (NETWORK, NETWORK.replace(".xml", ".bin")):
        try:
            with (folder / name).open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            raise BackboneInvalid(f"{folder} is not a complete export: {error}. Export the backbone again.") from error
    return digest.hexdigest()


def _cache() -> str | None:
    """The folder of OpenVINO's compiled networks, which saves most of its start-up time; None if not writable."""
    place = user_cache("openvino")
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return str(place) if os.access(place, os.W_OK) else None


def _openvino() -> Any:
    try:
        import openvino
    except ImportError as error:
        raise BackboneInvalid(f"An exported backbone needs OpenVINO: {INSTALL}") from error
    return openvino
