"""Photos as upright pixels."""
