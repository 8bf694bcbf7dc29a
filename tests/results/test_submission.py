import numpy as np
import pandas as pd

from herbage.results.submission import submission_table
from herbage.targets import TARGETS, TOTAL


def test_a_submission_follows_the_test_table_and_is_never_below_0():
    test = pd.DataFrame(
        {
            "sample_id": ["z", "a", "m"],
            "image_path": ["p", "q", "p"],
            "target_name": ["GDM_g", "Dry_Total_g", "Dry_Dead_g"],
        }
    )
    grams = {"p": np.arange(5.0) - 2, "q": np.full(5, 7.5)}
    table = submission_table(test, grams)
    assert table.to_dict("list") == {"sample_id": ["z", "a", "m"], "target": [2.0, 7.5, 0.0]}
    assert TARGETS[TOTAL] == "Dry_Total_g"
