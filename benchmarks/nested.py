"""What `herbage train` delivers, on photos that it was not trained on: the nested folds of `accuracy` and `trust`.

Every outer fold is estimated by a model trained on the photos of the other folds alone, as `herbage train` trains it:
inner folds, penalties and the scales of measured columns are from these photos too.
"""

import os
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from torch import Tensor

from herbage.backbones.backbone import Backbone
from herbage.backbones.opening import open_backbone
from herbage.evaluation.baselines import sensor_readings
from herbage.evaluation.folds import make_folds
from herbage.evaluation.out_of_fold import fit_out_of_fold
from herbage.heads.finalise import finalise_grams
from herbage.heads.heads import Heads
from herbage.heads.kinds import HEADS
from herbage.heads.measured import MeasuredColumn, append_measured, measured_inputs
from herbage.heads.training_data import FitOptions, Folds, TrainingData
from herbage.photos.photo import PhotoFile
from herbage.recipe import Recipe
from herbage.tables.measured import measured_columns
from herbage.tables.weighed import WeighedTable, read_weighed_table
from herbage.tokens.extraction import stream_tokens
from herbage.tokens.layout import tokens_shape
from herbage.tokens.store import TokenStore

ASSIGNMENTS = 3


@dataclass(frozen=True)
class Variant:
    """A recipe, the measured columns that its heads are given, and whether the mean of the fold heads is delivered."""

    name: str
    recipe: Recipe
    measured: tuple[str, ...] = ()
    mean_of_folds: bool = False


@dataclass(frozen=True, eq=False)
class Photos:
    """Weighed photos with their tokens and sha256 digests."""

    table: WeighedTable
    tokens: Sequence[Tensor]
    digests: Sequence[str]

    def take(self, rows: Sequence[int]) -> "Photos":
        """The photos of these rows."""
        tokens, digests = [self.tokens[row] for row in rows], [self.digests[row] for row in rows]
        return Photos(self.table.take(list(rows)), tokens, digests)

    def data(self, folds: Folds, columns: Sequence[MeasuredColumn] = ()) -> TrainingData:
        """The photos with these folds, and measured columns appended to their tokens."""
        frame, tokens = self.table.frame, self.tokens
        if columns:
            inputs = measured_inputs(columns, measured_columns(frame, [one.name for one in columns], "train.csv"))
            tokens = [append_measured(own, of) for own, of in zip(tokens, inputs, strict=True)]
        return TrainingData(tokens, self.table.grams, folds, self.digests, sensor_readings(frame), len(columns))


@dataclass(frozen=True, eq=False)
class Trained:
    """What `herbage train` makes: the heads, and the out-of-fold estimates of the training photos."""

    variant: Variant
    columns: tuple[MeasuredColumn, ...]
    data: TrainingData
    heads: Heads
    oof_g: np.ndarray

    @classmethod
    def on(cls, photos: Photos, variant: Variant, fold_seed: int | None = None) -> "Trained":
        """Train on these photos; the seed of the folds is the recipe's, unless it is given."""
        recipe, table = variant.recipe, photos.table
        folds = make_folds(table.frame, table.grams, seed=recipe.fold_seed if fold_seed is None else fold_seed)
        values = measured_columns(table.frame, variant.measured, "train.csv")
        columns = tuple(MeasuredColumn.fit(name, of) for name, of in zip(variant.measured, values.T, strict=True))
        data = photos.data(folds, columns)
        return cls(variant, columns, data, *fit_out_of_fold(recipe, data, FitOptions()))

    def estimates(self, photos: Photos) -> np.ndarray:
        """The delivered estimates (photo, target) in g per quadrat."""
        recipe = self.variant.recipe
        views, _, _ = tokens_shape(recipe.in_prediction(), 0)
        raw = []
        for tokens in photos.data(Folds.of(np.arange(len(photos.digests))), self.columns).tokens:
            own = tokens[:views]
            grams = self.heads.fold_grams(own).mean(1) if self.variant.mean_of_folds else self.heads.grams(own)
            raw.append(grams.numpy())
        return np.asarray(finalise_grams(np.stack(raw), recipe))


def outer_folds(photos: Photos, assignment: int) -> Iterator[tuple[list[int], list[int]]]:
    """The rows to train on and the rows held out, for each fold of an assignment of groups to folds."""
    fold = make_folds(photos.table.frame, photos.table.grams, seed=assignment).fold
    for own in range(fold.max() + 1):
        yield np.flatnonzero(fold != own).tolist(), np.flatnonzero(fold == own).tolist()


def nested_estimates(photos: Photos, variant: Variant, assignment: int) -> np.ndarray:
    """The delivered estimates (photo, target) of all photos, each by a model that was not trained on its group."""
    estimates = np.full(photos.table.grams.shape, np.nan)
    for rows, held_out in outer_folds(photos, assignment):
        estimates[held_out] = Trained.on(photos.take(rows), variant).estimates(photos.take(held_out))
    return estimates


@dataclass(frozen=True)
class Real:
    """The real photos, and where their tokens are stored."""

    folder: Path
    work: Path
    table: WeighedTable

    @classmethod
    def read(cls, parser: ArgumentParser, work: Path) -> "Real":
        """From the folder that HERBAGE_REAL names; exits where it is not set."""
        if "HERBAGE_REAL" not in os.environ:
            parser.error("HERBAGE_REAL is not set: it names a folder with train.csv, its photos and vits14/")
        folder = Path(os.environ["HERBAGE_REAL"])
        return cls(folder, work, read_weighed_table(folder / "train.csv", folder))

    def backbone(self, recipe: Recipe) -> Backbone:
        """`texture`, or the backbone of the folder."""
        return open_backbone("texture" if recipe.backbone == "texture" else self.folder / "vits14")

    def photos(self, recipe: Recipe) -> Photos:
        """All photos, with tokens from the store where it has them."""
        tokens, digests = self.tokens(recipe, self.table.files)
        return Photos(self.table, tokens, digests)

    def tokens(self, recipe: Recipe, files: Sequence[PhotoFile]) -> tuple[list[Tensor], list[str]]:
        """Tokens and digests of files; the mean token of each view where the heads need no more."""
        every_view = recipe.model_copy(update={"average_views": False})
        backbone = self.backbone(recipe)
        store = TokenStore(self.work / "tokens", backbone, every_view)
        tokens, digests = [], []
        for item in stream_tokens(files, backbone, every_view, store):
            own = item.tokens
            if HEADS[recipe.heads].reads_mean_token:
                own = own.double().mean(1, keepdim=True).float()
                own = own.mean(0, keepdim=True) if recipe.average_views else own
            tokens.append(own)
            digests.append(item.sha256)
        return tokens, digests

    def identity(self, variant: Variant, photos: Photos) -> str:
        """A digest of what the estimates of a variant depend on."""
        parts = [repr(variant), self.backbone(variant.recipe).digest, self.table.frame.to_csv(), *photos.digests]
        return sha256("".join([*parts, self.table.grams.tobytes().hex()]).encode()).hexdigest()[:12]
