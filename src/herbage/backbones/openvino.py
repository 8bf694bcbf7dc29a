"""A backbone exported to OpenVINO: one folder, made once, that serves as `--backbone` on every machine."""

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

from herbage.backbones.dinov2 import Dinov2Backbone, hushed
from herbage.backbones.engine import Device, Engine, Precision, cpu_has_bf16
from herbage.errors import BackboneInvalid, DeviceMissing, InputInvalid
from herbage.files import write_whole

FORMAT = 1
NETWORK = "backbone.xml"
EXPORT_RECORD = "openvino.json"
"""What a folder that `herbage export` wrote holds beside the network."""

INSTALL = "pip install 'herbage[openvino]'"

# openvino and nncf tell their makers of each use by this library, unless it cannot be imported.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None is how imports are barred

Exported = Literal["fp32", "bf16", "int8"]

SMOOTHING = 0.6
"""How far SmoothQuant (Xiao et al. 2023, arXiv:2211.10438) moves outliers from activations to weights."""

PEAK = 32.0
"""Int8 leaves a product alone whose input has numbers so many times its root mean square: 255 steps are too few there.

On ViT-S these are six of 72 products; leaving them alone takes a third of int8's error away and a tenth of its speed.
"""

PEAK_VIEWS = 12


@dataclass(frozen=True)
class ExportRecord:
    """What the network was made from, and how.

    `views` is how many images int8 was calibrated on, `left_out` the products that it leaves alone.
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
    """A DINOv2 or DINOv3 that OpenVINO runs on the CPU; its digest is that of its files, so its tokens are its own."""

    batch_patches = 0

    def __init__(self, folder: Path, *, device: Device = "auto", precision: Precision = "auto") -> None:
        library = _openvino()
        folder = folder.expanduser().resolve()
        self.record = _read_record(folder)
        if device not in ("auto", "cpu"):
            raise DeviceMissing(f"--device {device}: an exported backbone runs on the CPU; leave --device out.")
        if precision not in ("auto", self.record.precision):
            raise BackboneInvalid(
                f"--precision {precision}: {folder} was exported in {self.record.precision}; "
                f"leave --precision out, or export it again."
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
        """The class vector and the patch vectors, float32. Several threads may call at once."""
        free = self._requests(images.shape[-1], torch.get_num_threads())
        request = free.get()
        try:
            vectors = torch.from_numpy(np.array(request.infer(images.numpy())[0]))
        finally:
            free.put(request)
        return vectors[:, 0], vectors[:, self.record.first_patch :]

    def _requests(self, side_px: int, threads: int) -> "SimpleQueue[Any]":
        """Requests to the network for one size, as many as callers with so many threads each fill the machine.

        They are made together and kept: one made later may wait for another. The position table of each size is
        resampled once, when the network is compiled.
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
                    # Pinned, a caller's thread may be given another's core.
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
    """Write the folder `place`. For int8, each of `views` gives an image (1, 3, side, side) to measure activations on.

    The source must have been opened on the CPU in fp32.
    """
    library = _openvino()
    example = torch.zeros(2, 3, 16 * source.patch_px, 16 * source.patch_px)
    # What they warn of, tracing and unknown settings, is for the libraries' own authors.
    with torch.no_grad(), warnings.catch_warnings(), hushed():
        warnings.simplefilter("ignore")
        network = library.convert_model(
            _Vectors(source.model), example_input=example, input=[library.PartialShape([-1, 3, -1, -1])]
        )
        left_out = peaked_products(source, views[:PEAK_VIEWS]) if precision == "int8" else []
        if precision == "int8":
            network = _quantised(network, views, left_out)
    place.mkdir(parents=True, exist_ok=True)
    library.save_model(network, place / NETWORK, compress_to_fp16=precision != "fp32")
    record = ExportRecord(
        FORMAT, source.name, source.digest, precision, source.patch_px, source.width, source.first_patch,
        len(views), left_out,
    )  # fmt: skip
    # Last, so that a folder with a record is whole.
    write_whole(place / EXPORT_RECORD, json.dumps(asdict(record), indent=2) + "\n")


class _Vectors(torch.nn.Module):
    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> Tensor:
        vectors: Tensor = self.model(pixels).last_hidden_state
        return vectors


def peaked_products(source: Dinov2Backbone, views: Sequence[Callable[[], Tensor]]) -> list[str]:
    """The linear layers whose input's largest number is more than PEAK times its root mean square, on these images."""
    peaks: dict[str, float] = {}

    def watch(name: str, layer: torch.nn.Module) -> Any:
        def hear(_: torch.nn.Module, inputs: tuple[Tensor]) -> None:
            (given,) = inputs
            peaks[name] = max(peaks.get(name, 0.0), float(given.abs().max() / given.square().mean().sqrt()))

        return layer.register_forward_pre_hook(hear)

    linear = [(name, layer) for name, layer in source.model.named_modules() if isinstance(layer, torch.nn.Linear)]
    hooks = [watch(name, layer) for name, layer in linear]
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
        raise BackboneInvalid(f"{place} has format {record.format}; this herbage reads {FORMAT}. Export it again.")
    return record


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for name in (NETWORK, NETWORK.replace(".xml", ".bin")):
        try:
            with (folder / name).open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            raise BackboneInvalid(f"{folder} is no whole export: {error}. Export the backbone again.") from error
    return digest.hexdigest()


def _cache() -> str | None:
    """Where OpenVINO keeps compiled networks, which saves most of its start; None where nothing can be written."""
    place = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "herbage" / "openvino"
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
