"""Compute the tokens of photos, in parallel and with constant memory; use and fill a token store."""

import logging
import math
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from herbage.backbones.backbone import Backbone
from herbage.backbones.views import patches_per_photo
from herbage.errors import PhotoUnreadable, TokensCorrupt
from herbage.formatting import counted, file_size
from herbage.photos.discovery import parse_shard
from herbage.photos.photo import Photo, PhotoFile, open_photo
from herbage.recipe import Recipe
from herbage.tokens.layout import BackboneOutput, input_images, tokens_shape, upright_tokens
from herbage.tokens.store import DTYPES, UNKNOWN, IndexEntry, TokenStore

log = logging.getLogger("herbage")

Argument = TypeVar("Argument")
Result = TypeVar("Result")

MAX_WORKERS = 8
LOOKUP_BATCH, UPDATE_BATCH = 1000, 100
"""Photos per query and per update of the store's index."""

MIN_PATCHES = 1600
"""Approximate number of patches per call of a CPU backbone: enough to keep a core busy, at little memory."""


@dataclass
class Extracted:
    """The result for one photo: its tokens, or the reason why there are none.

    `photo` is None if the file could not be opened, or was not opened because the store had its tokens. `from_store` is
    True if the store had the tokens; `entry` is the index entry from before this run.
    """

    file: PhotoFile
    photo: Photo | None = None
    sha256: str = ""
    tokens: Float[Tensor, "view patch width"] | None = None
    failure: PhotoUnreadable | None = None
    from_store: bool = False
    entry: IndexEntry = UNKNOWN

    def content(self) -> tuple[Photo, Tensor]:
        """The opened photo and its tokens; raises PhotoUnreadable where there are none."""
        if self.photo is None or self.tokens is None:
            raise self.failure or PhotoUnreadable(f"{self.file.name} was not opened")
        return self.photo, self.tokens

    def new_entry(self) -> IndexEntry | None:
        """The photo's index entry, None if it is unchanged."""
        entry = IndexEntry(failure=str(self.failure)) if self.failure else IndexEntry(self.sha256)
        return None if entry == self.entry else entry


