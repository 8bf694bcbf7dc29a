"""The page's server: one model kept warm behind a queue that is bounded; photos are never written to disk by name.

`make_app` is the API; `serve` opens the port. A single worker owns the model and takes all photos that wait together,
so that a crowd is served as fast as `herbage predict` is.
"""

import asyncio
import hmac
import secrets
import socket
import threading
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import uvicorn
from fastapi import FastAPI, File, HTTPException, Request, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.datastructures import UploadFile as Upload
from starlette.exceptions import HTTPException as StarletteHTTPException

import herbage
from herbage.backbones.backbone import Backbone
from herbage.errors import InputInvalid
from herbage.model.estimate import Estimate
from herbage.model.model import DEFAULT_LEVEL, HerbageModel
from herbage.photos.photo import PhotoFile, shown_name
from herbage.targets import TARGETS, g_per_m2

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
TYPES = ("image/", "application/octet-stream")


@dataclass(frozen=True)
class Limits:
    """What a request and the server may hold: photos a request, bytes a photo, photos waiting, maps kept."""

    photos: int = 50
    photo_bytes: int = 40_000_000
    waiting: int = 100
    maps: int = 500


@dataclass
class _Job:
    """A photo that waits, and where its estimate goes."""

    file: PhotoFile
    loop: asyncio.AbstractEventLoop
    done: "asyncio.Future[Estimate]"


@dataclass
class Worker:
    """The one thread that owns the model, and the photos that wait for it."""

    model: HerbageModel
    backbone: Backbone
    limits: Limits
    waiting: deque[_Job] = field(default_factory=deque)
    in_hand: int = 0
    stopped: bool = False
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def start(self) -> None:
        """Begin to work."""
        threading.Thread(target=self._run, name="model", daemon=True).start()

    def stop(self) -> None:
        """Finish what is in hand, and take no more."""
        with self._changed:
            self.stopped = True
            self._changed.notify()

    def has_room(self, photos: int) -> bool:
        """Whether so many more may wait; an idle server takes any request that is within its limits."""
        load = len(self.waiting) + self.in_hand
        return load == 0 or load + photos <= self.limits.waiting

    def submit(self, files: Sequence[PhotoFile]) -> list["asyncio.Future[Estimate]"]:
        """Put photos in the queue, from the event loop."""
        loop = asyncio.get_running_loop()
        jobs = [_Job(file, loop, loop.create_future()) for file in files]
        with self._changed:
            self.waiting.extend(jobs)
            self._changed.notify()
        return [job.done for job in jobs]

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self.waiting or self.stopped)
                if self.stopped:
                    return
                jobs = list(self.waiting)
                self.waiting.clear()
                self.in_hand = len(jobs)
            # Nobody waits any longer for the photos of a client that has gone.
            jobs = [job for job in jobs if not job.done.cancelled()]
            try:
                made = self.model.estimates([job.file for job in jobs], self.backbone, with_map=True)
                for job, (estimate, _) in zip(jobs, made, strict=True):
                    job.loop.call_soon_threadsafe(_answer, job.done, estimate)
                    self.in_hand -= 1
            except Exception as error:
                for job in jobs:
                    job.loop.call_soon_threadsafe(_fail, job.done, error)
            self.in_hand = 0


def make_app(
    model: HerbageModel, backbone: Backbone, *, token: str | None = None, limits: Limits | None = None
) -> FastAPI:
    """The API on an opened model: POST /api/predictions, GET /api/model, /api/maps/ID and /healthz.

    With `token`, everything but /healthz asks for it, as `Authorization: Bearer` or `?token=`.
    """
    limits = limits or Limits()
    worker = Worker(model, backbone, limits)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        worker.start()
        yield
        worker.stop()

    maps: OrderedDict[str, dict[str, Any]] = OrderedDict()
    app = FastAPI(title="herbage", version=herbage.__version__, docs_url=None, redoc_url=None, lifespan=life)

    @app.middleware("http")
    async def guard(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
        if token is not None and request.url.path != "/healthz" and not _allowed(request, token):
            answer: Response = problem(HTTPStatus.UNAUTHORIZED, "Give the server's token, as Authorization: Bearer.")
        elif int(request.headers.get("content-length") or 0) > limits.photos * limits.photo_bytes:
            answer = problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _too_large(limits))
        else:
            answer = await go_on(request)
        for name, value in HEADERS.items():
            answer.headers.setdefault(name, value)
        return answer

    @app.exception_handler(StarletteHTTPException)
    async def told(_: Request, error: StarletteHTTPException) -> Response:
        return problem(HTTPStatus(error.status_code), str(error.detail), error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        said = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        return problem(HTTPStatus.UNPROCESSABLE_ENTITY, said)

    @app.exception_handler(Exception)
    async def broken(_: Request, __: Exception) -> Response:
        return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong on the server; its log says what.")

    @app.get("/healthz")
    async def healthz() -> dict[str, Any]:
        """Whether the server is alive, and how many photos wait."""
        return {"status": "ok", "waiting": len(worker.waiting) + worker.in_hand}

    @app.get("/api/model")
    async def about() -> dict[str, Any]:
        """The model's card as data."""
        return model_facts(model)

    @app.post("/api/predictions", responses={code: {} for code in (413, 415, 422, 429)})
    async def predictions(photos: Annotated[list[UploadFile], File()]) -> dict[str, Any]:
        """Estimates of one or many photos, with the columns of predictions.csv and a link to each map."""
        if not worker.has_room(len(photos)):
            raise HTTPException(HTTPStatus.TOO_MANY_REQUESTS, "Too many photos wait; try again.", {"Retry-After": "5"})
        files = [await _received(photo, limits) for photo in _checked(photos, limits)]
        if not worker.has_room(len(files)):
            raise HTTPException(HTTPStatus.TOO_MANY_REQUESTS, "Too many photos wait; try again.", {"Retry-After": "5"})
        made = await asyncio.gather(*worker.submit(files))
        if all(estimate.status != "ok" for estimate in made):
            raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, "; ".join(estimate.message for estimate in made))
        return {"predictions": [_prediction(estimate, model, maps, limits) for estimate in made]}

    @app.get("/api/maps/{name}")
    async def shown_map(name: str) -> dict[str, Any]:
        """Grams a square metre on the patch grid, by target, and the top of the colour scale."""
        if name not in maps:
            raise HTTPException(HTTPStatus.NOT_FOUND, "There is no such map; the server keeps the newest only.")
        return maps[name]

    return app


