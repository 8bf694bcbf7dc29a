"""The real photos with their tokens and folds, and the out-of-fold estimates made so far, kept on disk."""

import argparse
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch

from benchmarks.accuracy import ideas
from herbage.backbones.backbone import Backbone
from herbage.backbones.opening import open_backbone
from herbage.backbones.views import IMAGENET_MEAN, IMAGENET_STD
from herbage.evaluation.folds import make_folds
from herbage.evaluation.out_of_fold import fit_out_of_fold
from herbage.evaluation.scoring import weighted_r2
from herbage.photos.tables import read_weighed_table
from herbage.recipe import Recipe
from herbage.targets import balance
from herbage.tokens.extraction import stream_tokens
from herbage.tokens.store import TokenStore

ASSIGNMENTS = range(5)
SEEDS = range(3)
DRAWS = 2000
CROP_GRID = 37
HEADS = get_args(Recipe.model_fields["heads"].annotation)

Estimate = Callable[[int, int], np.ndarray]
"""From an assignment of photos to folds and a seed to out-of-fold grams."""


@dataclass(frozen=True)
class Rung:
    """One line of the ladder: out-of-fold grams for an assignment and a seed."""

    name: str
    part: str
    estimate: Estimate
    seeds: Sequence[int] = (0,)
    of: str = ""


