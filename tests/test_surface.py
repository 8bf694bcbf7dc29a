"""What the package shows of itself."""

import importlib
import inspect
import os
import re
import subprocess
import sys

import pytest

import herbage

PUBLIC = [
    "Backbone", "Estimate", "Farm", "HeadsRegressor", "HerbageError", "HerbageModel", "Recipe", "TARGETS", "__version__", "calibrate", "export", "extract",
    "import_heads", "load_recipe", "open_backbone", "photo_tokens", "plan_cuts", "predict", "score", "submit", "train", "weighted_r2",
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


def public_functions():
    """Each public function, and each public method of a public class, with its name."""
    for name in PUBLIC:
        thing = getattr(herbage, name)
        if inspect.isclass(thing):
            for own, method in vars(thing).items():
                method = inspect.unwrap(getattr(method, "fget", None) or getattr(method, "__func__", method))
                if inspect.isfunction(method) and (own == "__call__" or own[0] != "_"):
                    yield f"{name}.{own}", method
        elif callable(thing):
            yield name, inspect.unwrap(thing)


@pytest.mark.parametrize("name", [name for name, _ in public_functions()])
def test_public_functions_say_shapes_units_errors_and_sources(name):
    function = dict(public_functions())[name]
    source, doc = inspect.getsource(function), inspect.getdoc(function) or ""
    assert re.match(r"[A-Z`].*[.;:)]", doc.replace("\n", " ")), "a sentence says what it does"
    head = source[: source.index('"""')]
    assert not re.search(r"(?<!\[)(np\.ndarray|Tensor)(?!,)", re.sub(r"(Float|Int|Shaped)\[[^\]]*\]", "", head)), (
        "arrays have shapes"
    )
    for error in set(re.findall(r"raise (\w+)\(", source)) & set(vars(importlib.import_module("herbage.errors"))):
        assert error in doc, f"it raises {error}"
    if "photo 5" in head and name != "weighted_r2":
        assert re.search(r"\bg\b|[Gg]rams|kg", doc), "weights have a unit"


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


@pytest.mark.parametrize("ours", [True, False])
def test_libraries_that_report_to_their_makers_do_not(ours):
    """Without herbage they would, which shows that this test can fail."""
    pytest.importorskip("nncf")
    code = (
        f"{'import herbage.backbones.openvino' if ours else ''}\n"
        "import nncf.telemetry.wrapper as nncf, openvino.tools.ovc.telemetry_utils as openvino\n"
        "from huggingface_hub import constants\n"
        "print(type(nncf.telemetry).__name__, openvino.tm.__name__, constants.HF_HUB_DISABLE_TELEMETRY)"
    )
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("HF_HUB", "NNCF", "CI"))}
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, env=environment)
    said = done.stdout.splitlines()[-1]
    if ours:
        assert said == "MagicMock openvino.tools.ovc.telemetry_stub True"
    else:
        assert said == "NNCFTelemetry openvino_telemetry False"


@pytest.mark.parametrize("ours", [True, False])
def test_onnx_runtime_stores_nothing_to_report(ours, tmp_path):
    """Without herbage it writes an id of the device and a database; the second case shows that this test can fail."""
    pytest.importorskip("onnxruntime", "1.30")  # older versions report nothing
    code = f"{'import herbage' if ours else ''}\nimport onnxruntime"
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("ORT", "CI"))}
    environment |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, env=environment)
    assert any(tmp_path.iterdir()) is not ours
