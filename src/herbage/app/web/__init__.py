"""The page and its API: one model kept warm, photos that are not kept."""
