"""What a trained model knows beside its heads; imported heads know none of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from herbage.errors import ModelInvalid
from herbage.heads.heads import check_tensor
from herbage.model.domain import Domain
from herbage.model.intervals import Intervals
from herbage.targets import TARGETS, Known

SCALE_PERCENTILE = 99


@dataclass(frozen=True)
class Knowledge:
    """How wrong the model is, what its training photos look like, and how heavy their patches are.

    `photos`: sha256 of the training photos, so that nobody judges the model by them unawares.
    `map_scale_g`: the top of the maps' colour scale by target, in g a training quadrat, so that any two maps compare.
    """

    photos: UInt8[Tensor, "photo 32"]
    intervals: Intervals
    domain: Domain
    map_scale_g: Float[np.ndarray, "5"]

    @classmethod
    def gather(
        cls,
        digests: Sequence[str],
        intervals: Intervals,
        group: Int[np.ndarray, " photo"],
        tokens: Sequence[Tensor],
        maps: Sequence[Float[np.ndarray, "5 row column"]],
    ) -> "Knowledge":
        """From digests, groups, tokens and maps (if any) of the training photos, beside the intervals."""
        scale = np.percentile(np.stack(maps), SCALE_PERCENTILE, axis=(0, 2, 3)) if maps else np.zeros(len(TARGETS))
        photos = torch.tensor([list(bytes.fromhex(digest)) for digest in digests], dtype=torch.uint8)
        domain = Domain.fit(tokens, torch.from_numpy(group))
        return cls(photos, intervals, domain, np.asarray(scale))

    def row(self, photo_sha256: str) -> int | None:
        """The photo's row among the training photos, as in oof.csv; None where the model was not trained on it."""
        digest = torch.tensor(list(bytes.fromhex(photo_sha256)), dtype=torch.uint8)
        rows = (self.photos == digest).all(1).nonzero().flatten().tolist()
        return rows[0] if rows else None

    def tensors(self) -> dict[str, Tensor]:
        """What a model file keeps; `from_tensors` is the way back."""
        return {
            "photos.sha256": self.photos,
            "intervals.ratio": torch.from_numpy(np.ascontiguousarray(self.intervals.ratio)),
            "intervals.group": torch.from_numpy(np.ascontiguousarray(self.intervals.group)),
            "intervals.unit_g": torch.from_numpy(np.ascontiguousarray(self.intervals.unit_g)),
            "domain.centre": self.domain.centre,
            "domain.inverse_spread": self.domain.inverse_spread,
            "domain.axes": self.domain.axes.contiguous(),
            "domain.variance": self.domain.variance,
            "domain.floor": torch.tensor(self.domain.floor, dtype=torch.float64),
            "domain.limit": torch.tensor(self.domain.limit, dtype=torch.float64),
            "map.scale_g": torch.from_numpy(np.ascontiguousarray(self.map_scale_g)),
        }

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor], width: int, known: Known) -> "Knowledge":
        """Out of a model file's tensors; raises ModelInvalid where one is missing or of another shape."""
        try:
            photos, rows, axes = (
                len(tensors[name]) for name in ("photos.sha256", "intervals.group", "domain.variance")
            )
            for name, shape, dtype in (
                ("photos.sha256", (photos, 32), torch.uint8),
                ("intervals.group", (rows,), torch.int64),
                ("intervals.unit_g", (len(TARGETS),), torch.float64),
                ("domain.centre", (width,), torch.float32),
                ("domain.inverse_spread", (width,), torch.float32),
                ("domain.axes", (axes, width), torch.float32),
                ("domain.variance", (axes,), torch.float32),
                ("domain.floor", (), torch.float64),
                ("domain.limit", (), torch.float64),
                ("map.scale_g", (len(TARGETS),), torch.float64),
            ):
                check_tensor(tensors[name], name, shape, dtype=dtype, finite=False)
                # NaN stands where a target is not known; with a single group of photos the limit is infinite.
                own = tensors[name][..., list(known)] if shape[-1:] == (len(TARGETS),) else tensors[name]
                check_tensor(own, name, tuple(own.shape), dtype=dtype, finite=name != "domain.limit")
            # NaN where a photo says nothing of a target.
            check_tensor(
                tensors["intervals.ratio"], "intervals.ratio", (rows, len(TARGETS)), dtype=torch.float64, finite=False
            )
        except KeyError as error:
            raise ModelInvalid(f"The model file lacks the tensor {error}; the model is not whole.") from error
        if photos == 0:
            raise ModelInvalid("The model file's tensor photos.sha256 is empty; the file is damaged.")
        domain = Domain(
            tensors["domain.centre"],
            tensors["domain.inverse_spread"],
            tensors["domain.axes"],
            tensors["domain.variance"],
            float(tensors["domain.floor"]),
            float(tensors["domain.limit"]),
        )
        intervals = Intervals(*(tensors[f"intervals.{name}"].numpy() for name in ("ratio", "group", "unit_g")))
        return cls(tensors["photos.sha256"], intervals, domain, tensors["map.scale_g"].numpy())
