"""A herbage command as a whole process, with its seconds and its peak memory."""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

HERBAGE = (sys.executable, "-c", "from herbage.app.cli import main; main()")


def asked(doc: str | None) -> argparse.ArgumentParser:
    """The options of every benchmark that makes files to work on."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("benchmark-results"), help="where the JSON goes")
    parser.add_argument("--work", type=Path, default=Path("benchmark-work"), help="where files are made")
    return parser


def command(*arguments: object) -> tuple[float, float]:
    """Wall seconds and peak resident memory (GB); raises where the command fails."""
    started = time.monotonic()
    process = subprocess.Popen([*HERBAGE, *map(str, arguments)], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"herbage {' '.join(map(str, arguments))} failed")
    return time.monotonic() - started, usage.ru_maxrss / 1e6
