"""The ladder of accuracy: what each part of a recipe is worth on real photos, and what was tried in vain.

    HERBAGE_REAL=DIR python -m benchmarks accuracy --work WORK [--only NAME ...]

DIR holds train.csv, its photos and a backbone `vits14`. Every rung is judged on the same 5 assignments of photos to
folds grouped by State and Sampling_Date, what is random with 3 seeds, and compared with plain ridge on halves and with
the recipe `seed` by the paired difference of weighted R2, its 95 % interval by a bootstrap over groups. Out-of-fold
estimates are kept below WORK, so the script goes on where it was stopped. It prints the table and writes
WORK/accuracy.json, from which `accuracy-page` makes docs/accuracy.md.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
from sklearn.linear_model import Ridge

from benchmarks.accuracy import ideas
from benchmarks.accuracy.real_photos import SEEDS, Bench, Rungs, asked_for, changed
from herbage.backbones.texture import NAMES
from herbage.evaluation.baselines import TEXTURE_RECIPE
from herbage.recipe import load_recipe

MEAN, REFERENCE, SEED_RECIPE, FIELD = "each target's mean", "ridge on halves, 1 view", "seed", "field"

SEED, FIELD_RECIPE = load_recipe("seed"), load_recipe("field")
PLAIN = FIELD_RECIPE.model_copy(
    update={"name": "plain ridge on halves", "views": 1, "average_views": False, "heterogeneity": False}
)
FOUR_VIEWS = PLAIN.model_copy(update={"views": 4})


class Ladder(Rungs):
    """Every rung, part by part, in the order of the page."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self.photos = bench.photos
        self.floors("Floors")
        self.seed_and_sam("The seed, and SAM")
        self.what_is_seen("What the backbone sees")
        self.heterogeneity("Heterogeneity beside the vectors")
        self.linear_heads("Other linear heads on the field's vectors")
        self.heads_on_patches("Other heads on four views' patches, no heterogeneity")
        self.averages("Averages of estimates")

    def floors(self, part: str) -> None:
        """What asks for no backbone."""
        grams = self.bench.grams

        def means(assignment: int, _: int) -> np.ndarray:
            fold = self.bench.folds[assignment].fold
            return np.stack([grams[fold != number].mean(0) for number in fold])

        self.add(MEAN, part, means)
        self.recipe("ridge on texture", part, TEXTURE_RECIPE, "texture")
        self.kernel("ridge on measured height and NDVI", part, lambda: ideas.linear((self.photos.sensors, 1.0)))

    def seed_and_sam(self, part: str) -> None:
        """The public notebook's way, with and without SAM, and a linear head on what it sees."""
        self.recipe(SEED_RECIPE, part, SEED, seeds=SEEDS)
        self.recipe("seed without SAM (rho 0)", part, changed(SEED, rho=0.0), seeds=SEEDS)
        self.recipe("seed with rho 0.2", part, changed(SEED, rho=0.2))
        self.recipe("ridge on the seed's tokens", part, changed(SEED, heads="ridge", balance=True))
        self.recipe(
            "ridge on the seed's tokens, no blur", part, changed(SEED, heads="ridge", balance=True, blur_sigma=0.0)
        )

    def what_is_seen(self, part: str) -> None:
        """Crops, scales, layers and views, all with plain ridge."""
        self.recipe("ridge on the whole photo, 518 squash", part, changed(PLAIN, crops="whole"))
        self.recipe("ridge on halves at 336", part, changed(PLAIN, grid=24))
        self.recipe(REFERENCE, part, PLAIN)
        self.recipe("ridge on halves at 784", part, changed(PLAIN, grid=56))
        self.recipe("ridge on halves, class vector", part, changed(PLAIN, keep="class"))
        self.recipe("ridge on halves, layer 11 of 12", part, PLAIN, "vits14 11")
        self.recipe("ridge on halves, layer 10 of 12", part, PLAIN, "vits14 10")
        self.recipe("ridge on halves, even exposure", part, PLAIN, "vits14 even")
        for views in (2, 4, 6):
            self.recipe(f"ridge on halves, {views} views", part, changed(PLAIN, views=views))

    def heterogeneity(self, part: str) -> None:
        """The field recipe, and how its second block was chosen."""
        # Beside the texture's own numbers, which count next to nothing here.
        alone = changed(FIELD_RECIPE, views=1, heterogeneity_weight=1e3)
        self.recipe("heterogeneity alone, no backbone", part, alone, "texture")
        one = changed(FIELD_RECIPE, views=1)
        self.recipe("1 view + heterogeneity", part, one)
        self.recipe("1 view + heterogeneity, even exposure", part, one, "vits14 even")
        for weight in (0.25, 0.5, 2.0):
            weighted = changed(FIELD_RECIPE, heterogeneity_weight=weight)
            self.recipe(f"4 views + heterogeneity, weight {weight:g}", part, weighted)
        self.recipe(FIELD, part, FIELD_RECIPE)
        texture = changed(TEXTURE_RECIPE, crops="halves", grid=37)
        means = self.bench.means
        spreads = np.array([name.startswith("spread") for name in NAMES])
        for name, some in (("the spreads alone", spreads), ("all but the spreads", ~spreads)):
            self.kernel(
                f"4 views + heterogeneity of {name}", part,
                lambda some=some: ideas.linear(
                    (means(FIELD_RECIPE)[:, : -len(NAMES)], 1.0), (means(FIELD_RECIPE)[:, -len(NAMES) :][:, some], 1.0)
                ),
            )  # fmt: skip
        self.kernel(
            "4 views + the texture itself", part,
            lambda: ideas.linear((means(FOUR_VIEWS), 1.0), (means(texture, "texture"), 1.0)),
        )  # fmt: skip
        self.kernel(
            "4 views + spread of the vectors", part,
            lambda: ideas.linear((means(FOUR_VIEWS), 1.0), (means(FOUR_VIEWS, pool="std"), 1.0)),
        )  # fmt: skip

    def linear_heads(self, part: str) -> None:
        """Priors, links and helpers for few photos."""
        photos = self.photos
        vectors = cache(lambda: self.bench.means(FIELD_RECIPE))
        split = len(NAMES)
        blocks = cache(lambda: ideas.linear((vectors()[:, :-split], 1.0), (vectors()[:, -split:], 1.0)))
        self.kernel("the same by a kernel (check)", part, blocks)
        self.kernel("square roots of grams", part, blocks, link=(np.sqrt, lambda y: np.maximum(y, 0) ** 2))
        self.kernel("logarithms of 10 + grams", part, blocks, link=(lambda y: np.log(y + 10), _from_log))
        self.kernel("a shared error a place and day (0.5)", part, blocks, noise=ideas.group_effect(photos, 0.5))
        self.kernel("errors that grow with the total", part, blocks, noise=ideas.growing_noise(photos))
        for weight in (0.1, 1.0):
            learnt = self.bench.by_idea(lambda _, weight=weight: ideas.learnt_sensors(vectors(), photos, weight))
            self.add(f"height and NDVI learnt beside, weight {weight:g}", part, learnt)
        self.kernel(
            "height and NDVI measured beside (not a photo alone)", part,
            lambda: blocks() + 0.1 * ideas.linear((_products(photos.sensors), 1.0)),
        )  # fmt: skip
        for count in (4, 6, 8):
            pls = self.bench.by_idea(lambda _, count=count: ideas.partial_least_squares(vectors(), photos, count))
            self.add(f"partial least squares, {count} components", part, pls)

    def heads_on_patches(self, part: str) -> None:
        """Metrics learnt from patches, and heads that are not linear in a patch."""
        sample = cache(lambda: self.bench.some_patches(FOUR_VIEWS, 9))

        def components(keep: int, whiten: float) -> Callable[[], np.ndarray]:
            return lambda: ideas.components_kernel(
                ideas.patch_components(sample(), self.bench.means(FOUR_VIEWS), keep, whiten)
            )

        for keep, whiten in ((64, 0.0), (64, 0.5), (32, 1.0)):
            self.kernel(f"{keep} principal components, whitened {whiten:g}", part, cache(components(keep, whiten)))
        self.kernel("Gaussian kernel on patches", part, cache(lambda: ideas.rbf_on_patches(sample(), 64)))
        low = cache(lambda: self.bench.half_patches(FOUR_VIEWS, 64))
        for name, how in {
            "softplus nets a patch": {},
            "softplus nets a patch, SAM (rho 0.05)": {"rho": 0.05},
            "softplus nets a patch, 150 epochs": {"epochs": 150},
            "softplus nets a patch, 64 hidden": {"hidden": 64},
            "softplus nets a patch, Huber at 0.3": {"delta": 0.3},
        }.items():
            nets = self.bench.by_idea(lambda seed, how=how: ideas.softplus_nets(low(), self.photos, seed, **how))
            self.add(name, part, nets, (0,) if how else SEEDS)

    def averages(self, part: str) -> None:
        """Two members that err differently, in equal parts."""
        for names in (
            (FIELD, "softplus nets a patch"),
            (FIELD, "ridge on halves at 784"),
            (FIELD, "ridge on halves at 336"),
            (FIELD, "ridge on halves, class vector"),
            (FIELD, "square roots of grams"),
            ("ridge on halves, 4 views", "ridge on halves, layer 11 of 12"),
        ):
            self.add("mean of: " + " and ".join(names), part, self.bench.by_average(self.rungs, *names))


