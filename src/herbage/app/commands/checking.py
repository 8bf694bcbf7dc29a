"""The command that describes the machine."""

import json

from herbage.app.options import Json


def check(*, as_json: Json = False) -> int:
    """Print what this machine has, and how to get what is missing.

    For example:
        herbage check
        herbage check --json
    """
    from herbage.app.machine import describe_machine

    facts = describe_machine()
    if as_json:
        print(json.dumps(facts, indent=2))
    else:
        width = max(map(len, facts))
        print("\n".join(f"{name:<{width}}  {value}" for name, value in facts.items()))
    return 0
