"""The command line, the demo, and the web page."""
