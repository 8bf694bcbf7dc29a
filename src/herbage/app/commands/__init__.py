"""One function per command, thin wrappers of herbage.steps. Their docstrings are the help."""
