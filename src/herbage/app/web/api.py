"""The HTTP routes of the page and its API; what they do is in `service`."""

import asyncio
import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Depends, FastAPI, File, Form, Request, UploadFile
from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles
from pydantic import ValidationError
from starlette.datastructures import UploadFile as Upload
from starlette.exceptions import HTTPException

import herbage
from herbage.app.web import farm_api
from herbage.app.web.farm import FarmService, for_clients
from herbage.app.web.guard import Guard, Limits, busy, too_large
from herbage.app.web.problems import problem, refused, responses, tell_problems
from herbage.app.web.schemas import CORNERS, MEASURED, GroupedPredictions, Map, PaddockTable, Predictions, WalkRequest
from herbage.app.web.service import MapMissing, MapStore, PredictionService, photos_geojson_file, predictions_csv
from herbage.app.web.walks import walk_of
from herbage.app.web.worker import Answer
from herbage.backbones.backbone import Backbone
from herbage.errors import PhotoUnreadable
from herbage.farm.farm import Farm
from herbage.model.model import HerbageModel
from herbage.page.facts import model_facts
from herbage.page.files import MODULES, read_strings
from herbage.photos.discovery import display_name
from herbage.photos.photo import Corners, PhotoFile, is_quadrilateral
from herbage.results.overlay import map_files

FILES = StaticFiles(directory=MODULES)
CONTENT_TYPES = ("image/", "application/octet-stream")
UPLOAD = Path("upload")
DISCONNECT_CHECK_S = 0.5
"""How often a waiting request checks whether its client has disconnected."""

Target = Literal["Dry_Clover_g", "Dry_Dead_g", "Dry_Green_g", "Dry_Total_g", "GDM_g"]

router = APIRouter()


def make_app(
    model: HerbageModel,
    backbone: Backbone,
    *,
    token: str | None = None,
    hosts: frozenset[str] | None = None,
    limits: Limits | None = None,
    farm: Farm | None = None,
) -> Guard:
    """The page at / and the API, as an ASGI app behind its guard; `token` and `hosts` are those of Guard.

    Estimates can be saved to the `farm`, if there is one.
    """
    limits = limits or Limits()
    service = PredictionService(model, backbone, max_waiting=limits.waiting, max_maps=limits.maps)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.worker.start()
        yield
        service.worker.stop()

    app = FastAPI(
        title="herbage",
        version=herbage.__version__,
        summary="Estimate the pasture in top-view photos",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.service, app.state.limits, app.state.strings = service, limits, read_strings()
    app.state.farm = None if farm is None else FarmService(farm, service.record)
    tell_problems(app)
    app.include_router(router)
    app.include_router(farm_api.router)
    # One route per file: a mount at / would also answer methods that the API's own paths do not have.
    for name in ("", *(file.name for file in MODULES.iterdir())):
        app.add_route(f"/{name}", _file_route(name or "index.html"), include_in_schema=False)
    return Guard(app, limits, token=token, hosts=hosts)


def _service(request: Request) -> PredictionService:
    service: PredictionService = request.app.state.service
    return service


def _limits(request: Request) -> Limits:
    limits: Limits = request.app.state.limits
    return limits


def _server_farm(request: Request) -> FarmService | None:
    farm: FarmService | None = request.app.state.farm
    return farm


Service = Annotated[PredictionService, Depends(_service)]
OptionalFarm = Annotated[FarmService | None, Depends(_server_farm)]
RequestLimits = Annotated[Limits, Depends(_limits)]


def _file_response(media_type: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"description": "The file", "content": {media_type: {}}}, **responses(status_422="predictions: ...")}


