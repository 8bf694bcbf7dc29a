"""How long commands take as processes: `--help` and `check` from start to end, and every command to its first line.

python -m benchmarks startup [--quick]
"""

import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.harness import HERBAGE, option_parser, parse, run_herbage
from benchmarks.speed.timing import report
from herbage.app.demo import run_demo
from herbage.progress import silent

BARS_S = {"--help": 0.5, "check": 3.0}
FIRST_LINE_BAR_S = 1.5

COMMANDS = {
    "demo": "--out OUT",
    "extract": "DEMO/photos --store OUT --backbone texture",
    "train": "DEMO/train.csv --photos DEMO/photos --model OUT --backbone texture",
    "score": "DEMO/model",
    "predict": "DEMO/model DEMO/photos --out OUT",
    "farm": "DEMO/farm.gpkg",
    "submit": "DEMO/model DEMO/test.csv --photos DEMO/photos --out OUT",
    "plan-cuts": "DEMO/model DEMO/photos --count 3 --out OUT",
    "calibrate": "DEMO/model DEMO/train.csv --photos DEMO/photos --model-out OUT",
    "import-heads": "DEMO --model OUT",
    "export": "DEMO/model --out OUT --format onnx",
    "serve": "DEMO/model --port 0",
    "check": "",
}
"""The arguments of each command; DEMO is the folder of a demo, OUT a path to write to."""


def main() -> None:
    """Time the commands, write startup.json."""
    options = parse(option_parser(__doc__))
    times = 3 if options.quick else 10
    lines = []
    for argument, bar in BARS_S.items():
        seconds = [run_herbage(argument)[0] for _ in range(times)]
        lines.append(_line(f"herbage {argument}", seconds, bar))
    demo = options.work / "demo"
    if not (demo / "farm.gpkg").exists():
        run_demo(demo, track=silent)
    for command, arguments in COMMANDS.items():
        seconds = [_first_line_s(command, arguments.replace("DEMO", str(demo))) for _ in range(times)]
        lines.append(_line(f"herbage {command}", seconds, FIRST_LINE_BAR_S) | {"until": "first line"})
    report("startup", lines, options.out)


def _line(work: str, seconds: list[float], bar: float) -> dict[str, str | float]:
    return {"work": work, "ours_s": float(np.median(seconds)), "least_s": min(seconds), "bar_s": bar}


def _first_line_s(command: str, arguments: str) -> float:
    """Seconds from the start of a process to its first line, after which it is killed."""
    with tempfile.TemporaryDirectory() as folder:
        given = arguments.replace("OUT", str(Path(folder) / "out.csv")).split()
        started = time.monotonic()
        with subprocess.Popen(
            [*HERBAGE, command, *given], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            seconds = time.monotonic() - started
            process.kill()
        if not line or line.startswith(b"herbage: "):
            raise RuntimeError(f"herbage {command} printed {line.decode()!r}")
        return seconds
