"""The page in Chromium, operated as a user would: with the server, and as a static site."""

import io
import json
import re
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import uvicorn
from PIL import ExifTags, Image

from herbage import steps
from herbage.app.web.api import make_app
from herbage.farm.farm import Farm
from herbage.farm.walk_file import WalkFile
from herbage.page.facts import model_facts
from herbage.page.site import export_site
from herbage.photos.photo import PhotoFile
from herbage.recipe import load_recipe
from tests.conftest import draw_photo
from tests.page.conftest import AXE, PATIENCE_MS, expect, need, serving_folder

pytest.importorskip("playwright.sync_api")

MODEL = re.compile("api/model|model[.]json")
RECIPE = load_recipe("field").model_copy(update={"grid": 6, "views": 1})


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Twenty photos of two days in one place, some with a position, and a broken one."""
    folder = tmp_path_factory.mktemp("phone") / "photos"
    folder.mkdir()
    rng = np.random.default_rng(8)
    for number in range(20):
        photo = draw_photo(rng, rng.uniform(0.1, 0.9), (240, 120))
        exif = Image.Exif()
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = f"2025:09:{4 + 7 * (number % 2):02d} 10:00:00"
        if number % 3:
            north = {1: "S", 2: (41.0, 30.0, number / 10), 3: "E", 4: (147.0, 6.0, number / 7)}
            exif.get_ifd(ExifTags.IFD.GPSInfo).update(north)
        photo.save(folder / f"p{number:02d}.jpg", exif=exif, quality=95)
    (folder / "p20.jpg").write_bytes(b"not a photo")
    return folder


@pytest.fixture(scope="module")
def model(weighed_photos, tmp_path_factory):
    place = tmp_path_factory.mktemp("paged")
    table = pd.read_csv(weighed_photos / "wide.csv")
    table["Sampling_Date"] = [f"2015/{number // 2 + 1}/1" for number in range(len(table))]  # enough groups for 90 %
    table.to_csv(place / "table.csv", index=False)
    return steps.train(
        place / "table.csv", photos=weighed_photos, model=place / "model", recipe=RECIPE, backbone="texture"
    )


@contextmanager
def serving(model, **options):
    app = make_app(model, model.open_backbone(), **options)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
    server.should_exit = True
    thread.join(10)


@pytest.fixture(scope="module", params=["server", "site"])
def place(request):
    """Where the page estimates."""
    return request.param


@contextmanager
def open_place(place, model, runtime, folder):
    if place == "server":
        with serving(model) as address:
            yield address
    else:
        export_site(model, None, folder, [], runtime=runtime)
        with serving_folder(folder) as address:
            yield address


@pytest.fixture(scope="module")
def address(place, model, runtime, tmp_path_factory):
    with open_place(place, model, runtime, tmp_path_factory.mktemp("site") / "site") as address:
        yield address


@pytest.fixture(scope="module")
def measured_address(place, measured_model, runtime, tmp_path_factory):
    with open_place(place, measured_model, runtime, tmp_path_factory.mktemp("site") / "site") as address:
        yield address


@pytest.fixture(scope="module")
def server_address(model):
    with serving(model) as address:
        yield address


@pytest.fixture(scope="module")
def measured_server_address(measured_model):
    with serving(measured_model) as address:
        yield address


@pytest.fixture
def farm(tmp_path):
    return Farm(tmp_path / "farm.gpkg")


@pytest.fixture
def farm_address(model, farm):
    """The address of a server that has a farm and a token. Tests request it before `opened`, to close the page first."""
    with serving(model, farm=farm, token="sesame") as address:
        yield f"{address}?token=sesame"


@pytest.fixture
def opened(chromium):
    """Opens the page with options; checks at the end that it sent no request elsewhere and logged no error."""
    contexts, requested, logged, own = [], [], [], []

    def open_page(address, **options):
        place = address.partition("?")[0]
        own.extend([place, f"blob:{place}"])
        context = chromium.new_context(**{"viewport": {"width": 1200, "height": 900}} | options)
        # Without a service worker the static site neither reloads itself nor takes threads; test_offline.py has one.
        context.add_init_script("Object.defineProperty(Navigator.prototype, 'serviceWorker', { value: undefined })")
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: requested.append(request.url))
        page.on("pageerror", lambda error: logged.append(error.stack or str(error)))
        page.on(
            "console", lambda message: logged.append(message.text) if message.type in ("error", "warning") else None
        )
        page.goto(address)
        # The script fills in the targets last, so from here on it handles every event.
        page.wait_for_selector("#target option", state="attached")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [url for url in requested if not url.startswith(tuple(own))] == []
    # The browser itself logs refused requests, and that a test reads a canvas.
    assert [
        one for one in logged if not re.search("status of (408|422|429|500)|net::ERR_FAILED|willReadFrequently", one)
    ] == []


def wait_done(page, count):
    expect(page.locator(".card .answer:visible, .card .failure:visible")).to_have_count(count, timeout=PATIENCE_MS)


def near(expected, step=1):
    """Equal figures, but for the last digit shown: ONNX Runtime and torch round differently."""
    return pytest.approx(expected, abs=step)


@contextmanager
def renewed(page):
    """Waits until the only card has a new answer."""
    page.evaluate("document.querySelector('.answer tr').dataset.old = 'yes'")
    yield
    expect(page.locator("[data-old]")).to_have_count(0)
    wait_done(page, 1)


def same_file(content, reference, place):
    """Whether the page's file equals that of `predict`: to the byte, or in the browser to the promised difference."""
    if place == "server":
        return content == reference.read_bytes()
    if reference.suffix == ".csv":
        own, other = (pd.read_csv(one) for one in (io.BytesIO(content), reference))
        if failed := list(np.flatnonzero(other.get("status", pd.Series("ok", other.index)) != "ok")):
            assert own.loc[failed, "message"].str.contains("is not a readable image").all()
            own, other = own.drop(columns="message"), other.drop(columns="message")
        return pd.testing.assert_frame_equal(own, other, rtol=1e-3, atol=0.01, check_dtype=False) is None
    own, other = (json.loads(one)["features"] for one in (content, reference.read_bytes()))
    assert [one["geometry"] for one in own] == [one["geometry"] for one in other]
    own, other = (pd.DataFrame([one["properties"] for one in features]) for features in (own, other))
    return pd.testing.assert_frame_equal(own, other, rtol=1e-3, atol=0.01, check_dtype=False) is None


