"""One class for each situation that a person can act on.

    HerbageError
    ├── InputInvalid            what was asked cannot be done as asked
    │   ├── PhotosMissing       no photo stands where photos were expected
    │   ├── TableInvalid        a table of weights breaks a rule; all faults in one message
    │   ├── RecipeInvalid       a recipe has an unknown key or a value out of range
    │   ├── ModelInvalid        a model folder is incomplete, damaged, or newer than this program
    │   ├── CheckpointRefused   a checkpoint file would run code, or is not what it should be
    │   ├── BackboneInvalid     a backbone is unknown, or not the one a model was trained with
    │   ├── DeviceMissing       a device or precision that this machine does not have
    │   └── OutputExists        the output is there already and --overwrite was not given
    ├── PhotoUnreadable         one photo cannot be decoded
    │   └── PhotoTooLarge       one photo is over the pixel limit and is skipped
    ├── TokensCorrupt           a token file is truncated, damaged, or not a token file
    │   └── TokensStale         a token file belongs to another photo or other settings
    ├── WeightsMissing          a backbone's weights are neither here nor to be had
    ├── FoldLeak                a photo would be judged by a head that has seen it or its group
    └── TrainingFailed          training gave NaN or a head that died

A message says what was expected, what came, where, and what to do next.
"""


class HerbageError(Exception):
    """Anything that herbage can explain in one message."""


class InputInvalid(HerbageError):
    """What was asked cannot be done as asked."""


class PhotosMissing(InputInvalid):
    """No photo stands where photos were expected."""


class TableInvalid(InputInvalid):
    """A table of weights breaks a rule; the message lists every fault with row and column."""


class RecipeInvalid(InputInvalid):
    """A recipe has an unknown key or a value out of range."""


class ModelInvalid(InputInvalid):
    """A model folder is incomplete, damaged, or newer than this program."""


class CheckpointRefused(InputInvalid):
    """A checkpoint file would run code, or is not what it should be. Nothing of it has run."""


class BackboneInvalid(InputInvalid):
    """A backbone is unknown, or is not the one a model was trained with."""


class DeviceMissing(InputInvalid):
    """A device or precision that this machine does not have."""


class OutputExists(InputInvalid):
    """The output is there already and may not be replaced without being told to."""


class PhotoUnreadable(HerbageError):
    """One photo cannot be decoded."""


class PhotoTooLarge(PhotoUnreadable):
    """One photo is over the pixel limit; it is skipped, not decoded."""


class TokensCorrupt(HerbageError):
    """A token file is truncated, damaged, or not a token file."""


class TokensStale(TokensCorrupt):
    """A token file belongs to another photo or to other settings."""


class WeightsMissing(HerbageError):
    """A backbone's weights are neither on this machine nor to be had from the hub."""


class FoldLeak(HerbageError):
    """A photo would be judged by a head that has seen it, or a photo of its group."""


class TrainingFailed(HerbageError):
    """Training gave NaN, or a head that died although its target varies."""
