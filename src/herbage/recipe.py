"""Recipe: everything that changes a result, in one frozen, strict, hashable object read from a TOML file."""

import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from herbage.errors import RecipeInvalid
from herbage.formatting import counted

DEFAULT = "field"


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class PatchSettings(_Settings):
    """The per-patch network and its training (`heads = "patch"`)."""

    hidden: int = Field(128, ge=1)
    epochs: int = Field(60, ge=1)
    batch_photos: int = Field(16, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    rho: float = Field(0.05, ge=0)
    """Radius of SAM's neighbourhood, a head; 0 is plain AdamW."""


class RidgeSettings(_Settings):
    """The linear per-patch head (`heads = "ridge"`)."""

    alphas: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (1.0, 10.0, 30.0, 100.0, 300.0, 1e3, 3e3, 1e4, 1e5), min_length=1, strict=False
    )
    """Penalties to choose from, by grouped cross-validation inside the training folds."""
    heterogeneity_weight: float = Field(1.0, gt=0)
    """How much the heterogeneity numbers count together, the backbone's numbers together counting 1."""


Width = Annotated[int, Field(ge=8, multiple_of=8)]
"""What eight attention heads can share."""


Defect = Literal["padding", "detached", "raw_grams"]
"""Of the original CrossPVT; `CrossPvtSettings.as_published` says what each is."""


class CrossPvtSettings(_Settings):
    """The network on tiles and its training (`heads = "crosspvt"`).

    `as_published` brings back what the original does and this does not: all of it by `true`, or some by a list of

    - `padding`: the zeros that fill the mixer's second grid travel on as a token, into its mean and its maximum;
    - `detached`: the auxiliary loss stops at its own head instead of reaching the parts before it;
    - `raw_grams`: outputs and losses are in grams, not in units of the training photos' means.

    Never brought back: image-level folds, picking the epoch by the judging fold, losses that are zero by construction.
    The original also trains the backbone from its sixth epoch, and clips gradients before it unscales them from half
    precision; here the backbone is frozen and gradients are in float32.
    """

    inner_width: int | None = Field(None, ge=6, multiple_of=6)
    """Numbers a tile in the first two stages; None keeps the backbone's, another is reached by one linear layer."""
    widths: tuple[Width, Width, Width] = Field((384, 512, 640), strict=False)
    """Numbers a token in the three stages of the mixer; multiples of 8."""
    dropout: float = Field(0.1, ge=0, lt=1)
    networks: int = Field(1, ge=1, le=100)
    """Networks a fold, which differ by their seed alone (start, order of photos, views); their mean is the estimate."""
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
    """Decay of the mean of the weights that comes out of training; 0 for the last weights."""
    as_published: bool | Annotated[tuple[Defect, ...], Field(strict=False)] = False

    @property
    def defects(self) -> frozenset[Defect]:
        """Those of the original that are brought back."""
        if isinstance(self.as_published, bool):
            return frozenset(get_args(Defect) if self.as_published else ())
        return frozenset(self.as_published)


class Recipe(_Settings):
    """Everything that changes a result. Two equal recipes give equal results on one machine.

    `crops`: `whole` squashes the photo to one square, `halves` to a left and a right one, `tiles` cuts each half into
    4 x 4 and 2 x 2 (`herbage.backbones.tiles`; `tiles`: from the native half, or as published). `grid`: patches a
    side, so an image is grid x the backbone's patch pixels a side. `views`: the first n of (as is, horizontal flip,
    vertical flip, both, turned 90, turned 270). `average_views` keeps the mean of a patch's vectors over the views,
    instead of each. `blur_sigma`: of a 5-tap Gaussian in pixels of the resized image, 0 for none. `keep`: patch
    vectors, or the class vector. `heterogeneity` sets beside each patch vector how uneven the photo's colour and
    texture are (`herbage.backbones.texture`). `balance`: deliver weights that obey the sums (`herbage.targets`).
    `fold_seed` shuffles groups into folds; training's own seed is not part of a recipe.
    """

    name: str
    backbone: str
    crops: Literal["whole", "halves", "tiles"]
    tiles: Literal["native", "published"] = "native"
    grid: int = Field(ge=1, le=128)
    views: int = Field(ge=1, le=6)
    average_views: bool = False
    blur_sigma: float = Field(0.0, ge=0, le=100)
    keep: Literal["patch", "class"] = "patch"
    heterogeneity: bool = False
    heads: Literal["patch", "ridge", "crosspvt"]
    patch: PatchSettings = PatchSettings()
    ridge: RidgeSettings = RidgeSettings()
    crosspvt: CrossPvtSettings = CrossPvtSettings()
    balance: bool
    fold_seed: int = Field(0, ge=0, lt=2**32)

    @property
    def has_map(self) -> bool:
        """Whether grams can be told patch by patch."""
        return self.keep == "patch"

    @field_validator("blur_sigma")
    @classmethod
    def _blurs_or_not(cls, sigma: float) -> float:
        if 0 < sigma < 0.1:
            raise ValueError("a sigma below 0.1 pixels blurs nothing; give 0 for no blur")
        return sigma

    @model_validator(mode="after")
    def _fits_together(self) -> "Recipe":
        if self.crops == "tiles" and self.keep != "class":
            raise ValueError('tiles overlap, so their patches make no grid; crops = "tiles" goes with keep = "class"')
        if self.crops == "tiles" and self.grid < 2:
            raise ValueError("tiles need a grid of at least 2: a small tile is seen at half as many patches a side")
        if self.crops == "tiles" and self.average_views:
            raise ValueError("the views of tiles stand each in its own order; average_views goes with other crops")
        if self.heads == "crosspvt" and self.crops != "tiles":
            raise ValueError('heads = "crosspvt" reads tiles; it goes with crops = "tiles"')
        if self.heterogeneity and self.keep != "patch":
            raise ValueError('heterogeneity stands beside patch vectors; it goes with keep = "patch"')
        return self


def load_recipe(name_or_path: str | Path | Recipe) -> Recipe:
    """A recipe by its name (`seed`, `field`) or from a TOML file; raises RecipeInvalid with every fault."""
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
    """A recipe from TOML text; `where` names the text in errors."""
    try:
        values: dict[str, Any] = tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        raise RecipeInvalid(f"{where} is not valid TOML: {error}.") from error
    if name is not None:
        values.setdefault("name", name)
    return check_recipe(values, where=where)


def check_recipe(values: dict[str, Any], *, where: str) -> Recipe:
    """A recipe from plain values; raises RecipeInvalid with every fault in one message."""
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        faults = [
            f"  {'.'.join(map(str, e['loc']))}: {e['msg']} (got {e['input']!r})" if e["loc"] else f"  {e['msg']}"
            for e in error.errors()
        ]
        raise RecipeInvalid(f"{where} has {counted(len(faults), 'fault')}:\n" + "\n".join(faults)) from error


def _shipped() -> Any:
    return resources.files("herbage") / "recipes"
