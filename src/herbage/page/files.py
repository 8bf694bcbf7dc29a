"""The files of the page, and its texts."""

import csv
from pathlib import Path

MODULES = Path(__file__).parent / "modules"
"""The files of the page, wherever it estimates. Its `estimator.js` estimates on a server."""

BROWSER = Path(__file__).parent / "browser"
"""Further files of the static site, which estimates in the browser. Its `estimator.js` replaces that of MODULES."""


def read_strings() -> dict[str, dict[str, str]]:
    """The page's texts by language, from strings.csv, where each language is a column."""
    with (MODULES / "strings.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {language: {row["key"]: row[language] for row in rows} for language in rows[0] if language != "key"}
