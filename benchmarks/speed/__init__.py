"""Speed beside the public notebook's own loops, and beside what the machine can do."""
