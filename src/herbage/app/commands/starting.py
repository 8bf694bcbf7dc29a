"""Commands for the first day: demo, check."""

import json
from pathlib import Path

from herbage.app.options import Json, Overwrite, Quiet
from herbage.app.terminal import listen, tracker


def demo(*, out: Path = Path("demo"), overwrite: Overwrite = False, quiet: Quiet = False) -> int:
    """Draw swards of known weight and run the whole story on them, with the embedded backbone.

    For example:
        herbage demo --out demo

    Parameters
    ----------
    out
        The folder for everything that the demo makes.
    """
    from herbage.app.demo import run_demo

    listen(quiet)
    print(run_demo(out, overwrite=overwrite, track=tracker(quiet)))
    return 0


def check(*, as_json: Json = False) -> int:
    """Say what this machine has, and how to get what is missing.

    For example:
        herbage check
        herbage check --json

    Parameters
    ----------
    as_json
        Machine-readable output.
    """
    from herbage.app.machine import describe_machine

    facts = describe_machine()
    if as_json:
        print(json.dumps(facts, indent=2))
    else:
        width = max(map(len, facts))
        print("\n".join(f"{name:<{width}}  {value}" for name, value in facts.items()))
    return 0