def same_overlay(content, reference, place):
    """Whether the page's picture equals that of `predict`: to the byte, or in the browser of the same width."""
    if place == "server":
        return content == reference.read_bytes()
    with Image.open(io.BytesIO(content)) as own, Image.open(reference) as other:
        return own.format == "PNG" and own.width == other.width and abs(own.height - other.height) <= 4


def downloaded(page, button):
    with page.expect_download() as waiting:
        page.locator(button).click()
    return Path(waiting.value.path()).read_bytes(), waiting.value.suggested_filename


def figures(text):
    return [float(one.replace(",", "")) for one in re.findall(r"\d[\d,]*\.?\d*", text)]


def test_one_photo_gives_its_weights_and_its_map(opened, address, model, photos):
    page = opened(address)
    page.set_input_files("#choose", photos / "p01.jpg")
    wait_done(page, 1)
    estimate = model.estimate(photos / "p01.jpg")
    headline = page.locator(".headline")
    low, high = (round(one * 10 / 0.21) for one in (estimate.low[3], estimate.high[3]))
    assert figures(headline.inner_text()) == near([round(estimate.kg_per_ha[3]), 90, low, high])
    cells = [figures(row.inner_text()) for row in page.locator(".answer tr").all()[1:]]
    for row, grams in zip(cells, estimate.grams, strict=True):
        assert row[0] == near(round(grams * 10 / 0.21))
        assert near(round(float(grams), 1), 0.11) in row
    expect(page.locator("#status")).to_have_text("1 of 1 photos done")
    expect(page.locator(".trained")).to_be_hidden()

    place = page.locator(".map")
    box = place.bounding_box()
    place.hover(position={"x": box["width"] * 0.97, "y": box["height"] * 0.1})
    shown = estimate.map_g_per_m2
    assert figures(page.locator(".spot").inner_text())[0] == pytest.approx(shown[3, 0, -1], abs=0.51)
    page.select_option("#target", "Dry_Green_g")
    assert figures(page.locator(".spot").inner_text())[0] == pytest.approx(shown[2, 0, -1], abs=0.51)
    canvas = page.locator(".map canvas")
    assert canvas.evaluate("one => getComputedStyle(one).opacity") == "0.6"
    page.locator("#opacity").fill("20")
    assert canvas.evaluate("one => getComputedStyle(one).opacity") == "0.2"


def test_a_training_photo_is_flagged(opened, address, weighed_photos):
    page = opened(address)
    page.set_input_files("#choose", weighed_photos / "train/ID0.png")
    wait_done(page, 1)
    expect(page.locator(".trained")).to_have_text(
        "The model was trained on this photo. Expect larger errors on new photos."
    )
    expect(page.locator(".shape")).to_be_hidden()


def test_the_map_has_the_colours_of_its_values(opened, address, model, photos):
    page = opened(address)
    page.set_input_files("#choose", photos / "p02.jpg")
    wait_done(page, 1)
    shown = model.estimate(photos / "p02.jpg").map_g_per_m2[3]
    facts, top = model_facts(model), model.map_scale_g_per_m2[3]
    rows, columns = shown.shape
    for row, column in ((0, 0), (rows - 1, 0), (2, columns - 1), (3, 5)):
        pixel = page.evaluate(
            "([u, v]) => { const one = document.querySelector('.map canvas');"
            "return [...one.getContext('2d').getImageData(u * one.width, v * one.height, 1, 1).data] }",
            [(column + 0.5) / columns, (row + 0.5) / rows],
        )
        share = min(1, float(shown[row, column]) / top)
        wanted = bytes.fromhex(facts["map_colours"][round(share * 255)][1:])
        assert np.abs(np.array(pixel[:3]) - np.array(list(wanted))).max() <= 3
        assert pixel[3] == 255


