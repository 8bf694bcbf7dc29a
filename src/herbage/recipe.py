"""Recipes: all settings that change a result, in one immutable, validated object read from a TOML file."""

import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from herbage.errors import InputInvalid, RecipeInvalid
from herbage.formatting import counted

DEFAULT = "field"


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class PatchSettings(_Settings):
    """The network per patch and its training (`heads = "patch"`)."""

    hidden: int = Field(128, ge=1)
    epochs: int = Field(60, ge=1)
    batch_photos: int = Field(16, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    rho: float = Field(0.05, ge=0)
    """Radius of SAM's neighbourhood, per head; 0 is plain AdamW."""


class RidgeSettings(_Settings):
    """Ridge regression per patch (`heads = "ridge"`)."""

    alphas: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (1.0, 10.0, 30.0, 100.0, 300.0, 1e3, 3e3, 1e4, 1e5), min_length=1, strict=False
    )
    """Candidate penalties; grouped cross-validation inside the training photos selects one."""
    link: Literal["square root", "linear"] = "square root"
    """What is linear in the vectors: the square root of grams, or grams."""
    corrected_maps: bool = True
    """Remove from maps what those of the training photos have in common at a place, and the step between halves."""


Width = Annotated[int, Field(ge=8, multiple_of=8)]
"""A width that eight attention heads can divide evenly."""


Defect = Literal["padding", "detached", "raw_grams"]
"""A defect of the original CrossPVT; `CrossPvtSettings` describes each."""


class CrossPvtSettings(_Settings):
    """The CrossPVT network on tiles and its training (`heads = "crosspvt"`).

    `as_published` restores defects of the original: `true` restores all, a list restores those it names:

    - `padding`: the token of zeros that pads a grid in the mixer is passed on, and is part of means and maxima;
    - `detached`: the gradient of the auxiliary loss stops at the auxiliary head;
    - `raw_grams`: outputs and losses are in grams, not in units of the mean grams of the training photos.

    Some defects cannot be restored: folds by image, an epoch selected on the evaluation fold, and losses that are zero
    by construction. The original also trains the backbone from its sixth epoch, and clips gradients before it unscales
    them from half precision; here the backbone is frozen and gradients are float32.
    """

    inner_width: int | None = Field(None, ge=6, multiple_of=6)
    """Width of a tile's vector before the mixer, reached by a linear layer; None uses the backbone's width."""
    widths: tuple[Width, Width, Width] = Field((384, 512, 640), strict=False)
    """Width of a token in the three stages of the mixer; multiples of 8."""
    dropout: float = Field(0.1, ge=0, lt=1)
    networks: int = Field(1, ge=1, le=100)
    """Networks per fold, whose mean is the estimate; they differ only by seed (initial weights, photo order, views)."""
    epochs: int = Field(60, ge=1)
    batch_photos: int = Field(12, ge=2)
    learning_rate: float = Field(1e-4, gt=0)
    weight_decay: float = Field(0.05, ge=0)
    clip_norm: float = Field(1.0, gt=0)
    auxiliary_weight: float = Field(0.4, ge=0)
    ranking_weight: float = Field(0.2, ge=0)
    difference_weight: float = Field(0.1, ge=0)
    rho: float = Field(0.0, ge=0)
    """Radius of SAM's neighbourhood; 0 is plain AdamW."""
    ema: float = Field(0.0, ge=0, lt=1)
    """Decay of the moving average of the weights that training returns; 0 returns the last weights."""
    as_published: bool | Annotated[tuple[Defect, ...], Field(strict=False)] = False

    @property
    def defects(self) -> frozenset[Defect]:
        """The defects of the original that are restored."""
        if isinstance(self.as_published, bool):
            return frozenset(get_args(Defect) if self.as_published else ())
        return frozenset(self.as_published)


