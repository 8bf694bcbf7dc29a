"""The static site: the page with a model and a runtime, which estimates in the browser and works without a network.

Any static host serves it, at any address. Its service worker stores all files of `site.js` in the browser, and takes
a newer version of the site only if every file has the digest that is written there.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import herbage
from herbage.errors import InputInvalid, OutputExists
from herbage.farm.models import ModelRecord
from herbage.files import new_folder, write_atomic
from herbage.formatting import file_size
from herbage.model.estimate import DEFAULT_LEVEL
from herbage.model.model import ASPECT_FACTOR, HerbageModel
from herbage.page.facts import model_facts
from herbage.page.files import BROWSER, MODULES, read_strings
from herbage.page.icons import icon_png
from herbage.page.runtime import runtime_files
from herbage.page.site_facts import student_t
from herbage.photos.photo import PhotoFile
from herbage.results.onnx import NETWORK, OnnxParity, export_onnx

MOST_BYTES = 2_000_000_000
"""Bytes of the network: browsers limit an array to 2 GB, and WebAssembly all memory to 4 GB."""

SERVER_ONLY = ("server.js", "strings.csv")
ICONS = {"icon-192.png": 192, "icon-512.png": 512}

POLICY = (
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; img-src 'self' blob: data:; "
    "object-src 'none'; base-uri 'none'; form-action 'none'"
)
"""The content policy of the site, in a meta element, which cannot forbid that other sites embed the page."""

HEAD = f"""<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="referrer" content="no-referrer">
<link rel="manifest" href="manifest.webmanifest">
<link rel="apple-touch-icon" href="icon-192.png">
<meta name="theme-color" content="#2f6b2f">
"""

MANIFEST = {
    "name": "herbage",
    "short_name": "herbage",
    "description": "Estimate the pasture in top-view photos",
    "id": "./",
    "start_url": "./",
    "scope": "./",
    "display": "standalone",
    "background_color": "#fbfbf7",
    "theme_color": "#2f6b2f",
    "icons": [
        {"src": name, "type": "image/png", "sizes": f"{side}x{side}", "purpose": purpose}
        for name, side in ICONS.items()
        for purpose in ("any", "maskable")
    ],
}


def export_site(
    model: HerbageModel,
    source: str | Path | None,
    out: Path,
    files: Sequence[PhotoFile],
    precision: Literal["fp32", "int8"] = "fp32",
    runtime: Path | None = None,
) -> OnnxParity | None:
    """Write the site; an existing folder is replaced. `files` and `precision` are those of `export_onnx`.

    `runtime` is a folder with the JavaScript packages; without it npm fetches them. Raises InputInvalid where the
    estimator is too large for a browser, and as `export_onnx` and `runtime_files`.
    """
    if (out / ".git").exists():
        raise OutputExists(
            f"`out={out}` is the work tree of a repository: export into another folder, and copy the files."
        )
    packages = dict(runtime_files(runtime))
    with new_folder(out) as site:
        parity = export_onnx(model, source, site / "estimator", files, precision)
        _check_size(site / "estimator")
        for folder in (MODULES, BROWSER):
            for path in folder.iterdir():
                if path.name not in SERVER_ONLY:
                    (site / path.name).write_bytes(path.read_bytes())
        (site / "runtime").mkdir()
        for name, content in packages.items():
            (site / "runtime" / name).write_bytes(content)
        for name, side_px in ICONS.items():
            (site / name).write_bytes(icon_png(side_px))
        _write_json(site / "strings.json", read_strings())
        _write_json(site / "manifest.webmanifest", MANIFEST)
        _write_json(site / "model.json", site_facts(model, site / "estimator"))
        index = (site / "index.html").read_text("utf-8")
        write_atomic(site / "index.html", _after(index, '<meta charset="utf-8">\n', HEAD))
        _write_list(site)
    return parity


def site_facts(model: HerbageModel, estimator: Path) -> dict[str, Any]:
    """`model_facts`, and what the site needs to compute what the server computes elsewhere.

    `training_photos` are the digests of the pixels of the training photos.
    """
    evidence, scale = model.evidence, model.map_scale_g_per_m2
    columns = model.config.measured_columns if model.uses_measured else ()
    return model_facts(model) | {
        "farm": None,
        "version": herbage.__version__,
        "estimator": [f"{estimator.name}/{path.name}" for path in sorted(estimator.glob(f"{NETWORK}*"))],
        "record": ModelRecord.of(model).model_dump(mode="json"),
        "student_t": student_t(DEFAULT_LEVEL),
        "distance_limit": None if evidence is None else evidence.domain.limit,
        "aspect_factor": ASPECT_FACTOR,
        "map_scale_g_per_m2": None if scale is None else scale.tolist(),
        "training_photos": [] if evidence is None else [bytes(row).hex() for row in evidence.photos.tolist()],
        "logarithms": [column.name for column in columns if column.logarithm],
    }


def _check_size(estimator: Path) -> None:
    size = sum(path.stat().st_size for path in estimator.iterdir())
    if size > MOST_BYTES:
        raise InputInvalid(
            f"The estimator has {file_size(size)}, and browsers load at most {file_size(MOST_BYTES)}: pass "
            f"`precision=int8`, or use a model on a smaller backbone."
        )


def _after(text: str, place: str, addition: str) -> str:
    before, found, behind = text.partition(place)
    if not found:
        raise ValueError(f"index.html has no {place!r}")
    return before + found + addition + behind


def _write_json(path: Path, content: Any) -> None:
    write_atomic(path, json.dumps(content, ensure_ascii=False, allow_nan=False))


def _write_list(site: Path) -> None:
    """Write site.js: the address, size and digest of every file that the page needs, for the service worker."""
    listed = {}
    for path in sorted(site.rglob("*")):
        name = path.relative_to(site).as_posix()
        if path.is_file() and path.suffix != ".txt" and name not in ("service-worker.js", "estimator/onnx.json"):
            content = path.read_bytes()
            digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
            listed[name] = {"bytes": len(content), "integrity": f"sha256-{digest}"}
    version = hashlib.sha256(json.dumps(listed, sort_keys=True).encode()).hexdigest()[:16]
    text = json.dumps({"version": version, "files": listed}, indent=1)
    write_atomic(site / "site.js", f"self.site = {text};\n")
