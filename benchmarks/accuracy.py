"""The ladder of accuracy: what each part of a recipe is worth on real photos, and what was tried in vain.

    HERBAGE_REAL=DIR python benchmarks/accuracy.py --work WORK [--only NAME ...]

DIR holds train.csv, its photos and a backbone `vits14`. Every rung is judged on the same 5 assignments of photos to
folds grouped by State and Sampling_Date, what is random with 3 seeds, and compared with plain ridge on halves and with
the recipe `seed` by the paired difference of weighted R2, its 95 % interval by a bootstrap over groups. Out-of-fold
estimates are kept below WORK, so the script goes on where it was stopped. It prints the table and writes
WORK/accuracy.json, from which benchmarks/accuracy_page.py makes docs/accuracy.md.
"""

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
from typing import Any

import ideas
import numpy as np
import torch

from herbage.backbones.backbone import Backbone, open_backbone
from herbage.backbones.views import IMAGENET_MEAN, IMAGENET_STD
from herbage.judging.floors import TEXTURE_RECIPE
from herbage.judging.folds import make_folds
from herbage.judging.out_of_fold import deliver, fit_out_of_fold
from herbage.judging.scoring import weighted_r2
from herbage.photos.tables import read_weighed_table
from herbage.recipe import Recipe, load_recipe
from herbage.targets import balance
from herbage.tokens.extraction import stream_tokens
from herbage.tokens.store import TokenStore

ASSIGNMENTS = range(5)
SEEDS = range(3)
DRAWS = 2000
CURVE_PHOTOS = (10, 20, 40, 60)
CURVE_DRAWS = 6
REFERENCE, SEED_RECIPE, FIELD = "ridge on halves, 1 view", "seed", "field"

SEED = load_recipe("seed")
PLAIN = load_recipe("field").model_copy(
    update={"name": "plain ridge on halves", "views": 1, "average_views": False, "heterogeneity": False}
)


def changed(recipe: Recipe, **update: Any) -> Recipe:
    """The recipe with other values; `rho` and `heterogeneity_weight` reach into the heads' settings."""
    for part, name in (("patch", "rho"), ("ridge", "heterogeneity_weight")):
        if name in update:
            update[part] = getattr(recipe, part).model_copy(update={name: update.pop(name)})
    return recipe.model_copy(update=update)


@dataclass(frozen=True)
class Rung:
    """One line of the ladder: out-of-fold grams for an assignment and a seed."""

    name: str
    part: str
    estimate: Callable[[int, int], np.ndarray]
    seeds: Sequence[int] = (0,)


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
        if not recipe.average_views and recipe.crops == "halves" and recipe.grid == 37 and recipe.keep == "patch":
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
        config |= {"num_hidden_layers": layers, "out_indices": [layers], "out_features": [f"stage{layers}"]}
        config["stage_names"] = config["stage_names"][: layers + 1]
        (short / "config.json").write_text(json.dumps(config))
        return open_backbone(short)

    def means(self, recipe: Recipe, backbone: str = "vits14", pool: str = "mean") -> np.ndarray:
        """One vector a photo: the mean (or the spread) over views and patches."""
        tokens, _ = self.tokens(recipe, backbone)
        return np.stack([getattr(t.double().flatten(0, 1), pool)(0).numpy() for t in tokens])

    def some_patches(self, recipe: Recipe, every: int) -> np.ndarray:
        """Every n-th patch of each photo's first view."""
        return np.stack([t[0, ::every].float().numpy() for t in self.tokens(recipe)[0]])

    def half_patches(self, keep: int) -> np.ndarray:
        """Patches of both halves as samples of their own, in their first principal components."""
        tokens, _ = self.tokens(changed(PLAIN, views=4))
        halves = np.stack([t.mean(0).reshape(37, 2, 37, -1).transpose(0, 1).flatten(1, 2).numpy() for t in tokens])
        flat = halves.reshape(-1, *halves.shape[2:]).astype(np.float32)
        low = ideas.patch_components(flat[:, ::5], flat.reshape(-1, flat.shape[-1]), keep, 0.0)
        return low.reshape(*flat.shape[:2], keep).astype(np.float32)

    # Estimates

    def by_recipe(self, recipe: Recipe, backbone: str = "vits14") -> Callable[[int, int], np.ndarray]:
        """What the library itself trains and delivers."""

        def estimate(assignment: int, seed: int) -> np.ndarray:
            tokens, digests = self.tokens(recipe, backbone)
            _, delivered = fit_out_of_fold(recipe, tokens, self.grams, self.folds[assignment], digests, seed)
            return delivered

        return estimate

    def by_idea(self, make: Callable[[int], ideas.Idea]) -> Callable[[int, int], np.ndarray]:
        """An idea's balanced estimates; `make` gets the seed."""

        def estimate(assignment: int, seed: int) -> np.ndarray:
            fold, raw, idea = self.folds[assignment].fold, np.empty_like(self.grams), make(seed)
            for number in range(fold.max() + 1):
                raw[fold == number] = idea(np.flatnonzero(fold != number), np.flatnonzero(fold == number))
            return balance(raw)

        return estimate

    def by_average(self, rungs: dict[str, Rung], *names: str) -> Callable[[int, int], np.ndarray]:
        """The mean of other rungs' estimates, balanced."""

        def estimate(assignment: int, seed: int) -> np.ndarray:
            return balance(np.mean([self.kept(rungs[name], assignment, seed) for name in names], axis=0))

        return estimate

    def kept(self, rung: Rung, assignment: int, seed: int) -> np.ndarray:
        """A rung's estimates, made once and kept on disk."""
        seed = seed if seed in rung.seeds else 0
        place = self.work / "oof" / f"{re.sub(r'[^a-z0-9.]+', '-', rung.name.lower())} {assignment} {seed}.npy"
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


