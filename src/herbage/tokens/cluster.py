"""The same work on many machines, by Ray Data (extra `cluster`): a worker is the plain program on some of the photos.

What a worker does with photos is passed in; here is only how photos come to workers, and what happens when one dies. A
worker that dies is started again and its photos are done again. Those that it had in hand are then tried one at a time,
so that a photo which kills its worker is known, and set aside after TRIES.
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

TRIES = 2
PHOTOS_A_CALL = 16
"""Photos that a worker is given at once: enough to keep its cores busy, and few enough to do again."""

ANSWER_S = 10

Made = TypeVar("Made")
Work = Callable[[list[PhotoFile]], Iterable[tuple[PhotoFile, Made]]]
"""Takes photos, gives what it made of each, whatever it is, in any order; both have to travel between machines."""


@dataclass(frozen=True)
class Cluster:
    """Where the work is done. `address`: of a Ray cluster; `auto` takes the one that this machine belongs to, or else
    this machine alone. A worker has a GPU where `uses_gpu` and there are some, or else `worker_cpus` cores (by default
    all of a machine). `trying` is a folder that all machines see, where photos in hand are noted; `again` says how a
    photo that was set aside is tried again.
    """

    address: str
    trying: Path
    again: str
    worker_cpus: int | None = None
    uses_gpu: bool = False


def stream_on_cluster(
    files: Sequence[PhotoFile], make_work: Callable[[], Work[Made]], cluster: Cluster
) -> Iterator[tuple[PhotoFile, Made | PhotoTooLarge]]:
    """Each photo in the order given, with what the workers made of it, or why it was set aside.

    `make_work` is called once in each worker. Raises InputInvalid where there is no such cluster, and what a worker
    raises.
    """
    if not files:
        return
    _Trying(cluster.trying, cluster.again).forget_begun()
    ray = _connected(cluster.address)
    try:
        pool = _pool(ray, cluster)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.execution_options.preserve_order = True
        # Numbers travel, and not photos: the list is put once where all workers see it.
        calls = -(-len(files) // PHOTOS_A_CALL)
        done = ray.data.range(len(files), override_num_blocks=calls).map_batches(
            _Worker, batch_size=None, batch_format="numpy",
            fn_constructor_args=(ray.put(files), Path.cwd(), make_work, cluster.trying, cluster.again), **pool,
        )  # fmt: skip
        try:
            for number, row in enumerate(done.iter_rows()):
                yield files[number], row["made"]
        except ray.exceptions.RayError as error:
            raise _cause(error) from error
    finally:
        ray.shutdown()


def anywhere(place: Any) -> Any:
    """The path of a folder here as it is called in every worker's folder; what is no folder stays as it is."""
    if isinstance(place, str | Path) and Path(place).expanduser().is_dir():
        return str(Path(place).expanduser().absolute())
    return place


class _Worker(Generic[Made]):
    """An actor: takes the numbers of photos, gives what was made of them in the same order."""

    def __init__(self, files: Any, here: Path, make_work: Callable[[], Work[Made]], trying: Path, again: str) -> None:
        import ray

        self.files: Sequence[PhotoFile] = ray.get(files)
        self.here = here
        self.work = make_work()
        self.trying = _Trying(trying, again)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        files = [self._anywhere(self.files[int(number)]) for number in batch["id"]]
        tried = [self.trying.count(file) for file in files]
        suspects = [file for file, count in zip(files, tried, strict=True) if 0 < count < TRIES]
        fresh = [file for file, count in zip(files, tried, strict=True) if count == 0]
        done: dict[PhotoFile, Made] = {}
        for together in (fresh, *([file] for file in suspects)):
            for file in together:
                self.trying.begin(file)
            for file, made in self.work(together):
                self.trying.end(file)
                done[file] = made
        found = np.empty(len(files), object)
        for number, file in enumerate(files):
            found[number] = done[file] if file in done else self.trying.aside(file)
        return {"made": found}

    def _anywhere(self, file: PhotoFile) -> PhotoFile:
        """A photo by a path that means the same in this worker's folder."""
        return replace(file, path=self.here / file.path)


