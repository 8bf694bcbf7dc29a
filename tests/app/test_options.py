"""Arguments are checked before the heavy libraries are imported, and messages name options."""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from herbage.app import cli, commands
from herbage.app.options import FLAGS, PARAMETERS, BackboneArguments, TableArguments, as_options
from tests.conftest import START

SOURCE = Path(commands.__file__).parents[2]


@pytest.mark.parametrize(("message", "shown"), [
    ("pass `overwrite=True` to replace it", "pass --overwrite to replace it"),
    ("`quadrat_area_m2=0`: expected square metres", "--quadrat-area 0: expected square metres"),
    ('`backbone="texture"` needs no weights', "--backbone texture needs no weights"),
    ("`as_format=onnx` is fp32", "--format onnx is fp32"),
    ("are `unit` and `quadrat_area_m2` correct?", "are --unit and --quadrat-area correct?"),
    ("run `hf download X --local-dir DIR`, or `herbage score`", "run `hf download X --local-dir DIR`, or `herbage score`"),
    ("the column `image_path`", "the column `image_path`"),
])  # fmt: skip
def test_parameters_of_messages_are_shown_as_options(message, shown):
    assert as_options(message) == shown


def test_every_parameter_that_messages_may_name_is_an_option_of_a_command():
    functions = [cli.app[name].default_command for name in cli.app if not name.startswith("--")]
    options = {name for function in functions for name in inspect.signature(function).parameters}
    options |= {*inspect.signature(BackboneArguments).parameters, *inspect.signature(TableArguments).parameters}
    for name in PARAMETERS:
        flag = FLAGS.get(name, "--" + name.replace("_", "-"))
        assert name in options or flag.removeprefix("--").replace("-", "_") in options, name


def test_the_library_names_parameters_and_never_options():
    """Only the command line knows its options: a caller from Python never typed one. (The card shows commands.)"""
    options = {FLAGS.get(name, "--" + name.replace("_", "-")) for name in PARAMETERS}
    for path in SOURCE.rglob("*.py"):
        if path.is_relative_to(SOURCE / "app") or path.name == "card.py":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not options & set(re.findall(r"--[a-z][\w-]*", node.value)), f"{path.name}: {node.value}"


@pytest.mark.parametrize("arguments", [
    ["predict", "nomodel", "nophotos", "--out", "x"],
    ["predict", "owner/nomodel", "nophotos", "--out", "x"],
    ["predict", "MODEL", "nophotos", "--out", "x"],
    ["predict", "MODEL", ".", "--out", "x", "--level", "2"],
    ["predict", "MODEL", ".", "--out", "x", "--quadrat-area", "-1"],
    ["predict", "MODEL", ".", "--out", "x", "--table", "none.csv"],
    ["predict", "MODEL", ".", "--out", "x", "--backbone", "./nowhere"],
    ["predict", "MODEL", ".", "--out", "RESULTS"],
    ["train", "none.csv", "--photos", ".", "--model", "m"],
    ["train", "TABLE", "--photos", "none", "--model", "m"],
    ["train", "TABLE", "--photos", ".", "--model", "m", "--recipe", "none"],
    ["train", "TABLE", "--photos", ".", "--model", "m", "--columns", "Dry_Total_g"],
    ["train", "TABLE", "--photos", "photos", "--model", "MODEL"],
    ["train", "TABLE", "--photos", ".", "--model", "m", "--folds", "1"],
    ["extract", ".", "--store", "s", "--shard", "3"],
    ["score", "MODEL", "nomodel"],
    ["score", "MODEL", "--photos", "."],
    ["score", "MODEL", "--table", "TABLE"],
    ["submit", "MODEL", "none.csv", "--photos", ".", "--out", "s.csv"],
    ["calibrate", "MODEL", "TABLE", "--photos", "photos", "--model-out", "MODEL"],
    ["plan-cuts", "MODEL", "nophotos", "--count", "3", "--out", "c.csv"],
    ["plan-cuts", "MODEL", ".", "--count", "0", "--out", "c.csv"],
    ["export", "nomodel", "--out", "x"],
    ["export", "MODEL", "--out", "x", "--format", "web", "--precision", "bf16"],
    ["import-heads", "nowhere", "--model", "m"],
    ["import-heads", ".", "--model", "MODEL"],
    ["serve", "nomodel"],
    ["serve", "MODEL", "--port", "70000"],
    ["serve", "MODEL", "--farm", "TABLE"],
    ["farm", "FARM", "--drop-visit", "x"],
    ["farm", "FARM", "--paddock-name", "x"],
    ["demo", "--out", "TABLE"],
], ids=" ".join)  # fmt: skip
def test_a_wrong_argument_is_reported_without_importing_torch(arguments, tmp_path):
    (tmp_path / "model").mkdir()
    for name in ("model/config.json", "model/model.safetensors", "table.csv", "predictions.csv"):
        (tmp_path / name).touch()
    (tmp_path / "photos").mkdir()
    places = {"MODEL": "model", "TABLE": "table.csv", "RESULTS": ".", "FARM": "farm.gpkg"}
    done = run_and_list_heavy([places.get(one, one) for one in arguments], tmp_path)
    assert done.stderr.splitlines()[-1] == "2 []", done.stderr
    assert done.stderr.startswith("herbage: ")
    assert done.stdout == ""


