"""Thousands of photos with texture, in one process and by Ray on this machine: photos per second, and memory over time.

python -m benchmarks many [--photos 3000] [--quick]

Memory is that of all processes of a command (proportional set size, so that shared pages count once).
"""

import shutil
import subprocess
import time
from hashlib import sha256
from pathlib import Path

import psutil

from benchmarks.harness import HERBAGE, option_parser, parse, write_result
from benchmarks.speed.memory import copies, drawn_model, small_recipe

EVERY_S = 1.0


def main() -> None:
    """Measure, print, write many.json."""
    parser = option_parser(__doc__)
    parser.add_argument("--photos", type=int, default=3_000)
    options = parse(parser)
    count = 100 if options.quick else options.photos
    place = options.work / "many"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    recipe = small_recipe(place)
    model = drawn_model(place, recipe)
    copies(sorted((place / "drawn").glob("*.jpg")), count, place / "photos")
    by_ray = ["--cluster", "auto", "--worker-cpus", "1"]
    lines, digests = [], {}
    for name, more in (("plain", []), ("Ray", by_ray)):
        store, results = place / f"tokens-{name}", place / f"results-{name}"
        extract = ["extract", place / "photos", "--store", store, "--recipe", recipe, "--backbone", "texture", *more]
        predict = ["predict", model, place / "photos", "--out", results, *more]
        for command, made in ((extract, store), (predict, results)):
            line = {"work": f"{command[0]}, {name}", "photos": count, **watched(command)}
            lines.append(line)
            print(line, flush=True)
            digests[line["work"]] = digest(made)
    for command in ("extract", "predict"):
        assert digests[f"{command}, plain"] == digests[f"{command}, Ray"], "the same bytes"
    write_result("many", options.out, lines=lines)
    shutil.rmtree(place)


def watched(arguments: list[object]) -> dict[str, float]:
    """Seconds, and gigabytes in use after a fifth of the time, at the end, and at most."""
    started = time.monotonic()
    process = subprocess.Popen([*HERBAGE, *map(str, arguments), "--quiet"], stdout=subprocess.DEVNULL)
    held = []
    while process.poll() is None:
        held.append(memory_gb(process.pid))
        time.sleep(EVERY_S)
    if process.returncode:
        raise RuntimeError(f"{arguments} failed")
    seconds = time.monotonic() - started
    complete = [gb for gb in held if gb]
    late = complete[-4:-1] or complete
    return {
        "seconds": seconds,
        "early_gb": complete[len(complete) // 5],
        "late_gb": sum(late) / len(late),
        "most_gb": max(complete),
    }


def memory_gb(pid: int) -> float:
    """Memory of a process and its descendants."""
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
    """sha256 of all results below, without records of runs and caches."""
    complete = sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name not in ("run.json", "index.sqlite"):
            complete.update(f"{path.relative_to(folder)} ".encode() + sha256(path.read_bytes()).digest())
    return complete.hexdigest()
