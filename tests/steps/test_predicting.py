"""`herbage predict` and `steps.predict`."""

import json
import os
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from herbage import steps
from herbage.app.cli import run
from herbage.errors import InputInvalid, OutputExists
from herbage.model.model import HerbageModel
from herbage.photos.discovery import find_photos
from herbage.steps.estimating import estimate_photos
from herbage.targets import TARGETS, TOTAL
from tests.conftest import NAMES_ARE_BYTES, ODD_NAME, draw_photo, posix_only
from tests.results.farms import feature, square, write_farm
from tests.steps.conftest import rows


def test_predict_deletes_only_its_own_old_maps(trained, survey, tmp_path):
    out = tmp_path / "results"
    (out / "maps").mkdir(parents=True)
    for name in ("farm.png", "soil.npy"):
        (out / "maps" / name).touch()
    command = ["predict", str(trained / "model"), str(survey), "--out", str(out), "--quiet"]
    assert run([*command, "--maps", "--paddocks", "folder"]) == 1
    of_paddocks = {"paddocks.csv", "paddocks.geojson", "wedge.png"}
    assert of_paddocks <= {path.name for path in out.iterdir()}
    (survey / ODD_NAME).unlink()
    assert run([*command, "--maps", "--overwrite"]) == 1
    assert {path.name for path in (out / "maps").iterdir()} == {"farm.png", "soil.npy", "a.jpg.png", "a.jpg.npy"}
    assert not of_paddocks & {path.name for path in out.iterdir()}
    assert run([*command, "--overwrite"]) == 1
    assert {path.name for path in (out / "maps").iterdir()} == {"farm.png", "soil.npy"}


def test_predict_writes_every_kind_of_result_and_names_what_failed(trained, survey, tmp_path, capsys):
    out = tmp_path / "results"
    command = ["predict", str(trained / "model"), str(survey), "--out", str(out), "--maps", "--level", "0.7", "--quiet"]
    assert run(command) == 1
    printed = capsys.readouterr().out
    assert "2 photos estimated, 1 failed, 1 without position, " in printed
    assert "failed: c.jpg is not a readable image" in printed
    frame = pd.read_csv(out / "predictions.csv")
    assert frame["status"].tolist() == ["ok", "ok", "unreadable"]
    assert frame.loc[2, list(TARGETS)].isna().all()
    assert "not a readable image" in frame.loc[2, "message"]
    assert frame.loc[0, "latitude"] == -42.51
    points = json.loads((out / "photos.geojson").read_text("utf-8"))["features"]
    assert [p["geometry"]["coordinates"] for p in points] == [[147.25, -42.51]]
    assert points[0]["properties"]["Dry_Total_g"] == frame.loc[0, "Dry_Total_g"]
    for kind in ("png", "npy"):
        names = sorted(p.name for p in (out / "maps").glob(f"*.{kind}"))
        assert names == [f"a.jpg.{kind}", f"{ODD_NAME}.{kind}"]
    report = (out / "report.html").read_text("utf-8")
    assert "b &lt;script&gt;.png" in report
    assert "<script" not in report
    assert run(command) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert run([*command, "--overwrite"]) == 1


@pytest.mark.parametrize(("option", "latitude"), [(["--no-coordinates"], None), (["--round-coordinates", "1"], -42.5)])
def test_coordinates_can_be_omitted_or_rounded_everywhere(trained, survey, tmp_path, option, latitude):
    out = tmp_path / "results"
    run(["predict", str(trained / "model"), str(survey), "--out", str(out), "--quiet", *option])
    row = pd.read_csv(out / "predictions.csv").iloc[0]
    assert pd.isna(row["latitude"]) if latitude is None else row["latitude"] == latitude
    assert "42.51" not in "".join(p.read_text("utf-8") for p in out.iterdir() if p.is_file())


