"""Which photos to cut and weigh: spread over the range of estimates and over how photos look."""

import numpy as np
from jaxtyping import Float

AXES = 4
"""Principal directions of the tokens that count as how a photo looks."""

LOOKS = 0.5
"""What all of them count together, the estimate counting 1."""


def choose_cuts(
    weight_g: Float[np.ndarray, " photo"], mean_tokens: Float[np.ndarray, "photo width"], count: int
) -> list[int]:
    """Rows of the photos to cut, the most telling first.

    The first is the photo nearest to the middle, and each next one the photo furthest from those chosen (Kennard and
    Stone 1969), in standardised estimates and principal components of tokens.
    """
    centred = mean_tokens - mean_tokens.mean(0)
    _, _, axes = np.linalg.svd(centred / np.maximum(centred.std(0), 1e-6), full_matrices=False)
    looks = _standard((centred / np.maximum(centred.std(0), 1e-6)) @ axes[:AXES].T)
    place = np.column_stack([_standard(weight_g[:, None]), looks * np.sqrt(LOOKS / looks.shape[1])])
    chosen = [int((place**2).sum(1).argmin())]
    while len(chosen) < count:
        apart = ((place[:, None] - place[chosen]) ** 2).sum(-1).min(1)
        apart[chosen] = -1
        chosen.append(int(apart.argmax()))
    return chosen


def _standard(values: Float[np.ndarray, "photo number"]) -> Float[np.ndarray, "photo number"]:
    return np.asarray((values - values.mean(0)) / np.maximum(values.std(0), 1e-9))
