"""Read the tables that people bring: weighed photos, photos to estimate, and what belongs to a photo."""