def sensors_read_off(bench: Bench) -> dict[str, float]:
    """R2 of log height and NDVI estimated out of fold from the field's vectors, the mean over assignments."""
    known = np.stack([np.log(bench.photos.sensors[:, 0]), bench.photos.sensors[:, 1]], 1)
    vectors, errors = ideas.standard(bench.means(FIELD_RECIPE)), []
    for folds in bench.folds:
        guessed = np.empty_like(known)
        for number in range(folds.count):
            own = folds.fold == number
            guessed[own] = Ridge(alpha=100.0).fit(vectors[~own], known[~own]).predict(vectors[own])
        errors.append(((guessed - known) ** 2).sum(0))
    r2 = 1 - np.mean(errors, axis=0) / ((known - known.mean(0)) ** 2).sum(0)
    return dict(zip(("log height", "NDVI"), r2.tolist(), strict=True))


def _products(sensors: np.ndarray) -> np.ndarray:
    height, ndvi = np.log(sensors[:, 0]), sensors[:, 1]
    return np.stack([height, ndvi, height * ndvi], 1)


def _from_log(fitted: np.ndarray) -> np.ndarray:
    return np.exp(np.minimum(fitted, 6)) - 10


def main() -> None:
    """Run what is not there yet, print the table, write the JSON."""
    bench, rungs = asked_for(__doc__, Ladder)
    seed = bench.all_of(rungs[SEED_RECIPE])
    references = {"ridge": bench.all_of(rungs[REFERENCE]), "seed": seed}
    record = {
        **bench.facts(),
        "seeds": len(SEEDS),
        "rungs": [bench.line(rung, references) for rung in rungs.values()],
        "sensors": sensors_read_off(bench),
        "sam": bench.paired(bench.all_of(rungs["seed without SAM (rho 0)"]), seed),
    }
    bench.write("accuracy.json", record)


if __name__ == "__main__":
    main()
