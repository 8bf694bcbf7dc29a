"""The static site as files: complete, digested, relative, and without anything of this computer."""

import base64
import hashlib
import json
import re

import pandas as pd
import pytest
from PIL import Image

from herbage import steps
from herbage.errors import InputInvalid, OutputExists
from herbage.page.files import BROWSER, MODULES
from herbage.page.site import export_site
from herbage.recipe import load_recipe


@pytest.fixture(scope="module")
def model(weighed_photos, tmp_path_factory):
    recipe = load_recipe("field").model_copy(update={"grid": 6, "views": 1})
    place = tmp_path_factory.mktemp("sited") / "model"
    table = pd.read_csv(weighed_photos / "wide.csv")
    return steps.train(table, photos=weighed_photos, model=place, recipe=recipe, backbone="texture")


@pytest.fixture(scope="module")
def site(model, runtime, tmp_path_factory):
    place = tmp_path_factory.mktemp("static") / "site"
    export_site(model, None, place, [], runtime=runtime)
    return place


def listed(site):
    return json.loads((site / "site.js").read_text("utf-8").removeprefix("self.site = ").removesuffix(";\n"))["files"]


def test_every_file_is_listed_with_its_digest_but_the_lists_and_licences(site):
    files = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    licences = {"runtime/exif-reader.LICENSE.txt", "runtime/ort.LICENSE.txt", "runtime/ort.NOTICES.txt"}
    assert files - set(listed(site)) == {"site.js", "service-worker.js", "estimator/onnx.json"} | licences
    for name, of in listed(site).items():
        content = (site / name).read_bytes()
        assert of["bytes"] == len(content)
        assert of["integrity"] == "sha256-" + base64.b64encode(hashlib.sha256(content).digest()).decode()


def test_the_page_is_that_of_the_server_but_for_its_estimator_and_head(site):
    assert {path.name for path in MODULES.iterdir()} & {path.name for path in BROWSER.iterdir()} == {"estimator.js"}
    for path in MODULES.iterdir():
        if path.name not in ("estimator.js", "index.html", "server.js", "strings.csv"):
            assert (site / path.name).read_bytes() == path.read_bytes()
    head, added, body = re.split(
        r"(<meta http-equiv.*theme-color[^>]*>\n)", (site / "index.html").read_text("utf-8"), flags=re.S
    )
    assert head + body == (MODULES / "index.html").read_text("utf-8")
    assert "script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'" in added
    assert not (site / "server.js").exists()


def test_all_imports_are_files_of_the_site(site):
    for path in site.glob("*.js"):
        text = path.read_text("utf-8")
        for name in re.findall(r'(?:from|import|importScripts)[ (]"([^"]+)"', text):
            assert (site / name).is_file(), (path.name, name)
        assert re.findall(r"https?://(?!www\.w3\.org)[^\s\"')]*", text) in ([], ["https://."]), path.name


def test_the_icons_are_opaque_squares_of_the_stated_sizes(site):
    manifest = json.loads((site / "manifest.webmanifest").read_text("utf-8"))
    for icon in manifest["icons"]:
        with Image.open(site / icon["src"]) as image:
            assert icon["sizes"] == f"{image.width}x{image.height}"
            colours = image.convert("RGBA").getcolors(1 << 20)
            assert {colour[3] for _, colour in colours} == {255}
            assert len(colours) > 10, "the leaves are drawn"
    assert all(not manifest[of].startswith(("/", "http")) for of in ("start_url", "scope"))


def test_nothing_of_this_computer_is_published(site, weighed_photos):
    assert not (site / "run.json").exists()
    for path in site.rglob("*"):
        if path.is_file() and path.parent.name != "runtime":
            assert str(weighed_photos).encode() not in path.read_bytes(), path
            assert str(MODULES.parent).encode() not in path.read_bytes(), path


def test_the_same_export_is_the_same_version(model, site, runtime, tmp_path):
    steps.export(model, out=tmp_path / "again", as_format="web", runtime=runtime)
    assert (tmp_path / "again/site.js").read_text("utf-8") == (site / "site.js").read_text("utf-8")
    with pytest.raises(OutputExists):
        steps.export(model, out=tmp_path / "again", as_format="web", runtime=runtime)
    steps.export(model, out=tmp_path / "again", as_format="web", runtime=runtime, overwrite=True)
    (tmp_path / "again/.git").mkdir()
    with pytest.raises(OutputExists, match="is the work tree of a repository"):
        steps.export(model, out=tmp_path / "again", as_format="web", runtime=runtime, overwrite=True)


def test_an_estimator_that_no_browser_loads_is_refused(model, tmp_path, runtime, monkeypatch):
    monkeypatch.setattr("herbage.page.site.MOST_BYTES", 10_000)
    with pytest.raises(InputInvalid, match="browsers load at most 10 kB: pass `precision=int8`"):
        steps.export(model, out=tmp_path / "site", as_format="web", runtime=runtime)
    assert not (tmp_path / "site").exists()


def test_options_that_do_not_fit_are_refused(model, tmp_path, runtime):
    for options, message in (
        ({"precision": "bf16"}, "`as_format=web` has fp32 and int8, not bf16"),
        ({"precision": "int8"}, "`precision=int8` needs `photos`"),
        ({"as_format": "onnx", "runtime": runtime}, "it needs `as_format=web`"),
    ):
        with pytest.raises(InputInvalid, match=re.escape(message)):
            steps.export(model, out=tmp_path / "site", **({"as_format": "web"} | options))
    assert not (tmp_path / "site").exists()
