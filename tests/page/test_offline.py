"""The static site without a network: after one visit it estimates, stores results, and takes a newer version."""

import base64
import hashlib
import io
import json
import re
from contextlib import suppress
from urllib.parse import quote

import numpy as np
import pandas as pd
import pytest
from PIL import ExifTags, Image

from herbage import steps
from herbage.farm.farm import Farm
from herbage.page.site import export_site
from herbage.photos.icc import profile_of
from herbage.recipe import load_recipe
from tests.conftest import draw_photo
from tests.page.conftest import AXE, PATIENCE_MS, Host, expect, need, playwright

CORNERS = (("x1", 24), ("y1", 12), ("x2", 216), ("y2", 12), ("x3", 216), ("y3", 108), ("x4", 24), ("y4", 108))
"""Those that the page's dialog begins with, for a photo of 240 x 120 pixels."""


@pytest.fixture(scope="module")
def model(weighed_photos, tmp_path_factory):
    table = pd.read_csv(weighed_photos / "wide.csv")
    table["Sampling_Date"] = [f"2015/{number // 2 + 1}/1" for number in range(len(table))]  # enough groups for 90 %
    recipe = load_recipe("field").model_copy(update={"grid": 6, "views": 1})
    place = tmp_path_factory.mktemp("offline") / "model"
    return steps.train(table, photos=weighed_photos, model=place, recipe=recipe, backbone="texture")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Ten photos: five plain ones, and one broken, with corners, of 12 megapixels, turned by EXIF, and in Display P3."""
    folder = tmp_path_factory.mktemp("walk")
    rng = np.random.default_rng(5)

    def save(name, size=(240, 120), orientation=1, **options):
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = orientation
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2025:09:04 10:00:00"
        drawn = draw_photo(rng, rng.uniform(0.2, 0.9), (240, 120))
        drawn.resize(size).save(folder / name, exif=exif, quality=95, **options)

    for number in range(5):
        save(f"plain{number}.jpg")
    save("corners.jpg")
    save("large.jpg", (4000, 3000))
    save("portrait.jpg", (240, 160), orientation=6)
    save("wide-colours.jpg", icc_profile=profile_of("Display P3"))
    (folder / "broken.jpg").write_bytes((folder / "plain0.jpg").read_bytes()[:2000])
    return folder


@pytest.fixture
def host(model, runtime, tmp_path_factory):
    site = tmp_path_factory.mktemp("host") / "site"
    export_site(model, None, site, [], runtime=runtime)
    host = Host(site)
    yield host
    host.stop()


@pytest.fixture
def visit(chromium, host):
    """Opens the site until it is stored and isolated; checks at the end that it logged no error."""
    context, logged = chromium.new_context(viewport={"width": 390, "height": 844}), []
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.on("pageerror", lambda error: logged.append(error.stack))
    page.on("console", lambda message: logged.append(message.text) if message.type == "error" else None)
    page.goto(host.address)
    expect(page.locator("#offline")).to_have_text("This page works without a network.")
    until(page, "crossOriginIsolated")  # after one reload
    page.wait_for_selector("#target option", state="attached")
    yield page
    context.close()
    assert [one for one in logged if not re.search("net::ERR_|Failed to (load|fetch)", one)] == []


def until(page, expression):
    """Wait until an expression is true. Playwright's own way needs 'unsafe-eval', which the site does not allow."""
    for _ in range(PATIENCE_MS // 100):
        with suppress(playwright.Error):  # the page is just being reloaded
            if page.evaluate(expression):
                return
        page.wait_for_timeout(100)
    pytest.fail(f"{expression} did not become true")


def ended(page, count):
    expect(page.locator(".card .answer:visible, .card .failure:visible")).to_have_count(count, timeout=PATIENCE_MS)


def downloaded(page, button):
    with page.expect_download() as waiting:
        page.locator(button).click()
    with open(waiting.value.path(), "rb") as file:
        return file.read(), waiting.value.suggested_filename


def test_ten_photos_without_a_network_give_the_figures_of_predict(visit, host, model, photos, tmp_path):
    row = {"image_path": "corners.jpg", **dict(CORNERS)}
    pd.DataFrame([row]).to_csv(tmp_path / "corners.csv", index=False)
    steps.predict(model, photos, out=tmp_path / "out", table=tmp_path / "corners.csv")
    host.stop()
    visit.reload()
    visit.wait_for_selector("#target option", state="attached")
    visit.fill("#paddock", "North")
    visit.set_input_files("#choose", sorted(photos.iterdir()))
    ended(visit, 10)
    expect(visit.locator("#status")).to_have_text("9 of 10 photos done, 1 failed")
    card = visit.locator(".card").filter(has_text="corners.jpg")
    before = card.locator(".headline").inner_text()
    card.locator(".corners").click()
    visit.locator("dialog button[value=use]").click()
    expect(card.locator(".headline")).not_to_have_text(before)
    ended(visit, 10)
    content, name = downloaded(visit, "#csv")
    own, python = (
        pd.read_csv(one).set_index("photo") for one in (io.BytesIO(content), tmp_path / "out/predictions.csv")
    )
    assert "broken.jpg is not a readable image" in own.loc["broken.jpg", "message"]
    good = own.index.drop("broken.jpg")
    converted = ["wide-colours.jpg"]  # other rounding of colours than in Python: at most 1 of 255 levels
    for names, rtol in ((good.drop(converted), 1e-3), (converted, 0.01)):
        pd.testing.assert_frame_equal(own.loc[names], python.loc[names], rtol=rtol, atol=0.01, check_dtype=False)
    assert own.loc["broken.jpg", "status"] == python.loc["broken.jpg", "status"] == "unreadable"

    shown = visit.locator(".headline").all_inner_texts()
    visit.reload()
    ended(visit, 10)
    assert visit.locator(".headline").all_inner_texts() == shown
    assert visit.locator(".map canvas:visible").count() == 9
    assert visit.locator(".card img:visible, .card .corners:visible, .card .overlay:visible").count() == 0
    content, name = downloaded(visit, "#walk")
    (tmp_path / name).write_bytes(content)
    farm = Farm(tmp_path / "farm.gpkg")
    farm.add_walk(tmp_path / name)
    assert farm.visits()[["paddock", "photos"]].to_numpy().tolist() == [["North", 9]]
    host.start()


def test_photos_are_stored_only_on_request_and_results_until_they_are_removed(visit, photos):
    visit.set_input_files("#choose", [photos / "plain0.jpg", photos / "plain1.jpg"])
    ended(visit, 2)
    visit.get_by_label("Store the photos too").check()
    visit.locator(".card").nth(0).locator(".paddock").fill("East")
    visit.locator(".card").nth(1).locator(".remove").click()
    stored = "indexedDB.databases().then(async ([{ name }]) => new Promise((done) => { indexedDB.open(name).onsuccess = ({ target }) => target.result.transaction('results').objectStore('results').getAll().onsuccess = ({ target }) => done(target.result.map(({ paddock, file }) => [paddock, file?.size ?? null])) }))"  # fmt: skip
    size = (photos / "plain0.jpg").stat().st_size
    until(visit, f"{stored}.then((found) => JSON.stringify(found) === '[[\"East\",{size}]]')")
    visit.reload()
    ended(visit, 1)
    expect(visit.locator(".card img")).to_be_visible()
    expect(visit.locator(".card .paddock")).to_have_value("East")
    content, name = downloaded(visit, ".card .overlay")
    assert name == "plain0.jpg.png"
    assert Image.open(io.BytesIO(content)).width == 900
    visit.on("dialog", lambda dialog: dialog.accept())
    visit.get_by_role("button", name="Remove all results").click()
    expect(visit.locator(".card")).to_have_count(0)
    until(visit, f"{stored}.then((found) => !found.length)")
    visit.reload()
    visit.wait_for_selector("#target option", state="attached")
    expect(visit.locator(".card")).to_have_count(0)


def test_a_newer_version_is_offered_and_results_of_another_model_are_not_mixed_with_its_own(visit, host, photos):
    visit.set_input_files("#choose", photos / "plain0.jpg")
    ended(visit, 1)
    change(host.folder, "strings.json", lambda strings: strings["en"].update(lead="A newer lead."))
    visit.reload()
    expect(visit.locator("#update")).to_be_visible()
    expect(visit.locator("[data-text=lead]")).not_to_have_text("A newer lead.")
    visit.get_by_role("button", name="Use it").click()
    expect(visit.locator("[data-text=lead]")).to_have_text("A newer lead.")
    ended(visit, 1)

    change(host.folder, "model.json", lambda model: model["record"].update(digest="0" * 64))
    visit.reload()
    visit.get_by_role("button", name="Use it").click()
    expect(visit.locator("#earlier")).to_contain_text("for 1 photos")
    expect(visit.locator(".card")).to_have_count(0)
    names = []
    visit.on("download", lambda download: names.append(download.suggested_filename))
    visit.get_by_role("button", name="Save them as files").click()
    visit.wait_for_timeout(500)
    assert names == ["predictions.csv", "walk-2025-09-04.json"]
    visit.get_by_role("button", name="Remove them").click()
    expect(visit.locator("#earlier")).to_be_hidden()


def test_everything_that_the_page_needs_is_stored(visit, host):
    host.stop()
    names = "[...Object.keys(site.files), 'site.js', 'index.html?source=home', './']"
    visit.evaluate("import('./site.js')")
    found = visit.evaluate(f"Promise.all({names}.map(async (name) => (await fetch(name, {{ cache: 'no-store' }})).ok))")
    assert len(found) > 40
    assert all(found)
    with suppress(playwright.Error):
        assert not visit.evaluate("fetch('other/page.html')"), "what is not of the site is not answered"
    host.start()


def test_a_site_at_a_path_of_other_letters_works_without_a_network(chromium, host):
    place = host.folder.rename(host.folder.with_name("x")).parent
    place.joinpath("x").rename(place / "牧 草%")
    host.stop()
    host.folder = place
    host.start()
    page = chromium.new_page()
    page.goto(f"{host.address}{quote('牧 草%')}/")
    until(page, "crossOriginIsolated")
    host.stop()
    page.reload()
    page.wait_for_selector("#target option", state="attached", timeout=PATIENCE_MS)
    page.close()
    host.start()


def test_a_tab_is_reloaded_when_another_one_takes_a_newer_version_but_not_while_photos_wait(visit, host, photos):
    other = visit.context.new_page()
    other.goto(visit.url)
    other.wait_for_selector("#target option", state="attached")
    change(host.folder, "strings.json", lambda strings: strings["en"].update(lead="A newer lead."))
    visit.reload()
    expect(visit.locator("#update")).to_be_visible()
    other.set_input_files("#choose", [photos / "plain0.jpg", photos / "large.jpg"])
    visit.get_by_role("button", name="Use it").click()
    expect(visit.locator("[data-text=lead]")).to_have_text("A newer lead.")
    expect(other.locator("[data-text=lead]")).to_have_text("A newer lead.")
    ended(other, 2)


def test_a_result_that_could_not_be_stored_is_tried_again(visit, photos):
    visit.evaluate("IDBObjectStore.prototype.put = ((put) => function (...given) { IDBObjectStore.prototype.put = put; throw new DOMException('full', 'QuotaExceededError') })(IDBObjectStore.prototype.put); 0")  # fmt: skip
    visit.set_input_files("#choose", photos / "plain0.jpg")
    ended(visit, 1)
    expect(visit.locator("#store-failed")).to_contain_text("could not be stored on this device: full")
    visit.locator(".card .corners").click()
    visit.locator("dialog button[value=use]").click()
    ended(visit, 1)
    visit.set_input_files("#choose", photos / "plain1.jpg")
    ended(visit, 2)
    expect(visit.locator("#store-failed")).to_be_hidden()
    visit.reload()
    ended(visit, 2)


def test_a_version_whose_files_are_not_the_listed_ones_is_not_taken(visit, host):
    listed = (host.folder / "site.js").read_text("utf-8")
    (host.folder / "site.js").write_text(listed.replace('"version": "', '"version": "9'), "utf-8")
    (host.folder / "card.js").write_text("damaged")
    visit.reload()
    visit.wait_for_selector("#target option", state="attached")
    until(visit, "navigator.serviceWorker.getRegistration().then((one) => !one.installing && !one.waiting)")
    expect(visit.locator("#update")).to_be_hidden()
    visit.reload()
    visit.wait_for_selector("#target option", state="attached")


def change(site, name, action):
    """Change a file of the site and list its new digest, as another export would."""
    content = json.loads((site / name).read_text("utf-8"))
    action(content)
    (site / name).write_text(json.dumps(content), "utf-8")
    listed = json.loads((site / "site.js").read_text("utf-8").removeprefix("self.site = ").removesuffix(";\n"))
    digest = hashlib.sha256((site / name).read_bytes()).digest()
    listed["files"][name] = {"bytes": 1, "integrity": f"sha256-{base64.b64encode(digest).decode()}"}
    listed["version"] += "x"
    (site / "site.js").write_text(f"self.site = {json.dumps(listed)};\n", "utf-8")


def test_a_browser_that_changes_pixels_is_noticed(visit, photos):
    falsify = "OffscreenCanvasRenderingContext2D.prototype.getImageData = ((read) => function (...area) { const found = read.apply(this, area); found.data[0] ^= 1; return found; })(OffscreenCanvasRenderingContext2D.prototype.getImageData);"  # fmt: skip
    context = visit.context.browser.new_context(service_workers="block")
    page = context.new_page()
    page.route(
        "**/photo.js",
        lambda route: route.fulfill(body=f"{route.fetch().text()}\n{falsify}", content_type="text/javascript"),
    )
    page.goto(visit.url)
    page.set_input_files("#choose", photos / "plain0.jpg")
    expect(page.locator(".failure")).to_contain_text("this browser changes pixels")
    context.close()


def test_it_can_be_installed_and_axe_finds_nothing_serious(visit, photos):
    session = visit.context.new_cdp_session(visit)
    manifest = session.send("Page.getAppManifest")
    assert manifest["errors"] == []
    # "in-incognito" is about the profile of the test, not about the site.
    errors = session.send("Page.getInstallabilityErrors")["installabilityErrors"]
    assert [error["errorId"] for error in errors if error["errorId"] != "in-incognito"] == []
    need(AXE.is_file(), "axe-core")
    visit.set_input_files("#choose", photos / "plain0.jpg")
    ended(visit, 1)
    visit.reload()
    ended(visit, 1)
    policy = visit.locator("meta[http-equiv=Content-Security-Policy]").get_attribute("content")
    assert not re.search("unsafe-inline|'unsafe-eval'", policy)
    visit.evaluate(AXE.read_text("utf-8"))
    found = visit.evaluate("axe.run()")
    assert [one["id"] for one in found["violations"] if one["impact"] in ("serious", "critical")] == []
    assert visit.evaluate("document.documentElement.scrollWidth") == 390
