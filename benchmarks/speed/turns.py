"""Two ways to do the same work, timed in turn in one process, beside what a large product takes in the same minute."""

import argparse
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import command
from herbage.app.machine import describe_machine

PRODUCT = 4096
"""The side of the matrices whose product is the ceiling."""


def asked(doc: str | None) -> argparse.ArgumentParser:
    """The options of every benchmark of speed."""
    parser = command.asked(doc)
    parser.add_argument("--quick", action="store_true", help="less work and fewer turns, to see that it runs")
    return parser


def timed(work: Callable[[], object]) -> float:
    """Wall seconds."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def in_turn(turns: int, **ways: Callable[[], object]) -> dict[str, list[float]]:
    """Seconds of each way, A B A B ..., after one untimed turn of each."""
    for work in ways.values():
        work()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(turns):
        for name, work in ways.items():
            seconds[name].append(timed(work))
    return seconds


def ratio(slow: list[float], fast: list[float]) -> dict[str, float]:
    """How many times faster: the median over turns, and the least and the most."""
    of = np.array(slow) / np.array(fast)
    return {"ratio": float(np.median(of)), "low": float(of.min()), "high": float(of.max())}


def ceiling(dtype: torch.dtype, seconds: float = 2.0) -> float:
    """GFLOP/s of a product of two large matrices in this precision: the best of those done in so many seconds."""
    a, b = (torch.randn(PRODUCT, PRODUCT).to(dtype) for _ in range(2))
    done: list[float] = []
    while sum(done) < seconds or len(done) < 3:
        done.append(timed(lambda: a @ b))
    return 2 * PRODUCT**3 / min(done) / 1e9


def compared(work: str, theirs: list[float], ours: list[float], dtype: torch.dtype, flop: float) -> dict[str, Any]:
    """A line of the report: medians, their ratio, and ours as a share of the ceiling in this precision."""
    fast, top = float(np.median(ours)), ceiling(dtype)
    return {
        "work": work,
        "precision": str(dtype).removeprefix("torch."),
        "ours_s": fast,
        "notebook_s": float(np.median(theirs)),
        **ratio(theirs, ours),
        "ceiling_gflops": top,
        "ceiling_share": flop / fast / 1e9 / top,
    }


def machine() -> dict[str, str]:
    """What it was measured on."""
    processor = next(
        (line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")), platform.machine()
    )
    return {"model": processor, **describe_machine()}


def report(name: str, lines: list[dict[str, Any]], out: Path) -> None:
    """Print a line each, and write them as JSON with the machine."""
    for line in lines:
        said = [line["work"] + (f" ({line['precision']})" if "precision" in line else "")]
        if "ours_s" in line:
            said.append(f"{line['ours_s']:.3g} s")
        if "other_s" in line:
            said.append(f"{line['other_s']:.3g} s in the other way")
        if "ratio" in line:
            said.append(f"the notebook's loop {line['notebook_s']:.3g} s")
            said.append(f"{line['ratio']:.2f} x ({line['low']:.2f} to {line['high']:.2f})")
            said.append(f"{line['ceiling_share']:.0%} of a large product's {line['ceiling_gflops']:.0f} GFLOP/s")
        if "peak_gb" in line:
            said.append(f"peak {line['peak_gb']:.2f} GB, {line['beyond_weights_gb']:.2f} GB beyond the weights")
        if "refused" in line:
            said.append(f"{line['photos_a_s']:.3g} photos a second ({line['predict_photos_a_s']:.3g} by predict)")
            said.append("p50 {p50_s:.1f} s, p99 {p99_s:.1f} s, /healthz p99 {healthz_p99_s:.2f} s".format(**line))
            said.append("requests: {accepted} answered, {refused} refused (429), {others} other".format(**line))
            said.append("GB: {before:.2f} before, {first_half:.2f}, {second_half:.2f}".format(**line["memory_gb"]))
        print("; ".join(said), flush=True)
    out.mkdir(parents=True, exist_ok=True)
    place = out / f"{name}.json"
    place.write_text(json.dumps({"machine": machine(), "lines": lines}, indent=1) + "\n")
    print(place)


def _cpuinfo() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []
