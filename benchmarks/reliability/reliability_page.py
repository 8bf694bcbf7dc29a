"""docs/reliability.md and docs/scale.md, from what `fuzz`, `kills`, `many`, `scale` and `extract` wrote to --results.

python -m benchmarks reliability-page --results DIR
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

from benchmarks.page import write_page
from herbage.backbones.views import CROPS, patches_per_photo
from herbage.recipe import Recipe, load_recipe
from herbage.tokens.layout import tokens_shape

PHOTOS = 1_000_000
PEAK_TFLOPS = 989
"""An H100 SXM in bf16 without sparsity, as NVIDIA states it."""

SHARE = 0.4
"""Of the peak that a ViT-giant may reach; assumed, not measured."""

DECODING_S = 0.034
"""Of a photo of 2000 x 1000 pixels on one core (docs/performance.md)."""


@dataclass(frozen=True)
class Machines:
    """Some machines, what one hour of all of them costs (an assumption), and photos a second by recipe."""

    name: str
    usd_per_hour: float
    photos_per_s: dict[str, float]

    def hours(self, recipe: str) -> float:
        """For a million photos."""
        return PHOTOS / self.photos_per_s[recipe] / 3600

    def usd(self, recipe: str) -> float:
        """For a million photos."""
        return self.hours(recipe) * self.usd_per_hour


def main() -> None:
    """Write both pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("benchmark-results"))
    results = parser.parse_args().results
    measured = {name: json.loads((results / f"{name}.json").read_text()) for name in ("fuzz", "kills", "many", "scale")}
    giant = json.loads((results / "extract-giant-int8.json").read_text())["lines"][0]
    recipes = {name: load_recipe(name) for name in ("seed", "field")}
    work = {name: petaflops(recipe) for name, recipe in recipes.items()}
    seed_s = giant["ours_s"]
    cpu = {name: 32 / (seed_s * work[name] / work["seed"]) for name in recipes}
    gpu = {name: min(SHARE * PEAK_TFLOPS / 1000 / work[name], 16 / DECODING_S) for name in recipes}
    machines = [
        Machines("one H100, 16 cores", 3.0, gpu),
        Machines("eight H100, 128 cores", 24.0, {name: 8 * rate for name, rate in gpu.items()}),
        Machines("64 cores of CPU, spot, int8", 1.0, cpu),
        Machines("100 times 64 cores, spot, int8", 100.0, {name: 100 * rate for name, rate in cpu.items()}),
    ]
    write_page("reliability", **measured)
    write_page(
        "scale",
        **measured,
        machines=machines,
        work=work,
        seed_s=seed_s,
        share=SHARE,
        peak=PEAK_TFLOPS,
        token_mb={name: token_mb(recipe) for name, recipe in recipes.items()},
    )


def petaflops(recipe: Recipe) -> float:
    """Of the giant on one photo: two a weight and token, and attention (40 layers, width 1536)."""
    images = recipe.views * CROPS[recipe.crops]
    tokens = patches_per_photo(recipe) / images + 1
    return images * tokens * (2 * 1.136e9 + 40 * 4 * tokens * 1536) / 1e15


def token_mb(recipe: Recipe) -> float:
    """Megabytes of one photo's tokens from the giant, in float16."""
    views, kept, width = tokens_shape(recipe, 1536)
    return views * kept * width * 2 / 1e6


if __name__ == "__main__":
    main()