class Bench:
    """The real photos, their tokens, and the estimates made so far."""

    def __init__(self, real: Path, work: Path) -> None:
        self.real, self.work = real, work
        self.table = read_weighed_table(real / "train.csv", real)
        self.grams = self.table.grams
        self.folds = [make_folds(self.table.frame, self.grams, seed=seed) for seed in ASSIGNMENTS]
        sensors = self.table.frame[["Height_Ave_cm", "Pre_GSHH_NDVI"]].to_numpy(float)
        self.photos = ideas.Photos(self.grams, self.folds[0].group, sensors)

    # Tokens

    @cache  # noqa: B019  # one bench a run
    def tokens(self, recipe: Recipe, backbone: str = "vits14") -> tuple[list[torch.Tensor], list[str]]:
        """Tokens and digests; of recipes that keep each view, the first n of six are extracted only once."""
        views = recipe.views
        if (
            not recipe.average_views
            and recipe.crops == "halves"
            and recipe.grid == CROP_GRID
            and recipe.keep == "patch"
        ):
            views = 6 if backbone == "vits14" else views
        shown = recipe.model_copy(update={"views": views})
        opened = self.backbone(backbone)
        store = TokenStore(self.work / "tokens", opened, shown)
        items = list(stream_tokens(self.table.files, opened, shown, store))
        kept = slice(None) if recipe.average_views else slice(recipe.views)
        return [item.tokens[kept] for item in items], [item.sha256 for item in items]

    def backbone(self, name: str) -> Backbone:
        """The backbone; `vits14 10` is its first ten layers, `vits14 even` sees photos of one exposure and balance."""
        folder = self.real / "vits14"
        if name == "texture":
            return open_backbone("texture")
        if name == "vits14":
            return open_backbone(folder)
        if name == "vits14 even":
            return EvenExposure(open_backbone(folder))
        layers = int(name.split()[1])
        short = self.work / f"vits14-{layers}-layers"
        shutil.rmtree(short, ignore_errors=True)
        shutil.copytree(folder, short)
        config = json.loads((short / "config.json").read_text())
        encoder = config.get("backbone_config", config)
        stages = ["stem", *(f"stage{number}" for number in range(1, layers + 1))]
        encoder |= {"num_hidden_layers": layers, "stage_names": stages}
        encoder |= {"out_indices": [layers], "out_features": stages[-1:]}
        (short / "config.json").write_text(json.dumps(config))
        return open_backbone(short)

    def means(self, recipe: Recipe, backbone: str = "vits14", pool: str = "mean") -> np.ndarray:
        """One vector a photo: the mean (or the spread) over views and patches."""
        tokens, _ = self.tokens(recipe, backbone)
        return np.stack([getattr(t.double().flatten(0, 1), pool)(0).numpy() for t in tokens])

    def some_patches(self, recipe: Recipe, every: int) -> np.ndarray:
        """Every n-th patch of each photo's first view."""
        return np.stack([t[0, ::every].float().numpy() for t in self.tokens(recipe)[0]])

    def half_patches(self, recipe: Recipe, keep: int) -> np.ndarray:
        """Patches of both halves as samples of their own, in their first principal components."""
        tokens, _ = self.tokens(recipe)
        grid = recipe.grid
        halves = np.stack([t.mean(0).reshape(grid, 2, grid, -1).transpose(0, 1).flatten(1, 2).numpy() for t in tokens])
        flat = halves.reshape(-1, *halves.shape[2:]).astype(np.float32)
        low = ideas.patch_components(flat[:, ::5], flat.reshape(-1, flat.shape[-1]), keep, 0.0)
        return low.reshape(*flat.shape[:2], keep).astype(np.float32)

    # Estimates

    def by_recipe(self, recipe: Recipe, backbone: str = "vits14") -> Estimate:
        """What the library itself trains and delivers."""

        def estimate(assignment: int, seed: int) -> np.ndarray:
            tokens, digests = self.tokens(recipe, backbone)
            _, delivered = fit_out_of_fold(recipe, tokens, self.grams, self.folds[assignment], digests, seed)
            return delivered

        return estimate

    def by_idea(self, make: Callable[[int], ideas.Idea]) -> Estimate:
        """An idea's balanced estimates; `make` gets the seed."""

        def estimate(assignment: int, seed: int) -> np.ndarray:
            fold, raw, idea = self.folds[assignment].fold, np.empty_like(self.grams), make(seed)
            for number in range(fold.max() + 1):
                raw[fold == number] = idea(np.flatnonzero(fold != number), np.flatnonzero(fold == number))
            return balance(raw)

        return estimate

    def by_average(self, rungs: dict[str, Rung], *names: str) -> Estimate:
        """The mean of other rungs' estimates, balanced."""

        def estimate(assignment: int, seed: int) -> np.ndarray:
            return balance(np.mean([self.kept(rungs[name], assignment, seed) for name in names], axis=0))

        return estimate

    def kept(self, rung: Rung, assignment: int, seed: int) -> np.ndarray:
        """A rung's estimates, made once and kept by name and recipe; after other changes take another WORK."""
        seed = seed if seed in rung.seeds else 0
        slug = re.sub(r"[^a-z0-9.]+", "-", rung.name.lower())
        digest = hashlib.sha256(rung.of.encode()).hexdigest()[:8]
        place = self.work / "oof" / f"{slug} {digest} {assignment} {seed}.npy"
        if not place.is_file():
            started = time.monotonic()
            made = rung.estimate(assignment, seed)
            place.parent.mkdir(parents=True, exist_ok=True)
            np.save(place, made)
            score = weighted_r2(self.grams, made)
            print(
                f"{rung.name}, folds {assignment}, seed {seed}: {score:.3f} ({time.monotonic() - started:.0f} s)",
                flush=True,
            )
        return np.load(place)

    def all_of(self, rung: Rung) -> np.ndarray:
        """Estimates (assignment, seed, photo, target)."""
        return np.stack([[self.kept(rung, a, s) for s in rung.seeds] for a in ASSIGNMENTS])

    # Judging

    def facts(self) -> dict[str, int]:
        """How many photos, groups and assignments."""
        groups = len(set(self.photos.group.tolist()))
        return {"photos": len(self.grams), "groups": groups, "assignments": len(ASSIGNMENTS)}

    def write(self, name: str, record: dict[str, Any]) -> None:
        """A record below WORK."""
        (self.work / name).write_text(json.dumps(record, indent=1))
        print(self.work / name)

    def line(self, rung: Rung, references: dict[str, np.ndarray]) -> dict[str, Any]:
        """A rung's score, its spread over assignments, and its gain over each reference; printed too."""
        estimates = self.all_of(rung)
        by_assignment = [float(np.mean([weighted_r2(self.grams, one) for one in row])) for row in estimates]
        gains = {f"less_{name}": self.paired(reference, estimates) for name, reference in references.items()}
        mean, spread = float(np.mean(by_assignment)), float(np.std(by_assignment))
        said = "".join(
            f"  {name.replace('_', ' ')} {gain:+.3f} ({low:+.3f} to {high:+.3f})"
            for name, (gain, low, high) in gains.items()
        )
        print(f"{mean:.3f} sd {spread:.3f}{said}  {rung.name}", flush=True)
        about = {"part": rung.part, "name": rung.name, "seeds": len(rung.seeds)}
        return {**about, "score": mean, "spread": spread, **gains}

    def paired(self, a: np.ndarray, b: np.ndarray) -> list[float]:
        """Mean over assignments and seeds of the score of b less that of a, and its 95 % interval over groups."""
        group = self.photos.group
        rng = np.random.default_rng(0)
        members = [np.flatnonzero(group == g) for g in range(group.max() + 1)]
        drawn = [
            np.concatenate([members[g] for g in rng.integers(len(members), size=len(members))]) for _ in range(DRAWS)
        ]

        def mean_score(estimates: np.ndarray, rows: np.ndarray) -> float:
            flat = estimates.reshape(-1, *estimates.shape[2:])
            return float(np.mean([weighted_r2(self.grams[rows], one[rows]) for one in flat]))

        every = np.arange(len(group))
        differences = [mean_score(b, rows) - mean_score(a, rows) for rows in drawn]
        return [mean_score(b, every) - mean_score(a, every), *np.quantile(differences, [0.025, 0.975]).tolist()]


