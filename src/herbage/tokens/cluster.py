"""Process photos on many machines with Ray Data (extra `cluster`). A worker runs the same code as a single machine.

The task is passed in by the caller; this module distributes photos to workers and handles their failures. A worker that
dies is restarted and its photos are processed again. Photos that it was processing are then tried one at a time, so
that a photo that kills its worker is identified, and skipped after MAX_TRIES.
"""

import logging
import os
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from herbage.errors import HerbageError, InputInvalid, PhotoTooLarge
from herbage.photos.photo import PhotoFile

log = logging.getLogger("herbage")

MAX_TRIES = 2
PHOTOS_PER_CALL = 16
"""Photos that a worker gets at once: enough to keep its cores busy, and few enough to repeat."""

CONNECT_TIMEOUT_S = 10

Result = TypeVar("Result")
PhotoTask = Callable[[list[PhotoFile]], Iterable[tuple[PhotoFile, Result]]]
"""Processes photos and yields each with its result, in any order; photos and results are sent between machines."""


@dataclass(frozen=True)
class Cluster:
    """Where the photos are processed.

    `address` is that of a Ray cluster; `auto` takes the cluster that this machine belongs to, or else this machine
    alone. A worker has a GPU where `uses_gpu` is set and there are GPUs, else `worker_cpus` cores, by default all cores
    of a machine. `attempts` is a folder shared by all machines, where photos in progress are recorded; `retry_hint`
    ends the message about a skipped photo and says how to try it again.
    """

    address: str
    attempts: Path
    retry_hint: str
    worker_cpus: int | None = None
    uses_gpu: bool = False


