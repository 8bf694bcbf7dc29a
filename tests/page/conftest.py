"""Chromium, and the page's modules opened in it without a server of herbage."""

import os
import shutil
import sys
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from herbage.page.files import BROWSER, MODULES
from herbage.page.runtime import PACKAGES, runtime_files

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

ROOT = Path(__file__).parents[2]
AXE = next(ROOT.glob(".venv/axe/*/node_modules/axe-core/axe.min.js"), ROOT / "axe.min.js")
RUNTIME = ROOT / ".venv/page-runtime"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATIENCE_MS = 120_000
expect.set_options(timeout=PATIENCE_MS)


def need(there, what):
    """Skip where `what` is missing; in CI on Linux, where the browser's tests run, fail instead."""
    if not there:
        (pytest.fail if os.environ.get("CI") and sys.platform == "linux" else pytest.skip)(
            f"{what} is missing; scripts/test installs it"
        )


@pytest.fixture(scope="module")
def chromium():
    with playwright.sync_playwright() as started:
        path = CHROMIUM or started.chromium.executable_path
        need(Path(path).exists(), "Chromium")
        browser = started.chromium.launch(executable_path=path, args=["--no-sandbox"], timeout=PATIENCE_MS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def runtime():
    """The folder with the JavaScript packages of the static site."""
    need(all((RUNTIME / package.tarball).is_file() for package in PACKAGES), "the runtime of the static site")
    return RUNTIME


class _Handler(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


class Host:
    """A static host of a folder, which can be stopped and started again at the same address."""

    def __init__(self, folder):
        self.folder, self.port = folder, 0
        self.start()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.port}/"

    def start(self):
        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), partial(_Handler, directory=self.folder))
        self.port = self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)


@contextmanager
def serving_folder(folder):
    """The address of a static host of this folder."""
    host = Host(folder)
    yield host.address
    host.stop()


@pytest.fixture(scope="module")
def modules(chromium, runtime, tmp_path_factory):
    """A blank page from which tests import the modules of the static site, as in `await import("./cover.js")`."""
    folder = tmp_path_factory.mktemp("modules")
    for source in (MODULES, BROWSER):
        shutil.copytree(source, folder, dirs_exist_ok=True)
    (folder / "runtime").mkdir()
    for name, content in runtime_files(runtime):
        (folder / "runtime" / name).write_bytes(content)
    (folder / "blank.html").write_text("<!doctype html><meta charset=utf-8><title>blank</title>")
    (folder / "strings.json").write_text("{}")
    with serving_folder(folder) as address:
        page = chromium.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.goto(f"{address}blank.html")
        yield page
        page.close()