def run_and_list_heavy(arguments, folder):
    """Run a command; the last line on standard error is its exit code, and the heavy libraries that it imported."""
    code = START.replace("main()\n", "") + (
        "from herbage.app.cli import run\nimport sys\n"
        "code = run(sys.argv[1:])\n"
        "heavy = [name for name in ('torch', 'transformers', 'sklearn', 'pandas') if name in sys.modules]\n"
        "sys.exit(f'{code} {heavy}')"
    )
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=folder)


@pytest.mark.parametrize(("arguments", "message"), [
    (["train", "TABLE", "--photos", ".", "--model", "m", "--columns", "Dry_Total_g=Yield"], "--columns: .* lacks the column Yield"),
    (["train", "TABLE", "--photos", ".", "--model", "m", "--group-by", "Farm"], "--group-by: the table has no column Farm"),
    (["train", "TABLE", "--photos", ".", "--model", "m", "--measured", "Height"], "--measured: .* lacks the column Height"),
    (["farm", "FARM", "--date", "2026-09-04"], "--date: expected the file of a walk as --add"),
    (["farm", "FARM"], "farm.gpkg does not exist"),
], ids=lambda one: " ".join(one) if isinstance(one, list) else "")  # fmt: skip
def test_a_fault_of_a_table_or_farm_is_reported_without_importing_torch(arguments, message, weighed_photos, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model/config.json").touch()
    places = {"MODEL": tmp_path / "model", "TABLE": weighed_photos / "wide.csv", "FARM": tmp_path / "farm.gpkg"}
    done = run_and_list_heavy([str(places.get(one, one)) for one in arguments], weighed_photos)
    assert re.match(r"2 .*'pandas'", done.stderr.splitlines()[-1]), done.stderr
    assert "torch" not in done.stderr.splitlines()[-1]
    assert re.search(message, done.stderr)


@pytest.mark.parametrize("name", [name for name in cli.app if not name.startswith("--")])
def test_the_first_line_does_not_wait_for_torch(name, weighed_photos, trained, tmp_path):
    """What is imported when a command first writes to the terminal, whatever happens afterwards."""
    model, photos, table, out = trained / "model", weighed_photos, weighed_photos / "wide.csv", tmp_path / "out"
    arguments = {
        "extract": [photos, "--store", out],
        "train": [table, "--photos", photos, "--model", out],
        "score": [model],
        "predict": [model, photos, "--out", out],
        "farm": [tmp_path / "farm.gpkg"],
        "submit": [model, table, "--photos", photos, "--out", out],
        "plan-cuts": [model, photos, "--count", 3, "--out", out],
        "calibrate": [model, table, "--photos", photos, "--model-out", out],
        "import-heads": [photos, "--model", out],
        "export": [model, "--out", out],
        "serve": [model],
        "demo": ["--out", out],
    }.get(name, [])
    code = START.replace("main()\n", "") + (
        "import os, sys\n"
        "class Stop:\n"
        "    encoding = 'utf-8'\n"
        "    def write(self, text):\n"
        "        heavy = [name for name in ('torch', 'transformers', 'sklearn') if name in sys.modules]\n"
        "        os.write(1, f'{heavy} {text}'.encode())\n"
        "        os._exit(0)\n"
        "    def flush(self): pass\n"
        "    def isatty(self): return False\n"
        "sys.stdout = sys.stderr = Stop()\n"
        "from herbage.app.cli import run\n"
        "run(sys.argv[1:])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, name, *map(str, arguments)], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.stdout.startswith("[] "), done.stdout + done.stderr
    assert not done.stdout.startswith("[] herbage: "), "this is an error, not the first line"
