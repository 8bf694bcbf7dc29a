"""python -m benchmarks NAME [OPTIONS]: run one of the benchmarks, from the root of the repository.

Each prints its result and writes it as JSON to docs/data, with date, machine and command. `pages` writes these figures
into the pages of docs/; `pages NAME` (or NAME-page) into one page.

Those that report peak memory read it from /proc, so they run on Linux only.
"""

import importlib
import sys

MODULES = {
    "accuracy": "accuracy",
    "trust": "trust",
    "cuts": "cuts",
    "maps": "maps",
    "extract": "speed.extract",
    "parts": "speed.parts",
    "heads": "speed.heads",
    "training": "speed.training",
    "predict": "speed.predict",
    "startup": "speed.startup",
    "memory": "speed.memory",
    "serving": "speed.serving",
    "browser": "speed.browser",
    "farm": "speed.farm",
    "fuzz": "reliability.fuzz",
    "kills": "reliability.kills",
    "many": "reliability.many",
    "scale": "reliability.scale",
    "golden": "reliability.golden",
    "pages": "pages",
}


def main() -> int:
    """Run the benchmark that is named, or list all of them."""
    if sys.argv[1:2] and sys.argv[1].endswith("-page"):
        sys.argv[1:2] = ["pages", sys.argv[1].removesuffix("-page")]
    if sys.argv[1:2] and sys.argv[1] in MODULES:
        name = sys.argv.pop(1)
        sys.argv[0] = f"python -m benchmarks {name}"
        return importlib.import_module(f"benchmarks.{MODULES[name]}").main() or 0
    print(__doc__)
    for name, module in MODULES.items():
        about = importlib.import_module(f"benchmarks.{module}").__doc__ or ""
        print(f"  {name:10} {about.splitlines()[0]}")
    return 0 if sys.argv[1:] in ([], ["--help"], ["-h"]) else 2


if __name__ == "__main__":
    sys.exit(main())
