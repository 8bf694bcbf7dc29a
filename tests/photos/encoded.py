"""Photos as bytes, for tests."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from herbage.photos.photo import Photo, PhotoFile, open_photo


def encoded(image: Image.Image, format: str, **options) -> bytes:
    """The image as the bytes of a file."""
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def opened(content: bytes, name: str = "a.jpg") -> Photo:
    """The photo with this content."""
    return open_photo(PhotoFile(name, Path(name), content=content))


def scene(width: int = 320, height: int = 240, seed: int = 0) -> Image.Image:
    """Blocks of colours with noise, so that no two parts are alike and a JPEG of it has a few kilobytes per row."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(20, 235, (height // 8, width // 8, 3))
    pixels = np.kron(blocks, np.ones((8, 8, 1))) + rng.normal(0, 6, (height, width, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