def _fields(form: Sequence[str], *, repeated: Sequence[str] = (), address: Sequence[str] = ()) -> Any:
    """A dependency that refuses form fields and parameters of the address that would otherwise be ignored.

    Fields of `form` may occur once, those of `repeated` more than once; `address` are the parameters of the address.
    """
    known = (*repeated, *form)
    listing = (
        f"Form fields of this request: {', '.join(known)}; parameters of its address: {', '.join(address) or 'none'}."
    )

    async def check(request: Request) -> None:
        fields = await request.form()
        for name in fields:
            if name not in known:
                raise _unprocessable(f"{name[:100]}: unknown form field. {listing}")
            if name in form and (count := len(fields.getlist(name))) > 1:
                raise _unprocessable(f"{name}: expected one form field of this name; got {count}.")
        for name in request.query_params:
            if name not in address:
                raise _unprocessable(f"{name[:100]}: unknown parameter of the address. {listing}")

    return Depends(check)


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz")
async def healthz(service: Service) -> dict[str, Any]:
    """Whether the server is alive, and how many photos are waiting."""
    return {"status": "ok", "waiting": service.worker.load}


@router.get("/api/model")
async def about(service: Service, farm: OptionalFarm) -> dict[str, Any]:
    """The model's card as data, the colours of its maps, and the name of the server's farm file, null for none."""
    return {**model_facts(service.model), "farm": None if farm is None else farm.name}


@router.post(
    "/api/predictions",
    response_model=Predictions,
    dependencies=[_fields(["corners", "measured"], repeated=["photos"])],
    responses=responses(
        status_415="a.txt is text/plain; expected a photo, such as image/jpeg.",
        status_422="a.jpg is not a readable image: cannot identify image file",
    ),
)
async def predictions(
    request: Request,
    service: Service,
    limits: RequestLimits,
    photos: Annotated[list[UploadFile], File(description="One or more photos: JPEG, PNG, WebP or TIFF.")],
    corners: Annotated[
        str | None,
        Form(
            description="Where photos show more than the quadrat: a JSON list with one entry per photo, null or four "
            "[x, y] in pixels of the upright photo, from the upper left and clockwise.",
            examples=["[[[10, 12], [990, 8], [985, 610], [14, 600]]]"],
        ),
    ] = None,
    measured: Annotated[
        str | None,
        Form(
            description="Where the model has measured columns (`measured_columns` of GET /api/model): a JSON list with "
            "one entry per photo, null or an object of numbers by column. They are used for photos that have them all.",
            examples=['[{"Height_Ave_cm": 12.5, "Pre_GSHH_NDVI": 0.6}]'],
        ),
    ] = None,
) -> Any:
    """Estimate one or more photos: the columns of predictions.csv and a link to each map.

    Other form fields are an error.
    """
    worker = service.worker
    if not worker.has_room(len(photos)):
        raise busy(worker.seconds_left)
    _check(photos, limits)
    quadrats = _corners(corners, len(photos))
    values = _measured(measured, len(photos), service.model)
    uploads = zip(photos, quadrats, values, strict=True)
    files = [await _received(photo, limits, quadrat, own) for photo, quadrat, own in uploads]
    if not worker.has_room(len(files)):
        raise busy(worker.seconds_left)
    answers = await _answers(request, service, files)
    rows = service.rows(answers, quadrats)
    if all(estimate.status != "ok" for estimate, _ in answers):
        reasons = "; ".join(estimate.message for estimate, _ in answers)
        return problem(HTTPStatus.UNPROCESSABLE_ENTITY, reasons, predictions=rows)
    return {"predictions": rows}


@router.get("/api/maps/{name}", response_model=Map, responses=responses(status_404=MapStore.MISSING))
async def patch_map(name: str, service: Service) -> Any:
    """Grams per square metre on the patch grid, per target, and the top of the colour scale."""
    try:
        return service.map(name)
    except MapMissing as error:
        raise HTTPException(HTTPStatus.NOT_FOUND, str(error)) from error


