"""The server of the web page under four times the load it can queue, compared with `herbage predict`.

python -m benchmarks serving MODEL [--name NAME] [--clients 40] [--seconds 60] [--quick]

Each client sends ten photos, waits for the answer, and sends again; when it is refused, it waits as long as the server
asks. The clients run on the same machine as the server. MODEL is a model folder, or `texture`: the recipe field
with texture, trained on drawn swards.
"""

import asyncio
import itertools
import re
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path

import httpx
import numpy as np

from benchmarks.harness import HERBAGE, option_parser, parse, run_herbage
from benchmarks.speed.backbones import photos
from benchmarks.speed.memory import drawn_model
from benchmarks.speed.timing import report
from herbage.photos.discovery import find_photos

PHOTOS = 24
PHOTOS_PER_REQUEST = 10
WATCHED_S = 1.0
PATIENCE_S = 600


class Crowd:
    """Clients that send photos until the time is over, and the answers they got."""

    def __init__(self, address: str, files: list[Path], seconds: float) -> None:
        self.address = address
        self.contents = itertools.cycle([(file.name, file.read_bytes(), "image/jpeg") for file in files])
        self.end = time.monotonic() + seconds
        self.codes: Counter[int] = Counter()
        self.waited_s: list[float] = []
        self.answered = 0
        self.done = False

    async def client(self, connection: httpx.AsyncClient) -> None:
        """One client, from its first request to the end of the time."""
        while time.monotonic() < self.end:
            sent = [("photos", next(self.contents)) for _ in range(PHOTOS_PER_REQUEST)]
            started = time.monotonic()
            answer = await connection.post(self.address + "api/predictions", files=sent)
            self.codes[answer.status_code] += 1
            if answer.status_code == 200:
                self.waited_s.append(time.monotonic() - started)
                rows = answer.json()["predictions"]
                self.answered += sum(row["status"] == "ok" for row in rows)
                if len(rows) != PHOTOS_PER_REQUEST:
                    raise RuntimeError(f"{len(rows)} rows for {PHOTOS_PER_REQUEST} photos")
            else:
                left = self.end - time.monotonic()
                await asyncio.sleep(max(0.0, min(float(answer.headers.get("retry-after", 1)), left)))

    async def watch(self, process: int, connection: httpx.AsyncClient) -> list[tuple[float, float]]:
        """Resident memory (GB) and how long /healthz took (s), every second."""
        measured = []
        while not self.done:
            started = time.monotonic()
            (await connection.get(self.address + "healthz")).raise_for_status()
            measured.append((resident_gb(process), time.monotonic() - started))
            await asyncio.sleep(WATCHED_S)
        return measured

    async def run(self, clients: int, process: int) -> list[tuple[float, float]]:
        """Run all clients together and return what `watch` measured."""
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(timeout=PATIENCE_S, limits=limits) as connection:
            watched = asyncio.create_task(self.watch(process, connection))
            await asyncio.gather(*(self.client(connection) for _ in range(clients)))
            self.done = True
            return await watched


def resident_gb(process: int) -> float:
    """Resident memory of a process, Linux only."""
    status = Path(f"/proc/{process}/status").read_text("utf-8")
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1e6


def main() -> None:
    """Serve the clients, then predict the same photos; print, write serving-NAME.json."""
    parser = option_parser(__doc__)
    parser.add_argument("model", help="a model folder, or `texture`")
    parser.add_argument("--name", help="name of the line and the file (default: the name of the folder)")
    parser.add_argument("--clients", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=60)
    options = parse(parser)
    seconds = 5 if options.quick else options.seconds
    model, name = Path(options.model), options.name or Path(options.model).name
    if options.model == "texture":
        model = drawn_model(options.work / "serving", "field")
    listed = photos(PHOTOS, options.work)
    files = [file.path for file in find_photos(listed)]
    serve = subprocess.Popen([*HERBAGE, "serve", model, "--port", "0"], stdout=subprocess.PIPE, text=True)
    try:
        assert serve.stdout is not None
        address = re.match(r"\S+", serve.stdout.readline())
        assert address is not None
        before = resident_gb(serve.pid)
        crowd = Crowd(address[0], files, seconds)
        started = time.monotonic()
        watched = asyncio.run(crowd.run(options.clients, serve.pid))
        served_s = time.monotonic() - started
    finally:
        serve.terminate()
        serve.wait()
    memory = [one for one, _ in watched]
    predicted = predict_rate(model, files, min(400, max(2 * PHOTOS, crowd.answered)))
    half = len(memory) // 2
    line = {
        "work": name,
        "clients": options.clients,
        "seconds": served_s,
        "photos": crowd.answered,
        "photos_per_s": crowd.answered / served_s,
        "predict_photos_per_s": predicted,
        "p50_s": float(np.quantile(crowd.waited_s, 0.5)),
        "p99_s": float(np.quantile(crowd.waited_s, 0.99)),
        "healthz_p99_s": float(np.quantile([one for _, one in watched], 0.99)),
        "accepted": crowd.codes[200],
        "refused": crowd.codes[429],
        "others": sum(crowd.codes.values()) - crowd.codes[200] - crowd.codes[429],
        "memory_gb": {"before": before, "first_half": max(memory[: half or 1]), "second_half": max(memory[half:])},
    }
    report(f"serving-{name}", [line], options.out)


def predict_rate(model: Path, files: list[Path], count: int) -> float:
    """Photos per second of `herbage predict`, from the difference of two runs, so that its start does not count."""
    with tempfile.TemporaryDirectory() as scratch:
        taken = []
        for part in (count // 4, count):
            paths = Path(scratch) / f"{part}.txt"
            paths.write_text(
                "\n".join(str(file.resolve()) for file in itertools.islice(itertools.cycle(files), part)), "utf-8"
            )
            taken.append(run_herbage("predict", model, paths, "--out", Path(scratch) / str(part), "--quiet")[0])
    return (count - count // 4) / (taken[1] - taken[0])
