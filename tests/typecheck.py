"""The type checker of every test run: beartype, with an int allowed where a float is wanted, as Python has it."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