@router.post(
    "/api/maps/{name}/overlay",
    response_class=Response,
    dependencies=[_fields(["photo"], address=["target"])],
    responses={
        200: {"description": "The photo under its map", "content": {"image/png": {}}},
        **responses(status_404=MapStore.MISSING, status_422="This is not the photo of the map."),
    },
)
async def overlay(
    name: str,
    service: Service,
    limits: RequestLimits,
    photo: Annotated[UploadFile, File()],
    target: Target | None = None,
) -> Response:
    """The overlay of `predict --maps`, drawn on the same photo, which is sent again because none is stored."""
    try:
        stored = service.maps.find(name)
    except MapMissing as error:
        raise HTTPException(HTTPStatus.NOT_FOUND, str(error)) from error
    _check([photo], limits)
    file = await _received(photo, limits, stored.corners)
    try:
        png = await service.overlay(stored, file, target)
    except PhotoUnreadable as error:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from error
    return _attachment(png, "image/png", map_files(stored.estimate.photo)[0])


@router.post("/api/files/predictions.csv", response_class=Response, responses=_file_response("text/csv"))
def predictions_file(rows: Predictions) -> Response:
    """Rows as the file predictions.csv."""
    return _attachment(predictions_csv(rows.predictions), "text/csv; charset=utf-8", "predictions.csv")


@router.post("/api/files/photos.geojson", response_class=Response, responses=_file_response("application/geo+json"))
def geojson_file(rows: Predictions) -> Response:
    """Rows with a position as the file photos.geojson."""
    return _attachment(photos_geojson_file(rows.predictions), "application/geo+json", "photos.geojson")


@router.post(
    "/api/paddocks",
    response_model=PaddockTable,
    responses=responses(status_422="paddocks: expected 2 names, one per photo; got 1."),
)
def paddocks(rows: GroupedPredictions, service: Service, farm: OptionalFarm) -> Any:
    """The cover of each paddock, with the columns of paddocks.csv: mean with interval, green and legume share.

    Copies of a photo count once; copies in two paddocks are an error. Where the server has a farm, photos without a
    name are assigned to its polygons by their position.
    """
    with refused():
        summary, remarks = service.paddocks(farm.in_paddocks(rows) if farm else rows)
    return {"paddocks": summary.rows(), "remarks": [remark.record() for remark in remarks]}


@router.post("/api/files/paddocks.csv", response_class=Response, responses=_file_response("text/csv"))
def paddocks_file(rows: GroupedPredictions, service: Service, farm: OptionalFarm) -> Response:
    """The same as the file paddocks.csv."""
    with refused():
        summary, _ = service.paddocks(farm.in_paddocks(rows) if farm else rows)
    return _attachment(summary.csv().encode(), "text/csv; charset=utf-8", "paddocks.csv")


@router.post("/api/files/walk.json", response_class=Response, responses=_file_response("application/json"))
def walk_file(rows: WalkRequest, service: Service) -> Response:
    """The photos of a walk as a file that `herbage farm FARM.gpkg --add FILE` adds to a farm."""
    with refused():
        walk, _ = walk_of(rows, service.record)
        with for_clients():
            days = [identity.day for _, identity in walk.identified(None)]
    content = walk.model_dump_json(indent=1, exclude_none=True).encode()
    return _attachment(content, "application/json", f"walk-{max(days)}.json")


@router.get("/strings.json", include_in_schema=False)
async def strings(request: Request) -> dict[str, dict[str, str]]:
    """The page's texts by language."""
    texts: dict[str, dict[str, str]] = request.app.state.strings
    return texts


def _file_route(name: str) -> Callable[[Request], Awaitable[Response]]:
    async def serve_file(request: Request) -> Response:
        return await FILES.get_response(name, request.scope)

    return serve_file


def _unprocessable(detail: str) -> HTTPException:
    return HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, detail)


def _check(photos: Sequence[Upload], limits: Limits) -> None:
    if len(photos) > limits.photos or any((photo.size or 0) > limits.photo_bytes for photo in photos):
        raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, too_large(limits))
    for photo in photos:
        if photo.content_type and not photo.content_type.lower().startswith(CONTENT_TYPES):
            message = f"{_name(photo)} is {photo.content_type}; expected a photo, such as image/jpeg."
            raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, message)


