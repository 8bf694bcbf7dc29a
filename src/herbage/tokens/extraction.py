"""Which photos are missing from a store, and filling them in: every core is busy, memory stays flat."""

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
from herbage.errors import InputInvalid, PhotoUnreadable, TokensCorrupt
from herbage.formatting import counted, file_size
from herbage.photos.photo import Photo, PhotoFile, open_photo
from herbage.recipe import Recipe
from herbage.tokens.layout import Seen, kept_tokens, shown_images, tokens_shape
from herbage.tokens.store import DTYPES, UNKNOWN, Known, TokenStore

log = logging.getLogger("herbage")

Asked = TypeVar("Asked")
Result = TypeVar("Result")

MOST_WORKERS = 8
LOOKED_UP_AT_ONCE, REMEMBERED_AT_ONCE = 1000, 100
PATCHES_AT_ONCE = 1600
"""What a backbone sees in one call at least, if a photo has as many: enough to keep a core busy, and no more memory."""


@dataclass
class Extracted:
    """What became of one photo: its tokens, or why there are none.

    `photo` is None where the store had the tokens and the file was not opened, and where it could not be.
    `from_store` tells whether the backbone was spared; `known` is what the store's index knew before.
    """

    file: PhotoFile
    photo: Photo | None = None
    sha256: str = ""
    tokens: Float[Tensor, "view kept width"] | None = None
    failure: PhotoUnreadable | None = None
    from_store: bool = False
    known: Known = UNKNOWN

    def learnt(self) -> Known | None:
        """What the store's index did not know of this photo."""
        now = Known(failure=str(self.failure)) if self.failure else Known(self.sha256)
        return None if now == self.known else now


