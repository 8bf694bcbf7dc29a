"""Import the public notebook's checkpoints, `target{0..4}/fold{0..4}.pt`, without running their code.

Such a file is a pickled module. It is read by torch's restricted unpickler, with inert stand-ins for exactly the
classes of the notebook's network. A file that names anything else is refused, and no code of it is run. State dicts are
also accepted.
"""

import io
import pickle
import pickletools
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import herbage
from herbage.backbones.backbone import Backbone
from herbage.errors import CheckpointRefused
from herbage.heads.patch import SLOPE, PatchHeads
from herbage.model.config import BackboneRecord, ModelConfig
from herbage.model.model import HerbageModel
from herbage.recipe import load_recipe
from herbage.targets import TARGETS

FOLDS = 5
MODULES = 32
"""Maximum number of modules in a checkpoint, containers included; the notebook's network has fewer."""


class _Inert:
    """A stand-in for a module's class: it holds the state and has no behaviour."""


class _Mlp(_Inert): ...


class _Sequential(_Inert): ...


class _Linear(_Inert): ...


class _LeakyReLU(_Inert): ...


class _ReLU(_Inert): ...


STAND_INS: dict[str, type[_Inert]] = {
    "__main__.BiomassMLP": _Mlp,
    "torch.nn.modules.container.Sequential": _Sequential,
    "torch.nn.modules.linear.Linear": _Linear,
    "torch.nn.modules.activation.LeakyReLU": _LeakyReLU,
    "torch.nn.modules.activation.ReLU": _ReLU,
}
"""The classes that a checkpoint may name, in addition to TENSOR_NAMES."""

TENSOR_NAMES = {
    "collections.OrderedDict",
    "builtins.set",
    "__builtin__.set",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_parameter",
    *(f"torch.{kind}Storage" for kind in ("Float", "Half", "BFloat16", "Double")),
}
"""The functions and classes with which torch rebuilds tensors."""


def import_heads(folder: Path, backbone: Backbone) -> HerbageModel:
    """A model with recipe `seed` from the notebook's 25 checkpoints; raises CheckpointRefused."""
    banks = [[read_head(folder / f"target{t}" / f"fold{f}.pt") for f in range(FOLDS)] for t in range(len(TARGETS))]
    shapes = {tuple(tuple(tensor.shape) for tensor in head) for row in banks for head in row}
    if len(shapes) != 1:
        raise CheckpointRefused(f"The {len(TARGETS) * FOLDS} heads below {folder} differ in shape: {sorted(shapes)}.")
    w1, b1, w2, b2 = (torch.stack([torch.stack([head[i] for head in row]) for row in banks]) for i in range(4))
    if w1.shape[2] != backbone.width:
        raise CheckpointRefused(
            f"The heads below {folder} take vectors of {w1.shape[2]} dimensions, but {backbone.name} gives "
            f"{backbone.width}; pass the `backbone` that they were trained on."
        )
    recipe = load_recipe("seed").model_copy(update={"backbone": backbone.name})
    config = ModelConfig(
        herbage=herbage.__version__,
        recipe=recipe,
        backbone=BackboneRecord.of(backbone),
        folds=FOLDS,
        colours_converted=False,
        source=(
            "heads imported from the public notebook's checkpoints. The notebook rotated photos by random angles and "
            "blurred them with a random sigma, although its text describes quarter turns and a blur; here the turns "
            f"are exact quarter turns and sigma is {recipe.blur_sigma}"
        ),
    )
    return HerbageModel(config, PatchHeads(w1, b1, w2, b2))


def read_head(path: Path) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """w1 (width, hidden), b1 and w2 (hidden), b2 () of one checkpoint; raises CheckpointRefused."""
    loaded = _load(path)
    if isinstance(loaded, _Inert):
        layers = _layers_in_order(loaded, path)
        parameters = [vars(layer).get("_parameters") for layer in layers if isinstance(layer, _Linear)]
        linears = [(p.get("weight"), p.get("bias")) for p in parameters if isinstance(p, dict)]
    elif isinstance(loaded, dict) and loaded and all(isinstance(value, Tensor) for value in loaded.values()):
        stems = list(dict.fromkeys(str(key).rpartition(".")[0] for key in loaded))
        linears = [(loaded.get(f"{stem}.weight"), loaded.get(f"{stem}.bias")) for stem in stems]
    else:
        raise CheckpointRefused(f"{path} contains a {type(loaded).__name__}; expected a BiomassMLP or its state dict.")
    tensors = [tensor for linear in linears for tensor in linear]
    if len(linears) != 2 or not all(isinstance(tensor, Tensor) for tensor in tensors):
        raise CheckpointRefused(f"{path} has {len(linears)} linear layers; expected two, each with weight and bias.")
    w1, b1, w2, b2 = (tensor.detach().float() for tensor in tensors if tensor is not None)
    hidden = b1.numel()
    if w1.dim() != 2 or w1.shape[0] != hidden or tuple(w2.shape) != (1, hidden) or b2.numel() != 1:
        shapes = ", ".join(str(tuple(t.shape)) for t in (w1, b1, w2, b2))
        raise CheckpointRefused(f"{path} has shapes {shapes}; expected Linear width to hidden, then hidden to 1.")
    if not all(t.isfinite().all() for t in (w1, b1, w2, b2)):
        raise CheckpointRefused(f"{path} contains weights that are not finite.")
    return w1.T.contiguous(), b1, w2[0], b2[0]


