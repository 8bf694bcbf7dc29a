"""The API: the same values as `predict`, errors as problem details, and enforced limits."""

import asyncio
import io
import json
import threading
import time
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from herbage import steps
from herbage.app.web.api import make_app
from herbage.app.web.guard import HEADERS, Limits
from herbage.app.web.worker import Worker
from herbage.model.estimate import COLUMNS
from herbage.photos.photo import PhotoFile
from herbage.targets import TARGETS
from tests.conftest import PATIENCE_S


@pytest.fixture
def client(model):
    with TestClient(make_app(model, model.open_backbone(), limits=Limits(photos=30, photo_bytes=200_000))) as client:
        yield client


def upload(client, *files, **more):
    return client.post("/api/predictions", files=[("photos", file) for file in files], **more)


def problem(answer, status, detail):
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert detail in body["detail"]


def test_twenty_photos_have_the_values_of_predict_to_the_last_digit(client, model, weighed_photos, tmp_path):
    photos = sorted((weighed_photos / "train").iterdir())[:20]
    answer = upload(client, *((path.name, path.read_bytes(), "image/png") for path in photos))
    assert answer.status_code == 200
    rows = pd.DataFrame(answer.json()["predictions"])
    (tmp_path / "list.txt").write_text("\n".join(map(str, photos)), "utf-8")
    expected = model.predict(tmp_path / "list.txt")
    assert list(rows.columns[: len(COLUMNS)]) == list(COLUMNS)
    assert rows["photo"].tolist() == [path.name for path in photos]
    pd.testing.assert_frame_equal(
        rows[list(COLUMNS[1:])].astype(object).where(rows.notna(), None),
        expected[list(COLUMNS[1:])].astype(object).where(expected.notna(), None),
        check_dtype=False,
        check_exact=True,
    )


def test_the_mean_of_a_map_is_its_estimate(client, weighed_photos):
    photo = weighed_photos / "train/ID3.png"
    (row,) = upload(client, ("a.png", photo.read_bytes(), "image/png")).json()["predictions"]
    shown = client.get(row["map"]).json()
    assert (shown["rows"], shown["columns"], shown["unit"]) == (6, 12, "g/m2")
    for target in TARGETS:
        assert np.mean(shown["values"][target]) * row["quadrat_area_m2"] == pytest.approx(row[target], abs=0.05)
        assert shown["top"][target] >= 0
    problem(client.get("/api/maps/other"), 404, "There is no such map")


def test_one_broken_photo_does_not_affect_the_others_and_only_broken_photos_are_422(client, weighed_photos):
    good = ("good.png", (weighed_photos / "train/ID3.png").read_bytes(), "image/png")
    broken = ("broken.jpg", b"not a photo", "image/jpeg")
    rows = upload(client, broken, good).json()["predictions"]
    assert [row["status"] for row in rows] == ["unreadable", "ok"]
    assert rows[0]["map"] is None
    assert "broken.jpg is not a readable image" in rows[0]["message"]
    problem(upload(client, broken), 422, "broken.jpg is not a readable image")
    problem(client.post("/api/predictions"), 422, "photos")


def test_requests_that_are_too_large_or_not_photos_are_problems(client, weighed_photos):
    good = (weighed_photos / "train/ID3.png").read_bytes()
    problem(
        upload(client, ("a.png", good + b"0" * 200_000, "image/png")),
        413,
        "A request may contain at most 30 photos, of at most 0.2 MB each and 500 MB in total.",
    )
    problem(
        upload(client, *[("a.png", b"0", "image/png")] * 31),
        413,
        "A request may contain at most 30 photos, of at most 0.2 MB each and 500 MB in total.",
    )
    problem(upload(client, ("a.txt", b"hello", "text/plain")), 415, "a.txt is text/plain; expected a photo")
    problem(client.get("/etc/passwd"), 404, "Not Found")
    problem(client.delete("/api/model"), 405, "Method Not Allowed")
    problem(client.post("/nope"), 404, "Not Found")
    assert client.options("/api/predictions").headers["allow"] == "POST"
    assert client.head("/healthz").status_code == 200


def test_a_client_that_sends_slowly_or_not_at_all_times_out(model):
    async def drip():
        for _ in range(6000):
            yield b" "
            await asyncio.sleep(0.1)

    async def ask(limits):
        app = make_app(model, model.open_backbone(), limits=limits)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            return await client.post("/api/paddocks", content=drip())

    for limits in (Limits(idle_s=0.05), Limits(whole_s=0.5)):
        started = time.monotonic()
        problem(
            asyncio.run(ask(limits)),
            408,
            f"No data was received for {limits.idle_s:g} s, or the request was not complete within {limits.whole_s:g} s.",
        )
        assert time.monotonic() - started < 120


