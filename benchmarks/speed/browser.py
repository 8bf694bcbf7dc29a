"""Photos estimated in the browser by the static site, next to `predict` with the same model.

python -m benchmarks browser [--quick]

Chromium, with 1 thread and with as many as the page takes here. The models are `field` on `texture`, and on a ViT-S in
int8, both trained on drawn photos, since only their size matters; HERBAGE_REAL may name a folder with real weights. The
peak memory is that of the page's process after one photo of 12 megapixels. Needs playwright, Chromium and npm.
"""

import shutil
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
from PIL import Image
from playwright.sync_api import Error, Page, sync_playwright

from benchmarks.harness import option_parser, parse, peak_gb
from benchmarks.speed.backbones import backbone_of, photos
from benchmarks.speed.timing import report, timed
from herbage import steps
from herbage.model.model import HerbageModel
from herbage.photos.discovery import find_photos

LARGE_PX = (4000, 3000)
PHOTOS, TRAINED = 5, 20
NO_WORKER = "Object.defineProperty(Navigator.prototype, 'serviceWorker', { value: undefined })"
"""Without its service worker the page is not isolated, so it takes one thread."""


def main() -> None:
    """Time both models, write browser.json."""
    options = parse(option_parser(__doc__))
    count = 1 if options.quick else PHOTOS
    listed = photos(TRAINED, options.work)
    files = [file.path for file in find_photos(listed)]
    large = options.work / "large.jpg"
    Image.open(files[0]).resize(LARGE_PX).save(large, quality=92)
    lines = []
    for name, backbone, precision in (
        ("texture", "texture", "fp32"),
        ("ViT-S", backbone_of("vits", options.work), "int8"),
    ):
        model = _train(options.work / f"browser-{name}", listed, files, str(backbone))
        site = options.work / f"browser-site-{name}"
        shutil.rmtree(site, ignore_errors=True)
        steps.export(model, out=site, as_format="web", precision=precision, photos=_few(files, options.work))
        engine = model.open_backbone(precision="fp32")
        python_s = [
            timed(partial(next, model.estimates([file], engine, with_map=True))) for file in find_photos(listed)[:count]
        ]
        size_mb = sum(path.stat().st_size for path in site.rglob("*") if path.is_file()) / 1e6
        for threads in (1, None):
            of = _in_browser(site, files[:count], large, threads)
            lines.append(
                {
                    "work": name,
                    "precision": precision,
                    "site_mb": size_mb,
                    "predict_s": statistics.median(python_s),
                    **of,
                }
            )
    report("browser", lines, options.out)


def _train(place: Path, listed: Path, files: list[Path], backbone: str) -> HerbageModel:
    """A model on photos with weights that mean nothing."""
    table = pd.DataFrame({"image_path": [file.name for file in files], "State": "Tas"})
    number = table.index
    table["Sampling_Date"] = [f"2015/{1 + n // 2}/1" for n in number]
    table["Dry_Clover_g"], table["Dry_Dead_g"], table["Dry_Green_g"] = 5.0 + number % 7, 8.0 + number % 3, 20.0 + number
    table["GDM_g"] = table["Dry_Clover_g"] + table["Dry_Green_g"]
    table["Dry_Total_g"] = table["GDM_g"] + table["Dry_Dead_g"]
    return steps.train(table, photos=files[0].parent, model=place, recipe="field", backbone=backbone, overwrite=True)


def _few(files: list[Path], work: Path) -> Path:
    folder = work / "browser-parity"
    folder.mkdir(exist_ok=True)
    for file in files[:2]:
        shutil.copy(file, folder)
    return folder


def _in_browser(site: Path, files: list[Path], large: Path, threads: int | None) -> dict[str, Any]:
    """Seconds until the first photo is done, the median of the others, and the peak memory with one large photo."""
    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    with _serving(site) as address, sync_playwright() as started:
        found: dict[str, Any] = {}
        for selected in ([files[0], *files], [large]):
            browser = started.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
            page = browser.new_page()
            if threads == 1:
                page.add_init_script(NO_WORKER)
            page.goto(address)
            _until(page, "document.querySelector('#target option') !== null")
            if threads is None:
                _until(page, "crossOriginIsolated")
                _until(page, "document.querySelector('#target option') !== null")
            seconds = [timed(partial(_estimate, page, file, number)) for number, file in enumerate(selected, 1)]
            if selected == [large]:
                found |= {"large_s": seconds[0], "large_peak_gb": _renderer_gb()}
            else:
                cores = page.evaluate("Math.min(4, navigator.hardwareConcurrency)")
                found |= {"threads": threads or cores, "first_s": seconds[0], "photo_s": statistics.median(seconds[1:])}
            browser.close()
        return found


def _estimate(page: Page, file: Path, number: int) -> None:
    page.set_input_files("#choose", file)
    _until(page, f"document.querySelectorAll('.card .answer:not([hidden])').length === {number}")


def _until(page: Page, expression: str) -> None:
    while True:
        with suppress(Error):  # while the page is reloaded
            if page.evaluate(expression):
                return
        time.sleep(0.02)


def _renderer_gb() -> float:
    """The largest peak of Chromium's processes for pages."""
    peaks = []
    for process in psutil.process_iter(["cmdline"]):
        if "--type=renderer" in " ".join(process.info["cmdline"] or []):
            peaks.append(peak_gb(Path(f"/proc/{process.pid}/status").read_text("utf-8")))
    return max(peaks)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


@contextmanager
def _serving(folder: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
