"""A page of docs/ from a template beside this file and what a benchmark measured."""

from pathlib import Path
from typing import Any

import jinja2

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs"


def verdict(gain: list[float]) -> str:
    """What the interval of a gain allows to be said of a change."""
    _, low, high = gain
    return "better" if low > 0 else "worse" if high < 0 else "no difference can be shown"


def write_page(name: str, **values: Any) -> None:
    """docs/NAME.md from NAME.md.j2. Filters: `score`, `gain` with its interval, and its `verdict`."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([HERE / "accuracy", HERE / "speed", HERE / "trust", HERE / "reliability"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "score": lambda value: f"{value:.3f}",
        "gain": lambda three: f"{three[0]:+.3f} ({three[1]:+.3f} to {three[2]:+.3f})",
        "verdict": verdict,
    }
    DOCS.mkdir(exist_ok=True)
    place = DOCS / f"{name}.md"
    place.write_text(environment.get_template(f"{name}.md.j2").render(values) + "\n")
    print(place)