def test_twenty_photos_and_a_broken_one_and_files_equal_to_those_of_predict(
    opened, address, place, model, photos, tmp_path
):
    steps.predict(model, photos, out=tmp_path / "out", maps=True, paddocks="folder")
    page = opened(address)
    page.fill("#paddock", "(no folder)")
    page.evaluate("document.querySelector('#drop').dispatchEvent(new DragEvent('dragover', { bubbles: true }))")
    assert page.locator("#drop.over").count() == 1
    page.set_input_files("#choose", sorted(photos.iterdir()))
    wait_done(page, 21)
    expect(page.locator("#status")).to_have_text("20 of 21 photos done, 1 failed")
    failure = page.locator(".card").nth(20).locator(".failure")
    assert "cannot be read" in failure.inner_text()
    assert "p20.jpg is not a readable image" in failure.inner_text()
    expect(page.locator("#points circle")).to_have_count(13)

    expect(page.locator("#paddocks-csv")).to_be_visible()
    for button, name in (
        ("#csv", "predictions.csv"),
        ("#geojson", "photos.geojson"),
        ("#paddocks-csv", "paddocks.csv"),
    ):
        content, suggested = downloaded(page, button)
        assert suggested == name
        assert same_file(content, tmp_path / "out" / name, place), name
    overlay, name = downloaded(page, ".card:nth-child(4) .overlay")
    assert name == "p03.jpg.png"
    assert same_overlay(overlay, tmp_path / "out/maps/p03.jpg.png", place)


def test_photos_are_grouped_by_the_names_that_are_typed(opened, address, model, photos):
    page = opened(address)
    page.fill("#paddock", "North")
    page.set_input_files("#choose", [photos / "p00.jpg", photos / "p02.jpg"])
    page.fill("#paddock", "")
    page.set_input_files("#choose", photos / "p04.jpg")
    wait_done(page, 3)
    page.locator(".card").nth(2).locator(".paddock").fill("South")
    expect(page.locator("#summary tr")).to_have_count(4)
    table = [row.locator("td").all_inner_texts() for row in page.locator("#summary tr").all()[1:]]
    means = [model.estimate(photos / f"p0{n}.jpg").kg_per_ha[3] for n in (0, 2, 4)]
    rows = {row[0]: row for row in table}
    assert table[0][0] == "All photos"
    for name, expected, count in (
        ("All photos", np.mean(means), 3), ("North", np.mean(means[:2]), 2), ("South", means[2], 1),
    ):  # fmt: skip
        assert figures(rows[name][1])[0] == pytest.approx(expected, abs=0.51)
        assert rows[name][3] == str(count)
        if count > 1:
            low, high = figures(rows[name][2])
            assert low < expected < high
    page.locator(".card .remove").first.click()
    expect(page.locator("#summary tr").nth(1).locator("td").nth(3)).to_have_text("2")


def test_photos_of_an_earlier_visit_are_counted_beside_the_mean(opened, address, photos):
    page = opened(address)
    page.fill("#paddock", "North")
    page.set_input_files("#choose", [photos / name for name in ("p00.jpg", "p01.jpg", "p03.jpg")])
    wait_done(page, 3)
    expect(page.locator("#summary tr").nth(2).locator("td").nth(3)).to_have_text("2 (1 not in the mean)")
    expect(page.locator("#remarks")).to_contain_text("1 photo of earlier visits not in the means")


def test_copies_count_once_and_are_refused_in_two_paddocks(opened, address, photos, tmp_path):
    copy = tmp_path / "<b>copy of p00.jpg"
    copy.write_bytes((photos / "p00.jpg").read_bytes())
    page = opened(address)
    page.set_input_files("#choose", [photos / "p00.jpg", copy, photos / "p02.jpg"])
    wait_done(page, 3)
    counts = page.locator("#summary td:nth-child(4)")
    expect(counts).to_have_text(["2"])
    message = "1 photo not counted again, byte-equal to another photo of their paddock: <b>copy of p00.jpg = p00.jpg."
    expect(page.locator("#remarks p")).to_have_text([message])
    for card in page.locator(".card .paddock").all():
        card.fill("North")
    expect(counts).to_have_text(["2", "2"])
    expect(page.locator("#remarks p")).to_have_text([message])
    page.locator(".card .paddock").nth(1).fill("South")
    expect(page.locator("#remarks .warning")).to_contain_text("are byte-equal, but in the paddocks North and South")
    expect(counts).to_have_text(["2"])
    page.locator(".card .remove").nth(1).click()
    expect(counts).to_have_text(["2", "2"])
    expect(page.locator("#remarks p")).to_have_count(0)