def _corners(given: str | None, photos: int) -> Sequence[Corners | None]:
    if not given:
        return [None] * photos
    try:
        corners = CORNERS.validate_json(given)
    except ValidationError as error:
        first = error.errors()[0]
        message = f"corners: expected a JSON list of null or four [x, y]; {first['msg']} at {first['loc']}."
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, message) from error
    if len(corners) != photos:
        message = f"corners: expected {photos} entries, one per photo; got {len(corners)}."
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, message)
    for of in corners:
        if of is not None and not is_quadrilateral(of):
            message = f"corners: {of} are not four corners from the upper left and clockwise."
            raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, message)
    return corners


def _measured(given: str | None, photos: int, model: HerbageModel) -> Sequence[tuple[float, ...]]:
    """The values of each photo in the order of the model's measured columns, NaN where one was not measured."""
    if not given:
        return [()] * photos
    try:
        entries = MEASURED.validate_json(given)
    except ValidationError as error:
        raise _unprocessable(f"measured: {_measured_fault(error)}") from error
    json.loads(given, object_pairs_hook=_refuse_repeated)
    if len(entries) != photos:
        raise _unprocessable(f"measured: expected {photos} entries, one per photo; got {len(entries)}.")
    names = model.measured_names if model.uses_measured else ()
    for name in (name for entry in entries for name in entry or {} if name not in names):
        uses = f"it uses {', '.join(names)}" if names else "it uses none"
        raise _unprocessable(f"measured: the model uses no measured column {name[:100]}; {uses}.")
    return [tuple(_number((entry or {}).get(name)) for name in names) for entry in entries]


def _measured_fault(error: ValidationError) -> str:
    first = error.errors()[0]
    got = f"{first['input']!r:.100}"
    match first["loc"]:
        case (int(number), str(name)):
            return f"{name[:100]} of photo {number + 1} is {got}; expected a finite number, or null if not measured."
        case (int(number),):
            return f"the entry of photo {number + 1} is {got}; expected null or an object of numbers."
    return f"expected a JSON list of null or objects of numbers; {first['msg']}."


def _refuse_repeated(pairs: list[tuple[str, Any]]) -> None:
    # Of a repeated name, parsers of JSON silently use the last value.
    if len(dict(pairs)) < len(pairs):
        raise _unprocessable("measured: a name occurs more than once in an object.")


def _number(value: float | None) -> float:
    return math.nan if value is None else value


async def _received(
    photo: Upload, limits: Limits, corners: Corners | None, measured: tuple[float, ...] = ()
) -> PhotoFile:
    content = await photo.read(limits.photo_bytes + 1)
    if len(content) > limits.photo_bytes:
        raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, too_large(limits))
    return PhotoFile(_name(photo), UPLOAD, corners, content, measured)


async def _answers(request: Request, service: PredictionService, files: Sequence[PhotoFile]) -> list[Answer]:
    """Wait for the estimates, unless the client disconnects."""
    waiting = service.worker.submit(files)
    try:
        pending = set(waiting)
        while pending:
            _, pending = await asyncio.wait(pending, timeout=DISCONNECT_CHECK_S)
            if pending and await request.is_disconnected():
                raise HTTPException(HTTPStatus.BAD_REQUEST, "The client disconnected.")
    finally:
        service.worker.cancel(waiting)
    return [one.result() for one in waiting]


def _name(photo: Upload) -> str:
    """The name of an upload, which is displayed and never used as a path."""
    return display_name((photo.filename or "photo").replace("\\", "/").rpartition("/")[2])[:200] or "photo"


def _attachment(content: bytes, media_type: str, name: str) -> Response:
    # RFC 6266: an ASCII name for old clients, and the exact name.
    plain = name.encode("ascii", "replace").decode().replace('"', "'").replace("\\", "_").replace("?", "_")
    disposition = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
    return Response(content, media_type=media_type, headers={"Content-Disposition": disposition})
