"""Exceptions, one class for each situation that a user can act on.

    HerbageError
    ├── InputInvalid            an argument or input file is invalid
    │   ├── PhotosMissing       no photos were found
    │   ├── TableInvalid        a table breaks a rule; the message lists the faults
    │   ├── RecipeInvalid       a recipe has an unknown key or a value out of range
    │   ├── ModelInvalid        a model folder is incomplete, damaged or too new, or lacks what a step needs
    │   ├── CheckpointRefused   a checkpoint file is not the expected network, or would run code
    │   ├── BackboneInvalid     a backbone is unknown, or not the one a model was trained with
    │   ├── DeviceMissing       this machine does not have the device or precision
    │   └── OutputExists        the output already exists and may not be replaced
    ├── PhotoUnreadable         a photo cannot be decoded
    │   └── PhotoTooLarge       a photo exceeds the pixel limit and is skipped
    ├── TokensCorrupt           a token file is truncated, damaged or not a token file
    │   └── TokensStale         a token file belongs to another photo or other settings
    ├── WeightsMissing          a backbone's weights could not be loaded
    ├── FoldLeak                a photo or its group is in two folds
    └── TrainingFailed          training gave NaN or a dead head

A message says what was expected, what was found, where, and what to do next. Parameters are written in backticks under
their Python names, such as `overwrite=True`; the command line shows them as its options.
"""


class HerbageError(Exception):
    """Base class of all errors that herbage raises on purpose."""


class InputInvalid(HerbageError):
    """An argument or an input file is invalid."""


class PhotosMissing(InputInvalid):
    """No photos were found where photos were expected."""


class TableInvalid(InputInvalid):
    """A table breaks a rule; the message lists the faults with their rows and columns."""


class RecipeInvalid(InputInvalid):
    """A recipe has an unknown key or a value out of range."""


class ModelInvalid(InputInvalid):
    """A model folder is incomplete, damaged or too new, or the model lacks what a step needs."""


class CheckpointRefused(InputInvalid):
    """A checkpoint file is not the expected network, or would run code. No code of it was run."""


class BackboneInvalid(InputInvalid):
    """A backbone is unknown, or is not the one that a model was trained with."""


class DeviceMissing(InputInvalid):
    """This machine does not have the device or precision."""


class OutputExists(InputInvalid):
    """The output already exists and may not be replaced."""


class PhotoUnreadable(HerbageError):
    """A photo cannot be decoded."""


class PhotoTooLarge(PhotoUnreadable):
    """A photo exceeds the pixel limit; it is skipped before it is decoded."""


class TokensCorrupt(HerbageError):
    """A token file is truncated, damaged or not a token file."""


class TokensStale(TokensCorrupt):
    """A token file belongs to another photo or to other settings."""


class WeightsMissing(HerbageError):
    """A backbone's weights could not be loaded, neither from this machine nor from the hub."""


class FoldLeak(HerbageError):
    """A photo, or photos of one group, are in two folds, so a head would be evaluated on its training data."""


class TrainingFailed(HerbageError):
    """Training gave NaN, or a head that always estimates 0 although its target varies."""
