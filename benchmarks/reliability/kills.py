"""Commands killed with kill -9 at random moments and run again: finished work is reused, results are the same bytes.

python -m benchmarks kills [--kills 20] [--farm-kills 20] [--only {plain,farm}] [--seed 0] [--quick]

Runs that add photos to a farm file have kills and a result of their own (kills-farm.json). Most of them are killed when
the table is complete or while the farm file is being written, which is a short part of a run. The content of the file
is compared, since ids of paddocks and times differ between runs.
"""

import json
import random
import shutil
import sqlite3
import subprocess
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmarks.harness import HERBAGE, option_parser, parse, write_result
from benchmarks.speed.farm import draw_farm
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

FARM, JOURNAL = "farm.gpkg", "farm.gpkg-journal"
SEASON = (200, 60, 24_000)
"""Paddocks, walks and photos of the farm to which photos are added: SQLite writes before such a transaction ends."""

JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
"""The first bytes of a journal from which a file must be restored (sqlite.org/fileformat2.html, section 3)."""

STAGES = ("start", "rows", "journal", "file")
"""Stages of a run: it began; predictions.csv is complete; SQLite has a journal; it writes to the farm file itself."""


@dataclass(frozen=True)
class Job:
    """A command, with OUT in place of the folder it writes to; `before` are files that the folder has before it.

    `photos` is the number of photos that it adds to a farm, 0 for other commands.
    """

    arguments: list[str]
    before: Path | None = None
    photos: int = 0

    def prepare(self, out: Path) -> list[str]:
        """Make the folder, and return the complete command line."""
        shutil.rmtree(out, ignore_errors=True)
        if self.before is not None:
            shutil.copytree(self.before, out)
        return self.command(out)

    def command(self, out: Path) -> list[str]:
        """The complete command line."""
        return [*HERBAGE, *(part.replace("OUT", str(out)) for part in self.arguments), "--quiet"]

    def stage(self, out: Path) -> str:
        """The stage of the run that writes to this folder."""
        if not self.photos or rows_of(out) < self.photos:
            return "start"
        journal = beginning(out / JOURNAL)
        return "rows" if journal is None else "file" if journal == JOURNAL_MAGIC else "journal"


@dataclass(frozen=True)
class Unbroken:
    """An uninterrupted run: its seconds, how long each stage took until the next began, and what it wrote."""

    seconds: float
    stages: dict[str, float]
    contents: dict[str, bytes]

    @classmethod
    def of(cls, job: Job, out: Path) -> "Unbroken":
        """Run a command; RuntimeError where it fails, its farm is damaged, or a photo is not in it."""
        stages = dict.fromkeys(STAGES, 0.0)
        started = now = time.monotonic()
        process = subprocess.Popen(job.prepare(out), stdout=subprocess.DEVNULL)
        while process.poll() is None:
            stage, before = job.stage(out), now
            time.sleep(0.0005)
            now = time.monotonic()
            if not any(stages[later] for later in STAGES[STAGES.index(stage) + 1 :]):
                stages[stage] += now - before
        had = 0 if job.before is None else photos_in(job.before)
        wrote = contents(out)
        is_complete = not job.photos or (photos_in(out) == had + job.photos and wrote[f"{FARM}: integrity"] == b"ok")
        if process.returncode or not is_complete:
            raise RuntimeError(f"{' '.join(job.arguments)} failed")
        return cls(now - started, stages, wrote)


