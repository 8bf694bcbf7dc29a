"""What the package shows of itself."""

import importlib
import subprocess
import sys

import pytest

import herbage

PUBLIC = [
    "Backbone", "Estimate", "HerbageError", "HerbageModel", "Recipe", "TARGETS", "__version__", "calibrate", "export", "extract",
    "import_heads", "load_recipe", "open_backbone", "plan_cuts", "predict", "score", "submit", "train", "weighted_r2",
]  # fmt: skip


def test_all_is_what_is_promised_and_sorted():
    assert herbage.__all__ == PUBLIC == sorted(PUBLIC)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_there_and_says_what_it_is(name):
    thing = getattr(herbage, name)
    assert name in dir(herbage)
    if callable(thing):
        assert thing.__doc__
        assert thing.__module__.startswith("herbage")


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'sward'"):
        _ = herbage.sward


@pytest.mark.parametrize("statement", ["import herbage", "import herbage.app.cli", "from herbage import HerbageError"])
def test_the_door_opens_without_the_heavy_libraries(statement):
    code = f"import sys; {statement}; print([m for m in ('torch', 'pandas', 'transformers', 'sklearn') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_the_version_is_the_packages():
    from importlib.metadata import version

    assert herbage.__version__ == version("herbage")


def test_the_error_tree_is_drawn_whole():
    errors = importlib.import_module("herbage.errors")
    for name, thing in vars(errors).items():
        if isinstance(thing, type):
            assert name in errors.__doc__
            assert issubclass(thing, herbage.HerbageError)
