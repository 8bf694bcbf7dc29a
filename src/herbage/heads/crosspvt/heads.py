"""CrossPVT as heads: one network per fold, or the mean of several, trained without the photos of that fold."""

import logging
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from herbage.errors import RecipeInvalid
from herbage.files import write_atomic
from herbage.heads.crosspvt.blocks import ATTENTION_HEADS
from herbage.heads.crosspvt.network import CrossPvt
from herbage.heads.crosspvt.training import train_network
from herbage.heads.training_data import FitOptions, TrainingData
from herbage.recipe import CrossPvtSettings, Recipe
from herbage.targets import SUMS, TargetMask, missing_names

log = logging.getLogger("herbage")


class CrossPvtHeads:
    """Networks on class vectors of tiles, by fold. The weights add up by construction, and there is no map."""

    reads_mean_token: ClassVar[bool] = False
    takes_measured: ClassVar[bool] = False
    delivered: ClassVar[str] = "the mean of the heads of all folds"

    def __init__(self, networks: Sequence[Sequence[CrossPvt]]) -> None:
        self.networks = networks

    @classmethod
    def check(cls, recipe: Recipe, width: int, known: TargetMask) -> None:
        """Raise RecipeInvalid where a target is missing, or the attention heads cannot divide the width."""
        if not all(known):
            raise RecipeInvalid(
                f"Recipe {recipe.name} needs all five weights, and the table lacks {', '.join(missing_names(known))}; "
                f"use the recipe field or seed."
            )
        if recipe.crosspvt.inner_width is None and width % ATTENTION_HEADS:
            raise RecipeInvalid(
                f"The backbone's vectors have {width} dimensions, which {ATTENTION_HEADS} attention heads cannot share "
                f"evenly; set inner_width below [crosspvt] in the recipe, such as 384."
            )

    @classmethod
    def fit(cls, data: TrainingData, recipe: Recipe, options: FitOptions) -> "CrossPvtHeads":
        """Train the networks of each fold on the photos of the other folds; raises TrainingFailed.

        Each finished network is saved below `options.checkpoint`, under a name that identifies its training data, so
        that an interrupted training resumes with the next network.
        """
        folds, settings = data.folds.count, recipe.crosspvt
        networks = []
        for fold in range(folds):
            train = np.flatnonzero(data.folds.fold != fold)
            tokens = torch.stack([data.tokens[row] for row in train.tolist()])
            grams = torch.from_numpy(data.filled_g[train]).float()
            of_fold = []
            for number in range(settings.networks):
                seed = int.from_bytes(sha256(f"{options.seed} {fold} {number}".encode()).digest()[:4])
                log.info("Network %d of %d, fold %d of %d", number + 1, settings.networks, fold + 1, folds)
                of_fold.append(_train_or_resume(tokens, grams, settings, seed, options.checkpoint))
            networks.append(of_fold)
        return cls(networks)

    @classmethod
    def shapes(cls, recipe: Recipe, folds: int, width: int) -> dict[str, tuple[int, ...]]:
        """The tensors of a model file."""
        with torch.device("meta"):
            one = CrossPvt(width, recipe.crosspvt).state_dict()
        prefixes = [_prefix(fold, number) for fold in range(folds) for number in range(recipe.crosspvt.networks)]
        return {f"{prefix}{name}": tuple(t.shape) for prefix in prefixes for name, t in one.items()}

    @classmethod
    def open(cls, tensors: dict[str, Tensor], recipe: Recipe, folds: int, width: int) -> "CrossPvtHeads":
        """Rebuild the heads from a model file's tensors."""

        def one(prefix: str) -> CrossPvt:
            own = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
            return _rebuild(own, width, recipe.crosspvt)

        return cls([[one(_prefix(fold, n)) for n in range(recipe.crosspvt.networks)] for fold in range(folds)])

    def grams(self, tokens: Float[Tensor, "view 40 width"]) -> Float[Tensor, " target"]:
        """The mean over folds and views."""
        return self._values(tokens).double().mean((1, 2))

    def fold_grams(self, tokens: Float[Tensor, "view 40 width"]) -> Float[Tensor, "target fold"]:
        """The mean over views."""
        return self._values(tokens).double().mean(-1)

    @torch.inference_mode()
    def _values(self, tokens: Float[Tensor, "view 40 width"]) -> Float[Tensor, "target fold view"]:
        """Grams in each view, the mean of a fold's networks."""
        views = tokens.float()
        components = torch.stack(
            [torch.stack([network(views).components for network in fold]).mean(0) for fold in self.networks]
        )
        return (components @ torch.from_numpy(SUMS).float().T).permute(2, 0, 1)

    def density(self, tokens: Float[Tensor, "view 40 width"]) -> None:
        """None: the network mixes tiles, so no tile has an estimate of its own."""

    def to(self, device: str) -> "CrossPvtHeads":
        """The same heads: networks this narrow gain nothing from another device."""
        return self

    def tensors(self) -> dict[str, Tensor]:
        """The tensors of a model file."""
        return {
            f"{_prefix(fold, number)}{name}": tensor
            for fold, networks in enumerate(self.networks)
            for number, network in enumerate(networks)
            for name, tensor in network.state_dict().items()
        }


def _train_or_resume(
    tokens: Tensor, grams: Tensor, settings: CrossPvtSettings, seed: int, checkpoint: Path | None
) -> CrossPvt:
    """A trained network, loaded from the checkpoint folder if an interrupted training saved it there."""
    if checkpoint is None:
        return train_network(tokens, grams, settings, seed)
    place = checkpoint / f"{_checkpoint_name(tokens, grams, settings, seed)}.safetensors"
    network = _load_checkpoint(place, tokens.shape[-1], settings)
    if network is None:
        network = train_network(tokens, grams, settings, seed)
        write_atomic(place, save(network.state_dict()))
    return network


def _prefix(fold: int, number: int) -> str:
    return f"fold{fold}.network{number}."


def _checkpoint_name(tokens: Tensor, grams: Tensor, settings: CrossPvtSettings, seed: int) -> str:
    digest = sha256(f"{torch.__version__} {settings.model_dump_json()} {seed} {tuple(tokens.shape)}".encode())
    for tensor in (tokens, grams):
        digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()[:32]


def _load_checkpoint(place: Path, width: int, settings: CrossPvtSettings) -> CrossPvt | None:
    """A saved network, None where there is none or its file is damaged."""
    if not place.is_file():
        return None
    try:
        return _rebuild(load(place.read_bytes()), width, settings)
    except (SafetensorError, RuntimeError):
        return None


def _rebuild(tensors: dict[str, Tensor], width: int, settings: CrossPvtSettings) -> CrossPvt:
    """The network with these weights; raises RuntimeError where they do not fit. No random weights are drawn."""
    with torch.device("meta"):
        network = CrossPvt(width, settings)
    network.load_state_dict(tensors, assign=True)
    return network.eval().requires_grad_(False)
