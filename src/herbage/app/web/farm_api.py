"""The HTTP routes of a server's farm; what they do is in `farm`."""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException

from herbage.app.web.farm import FarmService, SeasonMissing
from herbage.app.web.problems import refused, responses
from herbage.app.web.schemas import FarmSeason, Saved, SaveRequest

NO_FARM = "This server has no farm; it has one if it is started with herbage serve MODEL --farm FARM.gpkg."
LOCKED = (
    "farm.gpkg is being written by another program (waited 60 s), such as QGIS with unsaved edits or another run of "
    "herbage."
)
SEASON_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""The content security policy of the season: one file with its styles and pictures, and without scripts."""

router = APIRouter()


def _farm(request: Request) -> FarmService:
    farm: FarmService | None = request.app.state.farm
    if farm is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, NO_FARM)
    return farm


def _json_only(request: Request) -> None:
    """Refuse what a browser sends for a page of another site without asking this server: no such request is JSON."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Expected application/json; got {kind or 'no type'}.")


ServerFarm = Annotated[FarmService, Depends(_farm)]


@router.get("/api/farm", response_model=FarmSeason, responses=responses(status_404=NO_FARM, status_422=LOCKED))
def season(farm: ServerFarm) -> Any:
    """The season of the farm: its newest walk, and the feed wedge."""
    with refused():
        return farm.state()


@router.post(
    "/api/farm",
    response_model=Saved,
    dependencies=[Depends(_json_only)],
    responses=responses(status_404=NO_FARM, status_415="Expected application/json; got text/plain.", status_422=LOCKED),
)
async def save(rows: SaveRequest, farm: ServerFarm) -> Any:
    """Save the estimates of photos to the farm. Photos that are there already are not added again."""
    with refused():
        return await farm.save(rows)


@router.get(
    "/season.html",
    response_class=HTMLResponse,
    responses={
        200: {"description": "The report as one page", "content": {"text/html": {}}},
        **responses(status_404=NO_FARM, status_422=LOCKED),
    },
)
def season_report(farm: ServerFarm) -> HTMLResponse:
    """The report of the season, as `herbage farm` writes it."""
    try:
        with refused():
            return HTMLResponse(farm.page(), headers={"Content-Security-Policy": SEASON_POLICY})
    except SeasonMissing as error:
        raise HTTPException(HTTPStatus.NOT_FOUND, str(error)) from error
