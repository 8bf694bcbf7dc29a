"""Ten thousand photos with texture, plain and by Ray's workers on this machine: photos a second, and memory on the way.

python -m benchmarks many [--photos 10000] [--work WORK]

Memory is what all processes of a command hold (proportional set size, so that shared pages count once).
"""

import json
import shutil
import subprocess
import time
from hashlib import sha256
from pathlib import Path

import psutil

from benchmarks.command import HERBAGE, asked
from benchmarks.speed.memory import small_model

EVERY_S = 1.0


def main() -> None:
    """Measure, print, write many.json."""
    parser = asked(__doc__)
    parser.add_argument("--photos", type=int, default=10_000)
    options = parser.parse_args()
    place = options.work / "many"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    recipe, model = small_model(place)
    copies(place / "drawn", options.photos, place / "photos")
    by_ray = ["--cluster", "auto", "--worker-cpus", "1"]
    lines, digests = [], {}
    for name, more in (("plain", []), ("Ray", by_ray)):
        store, results = place / f"tokens-{name}", place / f"results-{name}"
        extract = ["extract", place / "photos", "--store", store, "--recipe", recipe, "--backbone", "texture", *more]
        predict = ["predict", model, place / "photos", "--out", results, *more]
        for command, made in ((extract, store), (predict, results)):
            line = {"work": f"{command[0]}, {name}", "photos": options.photos, **watched(command)}
            lines.append(line)
            print(line, flush=True)
            digests[line["work"]] = digest(made)
    for command in ("extract", "predict"):
        assert digests[f"{command}, plain"] == digests[f"{command}, Ray"], "the same bytes"
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "many.json").write_text(json.dumps(lines, indent=1) + "\n")
    shutil.rmtree(place)


def copies(drawn: Path, count: int, place: Path) -> None:
    """So many photos that differ by the bytes behind their end, all in one folder."""
    files = sorted(drawn.glob("*.jpg"))
    place.mkdir()
    for number in range(count):
        content = files[number % len(files)].read_bytes()
        (place / f"{number:05}.jpg").write_bytes(content + number.to_bytes(4, "big"))


def watched(arguments: list[object]) -> dict[str, float]:
    """Photos a second, and gigabytes held a fifth of the way, at the end, and at most."""
    started = time.monotonic()
    process = subprocess.Popen([*HERBAGE, *map(str, arguments), "--quiet"], stdout=subprocess.DEVNULL)
    held = []
    while process.poll() is None:
        held.append(memory_gb(process.pid))
        time.sleep(EVERY_S)
    if process.returncode:
        raise RuntimeError(f"{arguments} failed")
    seconds = time.monotonic() - started
    whole = [gb for gb in held if gb]
    late = whole[-4:-1] or whole
    return {
        "seconds": seconds,
        "early_gb": whole[len(whole) // 5],
        "late_gb": sum(late) / len(late),
        "most_gb": max(whole),
    }


def memory_gb(pid: int) -> float:
    """What a process and all below it hold."""
    total = 0
    try:
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            try:
                total += process.memory_full_info().pss
            except psutil.Error:
                continue
    except psutil.Error:
        return 0.0
    return total / 1e9


def digest(folder: Path) -> str:
    """Of all results below, but for the records of runs and caches."""
    whole = sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name not in ("run.json", "index.sqlite"):
            whole.update(f"{path.relative_to(folder)} ".encode() + sha256(path.read_bytes()).digest())
    return whole.hexdigest()


if __name__ == "__main__":
    main()
