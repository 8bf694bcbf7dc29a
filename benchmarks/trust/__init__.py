"""How far a figure can be trusted: intervals, domain and own cuts, measured on the real photos."""
