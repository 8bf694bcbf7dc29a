"""Accuracy on real photos, and what reaching it costs."""
