"""Twenty thousand damaged photos: each has to become pixels or one message, soon.

python -m benchmarks fuzz [--cases 20000] [--seed 0]
"""

import argparse
import json
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
from tests.photos.mutations import mutated

from herbage.errors import PhotoTooLarge, PhotoUnreadable
from herbage.photos.photo import PhotoFile, open_photo


def main() -> int:
    """Print counts and the slowest; write fuzz.json; 1 where anything else than pixels or a message came."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("benchmark-results"))
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    found: Counter[str] = Counter()
    seconds = []
    for number, (name, content) in enumerate(mutated(options.cases, options.seed)):
        started = time.perf_counter()
        try:
            open_photo(PhotoFile(name, Path(name), content=content)).pixels()
            found["pixels"] += 1
        except PhotoTooLarge:
            found["skipped"] += 1
        except PhotoUnreadable:
            found["unreadable"] += 1
        except Exception:
            found["faults"] += 1
            place = options.out / f"fuzz-{options.seed}-{number}-{name}"
            options.out.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
            print(place, traceback.format_exc(limit=-2), sep="\n", flush=True)
        seconds.append(time.perf_counter() - started)
    said = {
        "cases": options.cases,
        **{kind: found[kind] for kind in ("pixels", "unreadable", "skipped", "faults")},
        "p99_s": float(np.quantile(seconds, 0.99)),
        "slowest_s": max(seconds),
    }
    print(json.dumps(said))
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "fuzz.json").write_text(json.dumps(said, indent=1) + "\n")
    return 1 if found["faults"] else 0


if __name__ == "__main__":
    main()