def test_paddocks_of_a_file_are_named_by_the_given_property_and_remarks_are_recorded(trained, survey, tmp_path, caplog):
    pytest.importorskip("geopandas")
    caplog.set_level("INFO", "herbage")
    farm = write_farm(
        tmp_path, feature(square(147, -43), NAME_1="A", code="North"), feature(square(149), NAME_1="B", code="N2")
    )
    options = {"out": tmp_path / "r", "paddocks": str(farm), "overwrite": True}
    done = steps.predict(trained / "model", survey, paddock_name="code", **options)
    assert done.without_paddock == 1  # the photo without a position
    assert pd.read_csv(tmp_path / "r/paddocks.csv")["paddock"].tolist() == ["North"]
    (paddock,) = json.loads((tmp_path / "r/paddocks.geojson").read_text("utf-8"))["features"]
    assert paddock["geometry"] == square(147, -43)
    *said, failed = json.loads((tmp_path / "r/run.json").read_text("utf-8"))["remarks"]
    assert [one["what"] for one in said] == ["no_better_than_mean", "photos_without_paddock"]
    assert (failed["what"], failed["names"]) == ("failed_photos", ["c.jpg"])
    farm = write_farm(tmp_path, feature(square(147, 42), name="A"))
    steps.predict(trained / "model", survey, **options)
    said = json.loads((tmp_path / "r/run.json").read_text("utf-8"))["remarks"][:-1]
    assert [one["what"] for one in said] == [
        "polygons_named_by", "no_better_than_mean", "photos_without_paddock", "no_paddocks", "photos_outside_polygons",
    ]  # fmt: skip
    assert "1 of 1 would be with the sign of the latitude changed" in said[4]["message"]
    assert all(one["message"] in caplog.text for one in said)
    assert said[4]["message"] in (tmp_path / "r/report.html").read_text("utf-8")


def test_a_file_name_that_is_a_formula_stays_text(trained, weighed_photos, tmp_path):
    (tmp_path / "p").mkdir()
    shutil.copy(weighed_photos / "train/ID0.png", tmp_path / "p/=1+1.png")
    run(["predict", str(trained / "model"), str(tmp_path / "p"), "--out", str(tmp_path / "r"), "--quiet"])
    assert pd.read_csv(tmp_path / "r/predictions.csv").loc[0, "photo"] == "'=1+1.png"


def test_targets_that_a_model_does_not_estimate_are_empty_and_not_on_its_card(farm):
    model = HerbageModel.from_pretrained(farm / "model")
    frame = model.predict(farm / "photos/sward_40.jpg")
    assert frame["Dry_Green_g"].dtype == frame["latitude"].dtype == float
    assert frame["Dry_Green_g"].isna().all()
    card = (farm / "model/README.md").read_text("utf-8")
    assert "Estimates Dry_Total_g (dry matter" in card


