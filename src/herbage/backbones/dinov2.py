"""DINOv2 and DINOv3 backbones, loaded by transformers from the hub, a folder or a Depth Anything model."""

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
from herbage.hub import check_backbone_name, how_to_get_weights, hub_is_unreachable, pinned

log = logging.getLogger("herbage")

MODEL_TYPES = ("dinov2", "dinov2_with_registers", "dinov3_vit")
ATTENTION = "herbage_image_by_image"
"""The name under which `attention_per_image` is registered with transformers."""

MAX_PATCHES = 16_384
"""64 images of 224 pixels: enough rows per matrix product to keep any GPU busy."""

MPS_PATCHES = 2_048
ACTIVATIONS_PER_PATCH = 16
"""Activations in memory per patch, in multiples of the network's width: the MLP's hidden layer and its neighbours."""

DEPTH_ANYTHING = "depth_anything"
"""A model type whose encoder is one of MODEL_TYPES; the names of the encoder's weights start with `backbone.`."""


class Dinov2Backbone:
    """A frozen DINOv2 or DINOv3: the vectors after the final layer norm, without the register tokens.

    Raises BackboneInvalid, WeightsMissing or DeviceMissing when it is opened.
    """

    def __init__(self, name: str, *, device: Device = "auto", precision: Precision = "auto") -> None:
        import transformers

        library = f"torch {torch.__version__}, transformers {transformers.__version__}"
        self.engine = resolve_engine(device, precision, library=library)
        # A model stores this name, so a folder is made absolute: the model may be used from another working directory.
        self.name = str(Path(name).expanduser().resolve()) if Path(name).expanduser().is_dir() else name
        model = _load(name)
        self.digest = self.source_digest = weights_digest(model)
        self.patch_px = int(model.config.patch_size)
        self.width = int(model.config.hidden_size)
        self._warned = False
        self.first_patch = 1 + int(getattr(model.config, "num_register_tokens", 0))
        self.model = model.to(device=self.engine.device, dtype=self.engine.dtype).eval().requires_grad_(False)
        if (self.engine.device, self.engine.precision) == ("cpu", "bf16"):
            transformers.AttentionInterface.register(ATTENTION, attention_per_image)
            self.model.set_attn_implementation(ATTENTION)
        self.batch_patches = _batch_patches(self.engine, self.width)

    @torch.inference_mode()
    def __call__(
        self, images: Float[Tensor, "image 3 side side"]
    ) -> tuple[Float[Tensor, "image width"], Float[Tensor, "image patch width"]]:
        """Compute the class vector and the patch vectors of each image, float32 on the CPU."""
        if self.engine.device == "cuda":
            images = images.pin_memory()
        vectors = self._vectors(images.to(device=self.engine.device, dtype=self.engine.dtype, non_blocking=True))
        return vectors[:, 0], vectors[:, self.first_patch :]

    def _vectors(self, pixels: Float[Tensor, "image 3 side side"]) -> Float[Tensor, "image vector width"]:
        """All vectors, float32 on the CPU; a batch that does not fit in the device's memory is split into halves."""
        try:
            vectors: Tensor = self.model(pixels).last_hidden_state
            return vectors.float().cpu()
        except torch.OutOfMemoryError as error:
            if len(pixels) == 1:
                raise DeviceMissing(
                    f"One image of {pixels.shape[-1]} pixels and {self.name} do not fit in the memory of "
                    f'{self.engine.device} together; use a smaller `backbone`, or `device="cpu"`.'
                ) from error
        if not self._warned:
            log.warning(
                "A batch of %d images does not fit in the memory of %s; it is split into halves, which may change the "
                "last digits.", len(pixels), self.engine.device,
            )  # fmt: skip
            self._warned = True
        return torch.cat([self._vectors(half) for half in pixels.tensor_split(2)])


def _batch_patches(engine: Engine, width: int) -> int:
    """Patches per batch: as many as keep a GPU busy, or fewer if they would take over half of its free memory."""
    if engine.device == "cpu":
        return 0
    if engine.device == "mps":
        return MPS_PATCHES
    free, _ = torch.cuda.mem_get_info()
    return min(MAX_PATCHES, max(1, free // (2 * ACTIVATIONS_PER_PATCH * width * engine.dtype.itemsize)))


def attention_per_image(
    module: torch.nn.Module,
    query: Float[Tensor, "image attention_head vector width"],
    key: Float[Tensor, "image attention_head vector width"],
    value: Float[Tensor, "image attention_head vector width"],
    attention_mask: None,
    scaling: float | None = None,
    **_: Any,
) -> tuple[Float[Tensor, "image vector attention_head width"], None]:
    """Attention with transformers' signature that multiplies the matrices of one image at a time.

    In bf16 on a CPU this is faster than torch's attention, which multiplies in float32; and the attention scores of one
    image fit in the processor's cache.
    """
    scaled = query * (query.shape[-1] ** -0.5 if scaling is None else scaling)
    mixed = torch.empty_like(query.transpose(1, 2), memory_format=torch.contiguous_format)
    for image, (queries, keys, values) in enumerate(zip(scaled, key, value, strict=True)):
        torch.bmm(torch.softmax(torch.bmm(queries, keys.mT), -1), values, out=mixed[image].transpose(0, 1))
    return mixed, None


def weights_digest(model: torch.nn.Module) -> str:
    """sha256 over the name, type, shape and bytes of every weight; it does not depend on the file format."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _load(name: str) -> Any:
    from huggingface_hub.errors import GatedRepoError
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModel

    check_backbone_name(name)
    folder = Path(name).expanduser()
    source, revision = (str(folder), None) if folder.is_dir() else pinned(name)
    options: dict[str, Any] = {"revision": revision, "local_files_only": folder.is_dir() or hub_is_unreachable()}
    try:
        config = AutoConfig.from_pretrained(source, **options)
        renames = {}
        if config.model_type == DEPTH_ANYTHING:
            config, renames = config.backbone_config, {"key_mapping": {r"^backbone\.": ""}}
        if config.model_type not in MODEL_TYPES:
            raise BackboneInvalid(
                f"`backbone`: {name} is a {config.model_type!r} model; "
                f"expected one of {', '.join(MODEL_TYPES)}, {DEPTH_ANYTHING}."
            )
        with quiet_transformers():
            model, report = AutoModel.from_pretrained(
                source,
                config=config,
                dtype="auto",
                output_loading_info=True,
                use_safetensors=True,
                **options,
                **renames,
            )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        if isinstance(error.__cause__, GatedRepoError):
            raise WeightsMissing(
                f"The weights of {name} are gated: sign in at https://huggingface.co/{name} and accept their licence, "
                f"then run `hf auth login` on this machine (or set HF_TOKEN) and try again."
            ) from error
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise WeightsMissing(f"Could not load the weights of {name}: {reason} {how_to_get_weights(name)}") from error
    if report["missing_keys"]:
        missing = ", ".join(sorted(report["missing_keys"])[:3])
        raise WeightsMissing(f"The weights of {name} are incomplete: {missing} missing. {how_to_get_weights(name)}")
    return model


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silence transformers' progress bar and loading report; herbage reports problems in its own errors."""
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
