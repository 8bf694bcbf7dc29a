import json
import subprocess
import sys

import pytest

from herbage.app.cli import run
from tests.conftest import TEXTURE

COMMANDS = ["demo", "extract", "train", "score", "predict", "submit", "import-heads", "check"]


def test_help_lists_every_command_and_each_has_examples(capsys):
    assert run(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(command in said for command in COMMANDS)
    for command in COMMANDS:
        assert run([command, "--help"]) == 0
        assert f"herbage {command}" in capsys.readouterr().out.split("For example:")[1]


@pytest.mark.parametrize(("arguments", "said"), [
    (["trian"], 'Did you mean "train"?'),
    (["extract", "p", "--stroe", "s"], 'Did you mean --store'),
    (["extract"], "--photos"),
    (["train", "t.csv", "--photos", "p", "--model", "m", "--folds", "many"], "many"),
    (["predict", "m", "p", "--out", "o", "--precision", "fp8"], "fp8"),
    (["predict", "no/such/model", "p", "--out", "o"], "neither a model folder here nor"),
    (["extract", "no/such/folder", "--store", "s"], "is not there"),
])  # fmt: skip
def test_a_wrong_call_is_one_message_on_standard_error_and_exit_2(arguments, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(arguments) == 2
    out, err = capsys.readouterr()
    assert said in err
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


def test_check_says_what_this_machine_has(capsys):
    assert run(["check", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["python"].startswith(".".join(map(str, sys.version_info[:3])))
    assert "texture" in "".join(facts)


def test_output_that_nobody_reads_is_no_traceback(trained):
    code = "from herbage.app.cli import main; main()"
    result = subprocess.run(
        f"{sys.executable} -c '{code}' score {trained / 'model'} | true",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in result.stderr
