"""One function a command; thin over herbage.steps. Their docstrings are the help."""
