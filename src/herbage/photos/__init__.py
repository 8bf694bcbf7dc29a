"""A path becomes upright pixels, and a table becomes weighed photos."""
