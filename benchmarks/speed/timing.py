"""Two ways to do the same work, timed alternately in one process, and the speed of a large matrix product."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.harness import write_result

PRODUCT = 4096
"""Rows and columns of the matrices whose product is the machine's limit."""


def timed(work: Callable[[], object]) -> float:
    """Wall seconds."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def in_turn(turns: int, **ways: Callable[[], object]) -> dict[str, list[float]]:
    """Seconds of each way, alternating A B A B ..., after one untimed turn of each."""
    for work in ways.values():
        work()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(turns):
        for name, work in ways.items():
            seconds[name].append(timed(work))
    return seconds


def ceiling(dtype: torch.dtype, seconds: float = 2.0) -> float:
    """GFLOP/s of the product of two large matrices in this precision: the best within so many seconds."""
    a, b = (torch.randn(PRODUCT, PRODUCT).to(dtype) for _ in range(2))
    done: list[float] = []
    while sum(done) < seconds or len(done) < 3:
        done.append(timed(lambda: a @ b))
    return 2 * PRODUCT**3 / min(done) / 1e9


def compared(work: str, notebook: list[float], ours: list[float], dtype: torch.dtype, flop: float) -> dict[str, Any]:
    """One line of a result: medians, how many times faster herbage is, and its share of the machine's limit."""
    ratio = np.array(notebook) / np.array(ours)
    fast, top = float(np.median(ours)), ceiling(dtype)
    return {
        "work": work,
        "precision": str(dtype).removeprefix("torch."),
        "ours_s": fast,
        "notebook_s": float(np.median(notebook)),
        "ratio": float(np.median(ratio)),
        "low": float(ratio.min()),
        "high": float(ratio.max()),
        "ceiling_gflops": top,
        "ceiling_share": flop / fast / 1e9 / top,
    }


def report(name: str, lines: list[dict[str, Any]], out: Path, **more: Any) -> None:
    """Print the lines and write them as JSON, with more figures next to them."""
    for line in lines:
        print(
            "; ".join(f"{key} {f'{of:.3g}' if isinstance(of, float) else of}" for key, of in line.items()), flush=True
        )
    write_result(name, out, **more, lines=lines)