def _load(path: Path) -> Any:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointRefused(
            f"{path} cannot be read ({error.strerror}); expected "
            f"target{{0..{len(TARGETS) - 1}}}/fold{{0..{FOLDS - 1}}}.pt."
        ) from error
    _refuse_foreign(content, path)
    allowed: Any = [(stand_in, name) for name, stand_in in STAND_INS.items()]
    try:
        with torch.serialization.safe_globals(allowed):
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # a broken file can make the unpickler raise anything
        raise CheckpointRefused(f"{path} is not a checkpoint of the notebook: {_reason(error)}") from error


def _refuse_foreign(content: bytes, path: Path) -> None:
    """Refuse a checkpoint that names anything but the stand-ins and torch's tensors, before it is unpickled.

    This scan only serves the message; the protection is the restricted unpickler.
    """
    names = set()
    with suppress(Exception):  # hostile files, and raw numbers after the pickles, can raise anything
        for name in _named(content):
            names.add(name)
    if foreign := sorted(names - STAND_INS.keys() - TENSOR_NAMES):
        raise CheckpointRefused(f"{path} names {', '.join(foreign)}, which may run code; no code of it was run.")


def _named(content: bytes) -> Iterator[str]:
    """The globals named in the pickles of a checkpoint, as module.name; the pickles are parsed and not executed."""
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            pickles = [archive.read(name) for name in archive.namelist() if name.endswith(".pkl")]
    else:
        pickles = [content]
    for one in pickles:
        stream, texts = io.BytesIO(one), ["?", "?"]
        while stream.read(1) == pickle.PROTO:
            stream.seek(-1, io.SEEK_CUR)
            for opcode, argument, _ in pickletools.genops(stream):
                if opcode.name in ("GLOBAL", "INST"):
                    yield str(argument).replace(" ", ".")
                elif opcode.name == "STACK_GLOBAL":
                    yield ".".join(texts[-2:])
                elif isinstance(argument, str):
                    texts.append(argument)


def _layers_in_order(loaded: _Inert, path: Path) -> list[_Inert]:
    """The layers of a module, which must be Linear, LeakyReLU, Linear, and optionally ReLU.

    (Without the last ReLU, the notebook's forward function applies it.)
    """
    layers: list[_Inert] = []
    waiting: list[object] = [loaded]
    for _ in range(MODULES):  # bounded, since a hostile module may contain itself
        if not waiting:
            break
        module = waiting.pop(0)
        children = vars(module).get("_modules") if isinstance(module, (_Mlp, _Sequential)) else None
        if isinstance(children, dict):
            waiting = [*children.values(), *waiting]
        elif isinstance(module, (_Linear, _LeakyReLU, _ReLU)):
            layers.append(module)
        else:
            raise CheckpointRefused(f"{path} contains a {type(module).__name__} where a layer was expected.")
    if waiting:
        raise CheckpointRefused(f"{path} nests more than {MODULES} modules; expected Linear, LeakyReLU, Linear.")
    kinds = [type(layer) for layer in layers]
    if kinds not in ([_Linear, _LeakyReLU, _Linear], [_Linear, _LeakyReLU, _Linear, _ReLU]):
        names = ", ".join(kind.__name__.strip("_") for kind in kinds) or "no layers"
        raise CheckpointRefused(f"{path} has {names}; expected Linear, LeakyReLU, Linear, with a last ReLU or none.")
    if (slope := vars(layers[1]).get("negative_slope", SLOPE)) != SLOPE:
        raise CheckpointRefused(f"{path} has a LeakyReLU of slope {slope}; expected {SLOPE}.")
    return layers


def _reason(error: Exception) -> str:
    """The line of torch's long message that states the reason."""
    lines = [line.strip() for line in str(error).rpartition("error:")[2].splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
