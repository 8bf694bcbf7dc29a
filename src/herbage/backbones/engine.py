"""The engine of a backbone: the device, precision and library versions that compute its vectors."""

import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from herbage.errors import DeviceMissing

if TYPE_CHECKING:
    import torch

Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]


@dataclass(frozen=True)
class Engine:
    """The library, device and precision that compute tokens.

    Equal engines on one machine give identical bytes; different engines may differ in the last bits. `tokens` is the
    type in which tokens are stored: float32 if fp32 was requested explicitly, otherwise float16.
    """

    library: str
    device: str
    precision: str
    tokens: str

    @property
    def dtype(self) -> "torch.dtype":
        """The torch type in which the backbone computes."""
        import torch

        return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[self.precision]

    def record(self) -> dict[str, str]:
        """Return the fields as they are stored with tokens and in models."""
        return asdict(self)


def resolve_engine(device: Device = "auto", precision: Precision = "auto", *, library: str) -> Engine:
    """Resolve `auto` for this machine; raises DeviceMissing if the device or precision is not available."""
    resolved = _device(device)
    tokens = "float32" if precision == "fp32" else "float16"
    if precision == "auto":
        return Engine(library, resolved, _fastest(resolved), tokens)
    if resolved == "cpu" and precision == "fp16":
        raise DeviceMissing('`precision="fp16"` needs a GPU; on a CPU use auto, bf16 or fp32.')
    return Engine(library, resolved, precision, tokens)


def has_bf16(device: str) -> bool:
    """Whether this device multiplies bf16 in hardware: see `cpu_has_bf16`; CUDA from compute capability 8.0."""
    if device == "cuda":
        import torch

        return torch.cuda.get_device_capability()[0] >= 8
    return device == "cpu" and cpu_has_bf16()


def cpu_has_bf16() -> bool:
    """Whether this processor multiplies bf16 in hardware (AVX-512 BF16, AMX, or Arm's BF16)."""
    import torch

    if platform.machine() in ("x86_64", "AMD64"):
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    try:
        return " bf16" in Path("/proc/cpuinfo").read_text("utf-8", "replace")
    except OSError:
        return False


def _device(device: Device) -> str:
    import torch

    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return next(name for name in ("cuda", "mps", "cpu") if available[name])
    if not available[device]:
        names = ", ".join(name for name, present in available.items() if present)
        raise DeviceMissing(f'`device="{device}"` is not available on this machine; available: {names}.')
    return device


def _fastest(device: str) -> str:
    if has_bf16(device):
        return "bf16"
    return "fp32" if device == "cpu" else "fp16"