def test_everything_works_with_the_keyboard_only(opened, address, photos):
    page = opened(address)
    page.set_input_files("#choose", photos / "p05.jpg")
    wait_done(page, 1)
    expect(page.locator("#summary table")).to_be_visible()
    reached = []
    page.locator("#language").focus()
    for _ in range(40):
        page.keyboard.press("Tab")
        name = page.evaluate(
            "document.activeElement.id || document.activeElement.className || document.activeElement.tagName"
        )
        outline = page.evaluate(
            "(one => one.closest('.button') ?? one)(document.activeElement).computedStyleMap().get('outline-style').value"
        )
        assert name == "BODY" or outline == "solid", f"{name} does not show that it has the focus"
        reached.append(name)
        if name == "map":
            page.keyboard.press("ArrowRight")
            first = page.locator(".spot").inner_text()
            for _ in range(3):
                page.keyboard.press("ArrowDown")
            assert figures(first)
            assert page.locator(".spot").inner_text() != first
        if name == "corners":
            break
    wanted = [
        "choose",
        "paddock",
        "csv",
        "geojson",
        "overlays",
        "target",
        "opacity",
        "remove",
        "map",
        "paddock",
        "corners",
    ]
    assert [name for name in reached if name in wanted] == wanted

    page.keyboard.press("Enter")
    handle = page.locator("dialog .frame button").first
    expect(handle).to_be_focused()
    before = figures(handle.get_attribute("aria-label"))
    page.keyboard.press("Shift+ArrowRight")
    after = figures(handle.get_attribute("aria-label"))
    assert after[0] > before[0]
    assert after[1] == before[1]
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_be_hidden()


def test_corners_are_dragged_to_the_frame_and_count_as_a_tables_corners_do(
    opened, address, place, model, photos, tmp_path
):
    page = opened(address)
    page.set_input_files("#choose", photos / "p07.jpg")
    wait_done(page, 1)
    page.locator(".card .corners").click()
    handles = page.locator("dialog .frame button")
    expect(handles).to_have_count(4)
    expect(handles.first).to_be_visible()
    image = page.locator("dialog img").bounding_box()

    def drag(index, x, y):
        start = handles.nth(index).bounding_box()
        page.mouse.move(start["x"] + start["width"] / 2, start["y"] + start["height"] / 2)
        page.mouse.down()
        page.mouse.move(image["x"] + image["width"] * x / 240, image["y"] + image["height"] * y / 120, steps=4)
        page.mouse.up()

    drag(2, 30, 20)
    expect(page.locator("dialog .warning")).to_be_visible()
    page.locator("dialog .strong").click()
    expect(page.locator("dialog")).to_be_visible()
    drag(2, 200, 100)
    expect(page.locator("dialog .warning")).to_be_hidden()
    drag(0, 60, 30)
    places = [figures(one.get_attribute("style")) for one in handles.all()]
    given = (np.array(places) / 100 * [240, 120]).round(1)
    with renewed(page):
        page.locator("dialog .strong").click()
    assert np.abs(given - [[60, 30], [216, 12], [200, 100], [24, 108]]).max() < 1

    columns = [f"{axis}{n}" for n in range(1, 5) for axis in "xy"]
    row = {"image_path": "p07.jpg", **dict(zip(columns, given.ravel(), strict=True))}
    pd.DataFrame([row]).to_csv(tmp_path / "side.csv", index=False)
    steps.predict(model, photos / "p07.jpg", out=tmp_path / "out", maps=True, table=tmp_path / "side.csv")
    content, _ = downloaded(page, "#csv")
    assert same_file(content, tmp_path / "out/predictions.csv", place)
    overlay, _ = downloaded(page, ".card .overlay")
    assert same_overlay(overlay, tmp_path / "out/maps/p07.jpg.png", place)
    outside, inside = (
        page.evaluate(
            "([x, y]) => { const one = document.querySelector('.map canvas');"
            "return one.getContext('2d').getImageData(x / 240 * one.width, y / 120 * one.height, 1, 1).data[3] }",
            spot,
        )
        for spot in ([5, 5], [130, 65])
    )
    assert (outside, inside) == (0, 255), "the map lies between the corners"


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="desktop"),
        pytest.param({"color_scheme": "dark"}, id="dark"),
        pytest.param(
            {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True, "locale": "ja-JP"},
            id="phone, Japanese",
        ),
    ],
)
def test_axe_finds_nothing_serious(opened, address, photos, options):
    need(AXE.is_file(), "axe-core")
    page = opened(address, **options)
    page.set_input_files("#choose", [photos / "p00.jpg", photos / "p01.jpg", photos / "p20.jpg"])
    wait_done(page, 3)
    expect(page.locator("#summary table")).to_be_visible()
    page.evaluate(AXE.read_text("utf-8"))
    for dialog in (False, True):
        if dialog:
            page.locator(".card .corners").first.click()
            expect(page.locator("dialog")).to_be_visible()
        assert serious_violations(page) == []


def serious_violations(page):
    found = page.evaluate("axe.run()")
    assert len(found["passes"]) > 15
    return [
        (one["id"], [node["html"][:120] for node in one["nodes"]])
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]


def test_a_phone_in_japanese_and_the_dark_has_no_sideways_scroll_and_can_take_photos(opened, address, photos):
    page = opened(
        address,
        viewport={"width": 390, "height": 844},
        is_mobile=True,
        has_touch=True,
        color_scheme="dark",
        locale="ja-JP",
    )
    expect(page.locator(".phone")).to_be_visible()
    assert page.locator("#take").get_attribute("capture") == "environment"
    page.set_input_files("#take", photos / "p01.jpg")
    wait_done(page, 1)
    expect(page.locator("#summary table")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.evaluate("document.documentElement.lang") == "ja"
    assert "牧区" in page.locator("#results").inner_text()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 24, 18)"
    page.locator(".map").tap()
    assert figures(page.locator(".spot").inner_text())
    page.select_option("#language", "en")
    expect(page.locator("#status")).to_have_text("1 of 1 photos done")
    assert page.evaluate("document.documentElement.lang") == "en"


