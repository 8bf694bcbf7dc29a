"""The command that describes the machine."""

import json

from herbage.app.options import Json


def check(*, as_json: Json = False) -> int:
    """Print what this machine has, and how to get what is missing.

    For example:
        herbage check
        herbage check --json
    """
    from herbage.app.machine import BACKBONE, describe_machine

    facts = describe_machine()
    if as_json:
        print(json.dumps(dict(facts), indent=2))
    else:
        for name, fact in facts:
            print(f"{name:<{len(BACKBONE)}}  {fact}", flush=True)  # those of torch follow, after its import
    return 0
