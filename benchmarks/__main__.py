"""python -m benchmarks NAME [OPTIONS]: run one of the benchmarks, from the root of the repository."""

import importlib
import sys

MODULES = {
    "accuracy": "accuracy.ladder",
    "learning-curve": "accuracy.learning_curve",
    "cost": "accuracy.cost",
    "accuracy-page": "accuracy.accuracy_page",
    "crosspvt": "accuracy.crosspvt",
    "crosspvt-cost": "accuracy.crosspvt_cost",
    "crosspvt-page": "accuracy.crosspvt_page",
    "views": "accuracy.views",
    "extract": "speed.extract",
    "parts": "speed.parts",
    "heads": "speed.heads",
    "training": "speed.training",
    "predict": "speed.predict",
    "startup": "speed.startup",
    "memory": "speed.memory",
    "serving": "speed.serving",
    "fuzz": "reliability.fuzz",
    "golden": "reliability.golden",
    "kills": "reliability.kills",
    "many": "reliability.many",
    "scale": "reliability.scale",
    "reliability-page": "reliability.reliability_page",
    "intervals": "trust.intervals",
    "domain": "trust.domain",
    "cuts": "trust.cuts",
    "paddocks": "trust.paddocks",
    "trust-page": "trust.trust_page",
    "performance-page": "speed.performance_page",
}


def main() -> int:
    """Run the benchmark that is named, or list them all."""
    if len(sys.argv) > 1 and sys.argv[1] in MODULES:
        name = sys.argv.pop(1)
        sys.argv[0] = f"python -m benchmarks {name}"
        importlib.import_module(f"benchmarks.{MODULES[name]}").main()
        return 0
    print(__doc__, "", sep="\n")
    for name, module in MODULES.items():
        about = importlib.import_module(f"benchmarks.{module}").__doc__ or ""
        print(f"  {name:15} {about.splitlines()[0]}")
    return 0 if sys.argv[1:] in ([], ["--help"], ["-h"]) else 2


if __name__ == "__main__":
    sys.exit(main())
