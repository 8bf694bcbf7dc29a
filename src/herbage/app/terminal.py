"""How the command line speaks: remarks and progress on standard error, results on standard output."""

import logging
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console

if TYPE_CHECKING:
    from herbage.model.config import ScoreRecord

console = Console(stderr=True, highlight=False)


def score_table(scores: "dict[str, ScoreRecord]") -> str:
    """Weighted R2 and each target's R2, a row a name; n/a where a target never varies."""
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
    """How far the main target's estimates are from what was weighed, g a quadrat and kg DM/ha beside what stands."""
    import numpy as np

    from herbage.targets import TARGETS, kg_per_ha, main_target, named_targets

    main = TARGETS[main_target(named_targets(score.targets))]
    grams = np.array([score.targets[main].rmse_g, mean_g[main]], float)
    error, mean = kg_per_ha(grams, quadrat_area_m2)
    return (
        f"{main}: RMSE {grams[0]:.1f} g a quadrat, mean {grams[1]:.1f} g; "
        f"in kg DM/ha {error:,.0f} and {mean:,.0f} (quadrats of {quadrat_area_m2:g} m2)."
    )


def _r2(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"


class _Remarks(logging.Handler):
    """Prints above a progress bar, if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        style = "yellow" if record.levelno >= logging.WARNING else ""
        console.print(self.format(record), style=style, markup=False, soft_wrap=True)


def listen(quiet: bool) -> None:
    """Send herbage's remarks to standard error."""
    log = logging.getLogger("herbage")
    log.handlers = [_Remarks()]
    log.setLevel(logging.WARNING if quiet else logging.INFO)
    log.propagate = False


def tracker(quiet: bool) -> Any:
    """Progress with rate and time left on a terminal; nothing elsewhere."""

    def track(items: Iterable[Any], description: str, total: int) -> Iterator[Any]:
        if quiet or not console.is_terminal:
            yield from items
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


def failures(failed: dict[str, str], *, to_stdout: bool = True) -> int:
    """List the photos that failed, a line each with its reason; returns the exit code."""
    for why in failed.values():
        print(f"failed: {why}", file=sys.stdout if to_stdout else sys.stderr)
    return 1 if failed else 0
