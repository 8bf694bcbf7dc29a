"""Fit the heads, and hear of each photo only from the heads that never saw it or its group."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from torch import Tensor

from herbage.errors import ModelInvalid
from herbage.evaluation.folds import Folds, refuse_leak
from herbage.heads.heads import Heads, fit_heads
from herbage.progress import Track, silent
from herbage.recipe import Recipe
from herbage.targets import TARGETS, balance


def deliver(raw_g: Float[np.ndarray, "*photo 5"], recipe: Recipe) -> Float[np.ndarray, "*photo 5"]:
    """What everything carries: balanced weights where the recipe says so, else the raw ones, at least 0."""
    return balance(raw_g) if recipe.balance else np.maximum(raw_g, 0.0)


def fit_out_of_fold(
    recipe: Recipe,
    tokens: Sequence[Tensor],
    grams: Float[np.ndarray, "photo 5"],
    folds: Folds,
    digests: Sequence[str],
    seed: int,
    unfinished: Path | None = None,
    device: str = "cpu",
    track: Track = silent,
) -> tuple[Heads, Float[np.ndarray, "photo 5"]]:
    """The heads, and the delivered out-of-fold estimates; raises FoldLeak before anything is trained.

    `unfinished`, `device` and `track` as in `fit_heads`.
    """
    refuse_leak(folds, digests)
    heads = fit_heads(recipe, tokens, grams, folds.fold, folds.group, seed, unfinished, device, track)
    return heads, out_of_fold(heads, recipe, tokens, folds.fold)


def out_of_fold(
    heads: Heads, recipe: Recipe, tokens: Sequence[Tensor], fold: Int[np.ndarray, " photo"]
) -> Float[np.ndarray, "photo 5"]:
    """What the head of each photo's own fold, which never saw it, says of it in the mean of its views; delivered."""
    raw = [
        heads.grams(photo)[:, own].mean(-1).double().numpy() for photo, own in zip(tokens, fold.tolist(), strict=True)
    ]
    return deliver(np.stack(raw), recipe)


def oof_table(
    frame: pd.DataFrame,
    grams: Float[np.ndarray, "photo 5"],
    folds: Folds,
    delivered: Float[np.ndarray, "photo 5"],
) -> pd.DataFrame:
    """oof.csv: image_path, group, fold, State where there, the targets as weighed and as estimated, a row a photo."""
    columns: dict[str, Any] = {
        "image_path": frame["image_path"],
        "group": [folds.group_names[g] for g in folds.group],
        "fold": folds.fold,
    }
    if "State" in frame:
        columns["State"] = frame["State"]
    columns |= {target: grams[:, t] for t, target in enumerate(TARGETS)}
    columns |= {f"{target}_estimated": delivered[:, t].round(6) for t, target in enumerate(TARGETS)}
    return pd.DataFrame(columns)


def read_oof(path: Path) -> pd.DataFrame:
    """oof.csv again; raises ModelInvalid where a column is missing or a weight is no number."""
    numbers = [*TARGETS, *(f"{target}_estimated" for target in TARGETS)]
    try:
        oof = pd.read_csv(path, dtype={"image_path": str, "group": str, **dict.fromkeys(numbers, float)})
    except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors
        raise ModelInvalid(f"{path} is damaged: {error}.") from error
    if missing := [name for name in ("image_path", "group", "fold", *numbers) if name not in oof]:
        raise ModelInvalid(f"{path} is damaged: it lacks the columns {', '.join(missing)}.")
    there = oof[[name for name in numbers if oof[name].notna().any()]]
    if oof.empty or there.empty or not np.isfinite(there.to_numpy(float)).all():
        raise ModelInvalid(f"{path} is damaged: it has no rows, or cells that are no finite number.")
    return oof
