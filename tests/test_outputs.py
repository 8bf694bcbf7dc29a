import os
from functools import partial
from pathlib import Path

import pytest

from herbage.errors import OutputExists
from herbage.outputs import (
    DEMO_FOLDER,
    EXPORT_FOLDER,
    MODEL_FOLDER,
    check_model_place,
    check_output_file,
    check_output_folder,
)

check_export_place = partial(check_output_folder, kind=EXPORT_FOLDER)


def test_a_place_that_is_not_writable_is_reported_before_the_work(tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.setattr(os, "access", lambda *_: False)
    for place in (tmp_path / "new/deep", tmp_path / "empty"):
        for check in (check_model_place, check_export_place):
            with pytest.raises(PermissionError):
                check(place, overwrite=False)
    with pytest.raises(PermissionError):
        check_output_file(tmp_path / "new/table.csv", overwrite=False)
    with pytest.raises(OutputExists, match="is a folder; expected the name of a file"):
        check_output_file(tmp_path / "empty", overwrite=True)
    assert [path.name for path in tmp_path.rglob("*")] == ["empty"]


@pytest.mark.parametrize(("kind", "files"), [
    (MODEL_FOLDER, ("config.json", "model.safetensors")), (EXPORT_FOLDER, ("openvino.json",)),
    (EXPORT_FOLDER, ("onnx.json",)), (DEMO_FOLDER, ("photos/sward_00.jpg",)),
])  # fmt: skip
def test_a_folder_is_replaced_by_its_own_kind_and_only_on_request(tmp_path, kind, files):
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    check_output_folder(tmp_path, kind, overwrite=True)
    with pytest.raises(OutputExists, match="already exists; pass `overwrite=True`"):
        check_output_folder(tmp_path, kind, overwrite=False)


@pytest.mark.parametrize("kind", [MODEL_FOLDER, EXPORT_FOLDER, DEMO_FOLDER])
def test_what_is_of_another_kind_is_never_replaced(tmp_path, kind):
    (tmp_path / "config.json").touch()
    (tmp_path / "file").touch()
    for place in (tmp_path, tmp_path / "file"):
        with pytest.raises(OutputExists, match=f"is not {kind.name}, so it is not replaced"):
            check_output_folder(place, kind, overwrite=True)


def test_a_model_never_replaces_its_own_inputs_or_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(OutputExists, match="is the working directory"):
        check_model_place(Path(), overwrite=True)
    with pytest.raises(OutputExists, match=r"contains .*photos, which the model is made from"):
        check_model_place(tmp_path / "m", overwrite=True, inputs=[tmp_path / "m/photos"])
