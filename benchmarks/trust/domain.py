"""How often the domain flag is raised for photos of groups left out, and for pictures that are no pasture.

    HERBAGE_REAL=DIR python -m benchmarks domain --work WORK

DIR and WORK are those of the benchmark `accuracy`. For several distances between mean tokens, each with a limit made as
`herbage.model.domain` makes it. Writes WORK/domain.json.
"""

from collections.abc import Callable

import numpy as np
import torch

from benchmarks.accuracy.ladder import FIELD_RECIPE, TEXTURE_RECIPE
from benchmarks.accuracy.real_photos import Bench, command_line, real_folder
from benchmarks.trust.strangers import write_strangers
from herbage.model.domain import Domain, false_alarms, mean_token
from herbage.model.intervals import group_quantile
from herbage.photos.discovery import find_photos
from herbage.tokens.extraction import stream_tokens
from herbage.tokens.store import TokenStore

Fitted = Callable[[np.ndarray], np.ndarray]


def nearest(count: int) -> Callable[[np.ndarray], Fitted]:
    """Mean distance to the nearest training photos, in standardised numbers."""

    def fit(means: np.ndarray) -> Fitted:
        centre, spread = means.mean(0), np.maximum(means.std(0), 1e-6)
        known = (means - centre) / spread
        return lambda new: np.sort(
            np.linalg.norm(((new - centre) / spread)[:, None] - known, axis=-1), axis=1
        )[:, :count].mean(1)  # fmt: skip

    return fit


def angle(count: int) -> Callable[[np.ndarray], Fitted]:
    """Mean of one less the cosine to the nearest training photos, around their mean."""

    def fit(means: np.ndarray) -> Fitted:
        centre = means.mean(0)

        def unit(of: np.ndarray) -> np.ndarray:
            return (of - centre) / np.linalg.norm(of - centre, axis=1, keepdims=True)

        return lambda new: np.sort(1 - unit(new) @ unit(means).T, axis=1)[:, :count].mean(1)

    return fit


def mahalanobis(shrinkage: float | None = None) -> Callable[[np.ndarray], Fitted]:
    """herbage's own, or the same with another shrinkage."""

    def fit(means: np.ndarray) -> Fitted:
        if shrinkage is None:
            domain = Domain._of(torch.from_numpy(means).float())
            return lambda new: domain.distance(torch.from_numpy(new).float()).numpy()
        centre, spread = means.mean(0), np.maximum(means.std(0), 1e-6)
        standard = (means - centre) / spread
        _, size, axes = np.linalg.svd(standard, full_matrices=False)
        floor = shrinkage * (size**2).sum() / standard.size
        variance = (1 - shrinkage) * size**2 / len(means) + floor

        def distance(new: np.ndarray) -> np.ndarray:
            along = ((new - centre) / spread) @ axes.T
            beside = (((new - centre) / spread) ** 2).sum(1) - (along**2).sum(1)
            return np.asarray(np.sqrt((along**2 / variance).sum(1) + np.maximum(beside, 0) / floor))

        return distance

    return fit


WAYS = {
    "nearest photo": nearest(1),
    "nearest 3": nearest(3),
    "angle to the nearest": angle(1),
    "Mahalanobis, shrinkage 0.02": mahalanobis(0.02),
    "Mahalanobis, shrinkage 0.1 (herbage)": mahalanobis(),
    "Mahalanobis, shrinkage 0.5": mahalanobis(0.5),
}


def left_out(means: np.ndarray, group: np.ndarray, fit: Callable[[np.ndarray], Fitted]) -> np.ndarray:
    """Each photo's distance from the photos of the other groups."""
    distance = np.empty(len(means))
    for one in np.unique(group):
        distance[group == one] = fit(means[group != one])(means[group == one])
    return distance


def limit(means: np.ndarray, group: np.ndarray, fit: Callable[[np.ndarray], Fitted]) -> float:
    """As herbage sets it."""
    return group_quantile(left_out(means, group, fit), group, 1 - false_alarms(len(np.unique(group))))


def main() -> None:
    """Measure, print, write."""
    parser = command_line(__doc__)
    asked = parser.parse_args()
    bench = Bench(real_folder(parser), asked.work)
    strangers = find_photos(write_strangers(asked.work / "strangers"))
    group, lines = bench.photos.group, []
    for backbone, recipe in (("vits14", FIELD_RECIPE), ("texture", TEXTURE_RECIPE)):
        opened = bench.backbone(backbone)
        store = TokenStore(asked.work / "tokens", opened, recipe)
        means = np.stack([mean_token(one).double().numpy() for one in bench.tokens(recipe, backbone)[0]])
        odd = [mean_token(item.tokens).double().numpy() for item in stream_tokens(strangers, opened, recipe, store)]
        for name, fit in WAYS.items():
            alarms = []
            for one in np.unique(group):
                own = group == one
                alarms.append((fit(means[~own])(means[own]) > limit(means[~own], group[~own], fit)).mean())
            top = limit(means, group, fit)
            apart = fit(means)(np.stack(odd)) / top
            line = {
                "backbone": backbone,
                "distance": name,
                "false_alarms": float(np.mean(alarms)),
                "caught": float((apart > 1).mean()),
                "strangers": len(odd),
                "apart": float(np.median(apart)),
                "missed": [file.name for file, own in zip(strangers, apart, strict=True) if own <= 1],
            }
            print(line, flush=True)
            lines.append(line)
    bench.write("domain.json", {**bench.facts(), "said": false_alarms(len(np.unique(group))), "lines": lines})


if __name__ == "__main__":
    main()
