"""The API on an opened model. Nothing of a photo is kept but its estimate and map, in memory, the newest only."""

import asyncio
import csv
import io
import math
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import FastAPI, File, Form, Request, UploadFile
from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles
from pydantic import ValidationError
from starlette.datastructures import UploadFile as Upload
from starlette.exceptions import HTTPException

import herbage
from herbage.app.web.guard import Guard, Limits, busy, too_large
from herbage.app.web.problems import problem, responses, tell_problems
from herbage.app.web.schemas import CORNERS, Grouped, Map, Predictions
from herbage.app.web.worker import Answer, Worker
from herbage.backbones.backbone import Backbone
from herbage.errors import PhotoUnreadable
from herbage.model.estimate import Estimate
from herbage.model.model import DEFAULT_LEVEL, HerbageModel
from herbage.photos.discovery import shown_name
from herbage.photos.photo import Corners, PhotoFile, is_quadrilateral, open_photo
from herbage.results.geojson import photos_geojson
from herbage.results.overlay import draw_overlay, map_files, scale_top, swatches
from herbage.results.paddocks import Paddocks
from herbage.results.predictions import PredictionsWriter
from herbage.steps.predicting import summarise
from herbage.targets import TARGETS, known_names, main_target

PAGE = Path(__file__).parent / "page"
FILES = StaticFiles(directory=PAGE)
TYPES = ("image/", "application/octet-stream")
UPLOAD = Path("upload")
DECODED_AT_ONCE = 2
GONE_S = 0.5
"""How often is looked whether a client that waits is still there."""

Target = Literal["Dry_Clover_g", "Dry_Dead_g", "Dry_Green_g", "Dry_Total_g", "GDM_g"]


