"""Peak memory as whole processes: extract and predict with more and more photos, real backbones beyond their weights.

python -m benchmarks memory [--quick]
"""

import shutil
import tempfile
from pathlib import Path

import pandas as pd

from benchmarks.command import command
from benchmarks.speed.backbones import backbone_of, photos
from benchmarks.speed.turns import asked, report
from herbage.app.demo import draw_photos

BAR_GB = 1.5
SMALL = """
backbone = "texture"
crops = "whole"
grid = 16
views = 1
heads = "ridge"
balance = true
"""
MANY = 1000


def copies(count: int, work: Path, place: Path) -> Path:
    """A folder of so many different photos, each another with a few bytes behind its end."""
    files = [Path(line) for line in photos(24, work).read_text().splitlines()]
    place.mkdir()
    for number in range(count):
        content = files[number % len(files)].read_bytes()
        (place / f"{number:04}.jpg").write_bytes(content + number.to_bytes(4, "big"))
    return place


def small_model(folder: Path) -> tuple[Path, Path]:
    """A recipe of one view for texture, and a model trained by it on the demo's drawn swards."""
    recipe, model, photos_drawn = folder / "small.toml", folder / "model", folder / "drawn"
    recipe.write_text(SMALL)
    pd.DataFrame(draw_photos(photos_drawn)).to_csv(folder / "drawn.csv", index=False)
    table = pd.read_csv(folder / "drawn.csv")
    table["image_path"] = table["image_path"].str.removeprefix("photos/")
    table.to_csv(folder / "drawn.csv", index=False)
    command("train", folder / "drawn.csv", "--photos", photos_drawn, "--model", model, "--recipe", recipe, "--quiet")
    return recipe, model


def main() -> None:
    """Measure, print, write memory.json."""
    options = asked(__doc__).parse_args()
    many = 50 if options.quick else MANY
    vits = backbone_of("vits", options.work)
    weights_gb = sum(file.stat().st_size for file in vits.glob("*.safetensors")) / 1e9
    lines = []
    options.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.work) as scratch:
        folder = Path(scratch)
        few, all_photos = copies(many // 10, options.work, folder / "few"), copies(many, options.work, folder / "many")
        for name, place, recipe, backbone in (
            (f"texture, {many // 10} photos", few, "seed", "texture"),
            (f"texture, {many} photos", all_photos, "seed", "texture"),
            ("vits, recipe seed", photos(4, options.work), "seed", vits),
            ("vits, recipe field", photos(4, options.work), "field", vits),
            ("vits, recipe crosspvt", photos(2, options.work), "crosspvt", vits),
        ):
            store = folder / "tokens"
            _, gb = command("extract", place, "--store", store, "--recipe", recipe, "--backbone", backbone, "--quiet")
            shutil.rmtree(store)
            beyond = gb - (weights_gb if backbone == vits else 0)
            lines.append({"work": f"extract, {name}", "peak_gb": gb, "beyond_weights_gb": beyond, "bar_gb": BAR_GB})
        recipe, model = small_model(folder)
        for count, place in ((many // 10, few), (many, all_photos)):
            command("extract", place, "--store", store, "--recipe", recipe, "--quiet")
            results = folder / f"results-{count}"
            asked_for = ("--out", results, "--store", store, "--maps", "--paddocks", "folder", "--quiet")
            seconds, gb = command("predict", model, place, *asked_for)
            name = f"predict from the store with maps, {count} photos in {seconds:.0f} s"
            lines.append({"work": name, "peak_gb": gb, "beyond_weights_gb": gb, "bar_gb": BAR_GB})
    report("memory", lines, options.out)


if __name__ == "__main__":
    main()
