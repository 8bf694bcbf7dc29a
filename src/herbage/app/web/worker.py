"""The one thread that owns the model, and the bounded queue before it.

Photos that wait are taken together, so that a crowd is served as fast as `herbage predict` is.
"""

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from herbage.backbones.backbone import Backbone
from herbage.model.estimate import Estimate
from herbage.model.model import HerbageModel
from herbage.photos.photo import PhotoFile

TOGETHER = 16
"""Photos taken from the queue at once: enough to keep the cores busy, and few enough to notice who has gone."""


Answer = tuple[Estimate, str]
"""An estimate, and the sha256 of its photo."""


@dataclass
class _Job:
    """A photo that waits, and where its answer goes."""

    file: PhotoFile
    loop: asyncio.AbstractEventLoop
    done: "asyncio.Future[Answer]"


@dataclass
class Worker:
    """Photos go in from the event loop, estimates come back as futures; at most `most_waiting` photos wait."""

    model: HerbageModel
    backbone: Backbone
    most_waiting: int
    waiting: deque[_Job] = field(default_factory=deque)
    in_hand: int = 0
    stopped: bool = False
    seconds_a_photo: float = 1.0
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def start(self) -> None:
        """Begin to work, or begin again."""
        self.stopped = False
        threading.Thread(target=self._run, name="model", daemon=True).start()

    def stop(self) -> None:
        """Take no more; what is in hand is not waited for."""
        with self._changed:
            self.stopped = True
            self._changed.notify()

    @property
    def load(self) -> int:
        """Photos that wait or are in hand."""
        return len(self.waiting) + self.in_hand

    @property
    def seconds_left(self) -> int:
        """How long the photos now here will take, at least 1."""
        return max(1, math.ceil(self.load * self.seconds_a_photo))

    def has_room(self, photos: int) -> bool:
        """Whether so many more may wait; an idle server takes any request that is within its limits."""
        return self.load == 0 or self.load + photos <= self.most_waiting

    def submit(self, files: Sequence[PhotoFile]) -> list["asyncio.Future[Answer]"]:
        """Put photos in the queue, from the event loop."""
        loop = asyncio.get_running_loop()
        jobs = [_Job(file, loop, loop.create_future()) for file in files]
        with self._changed:
            self.waiting.extend(jobs)
            self._changed.notify()
        return [job.done for job in jobs]

    def forget(self, answers: Sequence["asyncio.Future[Answer]"]) -> None:
        """Nobody waits for these any longer: their photos give up their places, and their memory."""
        gone = set(answers)
        with self._changed:
            self.waiting = deque(job for job in self.waiting if job.done not in gone)
        for one in answers:
            one.cancel()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self.waiting or self.stopped)
                if self.stopped:
                    return
                jobs = [self.waiting.popleft() for _ in range(min(TOGETHER, len(self.waiting)))]
                self.in_hand = len(jobs)
            before = time.monotonic()
            self._estimate(jobs)
            self.seconds_a_photo = (time.monotonic() - before) / len(jobs)
            self.in_hand = 0

    def _estimate(self, jobs: list[_Job]) -> None:
        answered = 0
        try:
            made = self.model.estimates([job.file for job in jobs], self.backbone, with_map=True)
            for job, (estimate, item) in zip(jobs, made, strict=True):
                # Before the answer: who has it may ask at once how many are in hand.
                self.in_hand -= 1
                job.loop.call_soon_threadsafe(_answer, job.done, (estimate, item.sha256))
                answered += 1
                if self.stopped:
                    return
        except Exception as error:
            if len(jobs) == 1:
                self.in_hand -= 1
                jobs[0].loop.call_soon_threadsafe(_fail, jobs[0].done, error)
                return
            # One photo must not cost the others their answers.
            for job in jobs[answered:]:
                self._estimate([job])


def _answer(done: "asyncio.Future[Answer]", answer: Answer) -> None:
    if not done.done():
        done.set_result(answer)


def _fail(done: "asyncio.Future[Answer]", error: Exception) -> None:
    if not done.done():
        done.set_exception(error)
