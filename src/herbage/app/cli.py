"""The command line: results go to standard output, everything else to standard error; a code says how it ended."""

import os
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError

import herbage
from herbage.app.commands.calibrating import calibrate, plan_cuts
from herbage.app.commands.checking import check
from herbage.app.commands.demo import demo
from herbage.app.commands.exporting import export
from herbage.app.commands.extracting import extract
from herbage.app.commands.predicting import predict
from herbage.app.commands.scoring import score
from herbage.app.commands.serving import serve
from herbage.app.commands.submitting import submit
from herbage.app.commands.training import import_heads, train
from herbage.app.terminal import console
from herbage.errors import HerbageError

DONE, WRONG, INTERRUPTED = 0, 2, 130

app = App(
    name="herbage",
    help="How much pasture stands in a top-view photo: dry weights in grams, with intervals and a map.",
    version=herbage.__version__,
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
)
for command in (
    demo, extract, train, score, predict, submit, plan_cuts, calibrate, import_heads, export, serve, check,
):  # fmt: skip
    app.command(command)
app.register_install_completion_command(help="Complete commands and options in this shell.")


def main() -> None:
    """Run a command and exit: 0 done, 1 some photos failed, 2 the call or its input is wrong, 130 interrupted."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """The exit code of a command."""
    try:
        code = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
        return code if isinstance(code, int) else DONE
    except CycloptsError as error:
        console.print(f"herbage: {error}".rstrip(), style="red", markup=False, soft_wrap=True)
        console.print("Try `herbage --help`, or `herbage COMMAND --help`.", markup=False)
    except HerbageError as error:
        console.print(f"herbage: {error}", style="red", markup=False, soft_wrap=True)
    except KeyboardInterrupt:
        console.print("Interrupted; finished work is kept.")
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except OSError as error:
        console.print(f"herbage: {error}", style="red", markup=False, soft_wrap=True)
    except Exception as error:
        if os.environ.get("HERBAGE_DEBUG"):
            raise
        said = f"herbage: this should not have happened: {type(error).__name__}: {error}"
        console.print(said, style="red", markup=False, soft_wrap=True)
        console.print("Set HERBAGE_DEBUG=1 and run it again to see where; please report it with that.", markup=False)
    return WRONG
