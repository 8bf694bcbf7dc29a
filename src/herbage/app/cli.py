"""The command line: results on standard output, everything else on standard error, and an exit code."""

import inspect
import io
import os
import re
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError

import herbage
from herbage.app.commands.calibrating import calibrate, plan_cuts
from herbage.app.commands.checking import check
from herbage.app.commands.demo import demo
from herbage.app.commands.exporting import export
from herbage.app.commands.extracting import extract
from herbage.app.commands.farming import farm
from herbage.app.commands.predicting import FarmArguments, PaddockArguments, predict
from herbage.app.commands.scoring import score
from herbage.app.commands.serving import serve
from herbage.app.commands.submitting import submit
from herbage.app.commands.training import import_heads, train
from herbage.app.options import BackboneArguments, TableArguments
from herbage.app.terminal import console, print_error
from herbage.errors import HerbageError

DONE, INVALID, INTERRUPTED = 0, 2, 130


def with_long_lines(doc: str | None) -> str:
    """A docstring with each parameter's description on one line: the help keeps line breaks, and a terminal wraps."""
    about, title, parameters = inspect.cleandoc(doc or "").partition("Parameters\n----------\n")
    one_line = re.sub(r"(?m)^ {4}.+(\n {4}.+)+", lambda found: "    " + " ".join(found[0].split()), parameters)
    return about + title + one_line


app = App(
    name="herbage",
    help="Estimate the pasture in top-view photos: dry weights in grams, with intervals and a map.",
    version=herbage.__version__,
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
)
for command in (
    demo, extract, train, score, predict, farm, submit, plan_cuts, calibrate, import_heads, export, serve, check,
):  # fmt: skip
    command.__doc__ = with_long_lines(command.__doc__)
    app.command(command)
for options in (BackboneArguments, TableArguments, PaddockArguments, FarmArguments):
    options.__doc__ = with_long_lines(options.__doc__)
app.register_install_completion_command(help="Complete commands and options in this shell.")


def main() -> None:
    """Run a command and exit: 0 done, 1 some photos failed, 2 invalid input or another error, 130 interrupted."""
    _restart_in_utf8_mode()
    _escape_what_the_console_lacks()
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code."""
    try:
        code = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
        return code if isinstance(code, int) else DONE
    except CycloptsError as error:
        print_error(str(error))
        console.print("Try `herbage --help`, or `herbage COMMAND --help`.", markup=False)
    except (HerbageError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return DONE
        print_error(str(error))
    except KeyboardInterrupt:
        console.print("Interrupted; finished work is saved.")
        return INTERRUPTED
    except Exception as error:
        if os.environ.get("HERBAGE_DEBUG"):
            raise
        print_error(f"unexpected error: {type(error).__name__}: {error}")
        console.print("Run it again with HERBAGE_DEBUG=1 to get a traceback, and please report it.", markup=False)
    return INVALID


def _restart_in_utf8_mode() -> None:
    """Start again in Python's UTF-8 mode where the locale has another encoding; the console's encoding is unchanged.

    Otherwise a file of a name such as Süd.jpg could not be opened by its name in a table, nor written to maps/.
    """
    if sys.getfilesystemencoding().lower() == "utf-8" or os.environ.get("PYTHONUTF8") == "1":
        return
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    environment = {"PYTHONIOENCODING": encoding, **os.environ, "PYTHONUTF8": "1"}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)


def _escape_what_the_console_lacks() -> None:
    """Print characters that the console's encoding lacks as escapes such as \\xfc, instead of failing at them."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