class Recipe(_Settings):
    """All settings that change a result, except the training seed.

    On one machine, equal recipes give equal results for the same data and the same training seed.

    - `crops`: `whole` resizes the photo to one square, `halves` resizes its left and right half to a square each,
      `tiles` cuts each half into 4 x 4 and 2 x 2 tiles (`herbage.backbones.tiles`).
    - `tiles`: whether tiles are cut from the half at full resolution (`native`), or from the resized half, as in the
      original (`published`).
    - `grid`: patches per side of an image, whose side in pixels is `grid` times the backbone's patch size.
    - `views`: the number of views in training, which are the first of: as is, horizontal flip, vertical flip, both
      flips, turned 90 degrees, turned 270 degrees.
    - `predict_views`: the number of views in prediction, the first of those in training; by default all of them.
    - `average_views`: store the mean of a patch's vectors over the views, instead of one vector per view.
    - `blur_sigma`: sigma of a 5-tap Gaussian blur in pixels of the resized image; 0 for none.
    - `keep`: store the patch vectors or the class vector.
    - `balance`: adjust the estimates so that they obey the sums (`herbage.targets`).
    - `fold_seed`: seed of the assignment of groups to folds. The seed of training is not part of a recipe.
    """

    name: str
    backbone: str
    crops: Literal["whole", "halves", "tiles"]
    tiles: Literal["native", "published"] = "native"
    grid: int = Field(ge=1, le=128)
    views: int = Field(ge=1, le=6)
    predict_views: int | None = Field(None, ge=1, le=6)
    average_views: bool = False
    blur_sigma: float = Field(0.0, ge=0, le=100)
    keep: Literal["patch", "class"] = "patch"
    heads: Literal["patch", "ridge", "crosspvt"]
    patch: PatchSettings = PatchSettings()
    ridge: RidgeSettings = RidgeSettings()
    crosspvt: CrossPvtSettings = CrossPvtSettings()
    balance: bool
    fold_seed: int = Field(0, ge=0, lt=2**32)

    @property
    def has_map(self) -> bool:
        """Whether the heads estimate grams per patch, so that an estimate has a map."""
        return self.keep == "patch"

    def in_prediction(self, views: int | None = None) -> "Recipe":
        """The recipe with the views of prediction as its `views`: `predict_views`, or the first `views` if given.

        Raises InputInvalid for more views than the heads are trained on.
        """
        count = (self.predict_views or self.views) if views is None else views
        if not 1 <= count <= self.views:
            raise InputInvalid(f"`views={views}`: expected 1 to {self.views}, the views that the heads are trained on.")
        return self.model_copy(update={"views": count, "predict_views": None})

    @field_validator("blur_sigma")
    @classmethod
    def _check_blur(cls, sigma: float) -> float:
        if 0 < sigma < 0.1:
            raise ValueError("a sigma below 0.1 pixels has no effect; use 0 for no blur")
        return sigma

    @model_validator(mode="after")
    def _check_combinations(self) -> "Recipe":
        if self.crops == "tiles" and self.keep != "class":
            raise ValueError(
                'tiles overlap, so their patches do not form a grid; crops = "tiles" requires keep = "class"'
            )
        if self.crops == "tiles" and self.grid < 2:
            raise ValueError(
                'crops = "tiles" requires a grid of at least 2, because a small tile has half as many patches per side'
            )
        if self.crops == "tiles" and self.average_views:
            raise ValueError(
                'the order of the tiles differs between views; average_views requires crops = "whole" or "halves"'
            )
        if self.heads == "crosspvt" and self.crops != "tiles":
            raise ValueError('heads = "crosspvt" requires crops = "tiles"')
        if self.predict_views is not None and self.predict_views > self.views:
            raise ValueError(f"predict_views is at most views, the {self.views} that the heads are trained on")
        if self.average_views and self.predict_views not in (None, self.views):
            raise ValueError("average_views stores the mean of all views, so predict_views has to be views")
        return self


def load_recipe(name_or_path: str | Path | Recipe) -> Recipe:
    """Load a recipe by name (`field`, `seed`, `crosspvt`) or from a TOML file; raises RecipeInvalid with all faults."""
    if isinstance(name_or_path, Recipe):
        return name_or_path
    known = sorted(f.name.removesuffix(".toml") for f in _shipped().iterdir() if f.name.endswith(".toml"))
    text = str(name_or_path)
    if text in known:
        return parse_recipe(_shipped().joinpath(f"{text}.toml").read_text("utf-8"), where=f"recipe {text}")
    if not text.endswith(".toml"):
        raise RecipeInvalid(f"Expected a recipe name ({', '.join(known)}) or a .toml file; got {text!r}.")
    try:
        source = Path(text).read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeInvalid(f"The recipe file {text} cannot be read: {error}.") from error
    return parse_recipe(source, where=text, name=Path(text).stem)


def parse_recipe(source: str, *, where: str, name: str | None = None) -> Recipe:
    """Parse a recipe from TOML text; `where` names the source in errors, `name` is the recipe's name if it has none."""
    try:
        values: dict[str, Any] = tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        raise RecipeInvalid(f"{where} is not valid TOML: {error}.") from error
    if name is not None:
        values.setdefault("name", name)
    return check_recipe(values, where=where)


def check_recipe(values: dict[str, Any], *, where: str) -> Recipe:
    """Validate a recipe's values; raises RecipeInvalid with all faults in one message."""
    if values.get("heterogeneity"):
        raise RecipeInvalid(
            f"{where}: heterogeneity was removed, because its gain did not hold on other photos; remove the key."
        )
    values = without_removed_keys(values)
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        faults = [
            f"  {'.'.join(map(str, e['loc']))}: {e['msg']} (got {e['input']!r})" if e["loc"] else f"  {e['msg']}"
            for e in error.errors()
        ]
        raise RecipeInvalid(f"{where} has {counted(len(faults), 'fault')}:\n" + "\n".join(faults)) from error


def without_removed_keys(values: dict[str, Any]) -> dict[str, Any]:
    """A recipe's values without the keys of version 0.1.0 that this version does not have."""
    kept = {name: value for name, value in values.items() if name != "heterogeneity"}
    if isinstance(ridge := kept.get("ridge"), dict):
        kept["ridge"] = {name: value for name, value in ridge.items() if name != "heterogeneity_weight"}
    return kept


def _shipped() -> Any:
    return resources.files("herbage") / "recipes"
