"""What every benchmark shares: its options, herbage commands as processes, and the JSON that pages are made from."""

import argparse
import json
import platform
import shlex
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from herbage.app.machine import describe_machine

DATA = Path(__file__).parents[1] / "docs/data"
"""Where results are committed, next to the pages made from them."""

HERBAGE = (sys.executable, "-c", "from herbage.app.cli import main; main()")


def option_parser(doc: str | None) -> argparse.ArgumentParser:
    """A parser with the options of every benchmark; read it with `parse`."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--out",
        type=Path,
        help="folder of the JSON result (default: docs/data, where it is committed; with --quick: WORK/quick)",
    )
    parser.add_argument(
        "--work", type=Path, default=Path("benchmark-work"), help="folder for temporary files (default: %(default)s)"
    )
    parser.add_argument("--quick", action="store_true", help="do little work, only to check that the benchmark runs")
    return parser


def parse(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The options of the command line, with defaults that depend on each other filled in; makes the work folder."""
    options = parser.parse_args()
    options.out = options.out or (options.work / "quick" if options.quick else DATA)
    options.work.mkdir(parents=True, exist_ok=True)
    return options


def write_result(name: str, out: Path, **result: Any) -> None:
    """Write OUT/NAME.json: the result with the date, the machine and the command that made it."""
    record = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "command": _command_line(), "machine": machine(), **result}
    out.mkdir(parents=True, exist_ok=True)
    place = out / f"{name}.json"
    place.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    print(place)


def machine() -> dict[str, str]:
    """The processor, and versions and devices as `herbage check` prints them."""
    try:
        cpuinfo = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        cpuinfo = []
    models = [line.split(":")[1].strip() for line in cpuinfo if line.startswith("model name")]
    facts = {name: fact for name, fact in describe_machine() if not name.startswith("backbone")}
    return {"model": models[0] if models else platform.machine(), **facts}


def run_herbage(*arguments: object) -> tuple[float, float]:
    """Run a herbage command as a process: wall seconds and peak resident memory (GB). RuntimeError where it fails.

    The command reads its own peak (VmHWM, Linux) when it ends: that of `wait4` would include this process before exec.
    """
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as status:
        copy = f"atexit.register(lambda: shutil.copyfile('/proc/self/status', {status.name!r}))"
        code = f"import atexit, shutil; {copy}; {HERBAGE[-1]}"
        started = time.monotonic()
        done = subprocess.run([*HERBAGE[:-1], code, *map(str, arguments)], stdout=subprocess.DEVNULL)
        seconds = time.monotonic() - started
        if done.returncode:
            raise RuntimeError(f"herbage {' '.join(map(str, arguments))} failed")
        return seconds, peak_gb(status.read())


def peak_gb(status: str) -> float:
    """The peak resident memory of a process, from its /proc/PID/status, which only Linux has."""
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) / 1e6


def _command_line() -> str:
    """As it was typed, without the folders of this machine."""
    arguments = iter(sys.argv[1:])
    kept = []
    for argument in arguments:
        if argument in ("--work", "--out"):
            next(arguments)
        else:
            kept.append(Path(argument).name if "/" in argument else argument)
    return " ".join([sys.argv[0], *map(shlex.quote, kept)])
