"""DINOv2 and DINOv3 as transformers loads them, from the hub or from a folder, or out of a Depth Anything model."""

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from herbage.backbones.engine import Device, Engine, Precision, resolve_engine
from herbage.errors import BackboneInvalid, DeviceMissing, WeightsMissing
from herbage.hub import hub_is_out_of_reach, pinned

log = logging.getLogger("herbage")

MODEL_TYPES = ("dinov2", "dinov2_with_registers", "dinov3_vit")
ATTENTION = "herbage_image_by_image"
"""The name that transformers knows `image_by_image` by."""

MOST_PATCHES = 16_384
"""64 images of 224 pixels: rows enough for any GPU's products."""

MPS_PATCHES = 2_048
NUMBERS_PER_PATCH = 16
"""What a layer holds of a patch at a time, in widths of the network: the wide hidden layer, and what is around it."""

DEPTH_ANYTHING = "depth_anything"
"""A model whose encoder is one of MODEL_TYPES, its weights below `backbone.`."""


class Dinov2Backbone:
    """A frozen DINOv2 or DINOv3. Its vectors are those after the final layer norm; register tokens are dropped."""

    def __init__(self, name: str, *, device: Device = "auto", precision: Precision = "auto") -> None:
        import transformers

        library = f"torch {torch.__version__}, transformers {transformers.__version__}"
        self.engine = resolve_engine(device, precision, library=library)
        # A model remembers its backbone by this name, from whatever folder it is used later.
        self.name = str(Path(name).expanduser().resolve()) if Path(name).expanduser().is_dir() else name
        model = _load(name)
        self.digest = self.source_digest = weights_digest(model)
        self.patch_px = int(model.config.patch_size)
        self.width = int(model.config.hidden_size)
        self._said = False
        self.first_patch = 1 + int(getattr(model.config, "num_register_tokens", 0))
        self.model = model.to(device=self.engine.device, dtype=self.engine.dtype).eval().requires_grad_(False)
        if (self.engine.device, self.engine.precision) == ("cpu", "bf16"):
            transformers.AttentionInterface.register(ATTENTION, image_by_image)
            self.model.set_attn_implementation(ATTENTION)
        self.batch_patches = _batch_patches(self.engine, self.width)

    @torch.inference_mode()
    def __call__(
        self, images: Float[Tensor, "image 3 side side"]
    ) -> tuple[Float[Tensor, "image width"], Float[Tensor, "image patch width"]]:
        """The class vector and the patch vectors, float32 on the CPU."""
        if self.engine.device == "cuda":
            images = images.pin_memory()
        vectors = self._vectors(images.to(device=self.engine.device, dtype=self.engine.dtype, non_blocking=True))
        return vectors[:, 0], vectors[:, self.first_patch :]

    def _vectors(self, pixels: Float[Tensor, "image 3 side side"]) -> Float[Tensor, "image vector width"]:
        """Float32 on the CPU; images that do not fit in the device's memory together are seen in halves."""
        try:
            vectors: Tensor = self.model(pixels).last_hidden_state
            return vectors.float().cpu()
        except torch.OutOfMemoryError as error:
            if len(pixels) == 1:
                raise DeviceMissing(
                    f"The memory of {self.engine.device} does not hold one image of {pixels.shape[-1]} pixels beside "
                    f"{self.name}; use a smaller --backbone, or --device cpu."
                ) from error
        if not self._said:
            log.warning(
                "%d images at once do not fit in the memory of %s; they are seen in halves, which may change the last "
                "digits.", len(pixels), self.engine.device,
            )  # fmt: skip
            self._said = True
        return torch.cat([self._vectors(half) for half in pixels.tensor_split(2)])