class EvenExposure:
    """A backbone that sees every image with the same mean of red, green and blue."""

    def __init__(self, inner: Backbone) -> None:
        self.inner = inner
        self.name, self.patch_px, self.width = inner.name, inner.patch_px, inner.width
        self.batch_images, self.engine = inner.batch_images, inner.engine
        self.digest = hashlib.sha256(f"even exposure {inner.digest}".encode()).hexdigest()

    def __call__(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """As the inner backbone."""
        mean, std = torch.tensor(IMAGENET_MEAN)[:, None, None], torch.tensor(IMAGENET_STD)[:, None, None]
        rgb = images * std + mean
        even = (rgb * 0.4 / rgb.mean((2, 3), keepdim=True).clamp(min=1e-3)).clamp(0, 1)
        return self.inner((even - mean) / std)


def ladder(bench: Bench) -> list[Rung]:
    """Every rung, in the order of the page."""
    photos, grams = bench.photos, bench.grams
    field = load_recipe("field")
    four = changed(PLAIN, views=4)
    texture_halves = changed(TEXTURE_RECIPE, crops="halves", grid=37)
    made: dict[str, Rung] = {}

    def add(name: str, part: str, estimate: Callable[[int, int], np.ndarray], seeds: Sequence[int] = (0,)) -> None:
        made[name] = Rung(name, part, estimate, seeds)

    def recipe(name: str, part: str, of: Recipe, backbone: str = "vits14", seeds: Sequence[int] = (0,)) -> None:
        add(name, part, bench.by_recipe(of, backbone), seeds)

    def kernel(name: str, part: str, of: Callable[[], np.ndarray], **how: Any) -> None:
        add(name, part, bench.by_idea(lambda _: ideas.kernel_ridge(of(), photos, **how)))

    def mean_floor(assignment: int, _: int) -> np.ndarray:
        fold = bench.folds[assignment].fold
        return np.stack([grams[fold != number].mean(0) for number in fold])

    part = "Floors"
    add("each target's mean", part, mean_floor)
    recipe("texture and ridge", part, TEXTURE_RECIPE, "texture")
    kernel("ridge on measured height and NDVI", part, lambda: ideas.linear((photos.sensors, 1.0)))

    part = "The seed, and SAM"
    recipe(SEED_RECIPE, part, SEED, seeds=SEEDS)
    recipe("seed without SAM (rho 0)", part, changed(SEED, rho=0.0), seeds=SEEDS)
    recipe("seed with rho 0.2", part, changed(SEED, rho=0.2))
    recipe("ridge on the seed's tokens", part, changed(SEED, heads="ridge", balance=True))
    recipe("ridge on the seed's tokens, no blur", part, changed(SEED, heads="ridge", balance=True, blur_sigma=0.0))

    part = "What the backbone sees"
    recipe("ridge on the whole photo, 518 squash", part, changed(PLAIN, crops="whole"))
    recipe("ridge on halves at 336", part, changed(PLAIN, grid=24))
    recipe(REFERENCE, part, PLAIN)
    recipe("ridge on halves at 784", part, changed(PLAIN, grid=56))
    recipe("ridge on halves, class vector", part, changed(PLAIN, keep="class"))
    recipe("ridge on halves, layer 11 of 12", part, PLAIN, "vits14 11")
    recipe("ridge on halves, layer 10 of 12", part, PLAIN, "vits14 10")
    recipe("ridge on halves, even exposure", part, PLAIN, "vits14 even")
    for views in (2, 4, 6):
        recipe(f"ridge on halves, {views} views", part, changed(PLAIN, views=views))

    part = "Heterogeneity beside the vectors"
    one = changed(field, views=1)
    recipe("heterogeneity alone", part, field_without_backbone(field), "texture")
    recipe("1 view + heterogeneity", part, one)
    for weight in (0.25, 0.5, 2.0):
        recipe(f"4 views + heterogeneity, weight {weight:g}", part, changed(field, heterogeneity_weight=weight))
    recipe(FIELD, part, field)
    kernel(
        "4 views + the texture itself", part,
        lambda: ideas.linear((bench.means(four), 1.0), (bench.means(texture_halves, "texture"), 1.0)),
    )  # fmt: skip
    kernel(
        "4 views + spread of the vectors", part,
        lambda: ideas.linear((bench.means(four), 1.0), (bench.means(four, pool="std"), 1.0)),
    )  # fmt: skip

    part = "Other heads on the field's vectors"
    vectors = cache(lambda: bench.means(field))
    blocks = cache(lambda: ideas.linear((vectors()[:, :-37], 1.0), (vectors()[:, -37:], 1.0)))
    kernel("the same by a kernel (check)", part, blocks)
    kernel("square roots of grams", part, blocks, link=(np.sqrt, lambda y: np.maximum(y, 0) ** 2))
    kernel("logarithms of 10 + grams", part, blocks, link=(lambda y: np.log(y + 10), _from_log))
    kernel("a shared error a place and day (0.5)", part, blocks, noise=ideas.group_effect(photos, 0.5))
    kernel("errors that grow with the total", part, blocks, noise=ideas.growing_noise(photos))
    for weight in (0.1, 1.0):
        add(f"height and NDVI learnt beside, weight {weight:g}", part,
            bench.by_idea(lambda _, weight=weight: ideas.learnt_sensors(vectors(), photos, weight)))  # fmt: skip
    kernel(
        "height and NDVI measured beside (not a photo alone)", part,
        lambda: blocks() + 0.1 * ideas.linear((_products(photos.sensors), 1.0)),
    )  # fmt: skip
    for count in (4, 6, 8):
        add(f"partial least squares, {count} components", part,
            bench.by_idea(lambda _, count=count: ideas.partial_least_squares(vectors(), photos, count)))  # fmt: skip

    part = "Other heads on 4 views, no heterogeneity"
    sample = cache(lambda: bench.some_patches(four, 9))
    for keep, whiten in ((64, 0.0), (64, 0.5), (32, 1.0)):
        kernel(
            f"{keep} principal components of patches, whitened {whiten:g}", part,
            lambda keep=keep, whiten=whiten: ideas.components_kernel(
                ideas.patch_components(sample(), bench.means(four), keep, whiten)
            ),
        )  # fmt: skip
    kernel("Gaussian kernel on patches", part, cache(lambda: ideas.rbf_on_patches(sample(), 64)))
    low = cache(lambda: bench.half_patches(64))
    for name, how in {
        "softplus nets a patch": {},
        "softplus nets a patch, SAM (rho 0.05)": {"rho": 0.05},
        "softplus nets a patch, 150 epochs": {"epochs": 150},
        "softplus nets a patch, 64 hidden": {"hidden": 64},
        "softplus nets a patch, Huber at 0.3": {"delta": 0.3},
    }.items():
        add(name, part, bench.by_idea(lambda seed, how=how: ideas.softplus_nets(low(), photos, seed, **how)),
            SEEDS if not how else (0,))  # fmt: skip

    part = "Averages of estimates"
    for names in (
        (FIELD, "softplus nets a patch"),
        (FIELD, "ridge on halves at 784"),
        (FIELD, "ridge on halves at 336"),
        (FIELD, "ridge on halves, class vector"),
        (FIELD, "square roots of grams"),
        ("ridge on halves, 4 views", "ridge on halves, layer 11 of 12"),
    ):
        add("mean of: " + " and ".join(names), part, bench.by_average(made, *names))
    return list(made.values())


def field_without_backbone(field: Recipe) -> Recipe:
    """Heterogeneity of the texture, beside the texture's own numbers that count next to nothing."""
    return changed(field, views=1, heterogeneity_weight=1e3)


def _products(sensors: np.ndarray) -> np.ndarray:
    height, ndvi = np.log(sensors[:, 0]), sensors[:, 1]
    return np.stack([height, ndvi, height * ndvi], 1)


def _from_log(fitted: np.ndarray) -> np.ndarray:
    return np.exp(np.minimum(fitted, 6)) - 10


def paired(bench: Bench, a: np.ndarray, b: np.ndarray) -> list[float]:
    """Mean over assignments and seeds of the score of b less that of a, and its 95 % interval over groups."""
    group = bench.photos.group
    rng = np.random.default_rng(0)
    members = [np.flatnonzero(group == g) for g in range(group.max() + 1)]
    drawn = [np.concatenate([members[g] for g in rng.integers(len(members), size=len(members))]) for _ in range(DRAWS)]

    def mean_score(estimates: np.ndarray, rows: np.ndarray) -> float:
        flat = estimates.reshape(-1, *estimates.shape[2:])
        return float(np.mean([weighted_r2(bench.grams[rows], one[rows]) for one in flat]))

    every = np.arange(len(group))
    differences = [mean_score(b, rows) - mean_score(a, rows) for rows in drawn]
    return [mean_score(b, every) - mean_score(a, every), *np.quantile(differences, [0.025, 0.975]).tolist()]


def learning_curve(bench: Bench, recipe: Recipe) -> dict[str, list[float]]:
    """Scores by number of weighed photos: each fold judged by heads trained on so many of the others' photos."""
    tokens, digests = bench.tokens(recipe)
    scores: dict[str, list[float]] = {}
    for count in CURVE_PHOTOS:
        for draw in range(CURVE_DRAWS):
            folds = bench.folds[draw % len(bench.folds)]
            rng = np.random.default_rng(draw)
            made = np.empty_like(bench.grams)
            for number in range(folds.count):
                test = np.flatnonzero(folds.fold == number)
                others = rng.permutation(np.flatnonzero(folds.fold != number))
                made[test] = _trained_on(bench, recipe, tokens, digests, others[:count], test)
            scores.setdefault(str(count), []).append(weighted_r2(bench.grams, made))
    return scores


def _trained_on(
    bench: Bench, recipe: Recipe, tokens: list[torch.Tensor], digests: list[str], train: np.ndarray, test: np.ndarray
) -> np.ndarray:
    """Delivered estimates of the test photos by the head that has seen the train photos alone."""
    from herbage.heads.heads import fit_heads

    rows = np.concatenate([test, train])
    fold = np.r_[np.zeros(len(test), int), np.ones(len(train), int)]
    heads = fit_heads(recipe, [tokens[r] for r in rows], bench.grams[rows], fold, bench.photos.group[rows], 0)
    return deliver(np.stack([heads.grams(tokens[r])[:, 0].mean(-1).double().numpy() for r in test]), recipe)


def main() -> None:
    """Run what is not there yet, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--only", nargs="*", help="names of rungs; all without it")
    asked = parser.parse_args()
    if "HERBAGE_REAL" not in os.environ:
        parser.error("HERBAGE_REAL is not set: it names a folder with train.csv, its photos and vits14/")
    bench = Bench(Path(os.environ["HERBAGE_REAL"]), asked.work)
    rungs = {rung.name: rung for rung in ladder(bench)}
    if unknown := set(asked.only or ()) - set(rungs):
        parser.error(f"no such rung: {', '.join(sorted(unknown))}; there are {', '.join(rungs)}")
    if asked.only:
        for name in asked.only:
            bench.all_of(rungs[name])
        return
    reference, seed = bench.all_of(rungs[REFERENCE]), bench.all_of(rungs[SEED_RECIPE])
    lines = []
    for rung in rungs.values():
        estimates = bench.all_of(rung)
        by_assignment = [float(np.mean([weighted_r2(bench.grams, one) for one in row])) for row in estimates]
        line = {
            "part": rung.part,
            "name": rung.name,
            "seeds": len(rung.seeds),
            "score": float(np.mean(by_assignment)),
            "spread": float(np.std(by_assignment)),
            "less_ridge": paired(bench, reference, estimates),
            "less_seed": paired(bench, seed, estimates),
        }
        lines.append(line)
        print(
            f"{line['score']:.3f} sd {line['spread']:.3f}  less ridge {line['less_ridge'][0]:+.3f} "
            f"({line['less_ridge'][1]:+.3f} to {line['less_ridge'][2]:+.3f})  {rung.name}",
            flush=True,
        )
    curves = {
        name: learning_curve(bench, recipe) for name, recipe in ((FIELD, load_recipe("field")), (REFERENCE, PLAIN))
    }
    record = {
        "photos": len(bench.grams),
        "groups": len(set(bench.photos.group.tolist())),
        "assignments": len(ASSIGNMENTS),
        "seeds": len(SEEDS),
        "rungs": lines,
        "curves": curves,
        "sam": paired(bench, bench.all_of(rungs["seed without SAM (rho 0)"]), seed),
    }
    (asked.work / "accuracy.json").write_text(json.dumps(record, indent=1))
    print(f"{asked.work / 'accuracy.json'}")


if __name__ == "__main__":
    main()