def make_app(
    model: HerbageModel,
    backbone: Backbone,
    *,
    token: str | None = None,
    hosts: frozenset[str] | None = None,
    limits: Limits | None = None,
) -> Guard:
    """The page at / and the API beside it, as an ASGI app behind its guard; `token` and `hosts` as Guard has them."""
    limits = limits or Limits()
    worker = Worker(model, backbone, limits.waiting)
    kept = _Kept(limits.maps)
    decoding = asyncio.Semaphore(DECODED_AT_ONCE)
    scale = model.map_scale_g_per_m2

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        worker.start()
        yield
        worker.stop()

    app = FastAPI(
        title="herbage",
        version=herbage.__version__,
        summary="How much pasture stands in a top-view photo",
        docs_url=None,
        redoc_url=None,
        lifespan=life,
    )
    tell_problems(app)

    @app.head("/healthz", include_in_schema=False)
    @app.get("/healthz")
    async def healthz() -> dict[str, Any]:
        """Whether the server is alive, and how many photos wait."""
        return {"status": "ok", "waiting": worker.load}

    @app.get("/api/model")
    async def about() -> dict[str, Any]:
        """The model's card as data, and the colours of its maps."""
        return model_facts(model) | {"map_colours": swatches()}

    @app.post(
        "/api/predictions",
        response_model=Predictions,
        responses=responses(
            status_415="a.txt is text/plain; expected a photo, such as image/jpeg.",
            status_422="a.jpg is not a readable image: cannot identify image file",
        ),
    )
    async def predictions(
        request: Request,
        photos: Annotated[list[UploadFile], File(description="One photo or many: JPEG, PNG, WebP or TIFF.")],
        corners: Annotated[
            str | None,
            Form(
                description="Where photos show more than the quadrat: a JSON list with an entry a photo, null or four "
                "[x, y] in pixels of the upright photo, from the upper left and clockwise.",
                examples=["[[[10, 12], [990, 8], [985, 610], [14, 600]]]"],
            ),
        ] = None,
    ) -> Any:
        """Estimates of one or many photos, with the columns of predictions.csv and a link to each map."""
        if not worker.has_room(len(photos)):
            raise busy(worker.seconds_left)
        _check(photos, limits)
        cut = _corners(corners, len(photos))
        files = [await _received(photo, of, limits) for photo, of in zip(photos, cut, strict=True)]
        if not worker.has_room(len(files)):
            raise busy(worker.seconds_left)
        made = await _unless_gone(request, worker, files)
        rows = [_row(estimate, model) for estimate, _ in made]
        if all(estimate.status != "ok" for estimate, _ in made):
            said = "; ".join(estimate.message for estimate, _ in made)
            return problem(HTTPStatus.UNPROCESSABLE_ENTITY, said, predictions=rows)
        for row, (estimate, digest), of in zip(rows, made, cut, strict=True):
            if estimate.map is not None:
                row["map"] = f"/api/maps/{kept.keep(estimate, digest, of)}"
        return {"predictions": rows}

    @app.get("/api/maps/{name}", response_model=Map, responses=responses(status_404=_Kept.SAID))
    async def shown_map(name: str) -> Any:
        """Grams a square metre on the patch grid, by target, and the top of the colour scale."""
        return _map(kept.find(name)[0], scale)

    @app.post(
        "/api/maps/{name}/overlay",
        response_class=Response,
        responses={
            200: {"description": "The photo under its map", "content": {"image/png": {}}},
            **responses(status_404=_Kept.SAID, status_422="This is another photo than the map's."),
        },
    )
    async def overlay(name: str, photo: Annotated[UploadFile, File()], target: Target | None = None) -> Response:
        """The picture that `predict --maps` writes, drawn on the same photo, which is sent again since none is kept."""
        estimate, digest, corners = kept.find(name)
        _check([photo], limits)
        file = await _received(photo, corners, limits)
        number = main_target(model.about.known) if target is None else TARGETS.index(target)
        if not math.isfinite(estimate.grams[number]):
            raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, f"The model does not know {target}.")
        async with decoding:
            try:
                png = await asyncio.to_thread(_overlay, file, digest, estimate, scale, number)
            except PhotoUnreadable as error:
                raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from error
        return _attached(png, "image/png", map_files(estimate.photo)[0])

    @app.post("/api/files/predictions.csv", response_class=Response, responses=_file("text/csv"))
    def predictions_csv(rows: Predictions) -> Response:
        """Rows as the file that `predict` writes."""
        text = io.StringIO()
        writer = PredictionsWriter(text)
        for row in rows.predictions:
            writer.add_row(row.cells())
        return _attached(text.getvalue().encode(), "text/csv; charset=utf-8", "predictions.csv")

    @app.post("/api/files/photos.geojson", response_class=Response, responses=_file("application/geo+json"))
    def geojson(rows: Predictions) -> Response:
        """Rows that know their place as the file that `predict` writes."""
        text = io.StringIO()
        with photos_geojson(text) as points:
            for row in rows.predictions:
                if row.status == "ok":
                    points.add_row(row.cells())
        return _attached(text.getvalue().encode(), "application/geo+json", "photos.geojson")

    @app.post("/api/paddocks", responses=responses(status_422="paddocks: expected 2 names, one a photo; got 1."))
    def paddocks(rows: Grouped) -> dict[str, Any]:
        """What stands in each paddock, with the columns of paddocks.csv: a mean with its interval, green and legume."""
        return {"paddocks": _paddocks(rows, model).rows()}

    @app.post("/api/files/paddocks.csv", response_class=Response, responses=_file("text/csv"))
    def paddocks_csv(rows: Grouped) -> Response:
        """The same as the file that `predict --paddocks` writes."""
        return _attached(_paddocks(rows, model).csv().encode(), "text/csv; charset=utf-8", "paddocks.csv")

    strings = read_strings()

    @app.get("/strings.json", include_in_schema=False)
    async def texts() -> dict[str, dict[str, str]]:
        return strings

    # A route a file, since a mount at / would answer for methods that the API's own paths do not have.
    for name in ("", *(file.name for file in PAGE.iterdir())):
        app.add_route(f"/{name}", _shown_file(name or "index.html"), include_in_schema=False)
    return Guard(app, limits, token=token, hosts=hosts)


def model_facts(model: HerbageModel) -> dict[str, Any]:
    """What the model says of itself, without paths of this computer."""
    about = model.about
    return {
        "herbage": about.herbage,
        "recipe": about.recipe.name,
        "backbone": Path(about.backbone.name).name,
        "targets": known_names(about.known),
        "main_target": TARGETS[main_target(about.known)],
        "has_map": about.recipe.has_map,
        "level": DEFAULT_LEVEL,
        "quadrat_area_m2": model.quadrat_area_m2,
        "training": None if about.training is None else about.training.model_dump(mode="json"),
        "score": None if about.score is None else about.score.model_dump(mode="json"),
        "coverage": [of.model_dump(mode="json") for of in about.coverage],
        "calibration": None if about.calibration is None else about.calibration.said(),
    }


