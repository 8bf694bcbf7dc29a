"""Peak memory of extract and predict as processes: by number of photos, and beyond the weights of the backbone.

python -m benchmarks memory [--quick]
"""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmarks.harness import option_parser, parse, run_herbage
from benchmarks.speed.backbones import backbone_of, photos
from benchmarks.speed.timing import report
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
MANY = 400


def copies(files: Sequence[Path], count: int, place: Path) -> Path:
    """A folder of `count` copies of these photos; a few bytes appended to each make them all differ."""
    place.mkdir()
    for number in range(count):
        content = files[number % len(files)].read_bytes()
        (place / f"{number:05}.jpg").write_bytes(content + number.to_bytes(4, "big"))
    return place


def small_recipe(folder: Path) -> Path:
    """A recipe of one view for texture."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "small.toml").write_text(SMALL, "utf-8")
    return folder / "small.toml"


def drawn_model(folder: Path, recipe: str | Path) -> Path:
    """FOLDER/model, a model for texture trained on the drawn swards of the demo in FOLDER/drawn; made once."""
    model, drawn = folder / "model", folder / "drawn"
    if not model.is_dir():
        table = pd.DataFrame(draw_photos(drawn))
        table["image_path"] = table["image_path"].str.removeprefix("photos/")
        table.to_csv(folder / "drawn.csv", index=False)
        how = ("--photos", drawn, "--model", model, "--recipe", recipe, "--backbone", "texture", "--quiet")
        run_herbage("train", folder / "drawn.csv", *how)
    return model


def main() -> None:
    """Measure, print, write memory.json."""
    options = parse(option_parser(__doc__))
    many = 50 if options.quick else MANY
    vits = backbone_of("vits", options.work)
    weights_gb = sum(file.stat().st_size for file in vits.glob("*.safetensors")) / 1e9
    lines = []
    with tempfile.TemporaryDirectory(dir=options.work) as scratch:
        folder = Path(scratch)
        files = [Path(line) for line in photos(24, options.work).read_text("utf-8").splitlines()]
        few, all_photos = copies(files, many // 10, folder / "few"), copies(files, many, folder / "many")
        for name, place, recipe, backbone in (
            (f"texture, {many // 10} photos", few, "seed", "texture"),
            (f"texture, {many} photos", all_photos, "seed", "texture"),
            ("vits, recipe seed", photos(4, options.work), "seed", vits),
            ("vits, recipe field", photos(4, options.work), "field", vits),
            ("vits, recipe crosspvt", photos(2, options.work), "crosspvt", vits),
        ):
            store = folder / "tokens"
            _, gb = run_herbage(
                "extract", place, "--store", store, "--recipe", recipe, "--backbone", backbone, "--quiet"
            )
            shutil.rmtree(store)
            beyond = gb - (weights_gb if backbone == vits else 0)
            lines.append({"work": f"extract, {name}", "peak_gb": gb, "beyond_weights_gb": beyond, "bar_gb": BAR_GB})
        recipe = small_recipe(folder)
        model = drawn_model(folder, recipe)
        for count, place in ((many // 10, few), (many, all_photos)):
            run_herbage("extract", place, "--store", store, "--recipe", recipe, "--quiet")
            results = folder / f"results-{count}"
            arguments = ("--out", results, "--store", store, "--maps", "--paddocks", "folder", "--quiet")
            _, gb = run_herbage("predict", model, place, *arguments)
            name = f"predict from the store with maps, {count} photos"
            lines.append({"work": name, "peak_gb": gb, "beyond_weights_gb": gb, "bar_gb": BAR_GB})
    report("memory", lines, options.out)