def test_a_busy_server_is_retried_and_an_unreachable_one_is_reported(opened, server_address, photos):
    page = opened(server_address)
    answers, seen_busy = iter(["gone", "slow", "go on"]), threading.Event()

    def answer(route):
        match next(answers, "go on") if seen_busy.is_set() else "busy":
            case "busy":
                route.fulfill(
                    status=429, headers={"Retry-After": "1"}, content_type="application/problem+json", body="{}"
                )
            case "gone":
                route.fulfill(
                    status=500,
                    content_type="application/problem+json",
                    body='{"detail": "Unexpected error on the server; see its log."}',
                )
            case "slow":
                route.fulfill(
                    status=408, content_type="application/problem+json", body='{"detail": "No data was received"}'
                )
            case _:
                route.continue_()

    page.route("**/api/predictions", answer)
    page.set_input_files("#choose", photos / "p01.jpg")
    expect(page.locator(".progress span")).to_contain_text("busy")
    seen_busy.set()
    wait_done(page, 1)
    assert "No result for this photo." in page.locator(".failure").inner_text()
    page.locator(".again").click()
    expect(page.locator(".failure")).to_contain_text("No data was received")
    page.locator(".again").click()
    expect(page.locator(".answer")).to_be_visible()
    page.route("**/api/files/*", lambda route: route.abort())
    page.locator("#csv").click()
    expect(page.locator("#status")).to_have_text("The server cannot be reached.")


def test_photos_chosen_before_the_page_is_ready_are_not_lost(opened, address, photos):
    page = opened(address)

    def slowly(route):
        time.sleep(1)
        route.continue_()

    page.route(MODEL, slowly)
    page.reload(wait_until="commit")
    page.set_input_files("#choose", photos / "p00.jpg")
    wait_done(page, 1)


def test_file_names_are_text_and_never_markup(opened, address, photos, tmp_path):
    name = "<img src=x onerror=alert(1)>.jpg"
    (tmp_path / name).write_bytes((photos / "p00.jpg").read_bytes())
    page = opened(address)
    page.fill("#paddock", "<b>North</b>")
    page.set_input_files("#choose", tmp_path / name)
    wait_done(page, 1)
    expect(page.locator("#summary td").filter(has_text="<b>North</b>")).to_be_visible()
    assert page.locator("h3").inner_text() == name
    assert page.locator("h3 img, #summary b").count() == 0


ALONE = "Estimated from the photo alone."
INCOMPLETE = "Estimated from the photo alone: a measured value is missing or cannot be used."
WITH_MEASURED = "Estimated from the photo and the measured values."


def enter(page, label, typed, *, sends=True):
    """Type a measured value and press Enter; waits for the new estimate, or checks that nothing is sent."""
    field = page.get_by_label(label)
    field.fill(typed)
    if not sends:
        page.evaluate("document.querySelector('.answer tr').dataset.old = 'yes'")
        field.press("Enter")
        page.wait_for_timeout(300)
        expect(page.locator("[data-old]")).to_have_count(1)
        return
    with renewed(page):
        field.press("Enter")


def check_shown(page, estimate):
    """The figures of the card are those of an estimate."""
    assert figures(page.locator(".headline").inner_text())[0] == near(round(estimate.kg_per_ha[3]))
    for row, grams in zip(page.locator(".answer tr").all()[1:], estimate.grams, strict=True):
        assert near(round(float(grams), 1), 0.11) in figures(row.inner_text())


def test_measured_values_change_the_estimate_and_its_label(opened, measured_address, measured_model, photos):
    page = opened(measured_address)
    page.set_input_files("#choose", photos / "p01.jpg")
    wait_done(page, 1)
    basis = page.locator(".basis")
    alone = measured_model.estimate(photos / "p01.jpg")
    check_shown(page, alone)
    expect(basis).to_have_text(ALONE)
    enter(page, "Height Ave (cm)", "12,5")
    check_shown(page, alone)
    expect(basis).to_have_text(INCOMPLETE)
    enter(page, "Pre GSHH NDVI", "0.6")
    both = measured_model.estimate(photos / "p01.jpg", measured={"Height_Ave_cm": 12.5, "Pre_GSHH_NDVI": 0.6})
    assert abs(both.grams[3] - alone.grams[3]) > 1
    check_shown(page, both)
    expect(basis).to_have_text(WITH_MEASURED)
    content, _ = downloaded(page, "#csv")
    assert content.decode().splitlines()[1].endswith(",True")

    enter(page, "Pre GSHH NDVI", "0.60", sends=False)
    page.get_by_label("Height Ave (cm)").fill("9")
    with renewed(page):
        page.get_by_label("Pre GSHH NDVI").focus()  # leaving a field is enough
    low = measured_model.estimate(photos / "p01.jpg", measured={"Height_Ave_cm": 9, "Pre_GSHH_NDVI": 0.6})
    check_shown(page, low)
    enter(page, "Height Ave (cm)", " ")
    check_shown(page, alone)
    enter(page, "Pre GSHH NDVI", "")
    expect(basis).to_have_text(ALONE)