def test_an_overlay_is_drawn_only_on_the_photo_of_its_map(client, weighed_photos):
    photo, other = ((weighed_photos / f"train/ID{n}.png").read_bytes() for n in (3, 4))
    (row,) = upload(client, ("写真.png", photo, "image/png")).json()["predictions"]
    place = row["map"] + "/overlay"
    drawn = client.post(place, files={"photo": ("a.png", photo, "image/png")})
    assert drawn.headers["content-type"] == "image/png"
    assert "filename*=UTF-8''%E5%86%99%E7%9C%9F.png.png" in drawn.headers["content-disposition"]
    problem(
        client.post(place, files={"photo": ("a.png", other, "image/png")}), 422, "This is not the photo of the map."
    )
    problem(client.post("/api/maps/x/overlay", files={"photo": ("a.png", photo, "image/png")}), 404, "no such map")


def test_rows_of_a_client_become_single_line_cells_without_formulas(client):
    row = {"photo": "a\r=1+1\n.jpg", "status": "unreadable", "message": " =HYPERLINK(1)"}
    table = client.post("/api/files/predictions.csv", json={"predictions": [row]}).text
    assert len(table.splitlines()) == 2
    assert "a =1+1 .jpg" in table
    assert "' =HYPERLINK(1)" in table


def test_tables_of_a_client_have_the_size_limit_of_a_photo(client):
    problem(
        client.post("/api/paddocks", content=b" " * 300_000),
        413,
        "A request may contain at most 30 photos, of at most 0.2 MB each",
    )
    problem(
        client.post("/api/paddocks", content=iter([b" " * 150_000, b" " * 150_000])),
        413,
        "A request may contain at most 30 photos, of at most 0.2 MB each",
    )


def test_file_names_are_displayed_and_never_used_as_paths(client, weighed_photos, tmp_path):
    good = (weighed_photos / "train/ID3.png").read_bytes()
    for name, shown in (("../../etc/passwd.png", "passwd.png"), ("C:\\photos\\a.png", "a.png"), ("<b>.png", "<b>.png")):
        (row,) = upload(client, (name, good, "image/png")).json()["predictions"]
        assert row["photo"] == shown


def test_the_facts_of_the_model_contain_no_paths_of_this_computer(client, model, tmp_path):
    facts = client.get("/api/model")
    assert facts.json()["score"]["weighted_r2"] == model.evidence.alone.score.weighted_r2
    assert facts.json()["training"]["photos"] == 24
    for answer in (facts, client.get("/healthz"), client.get("/openapi.json")):
        assert answer.status_code == 200
        assert str(tmp_path.parent.parent) not in answer.text
        for name, value in HEADERS.items():
            assert answer.headers[name] == value


def test_fields_that_would_be_ignored_are_refused(client, weighed_photos):
    photo = ("a.png", (weighed_photos / "train/ID3.png").read_bytes(), "image/png")
    known = "photos, corners, measured; parameters of its address: none."
    answer = upload(client, photo, data={"quadrat_area_m2": "0.25"})
    problem(answer, 422, f"quadrat_area_m2: unknown form field. Form fields of this request: {known}")
    problem(
        client.post("/api/predictions", files={"photo": photo}),
        422,
        f"photo: unknown form field. Form fields of this request: {known}",
    )
    problem(upload(client, photo, params={"level": "0.5"}), 422, "level: unknown parameter of the address.")
    problem(
        upload(client, photo, data={"corners": ["[null]", "[null]"]}),
        422,
        "corners: expected one form field of this name; got 2.",
    )
    (row,) = upload(client, photo, data={"corners": "[null]"}).json()["predictions"]
    overlay = row["map"] + "/overlay"
    known = "Form fields of this request: photo; parameters of its address: target."
    problem(
        client.post(overlay, files={"photo": photo}, data={"target": "GDM_g"}),
        422,
        f"target: unknown form field. {known}",
    )
    assert client.post(overlay, files={"photo": photo}, params={"target": "GDM_g"}).status_code == 200
    for path in ("/api/paddocks", "/api/files/paddocks.csv"):
        body = {"predictions": [row], "paddocks": ["North"]}
        problem(client.post(path, json=body | {"level": 0.5}), 422, "body.level: Extra inputs are not permitted")


def grouped(client, rows, *paddocks):
    return client.post("/api/paddocks", json={"predictions": rows, "paddocks": paddocks})


def two_photos(weighed_photos):
    return [(weighed_photos / f"train/ID{n}.png").read_bytes() for n in (3, 4)]


