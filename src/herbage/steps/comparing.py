"""Checks of several models that are compared or averaged."""

from collections.abc import Sequence
from pathlib import Path

from herbage.errors import InputInvalid
from herbage.model.model import HerbageModel


def model_names(given: Sequence[str | Path | HerbageModel]) -> list[str]:
    """The names of models in messages and tables: as given; for an open model, that of its recipe."""
    return [one.recipe.name if isinstance(one, HerbageModel) else str(one) for one in given]


def check_comparable(models: Sequence[HerbageModel], names: Sequence[str]) -> None:
    """Raises InputInvalid for models of different quadrat areas, whose grams differ."""
    areas = [model.quadrat_area_m2 for model in models]
    for name, area in zip(names, areas, strict=True):
        if area != areas[0]:
            raise InputInvalid(
                f"{names[0]} was trained on quadrats of {areas[0]:g} m2, {name} on quadrats of {area:g} m2: their "
                f"grams cannot be compared or averaged. Use models of one quadrat area."
            )
