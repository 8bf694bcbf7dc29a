"""How a person asks: the command line and the demo."""
