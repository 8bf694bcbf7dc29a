"""A herbage command as a whole process, with its seconds and its peak memory."""

import os
import subprocess
import sys
import time

HERBAGE = (sys.executable, "-c", "from herbage.app.cli import main; main()")


def command(*arguments: object) -> tuple[float, float]:
    """Wall seconds and peak resident memory (GB); raises where the command fails."""
    started = time.monotonic()
    process = subprocess.Popen([*HERBAGE, *map(str, arguments)], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"herbage {' '.join(map(str, arguments))} failed")
    return time.monotonic() - started, usage.ru_maxrss / 1e6
