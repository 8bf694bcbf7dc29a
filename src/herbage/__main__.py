"""`python -m herbage`: the command line, also where the folder of programs is not on the PATH."""

from herbage.app.cli import main

main()
