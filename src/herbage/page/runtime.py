"""The JavaScript packages of the static site: onnxruntime-web, which runs the estimator, and exifreader.

They are neither in the repository nor in the wheel. `npm pack` fetches them once, and the digests below are those of
the npm registry.
"""

import base64
import hashlib
import importlib.util
import io
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from herbage.errors import InputInvalid
from herbage.files import user_cache

FETCH_SECONDS = 600


@dataclass(frozen=True)
class Package:
    """An npm package of one version; `files` are the names in the site by those in the package.

    Modules end in .js, since some hosts do not know .mjs.
    """

    name: str
    version: str
    sha512: str
    files: Mapping[str, str]

    @property
    def spec(self) -> str:
        """The package as npm names it."""
        return f"{self.name}@{self.version}"

    @property
    def tarball(self) -> str:
        """The name of the file that `npm pack` writes."""
        return f"{self.name}-{self.version}.tgz"


PACKAGES = (
    Package(
        "onnxruntime-web",
        "1.30.0",
        "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ==",
        {
            "dist/ort.wasm.min.mjs": "ort.wasm.min.js",
            "dist/ort-wasm-simd-threaded.mjs": "ort-wasm-simd-threaded.js",
            "dist/ort-wasm-simd-threaded.wasm": "ort-wasm-simd-threaded.wasm",
        },
    ),
    Package(
        "exifreader",
        "4.46.0",
        "ksHTpjXKWzbckY+bYlGaomG0EobHJkaMWLg5OPbzlTPda04F2dfrDfYSz8iAPp/kXYUSQdINBVI6nCAjQ8PQ/Q==",
        {"dist/exif-reader.js": "exif-reader.js", "LICENSE": "exif-reader.LICENSE.txt"},
    ),
)

LICENCES = {"LICENSE": "ort.LICENSE.txt", "ThirdPartyNotices.txt": "ort.NOTICES.txt"}
"""The licence and notices of ONNX Runtime, from its Python package: the npm package lacks them."""

PACK = f"npm pack {' '.join(package.spec for package in PACKAGES)}"


def runtime_files(given: Path | None = None) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file of the runtime, licences included.

    `given` is a folder with the packages as `npm pack` writes them; without it they are fetched into the user's cache.
    Raises InputInvalid where a package is missing, cannot be fetched, or is not the pinned one.
    """
    folder = given or user_cache("page-runtime")
    if given is None:
        _fetch([package for package in PACKAGES if not (folder / package.tarball).is_file()], folder)
    for package in PACKAGES:
        content = _verified(package, folder)
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            for inside, name in package.files.items():
                member = archive.extractfile(f"package/{inside}")
                if member is None:
                    raise InputInvalid(f"{folder / package.tarball} has no file {inside}.")
                yield name, member.read()
    python = importlib.util.find_spec("onnxruntime")
    if python is None or python.origin is None:
        raise InputInvalid("An export needs the extra onnx: pip install 'herbage[onnx]'")
    for inside, name in LICENCES.items():
        yield name, Path(python.origin).with_name(inside).read_bytes()


def _verified(package: Package, folder: Path) -> bytes:
    place = folder / package.tarball
    try:
        content = place.read_bytes()
    except OSError as error:
        raise InputInvalid(f"`runtime={folder}` has no readable {package.tarball}. To get it, run: {PACK}") from error
    if base64.b64encode(hashlib.sha512(content).digest()).decode() != package.sha512:
        raise InputInvalid(
            f"{place} is not {package.spec}: its sha512 is another than that of the npm registry. Delete it and fetch "
            f"it again: {PACK}"
        )
    return content


def _fetch(missing: list[Package], folder: Path) -> None:
    if not missing:
        return
    folder.mkdir(parents=True, exist_ok=True)
    npm = shutil.which("npm")  # on Windows its name is npm.cmd
    if npm is None:
        raise InputInvalid(
            f"`as_format=web` needs npm, once, to fetch the JavaScript packages of the site: install Node.js, or pass "
            f"as `runtime` a folder in which another computer has run: {PACK}"
        )
    specs = [package.spec for package in missing]
    command = [npm, "pack", "--loglevel=error", "--pack-destination", str(folder), *specs]
    try:
        subprocess.run(
            command, check=True, capture_output=True, encoding="utf-8", errors="replace", timeout=FETCH_SECONDS,
            cwd=folder,
        )  # fmt: skip
    except (subprocess.SubprocessError, OSError) as error:
        reason = (getattr(error, "stderr", None) or str(error)).strip()
        raise InputInvalid(
            f"npm could not fetch the JavaScript packages of the site ({reason.splitlines()[-1] if reason else error})."
            f" Without a network, pass as `runtime` a folder in which another computer has run: {PACK}"
        ) from error
