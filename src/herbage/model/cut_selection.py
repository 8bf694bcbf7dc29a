"""Select the photos whose quadrats should be cut and weighed, spread over the range of estimates and appearance."""

import numpy as np
from jaxtyping import Float

AXES = 4
"""Number of principal components of the tokens that describe the appearance of a photo."""

APPEARANCE_WEIGHT = 2.0
"""Weight of all components together; the estimate has weight 1."""


def choose_cuts(
    weight_g: Float[np.ndarray, " photo"], mean_tokens: Float[np.ndarray, "photo width"], count: int
) -> list[int]:
    """Rows of the selected photos, sorted: the photo nearest to the centre of each of `count` k-means clusters.

    Clusters are formed in standardised estimates and principal components of tokens. Extreme photos, which
    space-filling designs select first (Kennard and Stone 1969), are often unusual and corrected models less well
    (docs/accuracy.md).
    """
    from sklearn.cluster import KMeans  # imported here, because it takes a second

    standard = _standard(mean_tokens)
    _, _, axes = np.linalg.svd(standard, full_matrices=False)
    appearance = _standard(standard @ axes[:AXES].T)
    place = np.column_stack(
        [_standard(weight_g[:, None]), appearance * np.sqrt(APPEARANCE_WEIGHT / appearance.shape[1])]
    )
    # Identical photos would form fewer clusters than requested; a tiny offset separates them.
    place = place + 1e-6 * np.arange(len(place))[:, None]
    cluster = KMeans(count, n_init=10, random_state=0).fit(place)
    distance = ((place - cluster.cluster_centers_[cluster.labels_]) ** 2).sum(1)
    return sorted(int(np.where(cluster.labels_ == own, distance, np.inf).argmin()) for own in range(count))


def _standard(values: Float[np.ndarray, "photo dimension"]) -> Float[np.ndarray, "photo dimension"]:
    return np.asarray((values - values.mean(0)) / np.maximum(values.std(0), 1e-6))
