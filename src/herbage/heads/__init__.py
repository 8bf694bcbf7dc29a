"""Vectors become grams: small heads trained on tokens, one a target and fold."""
