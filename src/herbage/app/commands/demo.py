"""The command that draws swards, trains on them and estimates them."""

from pathlib import Path

from herbage.app.options import Overwrite, Quiet
from herbage.app.terminal import begin, tracker
from herbage.outputs import DEMO_FOLDER, check_output_folder


def demo(*, out: Path = Path("demo"), overwrite: Overwrite = False, quiet: Quiet = False) -> int:
    """Draw swards of known weight, train on them and estimate them, with the built-in backbone.

    For example:
        herbage demo --out demo

    Parameters
    ----------
    out
        The folder for all files of the demo.
    """
    check_output_folder(out, DEMO_FOLDER, overwrite=overwrite)
    begin(quiet)
    from herbage.app.demo import run_demo

    print(run_demo(out, track=tracker(quiet)))
    return 0
