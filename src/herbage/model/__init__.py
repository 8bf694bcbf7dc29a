"""The trained estimator: one folder on disk, without pickle."""