def test_copies_of_a_photo_count_once_as_for_predict(client, model, weighed_photos, tmp_path):
    photo, other = two_photos(weighed_photos)
    folder = tmp_path / "photos/North"
    folder.mkdir(parents=True)
    for name, content in (("copy of a.png", photo), ("a.png", photo), ("b.png", other)):
        (folder / name).write_bytes(content)
    steps.predict(model, tmp_path / "photos", out=tmp_path / "out", paddocks="folder")

    files = [(path.name, path.read_bytes(), "image/png") for path in sorted(folder.iterdir(), reverse=True)]
    rows = upload(client, *files).json()["predictions"]
    assert len({row["photo_sha256"] for row in rows}) == 2
    answer = grouped(client, rows, "North", "North", "North").json()
    assert [row["photos"] for row in answer["paddocks"]] == [2]
    assert answer["remarks"] == [
        {
            "what": "copies",
            "count": 1,
            "message": "1 photo not counted again, byte-equal to another photo of their paddock: copy of a.png = a.png.",
            "names": ["copy of a.png = a.png"],
        }
    ]
    body = {"predictions": rows, "paddocks": ["North"] * 3}
    file = client.post("/api/files/paddocks.csv", json=body)
    assert file.content == (tmp_path / "out/paddocks.csv").read_bytes()
    table = client.post("/api/files/predictions.csv", json={"predictions": rows}).text
    assert table.splitlines()[0] == ",".join(COLUMNS), "the digest is in no file"


def test_copies_in_two_paddocks_are_a_problem_that_names_both_photos(client, weighed_photos):
    photo, other = two_photos(weighed_photos)
    files = [(name, content, "image/png") for name, content in (("a.png", photo), ("b.png", other), ("c.png", photo))]
    rows = upload(client, *files).json()["predictions"]
    for path in ("/api/paddocks", "/api/files/paddocks.csv"):
        answer = client.post(path, json={"predictions": rows, "paddocks": ["North", "North", "South"]})
        problem(answer, 422, "a.png and c.png are byte-equal, but in the paddocks North and South.")
    assert len(grouped(client, rows, "North", "South", "North ").json()["paddocks"]) == 2
    answer = grouped(client, rows, "North", None, None).json()
    assert [row["photos"] for row in answer["paddocks"]] == [1]
    assert [(one["what"], one["names"]) for one in answer["remarks"]] == [
        ("photos_without_paddock", ["b.png", "c.png"])
    ]


