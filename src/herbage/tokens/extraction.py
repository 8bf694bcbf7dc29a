"""Which photos are missing from a store, and filling them in: decoding overlaps the backbone, memory stays flat."""

import logging
import math
import shutil
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import torch
from jaxtyping import Float
from torch import Tensor

from herbage.backbones.backbone import Backbone
from herbage.backbones.views import images_per_photo
from herbage.errors import InputInvalid, PhotoUnreadable, TokensCorrupt
from herbage.photos.photo import Photo, PhotoFile, open_photo
from herbage.recipe import Recipe
from herbage.tokens.kept import Seen, kept_tokens, shown_images, tokens_shape
from herbage.tokens.store import DTYPES, TokenStore

log = logging.getLogger("herbage")

DECODERS = 2
LOOK_AHEAD = 4
IMAGES_AT_ONCE = 8
"""What a backbone sees in one call at least, so that the many tiles of a photo need no more memory than its halves."""


@dataclass
class Extracted:
    """What became of one photo: its tokens, or why there are none.

    `photo` is None where the store had the tokens and the file was not opened, and where it could not be.
    `from_store` tells whether the backbone was spared.
    """

    file: PhotoFile
    photo: Photo | None = None
    sha256: str = ""
    tokens: Float[Tensor, "view kept width"] | None = None
    failure: PhotoUnreadable | None = None
    from_store: bool = False


