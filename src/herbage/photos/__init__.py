"""Photos as upright pixels, and tables of weighed photos."""