def _batch_patches(engine: Engine, width: int) -> int:
    """As many patches as keep a GPU busy, or fewer where half of its free memory does not hold them."""
    if engine.device == "cpu":
        return 0
    if engine.device == "mps":
        return MPS_PATCHES
    free, _ = torch.cuda.mem_get_info()
    return min(MOST_PATCHES, max(1, free // (2 * NUMBERS_PER_PATCH * width * engine.dtype.itemsize)))


def image_by_image(
    module: torch.nn.Module,
    query: Float[Tensor, "image attention_head vector width"],
    key: Float[Tensor, "image attention_head vector width"],
    value: Float[Tensor, "image attention_head vector width"],
    attention_mask: None,
    scaling: float | None = None,
    **_: Any,
) -> tuple[Float[Tensor, "image vector attention_head width"], None]:
    """Attention in the form that transformers asks for: products of one image at a time.

    In bf16 on a CPU it is faster than torch's own, which multiplies in float32; an image's scores stay in cache.
    """
    scaled = query * (query.shape[-1] ** -0.5 if scaling is None else scaling)
    mixed = torch.empty_like(query.transpose(1, 2), memory_format=torch.contiguous_format)
    for image, (own, others, values) in enumerate(zip(scaled, key, value, strict=True)):
        torch.bmm(torch.softmax(torch.bmm(own, others.mT), -1), values, out=mixed[image].transpose(0, 1))
    return mixed, None


def weights_digest(model: torch.nn.Module) -> str:
    """sha256 over the name, type, shape and bytes of every weight as stored, so that file formats do not matter."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _load(name: str) -> Any:
    from huggingface_hub.errors import GatedRepoError
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModel

    folder = Path(name).expanduser()
    looks_local = name.startswith((".", "/", "~")) or name.count("/") > 1
    if folder.is_dir() and not (folder / "config.json").is_file():
        raise BackboneInvalid(
            f"--backbone {name}: the folder has no config.json; expected one that transformers saved."
        )
    if looks_local and not folder.is_dir():
        raise WeightsMissing(f"--backbone {name}: there is no such folder. {_how_to_get(name)}")
    source, revision = (str(folder), None) if folder.is_dir() else pinned(name)
    where: dict[str, Any] = {"revision": revision, "local_files_only": folder.is_dir() or hub_is_out_of_reach()}
    try:
        config = AutoConfig.from_pretrained(source, **where)
        inside = {}
        if config.model_type == DEPTH_ANYTHING:
            config, inside = config.backbone_config, {"key_mapping": {r"^backbone\.": ""}}
        if config.model_type not in MODEL_TYPES:
            raise BackboneInvalid(
                f"--backbone {name} is a {config.model_type!r} model; "
                f"expected one of {', '.join(MODEL_TYPES)}, {DEPTH_ANYTHING}."
            )
        with hushed():
            model, report = AutoModel.from_pretrained(
                source, config=config, dtype="auto", output_loading_info=True, use_safetensors=True, **where, **inside
            )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        if isinstance(error.__cause__, GatedRepoError):
            raise WeightsMissing(
                f"The weights of {name} are gated: sign in at https://huggingface.co/{name} and accept their licence "
                f"there, then run `hf auth login` here (or set HF_TOKEN) and try again."
            ) from error
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise WeightsMissing(f"The weights of {name} cannot be had: {reason} {_how_to_get(name)}") from error
    if report["missing_keys"]:
        missing = ", ".join(sorted(report["missing_keys"])[:3])
        raise WeightsMissing(f"The weights of {name} are incomplete: {missing} missing. {_how_to_get(name)}")
    return model


@contextmanager
def hushed() -> Iterator[None]:
    """Without transformers' own progress bar and loading report: what is wrong is said here."""
    from transformers.utils import logging

    bars, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity(logging.CRITICAL)
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _how_to_get(name: str) -> str:
    hub_id = name if name.count("/") == 1 and not name.startswith((".", "/", "~")) else "facebook/dinov2-giant"
    return (
        f"Where there is a network, `hf download {hub_id} --local-dir DIR` fetches the weights; then give "
        f"`--backbone DIR`. Offline, copy DIR here, or set HF_HOME to a cache that holds them. "
        f"`--backbone texture` needs no weights."
    )
