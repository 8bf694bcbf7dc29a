"""The trained estimator: one folder on disk, no pickle in it."""
