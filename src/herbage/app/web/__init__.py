"""The server of the page and its API: one open model, and photos that are not stored."""
