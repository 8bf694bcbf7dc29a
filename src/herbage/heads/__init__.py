"""Tokens to grams: small trained networks, one per target and fold."""
