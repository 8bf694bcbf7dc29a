"""What breaks what: damaged input, many entries, killed runs."""
