"""Every Python block and every herbage command of the README and of docs/ is run, page by page, on small photos."""

import re
import shlex
import shutil
from pathlib import Path

import pandas as pd
import pytest
from PIL import ExifTags, Image

from herbage.app.cli import run
from herbage.farm.models import ModelRecord
from herbage.farm.walk_file import WalkFile, WalkPhoto
from tests.results.farms import feature, square, write_farm

ROOT = Path(__file__).parent.parent
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    *sorted(page.relative_to(ROOT).as_posix() for page in (ROOT / "docs").rglob("*.md")),
]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
BY_HAND = ("serve",)
"""Commands that do not end by themselves; tests/app/web/test_serving.py runs them."""

HUB_IDS = "facebook/dinov2-giant", "facebook/dinov2-small"
ELSEWHERE = {
    "accuracy.md", "crosspvt.md", "performance.md", "trust.md", "scale.md",  # commands that need real photos or a cluster
    "browser.md",  # tests/page/test_site.py exports
    "engines.md",  # tests/backbones/test_openvino.py and tests/results/test_onnx.py export
    "first-paddock.md",  # tests/end_to_end/test_demo.py, which has the demo
}  # fmt: skip


def blocks(page):
    """What a page runs: (its kind, the text), in order; of plain blocks the lines that are herbage commands."""
    for kind, text in BLOCK.findall((ROOT / page).read_text("utf-8")):
        if kind == "python":
            yield "python", text
        elif kind in ("", "bash", "sh"):
            joined = text.replace("\\\n", " ")
            commands = [line.partition("  #")[0] for line in joined.splitlines() if line.startswith("herbage ")]
            yield from (("command", line) for line in commands)


def pages_with_code():
    for page in PAGES:
        if Path(page).name not in ELSEWHERE and any(True for _ in blocks(page)):
            yield page


@pytest.fixture(scope="module")
def ground(weighed_photos, quick_model, tmp_path_factory):
    """Tables and photos by the names that the pages use, a model, and what is written by hand between two commands."""
    place = tmp_path_factory.mktemp("docs") / "ground"
    wide = pd.read_csv(weighed_photos / "wide.csv")[::2].reset_index(drop=True)
    for folder in ("photos", "new_photos/0"):
        (place / folder).mkdir(parents=True)
        for path in wide["image_path"]:
            shutil.copy(weighed_photos / path, place / folder)
    wide.to_csv(place / "wide.csv", index=False)
    for name in ("train.csv", "test.csv"):
        table = pd.read_csv(weighed_photos / name)
        table["Height_Ave_cm"] = table["image_path"].map(wide.set_index("image_path")["Dry_Total_g"] / 4)
        table[table["image_path"].isin(wide["image_path"])].to_csv(place / name, index=False)
    heights = pd.DataFrame({"image_path": [f"0/{Path(path).name}" for path in wide["image_path"]]})
    heights.assign(Height_Ave_cm=wide["Dry_Total_g"] / 4).to_csv(place / "heights.csv", index=False)
    mine = pd.DataFrame({
        "Foto": wide["image_path"],
        "Paddock": wide["Sampling_Date"],
        "Yield": wide["Dry_Total_g"] * 10 / 0.21,
    })  # fmt: skip
    mine.to_excel(place / "mine.xlsx", index=False)
    with_place = Image.Exif()
    with_place.get_ifd(ExifTags.IFD.GPSInfo).update({1: "S", 2: (42.0, 30.0, 36.0), 3: "E", 4: (147.0, 15.0, 0.0)})
    Image.open(place / "photos/ID0.png").save(place / "new_photos/a.jpg", exif=with_place)
    others = wide[["image_path", "Dry_Total_g"]][1::2]
    others.assign(image_path="0/" + others["image_path"].str.removeprefix("train/")).to_csv(
        place / "other_cuts.csv", index=False
    )
    write_farm(place, feature(square(147, -43), PADDOCK_NM="River"))
    quick_model.save_pretrained(place / "model")
    save_walk(quick_model, place / "new_photos/a.jpg", place / "walk-2026-09-04.json")
    return place


def save_walk(model, photo, place):
    """What the page saves of a walk."""
    cells = model.estimate(photo).row() | {"photo_sha256": "5d" * 32, "model": model.digest, "paddock": "River"}
    walk = WalkFile(model=ModelRecord.of(model), photos=[WalkPhoto(**cells, day="2026-09-04")])
    place.write_text(walk.model_dump_json(), "utf-8")


def weigh(cuts):
    """What a person does between plan-cuts and calibrate."""
    if cuts.is_file():
        table = pd.read_csv(cuts)
        table.iloc[:, -1] = table.iloc[:, 1] * 1.1
        table.to_csv(cuts, index=False)


def run_page(page, here):
    """Run its blocks in order, in this folder, with `texture` for every backbone of the hub."""
    names = {}
    for kind, text in blocks(page):
        for hub_id in HUB_IDS:
            text = text.replace(hub_id, "texture")
        if kind == "python":
            exec(compile(text, page, "exec"), names)
            continue
        arguments = shlex.split(text)[1:]
        if arguments[0] not in BY_HAND:
            weigh(here / "cuts.csv")
            assert run(arguments) == 0, text


@pytest.fixture
def coarse(tmp_path, monkeypatch):
    """The recipes by their names, on fewer patches and with less training: the pages are tested, not the recipes."""
    place = tmp_path / "recipes"
    place.mkdir()
    for recipe in (ROOT / "src/herbage/recipes").glob("*.toml"):
        text = re.sub(r"(?m)^grid = \d+", "grid = 8", recipe.read_text("utf-8"))
        (place / recipe.name).write_text(re.sub(r"(?m)^epochs = \d+", "epochs = 8", text), "utf-8")
    monkeypatch.setattr("herbage.recipe._shipped", lambda: place)


@pytest.mark.parametrize("page", list(pages_with_code()))
def test_the_code_of_a_page_runs(page, ground, coarse, tmp_path, monkeypatch):
    here = tmp_path / "here"
    shutil.copytree(ground, here)
    monkeypatch.chdir(here)
    if "herbage train" in (ROOT / page).read_text("utf-8"):
        shutil.rmtree(here / "model")
    run_page(page, here)


def test_every_page_is_reached_from_the_first():
    index = (ROOT / "docs/index.md").read_text("utf-8")
    for page in (ROOT / "docs").rglob("*.md"):
        name = page.relative_to(ROOT / "docs").with_suffix("").as_posix()
        assert name == "index" or re.search(rf"^{name}$", index, re.MULTILINE), f"{name} is in no toctree"


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)\)", (ROOT / page).read_text("utf-8")):
        if not target.startswith(("http", "mailto")):
            assert (ROOT / page).parent.joinpath(target).exists(), f"{page} links to {target}"


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) < 150
