"""Commands killed with kill -9 at random moments and run again: finished work is reused, results are the same bytes.

python -m benchmarks kills [--kills 20] [--seed 0] [--quick]
"""

import json
import random
import shutil
import subprocess
import time
from collections import Counter
from pathlib import Path

import pandas as pd

from benchmarks.harness import HERBAGE, option_parser, parse, write_result
from benchmarks.speed.memory import drawn_model, small_recipe

CROSSPVT = """
backbone = "texture"
crops = "tiles"
grid = 8
views = 1
keep = "class"
heads = "crosspvt"
balance = true
[crosspvt]
inner_width = 24
widths = [24, 32, 32]
networks = 2
epochs = 6
"""
DIFFERS = ("run.json", "index.sqlite")
"""Files that differ between identical runs: the record of the run, and a cache."""


def main() -> int:
    """Print each kill, write kills.json; 1 where a promise was broken."""
    parser = option_parser(__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parse(parser)
    kills = 4 if options.quick else options.kills
    place = options.work / "kills"
    shutil.rmtree(place, ignore_errors=True)
    jobs = prepare(place)
    chance = random.Random(options.seed)
    unbroken, seconds = {}, {}
    for name, job in jobs.items():
        started = time.monotonic()
        run(job, place / f"{name}-unbroken")
        seconds[name] = time.monotonic() - started
        unbroken[name] = contents(place / f"{name}-unbroken")
    found: dict[str, Counter[str]] = {name: Counter() for name in jobs}
    faults = []
    for number in range(kills):
        name = list(jobs)[number % len(jobs)]
        moment = chance.uniform(0.2, seconds[name])
        broken = killed(jobs[name], moment, place / "killed", unbroken[name], found[name])
        faults += [f"{name} killed after {moment:.2f} s: {fault}" for fault in broken]
        print(
            f"{number + 1}: {name}, killed after {moment:.2f} of {seconds[name]:.2f} s", *broken, sep="; ", flush=True
        )
    commands = {name: {"unbroken_s": seconds[name], **found[name]} for name in jobs}
    print(json.dumps(commands, indent=1))
    write_result("kills", options.out, kills=kills, commands=commands, faults=faults)
    return 1 if faults else 0


def prepare(place: Path) -> dict[str, list[str]]:
    """Draw photos, train a model, and return each command, with OUT in place of the folder it writes to."""
    model, table = str(drawn_model(place, small_recipe(place))), str(place / "drawn.csv")
    pd.read_csv(table)[::12].to_csv(place / "cuts.csv", index=False)
    (place / "crosspvt.toml").write_text(CROSSPVT)
    photos = str(place / "drawn")
    return {
        "extract": ["extract", photos, "--store", "OUT/tokens", "--recipe", "seed", "--backbone", "texture"],
        "train": [
            "train", table, "--photos", photos, "--backbone", "texture", "--model", "OUT/model",
            "--store", "OUT/tokens", "--recipe", str(place / "crosspvt.toml"),
        ],
        "predict": ["predict", model, photos, "--out", "OUT/results", "--maps", "--paddocks", "folder"],
        "calibrate": [
            "calibrate", model, str(place / "cuts.csv"), "--photos", photos, "--model-out", "OUT/mine",
            "--store", "OUT/tokens",
        ],
    }  # fmt: skip


def command(job: list[str], out: Path) -> list[str]:
    """The complete command line."""
    return [*HERBAGE, *(part.replace("OUT", str(out)) for part in job), "--quiet"]


def run(job: list[str], out: Path) -> None:
    """Run it without interruption."""
    subprocess.run(command(job, out), check=True, stdout=subprocess.DEVNULL)


def killed(job: list[str], moment: float, out: Path, unbroken: dict[str, bytes], found: Counter[str]) -> list[str]:
    """Kill it at this moment, run it again, and return the promises that were broken."""
    shutil.rmtree(out, ignore_errors=True)
    process = subprocess.Popen(command(job, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(moment)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    found["kills"] += 1
    faults = []
    done = {path: path.stat().st_ino for path in (out / "tokens").rglob("*.safetensors") if path.name[0] != "."}
    rows = out / "results/predictions.csv"
    complete_rows = max(0, rows.read_bytes().count(b"\n") - 1) if rows.exists() else 0
    found["token_files_reused"] += len(done)
    found["networks_reused"] += len(list((out / ".model.unfinished").glob("[!.]*.safetensors")))
    found["rows_reused"] += complete_rows
    again = subprocess.run(command(job, out), capture_output=True, text=True)
    if again.returncode == 2 and "already exists" in again.stderr:
        found["already_complete"] += 1
    elif again.returncode != 0:
        faults.append(f"exit {again.returncode}: {again.stderr.strip()}")
    elif rows.exists() and json.loads((out / "results/run.json").read_text())["kept_rows"] != complete_rows:
        faults.append("complete rows were estimated again")
    if any(path.stat().st_ino != inode for path, inode in done.items()):
        faults.append("complete files were written again")
    ended = contents(out)
    left = [name for name in ended if name not in unbroken]
    found["temporary_files_left"] += len(left)
    faults += [f"{name} was left behind" for name in left if not name.endswith(".tmp")]
    faults += [f"{name} is missing" for name in unbroken if name not in ended]
    faults += [f"{name} differs" for name in unbroken if ended.get(name, unbroken[name]) != unbroken[name]]
    return faults


def contents(out: Path) -> dict[str, bytes]:
    """The contents of all files below, by path; of files that may differ, nothing."""
    found = {str(path.relative_to(out)): path for path in out.rglob("*") if path.is_file()}
    return {name: b"" if path.name in DIFFERS else path.read_bytes() for name, path in found.items()}