def stream_tokens(
    files: Sequence[PhotoFile],
    backbone: Backbone,
    recipe: Recipe,
    store: TokenStore | None = None,
    *,
    open_photos: bool = False,
    read_stored: bool = True,
) -> Iterator[Extracted]:
    """Yield every photo's tokens, in the order given, from the store or from the backbone; new ones are stored.

    With `open_photos` each photo is opened even if the store has its tokens, for its capture time and position. Without
    `read_stored` stored tokens are not read: their items have no tokens, and only file lengths are checked. A photo
    that cannot be read gives an item with a failure; a damaged token file is replaced. Stopping early loses nothing
    that was yielded.

    On a CPU each thread takes a photo from file to tokens: threads that share one matrix product would wait for each
    other whenever a core decodes. On a GPU the threads decode, and the backbone gets batches.
    """
    extractor = _Extractor(backbone, recipe, store, open_photos, read_stored)
    per_batch = max(1, backbone.batch_patches // patches_per_photo(recipe))
    threads = torch.get_num_threads()
    workers = max(1, min(threads, MAX_WORKERS, len(files)))
    clock = _Clock(len(files), per_batch if backbone.batch_patches else workers)
    entries = _index_entries(files, store)
    changed: list[tuple[PhotoFile, IndexEntry]] = []
    with _pool(workers, threads // workers) as pool:
        try:
            if backbone.batch_patches:
                prepared = _in_order(pool, extractor.prepare, entries, ahead=workers + per_batch)
                items = extractor.in_batches(prepared, per_batch)
            else:
                items = _in_order(pool, extractor.extract, entries, ahead=2 * workers)
            for item in items:
                clock.count(item)
                if store is not None and (entry := item.new_entry()):
                    changed.append((item.file, entry))
                    if len(changed) >= UPDATE_BATCH:
                        _update_index(store, changed)
                yield item
        finally:
            extractor.stopped.set()
            if store is not None:
                _update_index(store, changed)


def log_missing(files: Sequence[PhotoFile], backbone: Backbone, recipe: Recipe, store: TokenStore) -> None:
    """Log how many photos are missing from the store, and how much disk space their tokens need."""
    missing = sum(not present for _, present, _ in stored_photos(files, store))
    if not missing:
        log.info("%s, all in the store for %s", counted(len(files), "photo"), backbone.name)
        return
    needed = missing * token_bytes(backbone, recipe)
    log.info(
        "%s: %d in the store, at most %d to extract with %s (%s), which needs up to %s of disk space",
        counted(len(files), "photo"), len(files) - missing, missing, backbone.name, backbone.engine.precision,
        file_size(needed),
    )  # fmt: skip
    whole = store.root.resolve()
    free = shutil.disk_usage(next(folder for folder in (whole, *whole.parents) if folder.is_dir())).free
    if needed > free:
        log.warning(
            "The tokens need about %s, but only %s are free on the disk of %s.",
            file_size(needed),
            file_size(free),
            store.root,
        )  # fmt: skip


def stored_photos(files: Sequence[PhotoFile], store: TokenStore) -> Iterator[tuple[PhotoFile, bool, str | None]]:
    """Each photo, whether the store has its tokens, and the reason if the photo could not be read last time.

    Only the store's index is used; no photo is read.
    """
    for file, entry in _index_entries(files, store):
        yield file, entry.sha256 is not None and entry.sha256 in store, entry.failure


def token_bytes(backbone: Backbone, recipe: Recipe) -> int:
    """Bytes of one photo's tokens."""
    return math.prod(tokens_shape(recipe, backbone.width)) * DTYPES[backbone.engine.tokens].itemsize


def take_shard(files: Sequence[PhotoFile], shard: str) -> Sequence[PhotoFile]:
    """Every n-th photo, for `shard` "i/n". Counting i from 0 or from 1 both cover all photos: n/n is 0/n."""
    index, count = parse_shard(shard)
    return files[index % count :: count]


@dataclass
class _Extractor:
    """Computes the tokens of one photo, or of a batch."""

    backbone: Backbone
    recipe: Recipe
    store: TokenStore | None
    open_photos: bool
    read_stored: bool
    stopped: threading.Event = field(default_factory=threading.Event)

    def prepare(self, indexed: tuple[PhotoFile, IndexEntry]) -> tuple[Extracted, list[Tensor] | None]:
        """A photo's tokens if the store has them, else the backbone's input images."""
        file, entry = indexed
        item = Extracted(file, entry=entry)
        try:
            if entry.sha256 and not self.open_photos:
                item.sha256 = entry.sha256
                if self._load_stored(item):
                    return item, None
            item.photo = open_photo(file)
            item.sha256 = item.photo.sha256
            if self._load_stored(item):
                return item, None
            return item, input_images(item.photo.pixels(), self.recipe, self.backbone.patch_px)
        except PhotoUnreadable as failure:
            item.failure = failure
            return item, None

    def _load_stored(self, item: Extracted) -> bool:
        """Whether the store has this photo's tokens; if they are to be read, they are put into the item."""
        if self.store is None or item.sha256 not in self.store:
            return False
        if not self.read_stored:
            item.from_store = self.store.has_complete(item.sha256)
            return item.from_store
        try:
            item.tokens, item.from_store = self.store.load(item.sha256), True
        except TokensCorrupt as damage:
            log.warning("%s", damage)
            self.store.discard(item.sha256)
        return item.from_store

    def extract(self, indexed: tuple[PhotoFile, IndexEntry]) -> Extracted:
        """Take one photo from file to tokens."""
        item, images = self.prepare(indexed)
        if images is not None:
            self._run([(item, images)], 1)
        return item

    def in_batches(
        self, prepared: Iterable[tuple[Extracted, list[Tensor] | None]], per_batch: int
    ) -> Iterator[Extracted]:
        """Yield the photos in order; the backbone gets the images of `per_batch` photos at a time."""
        waiting: list[tuple[Extracted, list[Tensor] | None]] = []

        def finished() -> Iterator[Extracted]:
            missing = [(item, images) for item, images in waiting if images is not None]
            if missing:
                self._run(missing, per_batch)
            yield from [item for item, _ in waiting]
            waiting.clear()

        for one in prepared:
            waiting.append(one)
            missing = sum(images is not None for _, images in waiting)
            if missing in (0, per_batch) or len(waiting) >= 4 * per_batch:
                yield from finished()
        yield from finished()

    def _run(self, batch: list[tuple[Extracted, list[Tensor]]], per_batch: int) -> None:
        """Compute the tokens of a batch. A short batch is padded, so that no result depends on the other photos."""
        outputs: list[list[BackboneOutput]] = [[] for _ in batch]
        for size in range(len(batch[0][1])):
            images = [images[size] for _, images in batch]
            padding = [torch.zeros_like(images[0])] * (per_batch - len(batch))
            class_vectors, patches = self._vectors(torch.cat([*images, *padding]) if per_batch > 1 else images[0])
            for number, own in enumerate(images):
                span = slice(number * len(own), (number + 1) * len(own))
                outputs[number].append(BackboneOutput(class_vectors[span], patches[span]))
        for (item, _), of_photo in zip(batch, outputs, strict=True):
            # In the type of the store, so that results do not depend on whether there is one.
            item.tokens = upright_tokens(of_photo, self.recipe).to(DTYPES[self.backbone.engine.tokens])
            if not item.tokens.isfinite().all():
                raise TokensCorrupt(
                    f"The tokens of {item.file.name} are not finite in {self.backbone.engine.tokens}; "
                    f'try `precision="fp32"`.'
                )
            if self.store is not None:
                self.store.save(item.sha256, item.tokens)

    def _vectors(self, images: Float[Tensor, "image 3 side side"]) -> tuple[Tensor, Tensor]:
        patches = (images.shape[-1] // self.backbone.patch_px) ** 2
        images_per_call = max(1, max(MIN_PATCHES, self.backbone.batch_patches) // patches)
        results = []
        for part in images.tensor_split(math.ceil(len(images) / images_per_call)):
            if self.stopped.is_set():
                raise CancelledError
            results.append(self.backbone(part))
        class_vectors, vectors = (torch.cat(of) for of in zip(*results, strict=True))
        return class_vectors, vectors


@contextmanager
def _pool(workers: int, threads: int) -> Iterator[ThreadPoolExecutor]:
    """A pool of workers that each use `threads` threads of torch; torch's own setting is restored at the end."""
    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(workers, "photo", initializer=torch.set_num_threads, initargs=(threads,))
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        torch.set_num_threads(before)


def _in_order(
    pool: ThreadPoolExecutor, task: Callable[[Argument], Result], arguments: Iterable[Argument], ahead: int
) -> Iterator[Result]:
    """Results of the task in order; at most `ahead` results are computed in advance."""
    futures: deque[Future[Result]] = deque()
    for argument in arguments:
        futures.append(pool.submit(task, argument))
        if len(futures) > ahead:
            yield futures.popleft().result()
    while futures:
        yield futures.popleft().result()


def _index_entries(files: Sequence[PhotoFile], store: TokenStore | None) -> Iterator[tuple[PhotoFile, IndexEntry]]:
    """Each photo with its entry in the store's index."""
    for start in range(0, len(files), LOOKUP_BATCH):
        some = list(files[start : start + LOOKUP_BATCH])
        yield from zip(some, store.index.find(some) if store else [UNKNOWN] * len(some), strict=True)


def _update_index(store: TokenStore, changed: list[tuple[PhotoFile, IndexEntry]]) -> None:
    store.index.update(changed)
    changed.clear()


class _Clock:
    """Logs an estimate of the remaining time after the first extracted photo; `parallel` photos run at a time."""

    def __init__(self, total: int, parallel: int) -> None:
        self.left, self.parallel, self.logged = total, parallel, False
        self.started = time.monotonic()

    def count(self, item: Extracted) -> None:
        """Count a finished photo."""
        self.left -= 1
        if item.from_store:
            self.started = time.monotonic()
        if self.logged or item.from_store or item.tokens is None:
            return
        seconds = time.monotonic() - self.started
        rest = seconds * self.left / self.parallel
        if rest > 5:
            log.info("The first photo took %.1f s; at most %.0f s for the remaining %d.", seconds, rest, self.left)
        self.logged = True