def test_a_text_that_is_no_number_is_marked_and_not_sent(opened, measured_address, measured_model, photos):
    page = opened(measured_address)
    page.set_input_files("#choose", photos / "p01.jpg")
    wait_done(page, 1)
    field, hint = page.get_by_label("Height Ave (cm)"), page.locator(".measure small").first
    shown_range = hint.inner_text()
    assert shown_range.startswith("training: ")
    for typed in ("tall", "12 cm", "1,234", "1.2.3", "1e3", "Infinity", "-"):
        enter(page, "Height Ave (cm)", typed, sends=False)
        expect(field).to_have_attribute("aria-invalid", "true")
        expect(hint).to_have_text("not a number; enter for example 12.5")
        assert hint.get_attribute("id") == field.get_attribute("aria-describedby")
    enter(page, "Height Ave (cm)", "12.5")
    expect(field).to_have_attribute("aria-invalid", "false")
    expect(hint).to_have_text(shown_range)
    enter(page, "Pre GSHH NDVI", "\u22120,05")
    given = {"Height_Ave_cm": 12.5, "Pre_GSHH_NDVI": -0.05}
    check_shown(page, measured_model.estimate(photos / "p01.jpg", measured=given))
    enter(page, "Height Ave (cm)", "tall")
    check_shown(page, measured_model.estimate(photos / "p01.jpg"))
    expect(page.locator(".basis")).to_have_text(INCOMPLETE)
    enter(page, "Height Ave (cm)", "40")
    expect(hint).to_have_text(shown_range.replace("training: ", "outside the training range, "))
    check_shown(page, measured_model.estimate(photos / "p01.jpg", measured=given | {"Height_Ave_cm": 40}))


def test_a_number_is_read_as_the_language_writes_it(opened, measured_address):
    page = opened(measured_address)
    numbers = page.evaluate(
        "typed => import('./text.js').then(({ parseNumber }) => typed.map((one) => String(parseNumber(one))))",
        [
            "1.5",
            "1,5",
            "0,125",
            "1234,5",
            "12,345",
            "1.234",
            ".5",
            "5,",
            "\uff11\uff12\uff0e\uff15",
            "",
            " ",
            "+2",
            "1 000",
        ],
    )
    assert numbers == ["1.5", "1.5", "0.125", "1234.5", "NaN", "1.234", "0.5", "5", "12.5", "null", "null", "2", "NaN"]


def test_corners_and_measured_values_are_kept_when_the_other_changes(opened, measured_address, measured_model, photos):
    page = opened(measured_address)
    page.set_input_files("#choose", photos / "p07.jpg")
    wait_done(page, 1)

    def set_corners(button):
        page.locator(".card .corners").click()
        expect(page.locator("dialog")).to_be_visible()
        with renewed(page):
            page.locator(f"dialog button[value={button}]").click()

    def expected(corners, *measured):
        file = PhotoFile("p07.jpg", photos / "p07.jpg", corners, measured=measured)
        return next(measured_model.estimates([file], measured_model.open_backbone()))[0]

    corners = ((24.0, 12.0), (216.0, 12.0), (216.0, 108.0), (24.0, 108.0))  # those that the dialog begins with
    enter(page, "Height Ave (cm)", "12.5")
    enter(page, "Pre GSHH NDVI", "0.6")
    set_corners("use")
    check_shown(page, expected(corners, 12.5, 0.6))
    expect(page.locator(".basis")).to_have_text(WITH_MEASURED)
    enter(page, "Height Ave (cm)", "9")
    check_shown(page, expected(corners, 9, 0.6))
    set_corners("whole")
    check_shown(page, expected(None, 9, 0.6))


def test_a_value_typed_before_the_estimate_is_there_replaces_the_request(
    opened, measured_server_address, measured_model, photos
):
    page = opened(measured_server_address)
    held, cancelled = [], []
    page.on("requestfailed", lambda request: cancelled.append(request.url))
    page.route("**/api/predictions", lambda route: held.append(route) if len(held) < 2 else route.continue_())
    page.set_input_files("#choose", photos / "p01.jpg")
    for number, (label, typed) in enumerate((("Height Ave (cm)", "12.5"), ("Pre GSHH NDVI", "0.6")), 1):
        while len(held) < number:
            page.wait_for_timeout(20)
        page.get_by_label(label).fill(typed)
        page.get_by_label(label).press("Enter")
    wait_done(page, 1)
    expect(page.locator(".basis")).to_have_text(WITH_MEASURED)
    given = {"Height_Ave_cm": 12.5, "Pre_GSHH_NDVI": 0.6}
    check_shown(page, measured_model.estimate(photos / "p01.jpg", measured=given))
    assert len(cancelled) == 2, "an answer to an earlier request would replace the newest one"
    expect(page.locator("#status")).to_have_text("1 of 1 photos done")


