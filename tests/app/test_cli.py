import json
import os
import subprocess
import sys

import pytest

from herbage.app import terminal
from herbage.app.cli import run
from tests.conftest import HERBAGE, TEXTURE, posix_only

COMMANDS = [
    "demo", "extract", "train", "score", "predict", "farm", "submit", "plan-cuts", "calibrate", "import-heads",
    "export", "serve", "check",
]  # fmt: skip


def test_help_lists_every_command_and_each_has_examples(capsys):
    assert run(["--help"]) == 0
    printed = capsys.readouterr().out
    assert all(command in printed for command in COMMANDS)
    for command in COMMANDS:
        assert run([command, "--help"]) == 0
        assert f"herbage {command}" in capsys.readouterr().out.split("For example:")[1]


@pytest.mark.parametrize(("command", "text"), [
    ("train", ".csv or .xlsx. Targets may be missing. With columns x1 y1 ... x4 y4"),
    ("predict", "or a file of polygons (GeoJSON, GeoPackage, KML"),
])  # fmt: skip
def test_the_help_of_an_option_has_no_line_breaks_of_its_own(command, text):
    wide = {**os.environ, "COLUMNS": "400"}
    done = subprocess.run([*HERBAGE, command, "--help"], capture_output=True, encoding="utf-8", env=wide)
    assert text in done.stdout


@pytest.mark.parametrize(("arguments", "message"), [
    (["trian"], 'Did you mean "train"?'),
    (["extract", "p", "--stroe", "s"], 'Did you mean --store'),
    (["extract"], "--photos"),
    (["train", "t.csv", "--photos", "p", "--model", "m", "--folds", "many"], "many"),
    (["predict", "m", "p", "--out", "o", "--precision", "fp8"], "fp8"),
    (["predict", "no/such/model", "p", "--out", "o"], "model is neither a model folder on this machine nor a model that could be loaded from the hub"),
    (["extract", "no/such/folder", "--store", "s"], "folder does not exist"),
])  # fmt: skip
def test_a_wrong_call_is_one_message_on_standard_error_and_exit_2(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p").mkdir()
    (tmp_path / "t.csv").touch()
    (tmp_path / "m").mkdir()
    (tmp_path / "m/config.json").touch()
    assert run(arguments) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert "Traceback" not in err
    assert out == ""


def test_a_call_that_fails_leaves_no_folder_behind(trained, survey, tmp_path, capsys):
    here, model = tmp_path / "deep" / "results", str(trained / "model")
    assert run(["predict", model, str(survey / "none"), "--out", str(here)]) == 2
    assert run(["predict", str(survey), str(survey), "--out", str(here)]) == 2
    assert run(["submit", model, str(tmp_path / "no.csv"), "--photos", str(survey), "--out", str(here / "s.csv")]) == 2
    assert run(["train", str(tmp_path / "no.csv"), "--photos", str(survey), "--model", str(here), *TEXTURE]) == 2
    assert not here.parent.exists()
    (tmp_path / "file").touch()
    capsys.readouterr()
    assert run(["predict", model, str(survey), "--out", str(tmp_path / "file" / "results")]) == 2
    assert "Not a directory" in capsys.readouterr().err


def test_check_describes_this_machine(capsys):
    assert run(["check", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["python"].startswith(".".join(map(str, sys.version_info[:3])))
    assert "texture" in "".join(facts)


@posix_only(reason="it needs a POSIX shell")
def test_a_closed_output_pipe_gives_no_traceback(trained):
    code = "from herbage.app.cli import main; main()"
    result = subprocess.run(
        f"{sys.executable} -c '{code}' score {trained / 'model'} | true",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in result.stderr


def test_long_work_reports_once_a_minute_where_the_output_is_not_a_terminal(monkeypatch, caplog):
    clock = iter(range(0, 10_000, 7))
    monkeypatch.setattr(terminal.time, "monotonic", lambda: next(clock))
    caplog.set_level("INFO", "herbage")
    assert list(terminal.tracker(False)(range(30), "extract", 30)) == list(range(30))
    assert caplog.messages == [
        "extract: 9 of 30, about 2 min left", "extract: 18 of 30, about 1 min left", "extract: 27 of 30, about 0 min left",
    ]  # fmt: skip
    caplog.clear()
    assert list(terminal.tracker(True)(range(30), "extract", 30)) == list(range(30))
    assert caplog.messages == []
