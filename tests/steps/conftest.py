"""A farm that weighs the total only, in kg DM/ha, in a workbook with its own column names."""

import pandas as pd
import pytest

from herbage.app.cli import run
from herbage.app.demo import draw_photos

KG_PER_HA_PER_G = 10 / 0.25
SMALL = """
backbone = "texture"
crops = "halves"
grid = 12
views = 1
heads = "ridge"
balance = true
"""
NAMES = ["--columns", "image_path=Photo,Dry_Total_g=Yield (kg/ha),State=Farm,Sampling_Date=Day", "--unit", "kg_per_ha"]


@pytest.fixture(scope="session")
def farm(made_once):
    """Drawn swards in 12 groups. Ten photos of the last three groups are cuts that weigh 1.5 times their drawn weight.

    Drawing takes half a minute, so all test files share one farm: each test writes there under its own names.
    """
    return made_once("farm", build_farm)


def build_farm(place):
    truth = pd.DataFrame(draw_photos(place / "photos"))
    table = pd.DataFrame({
        "Photo": truth["image_path"], "Farm": truth["State"], "Day": pd.to_datetime(truth["Sampling_Date"]),
        "Yield (kg/ha)": (truth["Dry_Total_g"] * KG_PER_HA_PER_G).round(1),
    })  # fmt: skip
    old, new = truth["group"] < 9, truth["group"] >= 9
    table[old].to_excel(place / "weighed.xlsx", index=False)
    cuts = table[new].assign(**{"Yield (kg/ha)": table["Yield (kg/ha)"] * 1.5})
    cuts.iloc[:10].to_excel(place / "cuts.xlsx", index=False)
    rest = truth[new].iloc[10:]
    (place / "rest.txt").write_text("\n".join(rest["image_path"]), "utf-8")
    truth[new].iloc[:10].to_csv(place / "all_weights.csv", index=False)
    command = ["train", place / "weighed.xlsx", "--photos", place, "--model", place / "model", *NAMES]
    (place / "small.toml").write_text(SMALL, "utf-8")
    command += ["--recipe", place / "small.toml", "--quadrat-area", 0.25, "--quiet"]
    assert run([*map(str, command)]) == 0


def rows(place):
    return pd.read_csv(place / "predictions.csv").set_index("photo")
