"""CrossPVT as heads: a network a fold, or the mean of several, each having seen no photo of its fold."""

import logging
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from herbage.files import write_whole
from herbage.heads.crosspvt.network import CrossPvt
from herbage.heads.crosspvt.training import train_network
from herbage.recipe import CrossPvtSettings
from herbage.targets import SUMS

log = logging.getLogger("herbage")


class CrossPvtHeads:
    """Networks on class vectors of tiles, by fold. The weights add up by construction, and there is no map."""

    def __init__(self, networks: Sequence[Sequence[CrossPvt]]) -> None:
        self.networks = networks

    @torch.inference_mode()
    def grams(self, tokens: Float[Tensor, "view 40 width"]) -> Float[Tensor, "target fold view"]:
        """Grams of one photo, each view by itself, the mean of a fold's networks."""
        views = tokens.float()
        components = torch.stack(
            [torch.stack([network(views).components for network in fold]).mean(0) for fold in self.networks]
        )
        return (components @ torch.from_numpy(SUMS).float().T).permute(2, 0, 1)

    def density(self, tokens: Float[Tensor, "view 40 width"]) -> None:
        """None: what a tile says is mixed with what the others say."""

    def to(self, device: str) -> "CrossPvtHeads":
        """The same: what is narrow enough to train on few photos is not worth another device."""
        return self

    def tensors(self) -> dict[str, Tensor]:
        """What a model file keeps, by fold; `opened` is the way back."""
        return {
            f"{_prefix(fold, number)}{name}": tensor
            for fold, networks in enumerate(self.networks)
            for number, network in enumerate(networks)
            for name, tensor in network.state_dict().items()
        }

    @classmethod
    def shapes(cls, folds: int, width: int, settings: CrossPvtSettings) -> dict[str, tuple[int, ...]]:
        """The tensors that a model file must hold."""
        with torch.device("meta"):
            one = CrossPvt(width, settings).state_dict()
        prefixes = [_prefix(fold, number) for fold in range(folds) for number in range(settings.networks)]
        return {f"{prefix}{name}": tuple(t.shape) for prefix in prefixes for name, t in one.items()}

    @classmethod
    def opened(cls, tensors: dict[str, Tensor], folds: int, width: int, settings: CrossPvtSettings) -> "CrossPvtHeads":
        """The heads out of a model file's tensors, whose names and shapes are those of `shapes`."""

        def one(prefix: str) -> CrossPvt:
            own = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
            return _rebuilt(own, width, settings)

        return cls([[one(_prefix(fold, n)) for n in range(settings.networks)] for fold in range(folds)])

    @classmethod
    def fit(
        cls,
        tokens: Sequence[Tensor],
        grams: Float[np.ndarray, "photo target"],
        folds: Int[np.ndarray, " photo"],
        settings: CrossPvtSettings,
        seed: int,
        unfinished: Path | None = None,
    ) -> "CrossPvtHeads":
        """Train the networks of each fold, on the photos of the others alone; raises TrainingFailed.

        Each finished network is kept below `unfinished`, under a name that says what it was trained on, so that a
        training that was killed goes on with the next one.
        """

        def trained(seen: Tensor, goal: Tensor, fold: int, number: int) -> CrossPvt:
            own_seed = int.from_bytes(sha256(f"{seed} {fold} {number}".encode()).digest()[:4])
            kept = None if unfinished is None else unfinished / f"{_name(seen, goal, settings, own_seed)}.safetensors"
            network = _finished(kept, tokens[0].shape[-1], settings)
            where = f"{number + 1} of {settings.networks} of fold {fold + 1} of {folds.max() + 1}"
            if network is not None:
                log.info("Network %s was trained before", where)
                return network
            log.info("Training network %s", where)
            network = train_network(seen, goal, settings, own_seed)
            if kept is not None:
                write_whole(kept, save(network.state_dict()))
            return network

        def of_fold(fold: int) -> list[CrossPvt]:
            train = np.flatnonzero(folds != fold)
            seen = torch.stack([tokens[row] for row in train.tolist()])
            goal = torch.from_numpy(grams[train]).float()
            return [trained(seen, goal, fold, number) for number in range(settings.networks)]

        return cls([of_fold(fold) for fold in range(folds.max() + 1)])


def _prefix(fold: int, number: int) -> str:
    return f"fold{fold}.network{number}."


def _name(seen: Tensor, goal: Tensor, settings: CrossPvtSettings, seed: int) -> str:
    digest = sha256(f"{torch.__version__} {settings.model_dump_json()} {seed} {tuple(seen.shape)}".encode())
    for tensor in (seen, goal):
        digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()[:32]


def _finished(kept: Path | None, width: int, settings: CrossPvtSettings) -> CrossPvt | None:
    """A network trained before, unless there is none or its file is not whole."""
    if kept is None or not kept.is_file():
        return None
    try:
        return _rebuilt(load(kept.read_bytes()), width, settings)
    except (SafetensorError, RuntimeError):
        return None


def _rebuilt(tensors: dict[str, Tensor], width: int, settings: CrossPvtSettings) -> CrossPvt:
    """The network with these weights, without drawing others first; raises RuntimeError where they do not fit."""
    with torch.device("meta"):
        network = CrossPvt(width, settings)
    network.load_state_dict(tensors, assign=True)
    return network.eval().requires_grad_(False)
