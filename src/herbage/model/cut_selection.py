"""Which photos to cut and weigh: spread over the range of estimates and over how photos look."""

import numpy as np
from jaxtyping import Float
from sklearn.cluster import KMeans

AXES = 4
"""Principal directions of the tokens that count as how a photo looks."""

LOOKS = 2.0
"""What all of them count together, the estimate counting 1."""


def choose_cuts(
    weight_g: Float[np.ndarray, " photo"], mean_tokens: Float[np.ndarray, "photo width"], count: int
) -> list[int]:
    """Rows of the photos to cut, in their order: as many clusters by k-means, and of each the photo nearest its centre.

    In standardised estimates and principal components of tokens. Photos at the edges, which plans for other ends choose
    first (Kennard and Stone 1969), are often odd ones, and corrected models less well in some places (docs/trust.md).
    """
    standard = _standard(mean_tokens)
    _, _, axes = np.linalg.svd(standard, full_matrices=False)
    looks = _standard(standard @ axes[:AXES].T)
    place = np.column_stack([_standard(weight_g[:, None]), looks * np.sqrt(LOOKS / looks.shape[1])])
    # Photos that are all alike make fewer clusters than asked for; a hair's breadth keeps them apart.
    place = place + 1e-6 * np.arange(len(place))[:, None]
    cluster = KMeans(count, n_init=10, random_state=0).fit(place)
    apart = ((place - cluster.cluster_centers_[cluster.labels_]) ** 2).sum(1)
    return sorted(int(np.where(cluster.labels_ == own, apart, np.inf).argmin()) for own in range(count))


def _standard(values: Float[np.ndarray, "photo number"]) -> Float[np.ndarray, "photo number"]:
    return np.asarray((values - values.mean(0)) / np.maximum(values.std(0), 1e-6))
