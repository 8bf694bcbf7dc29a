"""The tokens of photos: their layout, their computation, and the store that caches them."""
