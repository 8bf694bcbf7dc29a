"""Who says how good an estimate is: folds, out-of-fold estimates, the score, and floors to beat."""