class _Trying:
    """Which photos are in hand, and how often each was: a small file a photo, which is left where its worker died."""

    def __init__(self, folder: Path, again: str) -> None:
        self.folder, self.again = folder, again
        folder.mkdir(parents=True, exist_ok=True)

    def forget_begun(self) -> None:
        """Forget what an earlier run left in hand: it may have been ended from outside, and no worker have died."""
        for note in self.folder.iterdir():
            if note.stat().st_size < TRIES:
                note.unlink()

    def count(self, file: PhotoFile) -> int:
        """How often it was begun and not ended."""
        try:
            return len(self._note(file).read_bytes())
        except FileNotFoundError:
            return 0

    def begin(self, file: PhotoFile) -> None:
        """Note one more try."""
        with self._note(file).open("ab") as note:
            note.write(b".")

    def end(self, file: PhotoFile) -> None:
        """It is done, whatever came of it."""
        self._note(file).unlink(missing_ok=True)

    def aside(self, file: PhotoFile) -> PhotoTooLarge:
        """Why it was not tried again."""
        return PhotoTooLarge(
            f"{file.name} was set aside: {TRIES} workers died while they had it in hand. To try it again, {self.again}"
        )

    def _note(self, file: PhotoFile) -> Path:
        return self.folder / sha256(str(file).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _connected(cluster: str) -> Any:
    """Ray, connected; without its reports to its makers."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise InputInvalid("--cluster needs Ray: pip install 'herbage[cluster]' on every machine.") from error
    if cluster != "auto":
        _refuse_silence(cluster)
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        try:
            ray.init(address=cluster, **quiet)
        except ConnectionError:
            if cluster != "auto":
                raise
            ray.init(include_dashboard=False, **quiet)
    except (ValueError, RuntimeError, OSError) as error:
        raise InputInvalid(f"--cluster {cluster}: no Ray cluster answers there ({error}).") from error
    # Ray tells of workers that died on standard output, which belongs to results; what is set aside is told by us.
    ray._private.worker._worker_logs_enabled = False
    return ray


def _refuse_silence(cluster: str) -> None:
    """Ray itself would ask a place where nobody answers for many minutes."""
    host, _, port = cluster.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host, int(port)), ANSWER_S).close()
    except (OSError, ValueError, OverflowError) as error:
        raise InputInvalid(
            f"--cluster {cluster}: no Ray cluster answers there ({error}); expected auto or HOST:PORT."
        ) from error


def _pool(ray: Any, cluster: Cluster) -> dict[str, Any]:
    """How many workers there are, and what each has."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    gpus = sum(int(node.get("GPU", 0)) for node in nodes) if cluster.uses_gpu else 0
    cores = [int(node.get("CPU", 0)) for node in nodes if node.get("CPU", 0) >= 1]
    if not cores:
        raise InputInvalid("The Ray cluster has no machine with a core to work on.")
    cpus = cluster.worker_cpus or (1 if gpus else min(cores))
    workers = gpus or sum(core // cpus for core in cores)
    if not workers:
        raise InputInvalid(f"--worker-cpus {cpus}: no machine of the cluster has so many; at most {max(cores)}.")
    log.info("%d workers on %d machines, each with %s", workers, len(nodes), "a GPU" if gpus else f"{cpus} cores")
    own = {"num_gpus": 1} if gpus else {"num_cpus": cpus}
    return {"compute": ray.data.ActorPoolStrategy(min_size=1, max_size=workers), **own}


def _cause(error: BaseException) -> BaseException:
    """What a worker raised, where it is one of ours or the system's; else Ray's own words."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, HerbageError | OSError) and not type(seen).__module__.startswith("ray."):
            return seen
        seen = getattr(seen, "cause", None) or seen.__cause__
    said = str(error).strip().splitlines() or [type(error).__name__]
    return InputInvalid(f"The cluster's workers failed: {said[-1]}")
