"""Speed compared with the public notebook's own loops, and with the limit of the machine."""
