"""Grouped folds, out-of-fold estimates, scores and baselines."""