def stream_tokens(
    files: Sequence[PhotoFile],
    backbone: Backbone,
    recipe: Recipe,
    store: TokenStore | None = None,
    *,
    open_photos: bool = False,
    read_kept: bool = True,
) -> Iterator[Extracted]:
    """Every photo's tokens, in the order given, from the store or from the backbone (and then into the store).

    With `open_photos` each photo is opened although the store has its tokens, for its facts. Without `read_kept` tokens
    that the store has are not read, so their items have none, and only their length is checked. A photo that cannot be
    read is an item with a failure; a damaged token file is mended. Stopping early loses nothing that was yielded.

    On a CPU each core takes a photo from its file to its tokens: threads that share one product wait for each other
    whenever a core is also decoding. On a GPU the threads decode, and the backbone sees batches.
    """
    work = _Work(backbone, recipe, store, open_photos, read_kept)
    per_batch = max(1, backbone.batch_patches // patches_per_photo(recipe))
    threads = torch.get_num_threads()
    workers = max(1, min(threads, MOST_WORKERS, len(files)))
    clock = _Clock(len(files), per_batch if backbone.batch_patches else workers)
    asked = _known(files, store)
    news: list[tuple[PhotoFile, Known]] = []
    with _pool(workers, threads // workers) as pool:
        try:
            if backbone.batch_patches:
                prepared = _in_order(pool, work.prepare, asked, ahead=workers + per_batch)
                items = work.in_batches(prepared, per_batch)
            else:
                items = _in_order(pool, work.whole, asked, ahead=2 * workers)
            for item in items:
                clock.tell(item)
                if store is not None and (learnt := item.learnt()):
                    news.append((item.file, learnt))
                    if len(news) >= REMEMBERED_AT_ONCE:
                        _remember(store, news)
                yield item
        finally:
            work.stopped.set()
            if store is not None:
                _remember(store, news)


def announce(files: Sequence[PhotoFile], backbone: Backbone, recipe: Recipe, store: TokenStore) -> None:
    """Say how many photos there are, how many are missing, and how much disk they will take."""
    missing = sum(not present for _, present, _ in look_up(files, store))
    if not missing:
        log.info("%s, all in the store for %s", counted(len(files), "photo"), backbone.name)
        return
    needed = missing * token_bytes(backbone, recipe)
    log.info(
        "%s: %d known to the store, at most %d to extract with %s (%s) for %s of disk",
        counted(len(files), "photo"), len(files) - missing, missing, backbone.name, backbone.engine.precision,
        file_size(needed),
    )  # fmt: skip
    whole = store.root.resolve()
    free = shutil.disk_usage(next(folder for folder in (whole, *whole.parents) if folder.is_dir())).free
    if needed > free:
        log.warning(
            "The tokens need about %s, but the disk of %s has %s free.", file_size(needed), store.root, file_size(free)
        )


def look_up(files: Sequence[PhotoFile], store: TokenStore) -> Iterator[tuple[PhotoFile, bool, str | None]]:
    """Each photo, whether the store has its tokens, and why it could not be read when it was last tried.

    As far as the store's index knows: no photo is read.
    """
    for file, known in _known(files, store):
        yield file, known.sha256 is not None and known.sha256 in store, known.failure


def token_bytes(backbone: Backbone, recipe: Recipe) -> int:
    """Bytes of one photo's tokens."""
    return math.prod(tokens_shape(recipe, backbone.width)) * DTYPES[backbone.engine.tokens].itemsize


def take_shard(files: Sequence[PhotoFile], shard: str) -> Sequence[PhotoFile]:
    """Every n-th photo, for `shard` "i/n". Counting i from 0 or from 1 both cover all photos: n/n is 0/n."""
    try:
        index, count = (int(part) for part in shard.split("/"))
    except ValueError as error:
        raise InputInvalid(f"--shard {shard}: expected i/n, such as 1/4.") from error
    if count < 1 or not 0 <= index <= count:
        raise InputInvalid(f"--shard {shard}: expected i/n with n at least 1 and i between 0 and n.")
    return files[index % count :: count]


@dataclass
class _Work:
    """What is done with one photo, or with a batch."""

    backbone: Backbone
    recipe: Recipe
    store: TokenStore | None
    open_photos: bool
    read_kept: bool
    stopped: threading.Event = field(default_factory=threading.Event)

    def prepare(self, asked: tuple[PhotoFile, Known]) -> tuple[Extracted, list[Tensor] | None]:
        """A photo's tokens where the store has them, else the images to show the backbone."""
        file, known = asked
        item = Extracted(file, known=known)
        try:
            if known.sha256 and not self.open_photos:
                item.sha256 = known.sha256
                if self._is_kept(item):
                    return item, None
            item.photo = open_photo(file)
            item.sha256 = item.photo.sha256
            if self._is_kept(item):
                return item, None
            return item, shown_images(item.photo.pixels(), self.recipe, self.backbone.patch_px)
        except PhotoUnreadable as failure:
            item.failure = failure
            return item, None

    def _is_kept(self, item: Extracted) -> bool:
        """Whether the store has this photo's tokens; then they are in the item, if they are to be read."""
        if self.store is None or item.sha256 not in self.store:
            return False
        if not self.read_kept:
            item.from_store = self.store.has_whole(item.sha256)
            return item.from_store
        try:
            item.tokens, item.from_store = self.store.load(item.sha256), True
        except TokensCorrupt as damage:
            log.warning("%s", damage)
            self.store.discard(item.sha256)
        return item.from_store

    def whole(self, asked: tuple[PhotoFile, Known]) -> Extracted:
        """A photo from its file to its tokens."""
        item, images = self.prepare(asked)
        if images is not None:
            self._run([(item, images)], 1)
        return item

    def in_batches(
        self, prepared: Iterable[tuple[Extracted, list[Tensor] | None]], per_batch: int
    ) -> Iterator[Extracted]:
        """The photos in their order, those that need the backbone `per_batch` at a time."""
        waiting: list[tuple[Extracted, list[Tensor] | None]] = []

        def done() -> Iterator[Extracted]:
            shown = [(item, images) for item, images in waiting if images is not None]
            if shown:
                self._run(shown, per_batch)
            yield from [item for item, _ in waiting]
            waiting.clear()

        for one in prepared:
            waiting.append(one)
            missing = sum(images is not None for _, images in waiting)
            if missing in (0, per_batch) or len(waiting) >= 4 * per_batch:
                yield from done()
        yield from done()

    def _run(self, shown: list[tuple[Extracted, list[Tensor]]], per_batch: int) -> None:
        """Fill in the tokens of a batch of fixed shape: a short one is padded, so no result depends on the others."""
        seen: list[list[Seen]] = [[] for _ in shown]
        for size in range(len(shown[0][1])):
            images = [images[size] for _, images in shown]
            padding = [torch.zeros_like(images[0])] * (per_batch - len(shown))
            class_vectors, patches = self._see(torch.cat([*images, *padding]) if per_batch > 1 else images[0])
            for number, own in enumerate(images):
                span = slice(number * len(own), (number + 1) * len(own))
                seen[number].append(Seen(own, class_vectors[span], patches[span]))
        for (item, _), of in zip(shown, seen, strict=True):
            # In the type that a store would keep, so that a store changes no result.
            item.tokens = kept_tokens(of, self.recipe).to(DTYPES[self.backbone.engine.tokens])
            if not item.tokens.isfinite().all():
                raise TokensCorrupt(
                    f"The backbone gave tokens of {item.file.name} that are not finite in "
                    f"{self.backbone.engine.tokens}; try --precision fp32."
                )
            if self.store is not None:
                self.store.save(item.sha256, item.tokens)

    def _see(self, images: Float[Tensor, "image 3 side side"]) -> tuple[Tensor, Tensor]:
        patches = (images.shape[-1] // self.backbone.patch_px) ** 2
        at_once = max(1, max(PATCHES_AT_ONCE, self.backbone.batch_patches) // patches)
        answers = []
        for part in images.tensor_split(math.ceil(len(images) / at_once)):
            if self.stopped.is_set():
                raise CancelledError
            answers.append(self.backbone(part))
        class_vectors, vectors = (torch.cat(of) for of in zip(*answers, strict=True))
        return class_vectors, vectors


@contextmanager
def _pool(workers: int, threads: int) -> Iterator[ThreadPoolExecutor]:
    """Threads of Python that each compute with so many threads of torch; torch's own number is put back at the end."""
    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(workers, "photo", initializer=torch.set_num_threads, initargs=(threads,))
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        torch.set_num_threads(before)


def _in_order(
    pool: ThreadPoolExecutor, task: Callable[[Asked], Result], asked: Iterable[Asked], ahead: int
) -> Iterator[Result]:
    """What the task made of each, in order, while so many ahead are in work or done."""
    futures: deque[Future[Result]] = deque()
    for one in asked:
        futures.append(pool.submit(task, one))
        if len(futures) > ahead:
            yield futures.popleft().result()
    while futures:
        yield futures.popleft().result()


def _known(files: Sequence[PhotoFile], store: TokenStore | None) -> Iterator[tuple[PhotoFile, Known]]:
    """Each photo, and what the store's index knows of it."""
    for start in range(0, len(files), LOOKED_UP_AT_ONCE):
        some = list(files[start : start + LOOKED_UP_AT_ONCE])
        yield from zip(some, store.index.find(some) if store else [UNKNOWN] * len(some), strict=True)


def _remember(store: TokenStore, news: list[tuple[PhotoFile, Known]]) -> None:
    store.index.remember(news)
    news.clear()


class _Clock:
    """Says after the first photo that the backbone saw how long the rest will take, `together` being done at a time."""

    def __init__(self, total: int, together: int) -> None:
        self.left, self.together, self.said = total, together, False
        self.started = time.monotonic()

    def tell(self, item: Extracted) -> None:
        """A photo is done."""
        self.left -= 1
        if item.from_store:
            self.started = time.monotonic()
        if self.said or item.from_store or item.tokens is None:
            return
        seconds = time.monotonic() - self.started
        rest = seconds * self.left / self.together
        if rest > 5:
            log.info("The first photo took %.1f s; at most %.0f s for the %d left.", seconds, rest, self.left)
        self.said = True
