"""Damaged photos: each must give pixels or one clear error, quickly.

python -m benchmarks fuzz [--cases 20000] [--seed 0] [--quick]
"""

import time
import traceback
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
from tests.photos.mutations import mutated

from benchmarks.harness import option_parser, parse, write_result
from herbage.errors import PhotoTooLarge, PhotoUnreadable
from herbage.photos.photo import PhotoFile, open_photo


def main() -> int:
    """Print the counts, write fuzz.json; 1 where a photo gave anything but pixels or a message."""
    parser = option_parser(__doc__)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parse(parser)
    cases = 200 if options.quick else options.cases
    warnings.simplefilter("ignore")
    found: Counter[str] = Counter()
    seconds = []
    for number, (name, content) in enumerate(mutated(cases, options.seed)):
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
            place = options.work / f"fuzz-{options.seed}-{number}-{name}"
            place.write_bytes(content)
            print(place, traceback.format_exc(limit=-2), sep="\n", flush=True)
        seconds.append(time.perf_counter() - started)
    result = {
        "cases": cases,
        **{kind: found[kind] for kind in ("pixels", "unreadable", "skipped", "faults")},
        "p99_s": float(np.quantile(seconds, 0.99)),
        "slowest_s": max(seconds),
    }
    print(result)
    write_result("fuzz", options.out, **result)
    return 1 if found["faults"] else 0