def main() -> int:
    """Print each kill, write kills.json and kills-farm.json; 1 where a promise was broken."""
    parser = option_parser(__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--farm-kills", type=int, default=20, help="kills of runs that add to a farm file")
    parser.add_argument("--only", choices=["plain", "farm"], help="only the runs without a farm file, or with one")
    parser.add_argument("--seed", type=int, default=0)
    options = parse(parser)
    place = options.work / "kills"
    shutil.rmtree(place, ignore_errors=True)
    every = prepare(place)
    faults = []
    for kind, result, kills in (("plain", "kills", options.kills), ("farm", "kills-farm", options.farm_kills)):
        jobs = {name: job for name, job in every.items() if bool(job.photos) == (kind == "farm")}
        if options.only in (None, kind):
            kills = 2 * len(jobs) if options.quick else kills
            commands, broken = kill_each(jobs, kills, random.Random(options.seed), place)
            print(json.dumps(commands, indent=1))
            write_result(result, options.out, kills=kills, commands=commands, faults=broken)
            faults += broken
    return 1 if faults else 0


def kill_each(
    jobs: dict[str, Job], kills: int, chance: random.Random, place: Path
) -> tuple[dict[str, dict[str, float]], list[str]]:
    """Kill the commands in turn, those with a farm in each stage; returns what was found, and the broken promises."""
    unbroken = {name: Unbroken.of(job, place / f"{name}-unbroken") for name, job in jobs.items()}
    found: dict[str, Counter[str]] = {name: Counter() for name in jobs}
    faults = []
    for number in range(kills):
        name = list(jobs)[number % len(jobs)]
        whole, job = unbroken[name], jobs[name]
        stage = STAGES[number // len(jobs) % len(STAGES)] if job.photos else "start"
        moment = chance.uniform(0.2 if stage == "start" else 0, whole.stages[stage])
        when = f"{name} killed {moment:.3f} s after {stage}"
        broken = killed(job, stage, moment, place / "killed", whole.contents, found[name])
        faults += [f"{when}: {fault}" for fault in broken]
        print(f"{number + 1}: {when}", *broken, sep="; ", flush=True)
    return {name: {"unbroken_s": unbroken[name].seconds, **found[name]} for name in jobs}, faults


def prepare(place: Path) -> dict[str, Job]:
    """Draw photos and a farm, train a model, and return each command."""
    model, table = str(drawn_model(place, small_recipe(place))), str(place / "drawn.csv")
    pd.read_csv(table)[::12].to_csv(place / "cuts.csv", index=False)
    (place / "crosspvt.toml").write_text(CROSSPVT, "utf-8")
    photos = str(place / "drawn")
    adding = ["predict", model, str(place / "walks"), "--out", "OUT/results", "--paddocks", "folder"]
    adding += ["--farm", f"OUT/{FARM}"]
    count = by_paddock(place / "drawn", place / "walks")
    for name in ("empty", "season"):
        (place / name).mkdir()
    draw_farm(place / "season", *SEASON)
    return {
        "extract": Job(["extract", photos, "--store", "OUT/tokens", "--recipe", "seed", "--backbone", "texture"]),
        "train": Job([
            "train", table, "--photos", photos, "--backbone", "texture", "--model", "OUT/model",
            "--store", "OUT/tokens", "--recipe", str(place / "crosspvt.toml"),
        ]),
        "predict": Job(["predict", model, photos, "--out", "OUT/results", "--maps", "--paddocks", "folder"]),
        "calibrate": Job([
            "calibrate", model, str(place / "cuts.csv"), "--photos", photos, "--model-out", "OUT/mine",
            "--store", "OUT/tokens",
        ]),
        "new farm": Job(adding, place / "empty", count),
        "farm with 60 walks": Job(adding, place / "season", count),
    }  # fmt: skip


def by_paddock(drawn: Path, walks: Path) -> int:
    """Copy the drawn photos, which have capture times, to four folders; returns their number.

    Each paddock has two photos of every second day.
    """
    files = sorted(drawn.glob("*.jpg"))
    for number, file in enumerate(files):
        paddock = walks / ("north", "south", "east", "west")[number // 4 % 2 * 2 + number // 2 % 2]
        paddock.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, paddock)
    return len(files)


def killed(
    job: Job, stage: str, moment: float, out: Path, unbroken: dict[str, bytes], found: Counter[str]
) -> list[str]:
    """Kill it so many seconds after it reached a stage, run it again, and return the promises that were broken."""
    process = subprocess.Popen(job.prepare(out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and STAGES.index(job.stage(out)) < STAGES.index(stage):
        time.sleep(0.0002)
    try:
        process.wait(moment)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    found["kills"] += 1
    faults = []
    done = {path: path.stat().st_ino for path in (out / "tokens").rglob("*.safetensors") if path.name[0] != "."}
    complete_rows = rows_of(out)
    found["token_files_reused"] += len(done)
    found["networks_reused"] += len(list((out / ".model.unfinished").glob("[!.]*.safetensors")))
    found["rows_reused"] += complete_rows
    if job.photos:
        found[farm_state(job, out)] += 1
    again = subprocess.run(job.command(out), capture_output=True, text=True)
    if again.returncode == 2 and "already exists" in again.stderr:
        found["already_complete"] += 1
    elif again.returncode != 0:
        faults.append(f"exit {again.returncode}: {again.stderr.strip()}")
    elif complete_rows and json.loads((out / "results/run.json").read_text("utf-8"))["kept_rows"] != complete_rows:
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


def rows_of(out: Path) -> int:
    """The complete rows of predictions.csv."""
    rows = out / "results/predictions.csv"
    return max(0, rows.read_bytes().count(b"\n") - 1) if rows.exists() else 0


def beginning(journal: Path) -> bytes | None:
    """The first bytes of a journal, None where there is none."""
    try:
        with journal.open("rb") as file:
            return file.read(len(JOURNAL_MAGIC))
    except FileNotFoundError:
        return None


def farm_state(job: Job, out: Path) -> str:
    """Where the run was killed; the farm file stays as it is."""
    stage = job.stage(out)
    if stage != "rows":
        return f"killed_in_{stage}"
    had = 0 if job.before is None else photos_in(job.before)
    return "killed_after_farm" if photos_in(out) > had else "killed_before_farm"


def photos_in(out: Path) -> int:
    """The number of photos in a farm file that nobody writes to."""
    place = out / FARM
    if not place.exists() or not place.stat().st_size:
        return 0
    with closing(sqlite3.connect(f"{place.absolute().as_uri()}?immutable=1", uri=True)) as connection:
        return int(connection.execute("SELECT count(DISTINCT key) FROM photos").fetchone()[0])


def contents(out: Path) -> dict[str, bytes]:
    """The contents of all files below, by path; of files that may differ, nothing, and of a farm file, its tables."""
    found = {str(path.relative_to(out)): path for path in out.rglob("*") if path.is_file()}
    read = {
        name: b"" if path.name in DIFFERS else path.read_bytes() for name, path in found.items() if path.name != FARM
    }
    return read | (farm_contents(out / FARM) if FARM in found else {})


def farm_contents(place: Path) -> dict[str, bytes]:
    """What a farm file must have in common with that of an unbroken run: all but ids of paddocks, times and row ids."""
    with closing(sqlite3.connect(place)) as connection:
        (check,) = connection.execute("PRAGMA integrity_check").fetchone()
        tables = {
            table: pd.read_sql(f"SELECT * FROM {table}", connection)
            for table in ("photos", "paddocks", "visits", "models", "gpkg_contents")
        }
    names = tables["paddocks"].set_index("id")["name"]
    tables["photos"]["paddock"] = tables["photos"]["paddock_id"].map(names)
    texts = {"integrity": str(check)}
    for table, frame in tables.items():
        same = frame.drop(columns={"fid", "id", "paddock_id", "added_at", "last_change"} & set(frame.columns))
        texts[table] = "\n".join(sorted(map(repr, same.itertuples(index=False))))
    return {f"{FARM}: {part}": text.encode() for part, text in texts.items()}