def stream_on_cluster(
    files: Sequence[PhotoFile], make_task: Callable[[], PhotoTask[Result]], cluster: Cluster
) -> Iterator[tuple[PhotoFile, Result | PhotoTooLarge]]:
    """Yield each photo in the order given, with the result of a worker, or the reason why it was skipped.

    `make_task` is called once in each worker. Raises InputInvalid if no cluster answers, and the errors of the workers.
    """
    if not files:
        return
    _Attempts(cluster.attempts, cluster.retry_hint).clear_unfinished()
    ray = _connected(cluster.address)
    try:
        pool = _pool(ray, cluster)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.execution_options.preserve_order = True
        # Only row numbers are sent: the list of photos is put into the shared object store once.
        calls = -(-len(files) // PHOTOS_PER_CALL)
        results = ray.data.range(len(files), override_num_blocks=calls).map_batches(
            _Worker, batch_size=None, batch_format="numpy",
            fn_constructor_args=(ray.put(files), Path.cwd(), make_task, cluster.attempts, cluster.retry_hint), **pool,
        )  # fmt: skip
        try:
            for number, row in enumerate(results.iter_rows()):
                yield files[number], row["result"]
        except ray.exceptions.RayError as error:
            raise _cause(error) from error
    finally:
        ray.shutdown()


def absolute_folder(place: Any) -> Any:
    """The absolute path of an existing folder, which workers can open from any directory; other values unchanged."""
    if isinstance(place, str | Path) and Path(place).expanduser().is_dir():
        return str(Path(place).expanduser().absolute())
    return place


class _Worker(Generic[Result]):
    """A Ray actor: takes row numbers of photos and returns their results in the same order."""

    def __init__(
        self, files: Any, folder: Path, make_task: Callable[[], PhotoTask[Result]], attempts: Path, retry_hint: str
    ) -> None:
        import ray

        self.files: Sequence[PhotoFile] = ray.get(files)
        self.folder = folder
        self.task = make_task()
        self.attempts = _Attempts(attempts, retry_hint)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        files = [self._absolute(self.files[int(number)]) for number in batch["id"]]
        tries = [self.attempts.count(file) for file in files]
        suspects = [file for file, count in zip(files, tries, strict=True) if 0 < count < MAX_TRIES]
        fresh = [file for file, count in zip(files, tries, strict=True) if count == 0]
        done: dict[PhotoFile, Result] = {}
        for together in (fresh, *([file] for file in suspects)):
            for file in together:
                self.attempts.begin(file)
            for file, result in self.task(together):
                self.attempts.end(file)
                done[file] = result
        results = np.empty(len(files), object)
        for number, file in enumerate(files):
            results[number] = done[file] if file in done else self.attempts.skipped(file)
        return {"result": results}

    def _absolute(self, file: PhotoFile) -> PhotoFile:
        """The photo with its path relative to the folder of the driver, not of this worker."""
        return replace(file, path=self.folder / file.path)


class _Attempts:
    """Counts the attempts at each photo in a small file, which remains if its worker died."""

    def __init__(self, folder: Path, retry_hint: str) -> None:
        self.folder, self.retry_hint = folder, retry_hint
        folder.mkdir(parents=True, exist_ok=True)

    def clear_unfinished(self) -> None:
        """Forget attempts of an interrupted run: the run may have been stopped without a worker dying."""
        for record in self.folder.iterdir():
            if record.stat().st_size < MAX_TRIES:
                record.unlink()

    def count(self, file: PhotoFile) -> int:
        """How many attempts at the photo began and did not end."""
        try:
            return len(self._record(file).read_bytes())
        except FileNotFoundError:
            return 0

    def begin(self, file: PhotoFile) -> None:
        """Record one more attempt."""
        with self._record(file).open("ab") as record:
            record.write(b".")

    def end(self, file: PhotoFile) -> None:
        """Record that the photo was processed, with or without success."""
        self._record(file).unlink(missing_ok=True)

    def skipped(self, file: PhotoFile) -> PhotoTooLarge:
        """The reason why the photo is not tried again."""
        return PhotoTooLarge(
            f"{file.name} was skipped: {MAX_TRIES} workers died while processing it. To try it again, {self.retry_hint}"
        )

    def _record(self, file: PhotoFile) -> Path:
        return self.folder / sha256(str(file).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _connected(address: str) -> Any:
    """Connect Ray, with its usage reports switched off."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise InputInvalid("`cluster` needs Ray: pip install 'herbage[cluster]' on every machine.") from error
    if address != "auto":
        _check_reachable(address)
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        try:
            ray.init(address=address, **quiet)
        except ConnectionError:
            if address != "auto":
                raise
            ray.init(include_dashboard=False, **quiet)
    except (ValueError, RuntimeError, OSError) as error:
        raise InputInvalid(f"`cluster={address}`: no Ray cluster answers at this address ({error}).") from error
    # Ray reports dead workers on standard output, which is reserved for results; skipped photos are reported here.
    ray._private.worker._worker_logs_enabled = False
    return ray


def _check_reachable(address: str) -> None:
    """Raise InputInvalid where nothing answers; Ray itself would retry for many minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host, int(port)), CONNECT_TIMEOUT_S).close()
    except (OSError, ValueError, OverflowError) as error:
        raise InputInvalid(
            f"`cluster={address}`: no Ray cluster answers at this address ({error}); expected auto or HOST:PORT."
        ) from error


def _pool(ray: Any, cluster: Cluster) -> dict[str, Any]:
    """The number of workers and the resources of each, as arguments for Ray."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    gpus = sum(int(node.get("GPU", 0)) for node in nodes) if cluster.uses_gpu else 0
    cores = [int(node.get("CPU", 0)) for node in nodes if node.get("CPU", 0) >= 1]
    if not cores:
        raise InputInvalid("The Ray cluster has no machine with a free core.")
    cpus = cluster.worker_cpus or (1 if gpus else min(cores))
    workers = gpus or sum(core // cpus for core in cores)
    if not workers:
        raise InputInvalid(
            f"`worker_cpus={cpus}`: no machine of the cluster has this many cores; the largest has {max(cores)}."
        )
    log.info("%d workers on %d machines, each with %s", workers, len(nodes), "a GPU" if gpus else f"{cpus} cores")
    own = {"num_gpus": 1} if gpus else {"num_cpus": cpus}
    return {"compute": ray.data.ActorPoolStrategy(min_size=1, max_size=workers), **own}


def _cause(error: BaseException) -> BaseException:
    """The error that a worker raised if it is herbage's or the system's, else one with Ray's message."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, HerbageError | OSError) and not type(cause).__module__.startswith("ray."):
            return cause
        cause = getattr(cause, "cause", None) or cause.__cause__
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return InputInvalid(f"The cluster's workers failed: {lines[-1]}")
