"""The vectors of a photo are kept once, in a checked file each."""
