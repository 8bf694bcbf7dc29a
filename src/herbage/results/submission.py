"""submission.csv as the competition wants it."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from jaxtyping import Float

from herbage.targets import TARGETS


def submission_table(test: pd.DataFrame, grams: Mapping[str, Float[np.ndarray, "5"]]) -> pd.DataFrame:
    """`sample_id, target` in the rows and the order of the test table; `grams` by image_path, each finite.

    Values below 0 become 0.
    """
    column = {name: t for t, name in enumerate(TARGETS)}
    values = [
        max(0.0, float(grams[path][column[target]]))
        for path, target in zip(test["image_path"], test["target_name"], strict=True)
    ]
    assert np.isfinite(values).all()
    return pd.DataFrame({"sample_id": test["sample_id"], "target": values})