def stream_tokens(
    files: list[PhotoFile],
    backbone: Backbone,
    recipe: Recipe,
    store: TokenStore | None = None,
    *,
    open_photos: bool = False,
) -> Iterator[Extracted]:
    """Every photo's tokens, in the order given, from the store or from the backbone (and then into the store).

    With `open_photos` each photo is opened although the store has its tokens, for its facts. A photo that cannot be
    read is an item with a failure; a damaged token file is mended. Stopping early loses nothing that was yielded.
    """
    per_batch = max(1, backbone.batch_images // images_per_photo(recipe))
    clock = _Clock(len(files))
    digests: list[tuple[PhotoFile, str]] = []
    pool = ThreadPoolExecutor(DECODERS, thread_name_prefix="decode")
    try:
        ahead: deque[Future[tuple[Extracted, list[Tensor] | None]]] = deque()
        waiting = iter(files)
        pending: list[tuple[Extracted, list[Tensor] | None]] = []
        while True:
            for file in islice(waiting, LOOK_AHEAD + per_batch - len(ahead)):
                ahead.append(pool.submit(_prepare, file, backbone, recipe, store, open_photos))
            if ahead:
                pending.append(ahead.popleft().result())
            missing = sum(images is not None for _, images in pending)
            if pending and (missing in (0, per_batch) or len(pending) >= 4 * per_batch or not ahead):
                if missing:
                    with clock:
                        _run(pending, backbone, recipe, per_batch)
                for item, images in pending:
                    if store is not None and item.tokens is not None:
                        if images is not None:
                            store.save(item.sha256, item.tokens)
                        digests.append((item.file, item.sha256))
                if store is not None and len(digests) >= 100:
                    _remember(store, digests)
                clock.done += len(pending)
                yield from (item for item, _ in pending)
                pending = []
            if not ahead and not pending:
                break
    finally:
        if store is not None:
            _remember(store, digests)
        pool.shutdown(wait=True, cancel_futures=True)


def announce(files: list[PhotoFile], backbone: Backbone, recipe: Recipe, store: TokenStore) -> int:
    """Say how many photos there are, how many are missing, and how much disk they will take; returns the missing."""
    missing = sum(not is_stored(file, store) for file in files)
    size = missing * token_bytes(backbone, recipe)
    if not missing:
        log.info("%d photos, all in the store for %s", len(files), backbone.name)
        return missing
    log.info(
        "%d photos: %d known to the store, at most %d to extract with %s (%s) for %s of disk",
        len(files), len(files) - missing, missing, backbone.name, backbone.engine.precision, _size(size),
    )  # fmt: skip
    whole = store.root.resolve()
    free = shutil.disk_usage(next(folder for folder in (whole, *whole.parents) if folder.is_dir())).free
    if size > free:
        log.warning("The tokens need about %s, but the disk of %s has %s free.", _size(size), store.root, _size(free))
    return missing


def is_stored(file: PhotoFile, store: TokenStore) -> bool:
    """Whether the store has this photo's tokens, as far as its index knows without reading the photo."""
    digest = store.index.find(file.path)
    return digest is not None and digest in store


def token_bytes(backbone: Backbone, recipe: Recipe) -> int:
    """Bytes of one photo's tokens."""
    return math.prod(tokens_shape(recipe, backbone.width)) * DTYPES[backbone.engine.tokens].itemsize


def take_shard(files: list[PhotoFile], shard: str) -> list[PhotoFile]:
    """Every n-th photo, for `shard` "i/n". Counting i from 0 or from 1 both cover all photos: n/n is 0/n."""
    try:
        index, count = (int(part) for part in shard.split("/"))
    except ValueError as error:
        raise InputInvalid(f"--shard {shard}: expected i/n, such as 1/4.") from error
    if count < 1 or not 0 <= index <= count:
        raise InputInvalid(f"--shard {shard}: expected i/n with n at least 1 and i between 0 and n.")
    return files[index % count :: count]


def _prepare(
    file: PhotoFile, backbone: Backbone, recipe: Recipe, store: TokenStore | None, open_photos: bool
) -> tuple[Extracted, list[Tensor] | None]:
    """A photo's tokens where the store has them, else the images to show the backbone."""
    item = Extracted(file)
    try:
        if store is not None and not open_photos and (known := store.index.find(file.path)):
            item.sha256 = known
            if _load(item, store):
                return item, None
        item.photo = open_photo(file)
        item.sha256 = item.photo.sha256
        if store is not None and _load(item, store):
            return item, None
        return item, shown_images(item.photo.pixels(), recipe, backbone.patch_px)
    except PhotoUnreadable as failure:
        item.failure = failure
        return item, None


def _load(item: Extracted, store: TokenStore) -> bool:
    if item.sha256 not in store:
        return False
    try:
        item.tokens, item.from_store = store.load(item.sha256), True
    except TokensCorrupt as damage:
        log.warning("%s", damage)
        store.discard(item.sha256)
    return item.from_store


def _run(
    pending: list[tuple[Extracted, list[Tensor] | None]], backbone: Backbone, recipe: Recipe, per_batch: int
) -> None:
    """Fill in the tokens of a batch of fixed shape: a short one is padded, so no result depends on the others."""
    shown = [(item, images) for item, images in pending if images is not None]
    seen: list[list[Seen]] = [[] for _ in shown]
    for size in range(len(shown[0][1])):
        images = [images[size] for _, images in shown]
        padding = [torch.zeros_like(images[0])] * (per_batch - len(shown))
        parts = torch.split(torch.cat([*images, *padding]), max(IMAGES_AT_ONCE, backbone.batch_images))
        class_vectors, patches = (torch.cat(of) for of in zip(*map(backbone, parts), strict=True))
        for number, own in enumerate(images):
            span = slice(number * len(own), (number + 1) * len(own))
            seen[number].append(Seen(own, class_vectors[span], patches[span]))
    for (item, _), of in zip(shown, seen, strict=True):
        # In the type that a store would keep, so that a store changes no result.
        item.tokens = kept_tokens(of, recipe).to(DTYPES[backbone.engine.tokens])
        if not item.tokens.isfinite().all():
            raise TokensCorrupt(
                f"The backbone gave tokens of {item.file.name} that are not finite in {backbone.engine.tokens}; "
                f"try --precision fp32."
            )


def _remember(store: TokenStore, digests: list[tuple[PhotoFile, str]]) -> None:
    store.index.remember([(file.path, sha256) for file, sha256 in digests])
    digests.clear()


class _Clock:
    """Says after the first batch how long the rest will take."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.said = total, 0, False

    def __enter__(self) -> None:
        self.started = time.monotonic()

    def __exit__(self, *_: object) -> None:
        left = self.total - self.done - 1
        seconds = time.monotonic() - self.started
        if not self.said and seconds * left > 5:
            log.info("The first photo took %.1f s; about %.0f s for the %d left.", seconds, seconds * left, left)
        self.said = True


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
