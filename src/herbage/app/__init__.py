"""The command line, the demo, and the server of the page."""
