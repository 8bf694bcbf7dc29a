"""The thread that runs the model, and its bounded queue.

Waiting photos are estimated in batches, so that many requests are served as fast as by `herbage predict`.
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

BATCH = 16
"""Photos per batch: enough to keep the cores busy, but few enough to finish soon after clients disconnect."""

Answer = tuple[Estimate, str]
"""An estimate and the key of its photo, empty where it could not be read."""


@dataclass
class _Job:
    """A photo in the queue, and the future for its estimate."""

    file: PhotoFile
    loop: asyncio.AbstractEventLoop
    done: "asyncio.Future[Answer]"


@dataclass
class Worker:
    """Estimates photos submitted from the event loop; at most `most_waiting` photos wait in the queue."""

    model: HerbageModel
    backbone: Backbone
    most_waiting: int
    waiting: deque[_Job] = field(default_factory=deque)
    in_progress: int = 0
    stopped: bool = False
    seconds_per_photo: float = 1.0
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def start(self) -> None:
        """Start the thread, or restart it after `stop`."""
        self.stopped = False
        threading.Thread(target=self._run, name="model", daemon=True).start()

    def stop(self) -> None:
        """Stop after the current photo, without waiting for it."""
        with self._changed:
            self.stopped = True
            self._changed.notify()

    @property
    def load(self) -> int:
        """Number of photos waiting or in progress."""
        return len(self.waiting) + self.in_progress

    @property
    def seconds_left(self) -> int:
        """Expected time in seconds for all photos waiting or in progress; at least 1."""
        return max(1, math.ceil(self.load * self.seconds_per_photo))

    def has_room(self, photos: int) -> bool:
        """Whether this many more photos may wait; an idle worker accepts any number."""
        return self.load == 0 or self.load + photos <= self.most_waiting

    def submit(self, files: Sequence[PhotoFile]) -> list["asyncio.Future[Answer]"]:
        """Queue photos and return a future for each estimate; call it from the event loop."""
        loop = asyncio.get_running_loop()
        jobs = [_Job(file, loop, loop.create_future()) for file in files]
        with self._changed:
            self.waiting.extend(jobs)
            self._changed.notify()
        return [job.done for job in jobs]

    def cancel(self, answers: Sequence["asyncio.Future[Answer]"]) -> None:
        """Cancel these futures and remove their photos from the queue."""
        cancelled = set(answers)
        with self._changed:
            self.waiting = deque(job for job in self.waiting if job.done not in cancelled)
        for answer in answers:
            answer.cancel()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self.waiting or self.stopped)
                if self.stopped:
                    return
                jobs = [self.waiting.popleft() for _ in range(min(BATCH, len(self.waiting)))]
                self.in_progress = len(jobs)
            started = time.monotonic()
            self._estimate(jobs)
            self.seconds_per_photo = (time.monotonic() - started) / len(jobs)
            self.in_progress = 0

    def _estimate(self, jobs: list[_Job]) -> None:
        answered = 0
        try:
            estimates = self.model.estimates([job.file for job in jobs], self.backbone, with_map=True)
            for job, (estimate, item) in zip(jobs, estimates, strict=True):
                # Decrement first: the client may ask for the load as soon as it has its answer.
                self.in_progress -= 1
                job.loop.call_soon_threadsafe(_answer, job.done, (estimate, item.photo.key if item.photo else ""))
                answered += 1
                if self.stopped:
                    return
        except Exception as error:
            if len(jobs) == 1:
                self.in_progress -= 1
                jobs[0].loop.call_soon_threadsafe(_fail, jobs[0].done, error)
                return
            # Retry one by one, so that only the failing photo gets the error.
            for job in jobs[answered:]:
                self._estimate([job])


def _answer(done: "asyncio.Future[Answer]", answer: Answer) -> None:
    if not done.done():
        done.set_result(answer)


def _fail(done: "asyncio.Future[Answer]", error: Exception) -> None:
    if not done.done():
        done.set_exception(error)