def test_two_quadrats_of_a_photo_and_rows_without_a_digest_are_not_copies(client, weighed_photos):
    photo, _ = two_photos(weighed_photos)
    width, height = Image.open(io.BytesIO(photo)).size
    quadrats = [[[0, 0], [right, 0], [right, height], [0, height]] for right in (width, width // 2)]
    files = [("a.png", photo, "image/png"), ("b.png", photo, "image/png")]
    for rows in (
        upload(client, *files, data={"corners": json.dumps(quadrats)}).json()["predictions"],
        [row | {"photo_sha256": None} for row in upload(client, *files).json()["predictions"]],
        [{k: row[k] for k in row if k != "photo_sha256"} for row in upload(client, *files).json()["predictions"]],
    ):
        answer = grouped(client, rows, "North", "North").json()
        assert ([row["photos"] for row in answer["paddocks"]], answer["remarks"]) == ([2], [])


def test_names_of_paddocks_that_look_equal_are_one_paddock(client, weighed_photos):
    photo, other = two_photos(weighed_photos)
    rows = upload(client, ("a.png", photo, "image/png"), ("b.png", other, "image/png")).json()["predictions"]
    for names, name in ((("North", "\u3000North \n"), "North"), (("Pr\u00e9", "Pre\u0301"), "Pr\u00e9")):
        assert [(row["paddock"], row["photos"]) for row in grouped(client, rows, *names).json()["paddocks"]] == [
            (name, 2)
        ]
    answer = grouped(client, rows, "North", " ").json()
    assert [row["photos"] for row in answer["paddocks"]] == [1]
    assert [one["message"] for one in answer["remarks"]] == ["1 photo in no paddock: b.png."]


def test_photos_of_an_earlier_visit_are_in_the_remarks(client, weighed_photos):
    photo, other = two_photos(weighed_photos)
    rows = upload(client, ("a.png", photo, "image/png"), ("b.png", other, "image/png")).json()["predictions"]
    rows = [row | {"taken_at": f"2026-09-0{day}T10:00:00"} for row, day in zip(rows, (1, 9), strict=True)]
    (remark,) = grouped(client, rows, "North", "North").json()["remarks"]
    assert (remark["what"], remark["count"]) == ("photos_of_earlier_visits", 1)
    assert "North on 2026-09-01 (1 photo, such as a.png)" in remark["message"]


def test_a_token_is_required_if_the_server_has_one(model):
    with TestClient(make_app(model, model.open_backbone(), token="sesame")) as client:
        assert client.get("/healthz").status_code == 200
        problem(client.get("/api/model"), 401, "token")
        problem(client.get("/?token=wrong"), 401, "token")
        problem(client.get("/"), 401, "token")
        assert client.get("/api/model", headers={"Authorization": "bearer sesame"}).status_code == 200
        problem(client.get("/api/model", headers={"Authorization": "sesame"}), 401, "token")
        page = client.get("/?token=sesame")
        assert page.url.query == b"", "the token does not stay in the address"
        assert page.status_code == 200
        assert client.get("/api/model").status_code == 200, "the cookie serves from here on"


class Slow:
    """A backbone that waits until `go` is set."""

    def __init__(self, inner):
        self.inner, self.go = inner, threading.Event()
        for name in ("name", "digest", "source_digest", "patch_px", "width", "batch_patches", "engine"):
            setattr(self, name, getattr(inner, name))

    def __call__(self, images):
        assert self.go.wait(PATIENCE_S)
        return self.inner(images)


def test_an_overloaded_server_answers_429_and_completes_all_accepted_requests(model, weighed_photos):
    photo = ("a.png", (weighed_photos / "train/ID3.png").read_bytes(), "image/png")
    backbone = Slow(model.open_backbone())
    with TestClient(make_app(model, backbone, limits=Limits(waiting=6))) as client:
        answers = []
        crowd = [threading.Thread(target=lambda: answers.append(upload(client, photo, photo))) for _ in range(12)]
        for one in crowd:
            one.start()
        patience = time.monotonic() + PATIENCE_S
        while (
            client.get("/healthz").json()["waiting"] < 6 or not answers
        ):  # three are taken, the others refused at once
            assert time.monotonic() < patience
            time.sleep(0.01)
        refused = upload(client, photo)
        problem(refused, 429, "Too many photos are waiting; try again later.")
        assert int(refused.headers["retry-after"]) > 0
        backbone.go.set()
        for one in crowd:
            one.join(PATIENCE_S)
        codes = [answer.status_code for answer in answers]
        assert set(codes) == {200, 429}
        assert codes.count(200) >= 3
        assert all(len(answer.json()["predictions"]) == 2 for answer in answers if answer.status_code == 200)
        assert client.get("/healthz").json() == {"status": "ok", "waiting": 0}
        assert upload(client, photo).status_code == 200


def test_one_photo_that_breaks_the_model_does_not_affect_the_others(model, weighed_photos):
    inner = model.open_backbone()
    first = weighed_photos / "train/ID1.png"

    class Choosy(Slow):
        def __call__(self, images):
            if (images == self.poison).all():
                raise ZeroDivisionError
            return self.inner(images)

        poison = None

    backbone = Choosy(inner)
    seen = []
    recorder = Slow(inner)
    recorder.go.set()
    recorder.inner = lambda images: seen.append(images) or inner(images)
    list(model.estimates([PhotoFile("a", first)], recorder))
    Choosy.poison = seen[0]
    photos = [
        ("photos", (f"{n}.png", (weighed_photos / f"train/ID{n}.png").read_bytes(), "image/png")) for n in range(4)
    ]
    with TestClient(make_app(model, backbone), raise_server_exceptions=False) as client:
        answers = {}

        def ask(number):
            answers[number] = client.post("/api/predictions", files=[photos[number]]).status_code

        crowd = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
        for one in crowd:
            one.start()
        for one in crowd:
            one.join(PATIENCE_S)
    assert answers == {0: 200, 1: 500, 2: 200, 3: 200}


def test_cancelled_photos_leave_the_queue(model):
    worker = Worker(model, model.open_backbone(), most_waiting=4)

    async def come_and_go():
        waiting = worker.submit([PhotoFile("a", Path("a"))] * 4)
        assert not worker.has_room(1)
        worker.cancel(waiting[:3])
        assert all(one.cancelled() for one in waiting[:3])
        assert worker.load == len(worker.waiting) == 1, "their photos are no longer in memory"
        assert worker.has_room(3)

    asyncio.run(come_and_go())


def test_a_server_error_is_a_problem_without_its_traceback(model, weighed_photos):
    class Broken(Slow):
        def __call__(self, images):
            raise MemoryError("secret")

    app = make_app(model, Broken(model.open_backbone()))
    with TestClient(app, raise_server_exceptions=False) as client:
        photo = (weighed_photos / "train/ID3.png").read_bytes()
        answer = upload(client, ("a.png", photo, "image/png"))
        problem(answer, 500, "Unexpected error on the server; see its log.")
        assert "secret" not in answer.text
        assert client.get("/healthz").json() == {"status": "ok", "waiting": 0}


def test_a_huge_photo_is_skipped_before_it_is_decoded(client):
    bomb = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(bomb, "PNG")
    problem(upload(client, ("bomb.png", bomb.getvalue(), "image/png")), 422, "over the limit of")