def model_facts(model: HerbageModel) -> dict[str, Any]:
    """What the model says of itself, without paths of this computer."""
    about = model.about
    known = [target for target, there in zip(TARGETS, about.known, strict=True) if there]
    return {
        "herbage": about.herbage,
        "recipe": about.recipe.name,
        "backbone": Path(about.backbone.name).name,
        "targets": known,
        "has_map": about.recipe.has_map,
        "level": DEFAULT_LEVEL,
        "quadrat_area_m2": model.quadrat_area_m2,
        "training": None if about.training is None else about.training.model_dump(mode="json"),
        "score": None if about.score is None else about.score.model_dump(mode="json"),
        "coverage": [of.model_dump(mode="json") for of in about.coverage],
        "calibration": None if about.calibration is None else about.calibration.said(),
    }


def problem(status: HTTPStatus, detail: str, headers: Any = None) -> JSONResponse:
    """An error as RFC 9457 has it."""
    content = {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail}
    return JSONResponse(content, status.value, headers, media_type="application/problem+json")


def serve(
    model: HerbageModel, backbone: Backbone, *, host: str = "127.0.0.1", port: int = 8000, token: str | None = None
) -> None:
    """Answer on a port until interrupted; raises InputInvalid where the port cannot be had."""
    config = uvicorn.Config(
        make_app(model, backbone, token=token), log_level="warning", timeout_graceful_shutdown=1, server_header=False
    )
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            opened.bind((host, port))
        except OSError as error:
            raise InputInvalid(
                f"Port {port} of {host} cannot be had ({error.strerror}); give another --port."
            ) from error
        uvicorn.Server(config).run(sockets=[opened])


def _allowed(request: Request, token: str) -> bool:
    given = request.headers.get("authorization", "").removeprefix("Bearer ") or request.query_params.get("token", "")
    return hmac.compare_digest(given.encode(), token.encode())


def _too_large(limits: Limits) -> str:
    return f"At most {limits.photos} photos a request, each of {limits.photo_bytes // 1_000_000} MB at most."


def _checked(photos: Sequence[Upload], limits: Limits) -> Sequence[Upload]:
    if len(photos) > limits.photos or any((photo.size or 0) > limits.photo_bytes for photo in photos):
        raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _too_large(limits))
    for photo in photos:
        if photo.content_type and not photo.content_type.startswith(TYPES):
            said = f"{_name(photo)} is {photo.content_type}; expected a photo, such as image/jpeg."
            raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, said)
    return photos


async def _received(photo: Upload, limits: Limits) -> PhotoFile:
    content = await photo.read(limits.photo_bytes + 1)
    if len(content) > limits.photo_bytes:
        raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _too_large(limits))
    return PhotoFile(_name(photo), Path("upload"), content=content)


def _name(photo: Upload) -> str:
    """An upload's name, which is shown and never used as a path."""
    return shown_name((photo.filename or "photo").replace("\\", "/").rpartition("/")[2])[:200] or "photo"


def _prediction(
    estimate: Estimate, model: HerbageModel, maps: OrderedDict[str, dict[str, Any]], limits: Limits
) -> dict[str, Any]:
    row = {**estimate.row(), "level": estimate.level, "quadrat_area_m2": model.quadrat_area_m2, "map": None}
    shown = estimate.map_g_per_m2
    if shown is not None:
        scale = None if model.knowledge is None else g_per_m2(model.knowledge.map_scale_g, model.quadrat_area_m2)
        known = [t for t in range(len(TARGETS)) if not np.isnan(shown[t]).any()]
        name = secrets.token_urlsafe(12)
        maps[name] = {
            "unit": "g/m2",
            "rows": shown.shape[1],
            "columns": shown.shape[2],
            "top": {TARGETS[t]: float(shown[t].max() if scale is None else scale[t]) for t in known},
            "values": {TARGETS[t]: shown[t].round(1).ravel().tolist() for t in known},
        }
        row["map"] = f"/api/maps/{name}"
        while len(maps) > limits.maps:
            maps.popitem(last=False)
    return row


def _answer(done: "asyncio.Future[Estimate]", estimate: Estimate) -> None:
    if not done.done():
        done.set_result(estimate)


def _fail(done: "asyncio.Future[Estimate]", error: Exception) -> None:
    if not done.done():
        done.set_exception(error)
