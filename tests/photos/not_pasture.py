"""Images without pasture: synthetic ones, and those in the packages scikit-image and scikit-learn."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SIZE_PX = (1000, 500)
FLAT = {"green": (60, 120, 40), "brown": (120, 90, 60), "white": (250, 250, 250), "black": (5, 5, 5)}


def write_pictures(place: Path) -> Path:
    """Write each picture as a PNG of the shape of the real photos; returns the folder."""
    place.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    width, height = SIZE_PX
    pictures = {"noise": Image.fromarray(rng.integers(0, 256, (height, width, 3)).astype(np.uint8))}
    pictures |= {f"flat {name}": Image.new("RGB", SIZE_PX, colour) for name, colour in FLAT.items()}
    pictures["a page of text"] = page = Image.new("RGB", SIZE_PX, "white")
    for line in range(10, height - 10, 14):
        ImageDraw.Draw(page).text(
            (20, line), "The quick brown fox jumps over the lazy dog, and on it goes. " * 3, "black"
        )
    fading = np.linspace(0, 1, height)[:, None, None] * [120, 80, 30] + np.array([90, 140, 220])
    pictures["a sky"] = Image.fromarray(np.broadcast_to(fading, (height, width, 3)).clip(0, 255).astype(np.uint8))
    for path in packaged():
        with Image.open(path) as image:
            pictures[path.stem] = image.convert("RGB").resize(SIZE_PX)
    for name, picture in pictures.items():
        picture.save(place / f"{name}.png")
    return place


def packaged() -> list[Path]:
    """Pictures in the wheels of scikit-image and scikit-learn, without very small ones."""
    import skimage
    import sklearn

    folders = (Path(skimage.__file__).parent / "data", Path(sklearn.__file__).parent / "datasets/images")
    found = sorted(path for folder in folders for path in folder.iterdir() if path.suffix in (".png", ".jpg"))
    return [
        path for path in found if "GRAY" not in path.stem and path.stem not in ("microaneurysms", "motorcycle_right")
    ]