def test_nothing_moves_while_an_estimate_is_renewed(opened, measured_server_address, photos):
    page = opened(measured_server_address)
    page.set_input_files("#choose", photos / "p01.jpg")
    wait_done(page, 1)
    expect(page.locator("#summary-note")).not_to_be_empty()  # the summary comes shortly after the card, and moves it
    parts = ["#results", ".measure >> nth=1", ".card .paddock", ".card .corners"]
    on_page = "one => [one.getBoundingClientRect().x + scrollX, one.getBoundingClientRect().y + scrollY]"
    places = [page.locator(part).evaluate(on_page) for part in parts]
    page.route("**/api/predictions", lambda route: None)  # no answer
    page.get_by_label("Height Ave (cm)").fill("12.5")
    page.get_by_label("Height Ave (cm)").press("Enter")
    expect(page.locator(".progress")).to_be_visible()
    expect(page.locator(".answer")).to_be_hidden()
    page.wait_for_timeout(1000)  # the page updates its summary after a while without changes
    assert [page.locator(part).evaluate(on_page) for part in parts] == places


def test_measured_fields_on_a_phone_in_two_languages(opened, measured_address, photos):
    page = opened(measured_address, viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    page.set_input_files("#choose", photos / "p01.jpg")
    wait_done(page, 1)
    button = page.locator(".card .corners").bounding_box()["height"]
    fields = page.locator(".measure input")
    expect(fields).to_have_count(2)
    assert all(one.bounding_box()["height"] >= button for one in fields.all())
    # Keyboards of phones for decimals lack the minus sign, and the model was trained on a negative NDVI.
    assert [one.get_attribute("inputmode") for one in fields.all()] == ["decimal", "text"]
    page.locator(".map").focus()
    page.keyboard.press("Tab")
    expect(fields.first).to_be_focused()
    page.keyboard.press("Tab")
    expect(fields.nth(1)).to_be_focused()
    enter(page, "Height Ave (cm)", "tall", sends=False)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    if AXE.is_file():
        page.evaluate(AXE.read_text("utf-8"))
        assert serious_violations(page) == []
    page.select_option("#language", "ja")
    expect(page.locator(".basis")).to_have_text("写真だけから推定しました。")
    expect(page.get_by_label("Height Ave(cm)")).to_have_value("tall")
    expect(page.locator(".measure small").first).to_contain_text("数値ではありません")
    expect(page.locator("#model")).to_contain_text("測定値を使うと")


def test_a_target_that_is_no_better_than_the_mean_is_marked_beside_its_figure(opened, measured_address, photos):
    def mark_all(route):
        facts = route.fetch().json()
        assert facts["no_better_than_mean"] == {"photo": ["Dry_Clover_g"], "measured": []}
        route.fulfill(json=facts | {"no_better_than_mean": {"photo": facts["targets"], "measured": []}})

    def marked(page):
        return [row.locator(".no-better").count() for row in page.locator(".answer tr").all()[1:]]

    page = opened(measured_address)
    page.set_input_files("#choose", photos / "p01.jpg")
    wait_done(page, 1)
    assert marked(page) == [1, 0, 0, 0, 0]
    mark = page.locator(".no-better")
    expect(mark).to_have_text("not shown to be better than the training mean")
    assert mark.get_attribute("title").startswith("For photos left out of training")
    assert len(figures(page.locator(".answer tr").nth(1).inner_text())) == 6, "the figure is still there"
    enter(page, "Height Ave (cm)", "12.5")
    enter(page, "Pre GSHH NDVI", "0.6")
    assert marked(page) == [0, 0, 0, 0, 0]

    page.locator(".remove").click()  # else the static site would show it again
    page.route(MODEL, mark_all)
    page.reload()
    page.set_input_files("#choose", photos / "p01.jpg")
    wait_done(page, 1)
    assert marked(page) == [1, 1, 1, 1, 1]
    for part in (".headline", ".second"):
        expect(page.locator(part)).to_contain_text("not shown to be better than the training mean")


def test_a_model_without_measured_columns_shows_no_fields(opened, address, photos):
    page = opened(address)
    page.set_input_files("#choose", photos / "p01.jpg")
    wait_done(page, 1)
    expect(page.locator(".measure")).to_have_count(0)
    expect(page.locator(".basis")).to_be_hidden()
    expect(page.locator("#model")).not_to_contain_text("measured")


def undated(photos, folder):
    """A copy of a photo without its capture time."""
    folder.mkdir()
    Image.open(photos / "p06.jpg").save(folder / "undated.jpg", quality=95)
    return folder / "undated.jpg"


def test_a_walk_is_saved_to_the_farm_and_its_season_is_shown(farm, farm_address, opened, photos, tmp_path):
    page = opened(farm_address)
    expect(page.locator("#privacy-farm")).to_contain_text("farm.gpkg when you save them")
    expect(page.locator("#season-empty")).to_be_visible()
    expect(page.locator("#saving, #walk, #season-link").locator("visible=true")).to_have_count(0)
    page.fill("#paddock", "North")
    page.set_input_files("#choose", [photos / name for name in ("p00.jpg", "p02.jpg", "p01.jpg", "p03.jpg")])
    wait_done(page, 4)
    expect(page.locator("#undated")).to_be_hidden()
    page.set_input_files("#choose", undated(photos, tmp_path / "photos"))
    wait_done(page, 5)
    expect(page.locator("#summary td:nth-child(4)")).to_have_text(
        ["5", "2 (3 not in the mean)"]
    )  # from here on, nothing moves
    saved = page.locator("#saved")
    page.locator("#save").click()
    expect(saved).to_contain_text("undated.jpg. Pass the day on which they were taken, such as 2026-09-04.")
    assert farm.is_new
    page.get_by_label("Day of photos without a capture time").fill("2025-09-11")
    page.locator("#save").click()
    expect(saved).to_contain_text("5 photos added.")

    wedge = farm.wedge().iloc[0]
    cells = page.locator("#wedge-table td")
    expect(cells.first).to_have_text("North")
    assert figures(cells.nth(1).inner_text()) == [round(wedge["kg_per_ha"])]
    assert figures(cells.nth(2).inner_text()) == [round(wedge["kg_per_ha_low"]), round(wedge["kg_per_ha_high"])]
    assert cells.nth(5).inner_text() == "2025-09-11"
    expect(page.locator("#season-facts")).to_contain_text("2025-09-11")
    assert page.locator("datalist#paddocks option").all_text_contents() == ["North"]
    with page.expect_popup() as popup:
        page.locator("#season-link").click()
    expect(popup.value.locator("h1").first).to_be_visible()
    assert "North" in popup.value.content()

    page.locator("#save").click()
    expect(saved).to_contain_text("0 photos added, 5 already there.")
    expect(page.locator("#replace, #reassign").locator("visible=true")).to_have_count(0)
    page.locator(".card .paddock").first.fill("<b>South")
    expect(saved).to_be_empty()
    page.locator("#save").click()
    expect(saved).to_contain_text("pass “Move photos to the paddocks given here” to move them: p00.jpg.")
    page.get_by_label("Move photos to the paddocks given here").check()
    page.locator("#save").click()
    expect(saved).to_contain_text("1 moved to another paddock.")
    expect(page.locator("#reassign")).to_be_hidden()
    expect(page.locator("#wedge-table td").filter(has_text="<b>South")).to_be_visible()
    assert sorted(farm.visits()["paddock"]) == ["<b>South", "North", "North"]


def test_a_walk_is_saved_as_a_file_where_there_is_no_farm(opened, address, photos, tmp_path):
    page = opened(address, viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    expect(page.locator("#season, #saving, #privacy-farm").locator("visible=true")).to_have_count(0)
    page.fill("#paddock", "North")
    page.set_input_files("#choose", [photos / "p00.jpg", undated(photos, tmp_path / "photos")])
    wait_done(page, 2)
    page.locator("#walk").click()
    expect(page.locator("#saved")).to_contain_text("undated.jpg. Pass the day")
    page.get_by_label("Day of photos without a capture time").fill("2025-09-07")
    content, name = downloaded(page, "#walk")
    assert name == "walk-2025-09-07.json"
    expect(page.locator("#saved")).to_contain_text("herbage farm FARM.gpkg --add walk-2025-09-07.json")
    (tmp_path / name).write_bytes(content)
    assert [photo.paddock for photo in WalkFile.read(tmp_path / name).photos] == ["North", "North"]
    assert page.evaluate("document.documentElement.scrollWidth") == 390


@pytest.mark.parametrize("options", [{}, {"color_scheme": "dark", "viewport": {"width": 390, "height": 844}}])
def test_axe_finds_nothing_serious_in_the_season(farm_address, opened, photos, tmp_path, options):
    need(AXE.is_file(), "axe-core")
    page = opened(farm_address, **options)
    page.fill("#paddock", "North")
    page.set_input_files("#choose", [photos / "p00.jpg", undated(photos, tmp_path / "photos")])
    wait_done(page, 2)
    page.fill("#day", "2025-09-04")
    page.locator("#save").click()
    expect(page.locator("#wedge-table td").first).to_have_text("North")
    page.locator(".card .paddock").first.fill("South")
    expect(page.locator("#saved")).to_be_empty()
    page.locator("#save").click()
    expect(page.locator("#reassign")).to_be_visible()
    page.evaluate(AXE.read_text("utf-8"))
    assert serious_violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") == page.viewport_size["width"]


def test_a_season_that_cannot_be_read_is_reported_and_photos_are_estimated(farm, farm_address, opened, photos):
    page = opened(farm_address)
    farm.path.write_bytes(b"x" * 4096)
    page.reload()
    expect(page.locator("#season-failure")).to_contain_text("farm.gpkg could not be used as a GeoPackage")
    page.set_input_files("#choose", photos / "p00.jpg")
    wait_done(page, 1)
    page.locator("#save").click()
    expect(page.locator("#saved .warning")).to_contain_text("farm.gpkg could not be used as a GeoPackage")
    expect(page.locator("#save")).to_be_enabled()
