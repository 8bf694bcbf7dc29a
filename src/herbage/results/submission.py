"""submission.csv in the competition's format."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from jaxtyping import Float

from herbage.targets import TARGETS


def submission_table(test: pd.DataFrame, grams: Mapping[str, Float[np.ndarray, "5"]]) -> pd.DataFrame:
    """The columns `sample_id, target`, with the rows and order of the test table; `grams` maps image_path to weights.

    Values below 0 become 0. Raises ValueError for values that are not finite.
    """
    column = {name: t for t, name in enumerate(TARGETS)}
    values = [
        max(0.0, float(grams[path][column[target]]))
        for path, target in zip(test["image_path"], test["target_name"], strict=True)
    ]
    if not np.isfinite(values).all():
        raise ValueError("the competition does not accept values that are not finite")
    return pd.DataFrame({"sample_id": test["sample_id"], "target": values})
