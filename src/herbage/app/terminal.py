"""Terminal output: messages and progress on standard error, results on standard output."""

import logging
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from herbage.app.options import as_options

if TYPE_CHECKING:
    from herbage.model.config import ScoreRecord

console = Console(stderr=True, highlight=False)

LOG_SECONDS = 60
"""How often long work reports where the output is not a terminal."""


def print_error(message: str) -> None:
    """Print an error in red; parameters of the library are shown as options."""
    console.print(f"herbage: {as_options(message)}".rstrip(), style="red", markup=False, soft_wrap=True)


def score_table(scores: "dict[str, ScoreRecord]") -> str:
    """Weighted R2 and each target's R2, one row per name; n/a where a target does not vary."""
    from herbage.targets import TARGETS

    known = [target for target in TARGETS if any(target in record.targets for record in scores.values())]
    names = ["", "weighted R2", *(target.removesuffix("_g") for target in known)]
    rows = [
        [name, _r2(record.weighted_r2), *(_r2(record.targets[target].r2) for target in known)]
        for name, record in scores.items()
    ]
    widths = [max(len(row[c]) for row in [names, *rows]) for c in range(len(names))]
    lines = [
        [f"{row[0]:<{widths[0]}}", *(f"{cell:>{w}}" for cell, w in zip(row[1:], widths[1:], strict=True))]
        for row in [names, *rows]
    ]
    return "\n".join("  ".join(line).rstrip() for line in lines)


def error_line(score: "ScoreRecord", mean_g: Mapping[str, float | None], quadrat_area_m2: float) -> str:
    """The RMSE and the mean of the main target, in g per quadrat and in kg DM/ha."""
    import numpy as np

    from herbage.targets import TARGETS, kg_per_ha, main_target, named_targets

    main = TARGETS[main_target(named_targets(score.targets))]
    grams = np.array([score.targets[main].rmse_g, mean_g[main]], float)
    error, mean = kg_per_ha(grams, quadrat_area_m2)
    return (
        f"{main}: RMSE {grams[0]:.1f} g per quadrat, mean {grams[1]:.1f} g; "
        f"in kg DM/ha {error:,.0f} and {mean:,.0f} (quadrats of {quadrat_area_m2:g} m2)."
    )


def _r2(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"


class _ConsoleHandler(logging.Handler):
    """Prints log messages above a progress bar, if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        style = "yellow" if record.levelno >= logging.WARNING else ""
        console.print(as_options(self.format(record)), style=style, markup=False, soft_wrap=True)


def begin(quiet: bool, *inputs: str | Path) -> None:
    """Send herbage's log messages to standard error; the first names the inputs.

    A command calls it after the checks of its arguments and before it imports the libraries that take seconds, so that
    the user does not wait in front of an empty terminal.
    """
    log = logging.getLogger("herbage")
    log.handlers = [_ConsoleHandler()]
    log.setLevel(logging.WARNING if quiet else logging.INFO)
    log.propagate = False
    if inputs:
        log.info("Reading %s", " and ".join(map(str, inputs)))


def tracker(quiet: bool) -> Any:
    """A progress bar with rate and remaining time on a terminal; elsewhere a line per LOG_SECONDS."""

    def track(items: Iterable[Any], description: str, total: int) -> Iterator[Any]:
        if quiet:
            yield from items
            return
        if not console.is_terminal:
            yield from _logged(items, description, total)
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"), TimeRemainingColumn(),
        )  # fmt: skip
        with Progress(*columns, console=console) as progress:
            task = progress.add_task(description, total=total, rate="")
            for item in items:
                speed = progress.tasks[task].speed
                progress.update(task, advance=1, rate=f"{speed:.2f}/s" if speed else "")
                yield item

    return track


def _logged(items: Iterable[Any], description: str, total: int) -> Iterator[Any]:
    started = reported = time.monotonic()
    for number, item in enumerate(items, start=1):
        now = time.monotonic()
        if now - reported >= LOG_SECONDS and number < total:
            reported = now
            left = (now - started) / number * (total - number)
            logging.getLogger("herbage").info(
                "%s: %d of %d, about %d min left", description, number, total, round(left / 60)
            )
        yield item


def print_failures(failed: dict[str, str], *, to_stdout: bool = True) -> int:
    """Print one line per failed photo with the reason; returns the exit code."""
    for reason in failed.values():
        print(f"failed: {as_options(reason)}", file=sys.stdout if to_stdout else sys.stderr)
    return 1 if failed else 0
