"""The command that draws swards and runs every other step on them."""

from pathlib import Path

from herbage.app.options import Overwrite, Quiet
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
