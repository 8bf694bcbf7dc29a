"""Commands killed with kill -9 at random moments and run again: finished work is kept, and the end is the same bytes.

python -m benchmarks kills [--kills 50] [--seed 0] [--work WORK]
"""

import json
import random
import shutil
import subprocess
import time
from collections import Counter
from pathlib import Path

import pandas as pd

from benchmarks.command import HERBAGE, asked
from benchmarks.speed.memory import SMALL
from herbage.app.demo import draw_photos

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
"""Files that differ between equal runs: the record of the run, and a cache."""


def main() -> int:
    """Print what became of each command; write kills.json; 1 where a promise was broken."""
    parser = asked(__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
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
    for number in range(options.kills):
        name = list(jobs)[number % len(jobs)]
        moment = chance.uniform(0.2, seconds[name])
        said = killed(jobs[name], moment, place / "killed", unbroken[name], found[name])
        faults += [f"{name} killed after {moment:.2f} s: {fault}" for fault in said]
        print(f"{number + 1}: {name}, killed after {moment:.2f} of {seconds[name]:.2f} s", *said, sep="; ", flush=True)
    result = {
        "kills": options.kills,
        "commands": {name: {"unbroken_s": seconds[name], **found[name]} for name in jobs},
        "faults": faults,
    }
    print(json.dumps(result, indent=1))
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "kills.json").write_text(json.dumps(result, indent=1) + "\n")
    return 1 if faults else 0


def prepare(place: Path) -> dict[str, list[str]]:
    """Drawn photos, a model, and each command with OUT for where it writes."""
    records = draw_photos(place / "photos")
    table = pd.DataFrame(records)
    table["image_path"] = table["image_path"].str.removeprefix("photos/")
    table.to_csv(place / "all.csv", index=False)
    table[::12].to_csv(place / "cuts.csv", index=False)
    for name, recipe in (("small", SMALL), ("crosspvt", CROSSPVT)):
        (place / f"{name}.toml").write_text(recipe)
    photos, model = str(place / "photos"), str(place / "model")
    weighed = ["--photos", photos, "--backbone", "texture"]
    run(["train", str(place / "all.csv"), *weighed, "--model", model, "--recipe", str(place / "small.toml")], place)
    return {
        "extract": ["extract", photos, "--store", "OUT/tokens", "--recipe", "seed", "--backbone", "texture"],
        "train": [
            "train", str(place / "all.csv"), *weighed, "--model", "OUT/model", "--store", "OUT/tokens",
            "--recipe", str(place / "crosspvt.toml"),
        ],
        "predict": ["predict", model, photos, "--out", "OUT/results", "--maps", "--paddocks", "folder"],
        "calibrate": [
            "calibrate", model, str(place / "cuts.csv"), "--photos", photos, "--model-out", "OUT/mine",
            "--store", "OUT/tokens",
        ],
    }  # fmt: skip


def command(job: list[str], out: Path) -> list[str]:
    """The whole command line."""
    return [*HERBAGE, *(part.replace("OUT", str(out)) for part in job), "--quiet"]


def run(job: list[str], out: Path) -> None:
    """Run it to its end."""
    subprocess.run(command(job, out), check=True, stdout=subprocess.DEVNULL)


def killed(job: list[str], moment: float, out: Path, unbroken: dict[str, bytes], found: Counter[str]) -> list[str]:
    """Kill it at this moment, run it again, and say which promises were broken."""
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
    whole_rows = max(0, rows.read_bytes().count(b"\n") - 1) if rows.exists() else 0
    found["token files kept"] += len(done)
    found["networks kept"] += len(list((out / ".model.unfinished").glob("[!.]*.safetensors")))
    found["rows kept"] += whole_rows
    again = subprocess.run(command(job, out), capture_output=True, text=True)
    if again.returncode == 2 and "exists already" in again.stderr:
        found["were done"] += 1
    elif again.returncode != 0:
        faults.append(f"exit {again.returncode}: {again.stderr.strip()}")
    elif rows.exists() and json.loads((out / "results/run.json").read_text())["kept_rows"] != whole_rows:
        faults.append("rows were made again")
    if any(path.stat().st_ino != inode for path, inode in done.items()):
        faults.append("finished files were made again")
    ended = contents(out)
    left = [name for name in ended if name not in unbroken]
    found["temporary files left"] += len(left)
    faults += [f"{name} is left" for name in left if not name.endswith(".tmp")]
    faults += [f"{name} is missing" for name in unbroken if name not in ended]
    faults += [f"{name} differs" for name in unbroken if ended.get(name, unbroken[name]) != unbroken[name]]
    return faults


def contents(out: Path) -> dict[str, bytes]:
    """All files below, by their path."""
    found = {str(path.relative_to(out)): path for path in out.rglob("*") if path.is_file()}
    return {name: b"" if path.name in DIFFERS else path.read_bytes() for name, path in found.items()}


if __name__ == "__main__":
    main()