def what_counts(recipe: Recipe) -> str:
    """All of a recipe that changes its estimates: not its name, and no settings of other heads."""
    return recipe.model_dump_json(exclude={"name", *HEADS} - {recipe.heads})


class Rungs:
    """Rungs by name, in the order they were added."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.rungs: dict[str, Rung] = {}

    def add(self, name: str, part: str, estimate: Estimate, seeds: Sequence[int] = (0,), of: str = "") -> None:
        """A rung by any estimate; `of` is all that its name does not say of it."""
        self.rungs[name] = Rung(name, part, estimate, seeds, of)

    def recipe(self, name: str, part: str, of: Recipe, backbone: str = "vits14", seeds: Sequence[int] = (0,)) -> None:
        """A rung that the library itself trains."""
        self.add(name, part, self.bench.by_recipe(of, backbone), seeds, of=what_counts(of))

    def kernel(self, name: str, part: str, of: Callable[[], np.ndarray], **how: Any) -> None:
        """A rung by ridge on a kernel."""
        self.add(name, part, self.bench.by_idea(lambda _: ideas.kernel_ridge(of(), self.bench.photos, **how)))


def changed(recipe: Recipe, **update: Any) -> Recipe:
    """The recipe with other values, of its own or of its heads' settings."""
    kind = update.get("heads", recipe.heads)
    settings = getattr(recipe, kind)
    own = {name: update.pop(name) for name in list(update) if name in type(settings).model_fields}
    return recipe.model_copy(update={**update, kind: settings.model_copy(update=own)})


def command_line(doc: str | None) -> argparse.ArgumentParser:
    """The options that every benchmark on real photos has."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    return parser


def real_folder(parser: argparse.ArgumentParser) -> Path:
    """HERBAGE_REAL, or the parser's error."""
    if "HERBAGE_REAL" not in os.environ:
        parser.error("HERBAGE_REAL is not set: it names a folder with train.csv, its photos and vits14/")
    return Path(os.environ["HERBAGE_REAL"])


def asked_for(doc: str | None, ladder: Callable[[Bench], Rungs]) -> tuple[Bench, dict[str, Rung]]:
    """The bench and the rungs that the command line asks for; with --only, it makes those alone and leaves."""
    parser = command_line(doc)
    parser.add_argument("--only", nargs="*", help="names of rungs to estimate, and no more; all without it")
    asked = parser.parse_args()
    bench = Bench(real_folder(parser), asked.work)
    rungs = ladder(bench).rungs
    if unknown := set(asked.only or ()) - set(rungs):
        parser.error(f"no such rung: {', '.join(sorted(unknown))}; there are {', '.join(rungs)}")
    if asked.only:
        for name in asked.only:
            bench.all_of(rungs[name])
        parser.exit()
    return bench, rungs


class EvenExposure:
    """A backbone that sees every image with the same mean of red, green and blue."""

    def __init__(self, inner: Backbone) -> None:
        self.inner = inner
        self.name, self.patch_px, self.width = inner.name, inner.patch_px, inner.width
        self.batch_patches, self.engine = inner.batch_patches, inner.engine
        self.digest = self.source_digest = hashlib.sha256(f"even exposure {inner.digest}".encode()).hexdigest()

    def __call__(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """As the inner backbone."""
        mean, std = torch.tensor(IMAGENET_MEAN)[:, None, None], torch.tensor(IMAGENET_STD)[:, None, None]
        rgb = images * std + mean
        even = (rgb * 0.4 / rgb.mean((2, 3), keepdim=True).clamp(min=1e-3)).clamp(0, 1)
        return self.inner((even - mean) / std)
