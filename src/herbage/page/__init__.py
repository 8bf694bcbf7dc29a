"""The page: its modules, what it needs to know about a model, and the static site that estimates in the browser."""
