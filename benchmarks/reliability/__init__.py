"""Damaged input, killed runs, and very many photos."""
