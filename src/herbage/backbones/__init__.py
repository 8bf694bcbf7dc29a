"""Pixels become vectors, by a frozen network; nothing here is trained."""