def test_a_photo_of_another_shape_gives_a_warning_unless_its_corners_are_given(farm, tmp_path, caplog):
    from PIL import Image

    (tmp_path / "photos").mkdir()
    with Image.open(farm / "photos/sward_40.jpg") as image:
        width, height = image.size
        wide = Image.new("RGB", (width, height * 2), (90, 90, 90))
        wide.paste(image, (0, height // 2))
        wide.save(tmp_path / "photos/with edges.png")
    corners = [0, height / 2, width, height / 2, width, height * 1.5, 0, height * 1.5]
    sidecar = pd.DataFrame(
        [["with edges.png", *corners]], columns=["image_path", *(f"{a}{n}" for n in "1234" for a in "xy")]
    )
    sidecar.to_csv(tmp_path / "corners.csv", index=False)
    steps.predict(farm / "model", tmp_path / "photos", out=tmp_path / "plain")
    assert "1 photo with another aspect ratio than the training photos" in caplog.text
    assert (
        "if the photo shows more than the quadrat, set the quadrat's corners"
        in rows(tmp_path / "plain")["message"].iloc[0]
    )
    steps.predict(farm / "model", tmp_path / "photos", out=tmp_path / "cut", table=tmp_path / "corners.csv")
    cut, alone = (
        rows(tmp_path / "cut").iloc[0],
        HerbageModel.from_pretrained(farm / "model").estimate(farm / "photos/sward_40.jpg"),
    )
    assert cut["message"] != cut["message"]
    assert cut["Dry_Total_g"] == pytest.approx(alone.grams[TOTAL], rel=0.02)


NAMES = [
    "a b.png", "quote'\".png", "line\nbreak.png", "שלום.png", "\u202egnp.exe.png", "😀.png", "=1+1.png", "<b>x<&.png",
    "a,b;c.png", "ü" * 100 + ".png", "-rf.png", "%s%n{0}.png",
]  # fmt: skip


@posix_only(reason="Windows has no names with line breaks, quotation marks, < or >")
def test_photos_of_any_name_have_their_rows_maps_and_places_in_the_report(model, weighed_photos, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in NAMES:
        shutil.copy(weighed_photos / "train/ID1.png", photos / name)
    if NAMES_ARE_BYTES:
        os.link(photos / "a b.png", os.fsencode(photos) + b"/\xff\xfe.png")
    count = len(NAMES) + NAMES_ARE_BYTES
    done = steps.predict(model, photos, out=tmp_path / "out", maps=True, paddocks="folder")
    assert (done.estimated, done.failed) == (count, {})
    table = pd.read_csv(tmp_path / "out/predictions.csv")
    assert len(table) == count
    assert table["Dry_Total_g"].nunique() == 1
    assert not table["photo"].str.match(r"[=+\-@]").any()
    assert len(list((tmp_path / "out/maps").glob("*.png"))) == count
    report = (tmp_path / "out/report.html").read_text("utf-8")
    assert "<b>x" not in report
    assert "&lt;b&gt;x&lt;&amp;.png" in report


def test_a_photo_that_vanishes_after_it_was_listed_is_a_row(model, weighed_photos, tmp_path, monkeypatch):
    photos = tmp_path / "photos"
    shutil.copytree(weighed_photos / "train", photos)
    listed = find_photos(photos)
    monkeypatch.setattr("herbage.steps.predicting.find_photos", lambda where: listed)
    (photos / "ID3.png").unlink()
    (photos / "ID4.png").unlink()
    (photos / "ID4.png").mkdir()
    done = steps.predict(model, photos, out=tmp_path / "out")
    assert set(done.failed) == {"ID3.png", "ID4.png"}
    assert "No such file" in done.failed["ID3.png"]
    assert done.estimated == 22


def test_a_model_in_memory_is_refused_with_a_cluster(models, weighed_photos, tmp_path):
    opened = HerbageModel.from_pretrained(models / "ridge")
    with pytest.raises(InputInvalid, match="`cluster`: workers open the model themselves"):
        steps.predict(opened, weighed_photos / "train", out=tmp_path / "r", cluster="auto")
    assert not (tmp_path / "r").exists()


def test_training_photos_are_flagged(models, weighed_photos, tmp_path, caplog):
    rng = np.random.default_rng(4)
    (tmp_path / "photos").mkdir()
    draw_photo(rng, 0.5).save(tmp_path / "photos/new.png")
    shutil.copy(weighed_photos / "train/ID3.png", tmp_path / "photos/old.png")
    done = steps.predict(models / "ridge", tmp_path / "photos", out=tmp_path / "r")
    assert done.training_photos == 1
    assert "The model was trained on 1 of these photos: expect larger errors on new photos." in caplog.text
    messages = pd.read_csv(tmp_path / "r/predictions.csv").set_index("photo")["message"]
    assert "training photo: expect larger errors on new photos" in messages["old.png"]
    assert pd.isna(messages["new.png"])
    report = (tmp_path / "r/report.html").read_text("utf-8")
    assert "The model was trained on 1 of these photos: expect larger errors on new photos." in report


@pytest.mark.parametrize("area", [0.0, -1.0, float("nan"), float("inf"), 1e-320])
def test_an_invalid_quadrat_area_is_refused(models, weighed_photos, tmp_path, area):
    with pytest.raises(InputInvalid, match="`quadrat_area_m2=.*`: expected square metres between"):
        steps.predict(models / "ridge", weighed_photos / "train", out=tmp_path / "r", quadrat_area_m2=area)
    with pytest.raises(InputInvalid, match="`quadrat_area_m2=.*`: expected square metres between"):
        steps.train(weighed_photos / "wide.csv", photos=weighed_photos, quadrat_area_m2=area)


@posix_only(reason="Windows has no names with line breaks, and shorter paths")
def test_odd_photos_never_stop_predict(models, weighed_photos, tmp_path):
    photos = tmp_path / "p"
    photos.mkdir()
    Image.new("RGB", (180, 9000)).save(photos / "a thin.png")
    Image.new("RGB", (9000, 180)).save(photos / "b flat.png")
    Image.new("RGB", (2, 9000)).save(photos / "h thinner.png")
    third = b"c\xff.png" if NAMES_ARE_BYTES else b"c.png"
    for name in (third, b"d\nline.png", b"e\rreturn.png", b"f" * 240 + b".png", "g 🌱 é.png".encode()):
        shutil.copy(weighed_photos / "train/ID0.png", os.path.join(os.fsencode(photos), name))
    done = steps.predict(models / "ridge", photos, out=photos / "results", maps=True, store=tmp_path / "s")
    assert done.estimated == 7
    assert list(done.failed) == ["h thinner.png"]
    frame = pd.read_csv(photos / "results/predictions.csv")
    assert frame["status"].tolist() == ["ok"] * 7 + ["skipped"]
    for kind in ("png", "npy"):
        assert len(list((photos / "results/maps").glob(f"*.{kind}"))) == 7
    again = steps.predict(models / "ridge", photos, out=photos / "results", maps=False, overwrite=True)
    assert again.estimated == 7
    assert not list((photos / "results/maps").iterdir())


def test_photos_that_do_not_count_or_may_count_twice_are_in_the_record(model, weighed_photos, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for number, name in enumerate(("a.png", "b.png", "b~2.png")):
        shutil.copy(weighed_photos / f"train/ID{number}.png", photos / name)
    (photos / "c.bmp").write_bytes(b"BM")
    (photos / "d.png").write_bytes(b"broken")
    summary = steps.predict(model, photos, out=tmp_path / "out", paddocks="folder")
    assert (summary.estimated, list(summary.failed)) == (3, ["d.png"])
    remarks = json.loads((tmp_path / "out/run.json").read_text("utf-8"))["remarks"]
    assert {one["what"]: one["names"] for one in remarks} == {
        "files_not_read": ["c.bmp"], "no_better_than_mean": ["Dry_Clover_g"], "same_shots": ["b.png = b~2.png"], "failed_photos": ["d.png"],
    }  # fmt: skip


def test_more_views_are_estimated_on_request_and_are_another_request(models, weighed_photos, tmp_path, monkeypatch):
    model = HerbageModel.from_pretrained(models / "ridge")
    one, two = (model.predict(weighed_photos / "train", views=views) for views in (1, 2))
    # The texture of a flipped photo is nearly the same.
    assert (one["Dry_Total_g"] - two["Dry_Total_g"]).abs().max() > 2e-5
    steps.predict(model, weighed_photos / "train", out=tmp_path / "r", views=1)
    table = pd.read_csv(tmp_path / "r/predictions.csv")
    np.testing.assert_allclose(table["Dry_Total_g"], one["Dry_Total_g"], atol=2e-6)
    assert json.loads((tmp_path / "r/run.json").read_text("utf-8"))["views"] == 1
    with pytest.raises(InputInvalid, match="`views=3`: expected 1 to 2, the views that the heads are trained on"):
        steps.predict(model, weighed_photos / "train", out=tmp_path / "r2", views=3)


def test_an_interrupted_run_with_other_views_is_not_resumed(models, weighed_photos, tmp_path, monkeypatch):
    def stop_after_three(*arguments):
        for number, item in enumerate(estimate_photos(*arguments)):
            if number == 3:
                raise KeyboardInterrupt
            yield item

    with monkeypatch.context() as patch:
        patch.setattr("herbage.steps.predicting.estimate_photos", stop_after_three)
        with pytest.raises(KeyboardInterrupt):
            steps.predict(models / "ridge", weighed_photos / "train", out=tmp_path / "r", views=1)
    with pytest.raises(OutputExists, match="interrupted run with another model or other settings"):
        steps.predict(models / "ridge", weighed_photos / "train", out=tmp_path / "r", views=2)
    steps.predict(models / "ridge", weighed_photos / "train", out=tmp_path / "r", views=1)
    assert json.loads((tmp_path / "r/run.json").read_text("utf-8"))["kept_rows"] == 3