def read_strings() -> dict[str, dict[str, str]]:
    """The page's texts by language, from the one table of strings: a language is a column."""
    with (PAGE / "strings.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {language: {row["key"]: row[language] for row in rows} for language in rows[0] if language != "key"}


@dataclass
class _Kept:
    """The newest estimates that have a map, with digest and corners of their photos, by a name that none can guess."""

    most: int
    _found: OrderedDict[str, tuple[Estimate, str, Corners | None]] = field(default_factory=OrderedDict)

    SAID = "There is no such map; the server keeps the newest only. Send the photo again."

    def keep(self, estimate: Estimate, digest: str, corners: Corners | None) -> str:
        name = secrets.token_urlsafe(12)
        self._found[name] = estimate, digest, corners
        while len(self._found) > self.most:
            self._found.popitem(last=False)
        return name

    def find(self, name: str) -> tuple[Estimate, str, Corners | None]:
        if name not in self._found:
            raise HTTPException(HTTPStatus.NOT_FOUND, self.SAID)
        return self._found[name]


def _shown_file(name: str) -> Callable[[Request], Awaitable[Response]]:
    async def shown(request: Request) -> Response:
        return await FILES.get_response(name, request.scope)

    return shown


def _check(photos: Sequence[Upload], limits: Limits) -> None:
    if len(photos) > limits.photos or any((photo.size or 0) > limits.photo_bytes for photo in photos):
        raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, too_large(limits))
    for photo in photos:
        if photo.content_type and not photo.content_type.lower().startswith(TYPES):
            said = f"{_name(photo)} is {photo.content_type}; expected a photo, such as image/jpeg."
            raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, said)


def _corners(given: str | None, photos: int) -> Sequence[Corners | None]:
    if not given:
        return [None] * photos
    try:
        corners = CORNERS.validate_json(given)
    except ValidationError as error:
        first = error.errors()[0]
        said = f"corners: expected a JSON list of null or four [x, y]; {first['msg']} at {first['loc']}."
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, said) from error
    if len(corners) != photos:
        said = f"corners: expected {photos} entries, one a photo; got {len(corners)}."
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, said)
    for of in corners:
        if of is not None and not is_quadrilateral(of):
            said = f"corners: {of} are no corners from the upper left and clockwise."
            raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, said)
    return corners


async def _received(photo: Upload, corners: Corners | None, limits: Limits) -> PhotoFile:
    content = await photo.read(limits.photo_bytes + 1)
    if len(content) > limits.photo_bytes:
        raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, too_large(limits))
    return PhotoFile(_name(photo), UPLOAD, corners, content)


async def _unless_gone(request: Request, worker: Worker, files: Sequence[PhotoFile]) -> list[Answer]:
    """The answers, unless the client goes away."""
    waiting = worker.submit(files)
    try:
        pending = set(waiting)
        while pending:
            _, pending = await asyncio.wait(pending, timeout=GONE_S)
            if pending and await request.is_disconnected():
                raise HTTPException(HTTPStatus.BAD_REQUEST, "The client has gone.")
    finally:
        worker.forget(waiting)
    return [one.result() for one in waiting]


def _name(photo: Upload) -> str:
    """An upload's name, which is shown and never used as a path."""
    return shown_name((photo.filename or "photo").replace("\\", "/").rpartition("/")[2])[:200] or "photo"


def _row(estimate: Estimate, model: HerbageModel) -> dict[str, Any]:
    return {
        **estimate.row(),
        "level": estimate.level,
        "quadrat_area_m2": model.quadrat_area_m2,
        "trained_on": estimate.trained_on,
        "odd_shape": estimate.odd_shape,
        "map": None,
    }


def _map(estimate: Estimate, scale: Any) -> Map:
    shown = estimate.map_g_per_m2
    assert shown is not None
    known = [t for t in range(len(TARGETS)) if math.isfinite(estimate.grams[t])]
    return Map(
        rows=shown.shape[1],
        columns=shown.shape[2],
        top={TARGETS[t]: scale_top(shown[t], None if scale is None else scale[t]) for t in known},
        values={TARGETS[t]: shown[t].round(1).ravel().tolist() for t in known},
    )


def _overlay(file: PhotoFile, digest: str, estimate: Estimate, scale: Any, target: int) -> bytes:
    photo = open_photo(file)
    if photo.sha256 != digest:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, "This is another photo than the map's.")
    return draw_overlay(photo.pixels(), estimate, scale_g_per_m2=scale, target=target)


def _paddocks(rows: Grouped, model: HerbageModel) -> Paddocks:
    if len(rows.paddocks) != len(rows.predictions):
        said = f"paddocks: expected {len(rows.predictions)} names, one a photo; got {len(rows.paddocks)}."
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, said)
    found = summarise(model, DEFAULT_LEVEL)
    for row, paddock in zip(rows.predictions, rows.paddocks, strict=True):
        estimate = row.estimate()
        if row.status == "ok" and math.isfinite(estimate.grams[found.main]):
            found.add(paddock, estimate)
    return found


def _attached(content: bytes, media_type: str, name: str) -> Response:
    # RFC 6266: a plain name for old clients, and the name as it is.
    plain = name.encode("ascii", "replace").decode().replace('"', "'").replace("\\", "_").replace("?", "_")
    said = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
    return Response(content, media_type=media_type, headers={"Content-Disposition": said})


def _file(media_type: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"description": "The file", "content": {media_type: {}}}, **responses(status_422="predictions: ...")}
