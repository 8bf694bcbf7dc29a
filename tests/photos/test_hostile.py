"""Any bytes give either pixels or one message; `python -m benchmarks fuzz` tests many more."""

from pathlib import Path

import numpy as np
import pytest

from herbage.errors import PhotoUnreadable
from herbage.photos.photo import PIXEL_LIMIT, PhotoFile, open_photo
from tests.photos.mutations import intact_photos, mutated


def test_the_files_are_readable_before_they_are_damaged():
    for name, content in intact_photos().items():
        photo = open_photo(PhotoFile(name, Path(name), content=content))
        assert photo.pixels().shape[2] == 3, name
        assert photo.facts.latitude is None or -42 < photo.facts.latitude < -41


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damaged_bytes_give_pixels_or_one_message():
    read, messages = 0, []
    for name, content in mutated(400, seed=1):
        try:
            photo = open_photo(PhotoFile(name, Path(name), content=content))
            pixels = photo.pixels()
        except PhotoUnreadable as failure:
            messages.append((name, str(failure)))
        else:
            read += 1
            assert pixels.dtype == np.uint8
            assert 0 < pixels.size <= 3 * PIXEL_LIMIT
            assert photo.aspect > 0
    assert read > 40, "some damage does not matter"
    assert len(messages) > 40
    assert all(message.startswith(name) and "\n" not in message for name, message in messages)
