"""A model with measured columns, for the API and the page."""

import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="session")
def measured_model(weighed_photos, tmp_path_factory):
    """`weighed_photos` with two measured columns that add up to the clover, which the photos do not show."""
    from herbage import steps
    from herbage.recipe import load_recipe

    rng = np.random.default_rng(5)
    table = pd.read_csv(weighed_photos / "wide.csv")
    table["Sampling_Date"] = [f"2015/{number // 2 + 1}/1" for number in range(len(table))]  # enough groups for 90 %
    table["Pre_GSHH_NDVI"] = rng.uniform(-0.1, 0.9, len(table)).round(3)
    table["Height_Ave_cm"] = (4 * table["Dry_Clover_g"] - 5 * table["Pre_GSHH_NDVI"] + 8).round(2)
    place = tmp_path_factory.mktemp("measured") / "model"
    return steps.train(
        table,
        photos=weighed_photos,
        model=place,
        recipe=load_recipe("field").model_copy(update={"grid": 6, "views": 1}),
        backbone="texture",
        measured=["Height_Ave_cm", "Pre_GSHH_NDVI"],
    )
