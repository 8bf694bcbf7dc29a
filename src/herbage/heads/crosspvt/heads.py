"""CrossPVT as heads: a network a fold, each having seen no photo of its fold."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from herbage.heads.crosspvt.network import CrossPvt
from herbage.heads.crosspvt.training import train_network
from herbage.recipe import CrossPvtSettings
from herbage.targets import SUMS


class CrossPvtHeads:
    """Five networks on class vectors of tiles. The weights add up by construction, and there is no map."""

    def __init__(self, networks: Sequence[CrossPvt]) -> None:
        self.networks = list(networks)

    @torch.inference_mode()
    def grams(self, tokens: Float[Tensor, "view 40 width"]) -> Float[Tensor, "target fold view"]:
        """Grams of one photo, each view by itself."""
        components = torch.stack([network(tokens.float()).components for network in self.networks])
        return (components @ torch.from_numpy(SUMS).float().T).permute(2, 0, 1)

    def density(self, tokens: Float[Tensor, "view 40 width"]) -> None:
        """None: what a tile says is mixed with what the others say."""

    def tensors(self) -> dict[str, Tensor]:
        """What a model file keeps, by fold; `opened` is the way back."""
        return {
            f"fold{fold}.{name}": tensor
            for fold, network in enumerate(self.networks)
            for name, tensor in network.state_dict().items()
        }

    @classmethod
    def shapes(cls, folds: int, width: int, settings: CrossPvtSettings) -> dict[str, tuple[int, ...]]:
        """The tensors that a model file must hold."""
        with torch.device("meta"):
            one = CrossPvt(width, settings).state_dict()
        return {f"fold{fold}.{name}": tuple(t.shape) for fold in range(folds) for name, t in one.items()}

    @classmethod
    def opened(cls, tensors: dict[str, Tensor], folds: int, width: int, settings: CrossPvtSettings) -> "CrossPvtHeads":
        """The heads out of a model file's tensors, whose names and shapes are those of `shapes`."""
        networks = []
        for fold in range(folds):
            with torch.device("meta"):
                network = CrossPvt(width, settings)
            prefix = f"fold{fold}."
            own = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
            network.load_state_dict(own, assign=True)
            networks.append(network.eval().requires_grad_(False))
        return cls(networks)

    @classmethod
    def fit(
        cls,
        tokens: Sequence[Tensor],
        grams: Float[np.ndarray, "photo target"],
        folds: Int[np.ndarray, " photo"],
        settings: CrossPvtSettings,
        seed: int,
    ) -> "CrossPvtHeads":
        """Train a network a fold, on the photos of the others alone; raises TrainingFailed."""
        networks = []
        for fold in range(int(folds.max()) + 1):
            train = np.flatnonzero(folds != fold)
            seen = torch.stack([tokens[row] for row in train.tolist()])
            goal = torch.from_numpy(grams[train]).float()
            networks.append(train_network(seen, goal, settings, seed + fold))
        return cls(networks)
