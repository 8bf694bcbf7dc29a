"""Errors as RFC 9457 problem details: never a traceback, never a path of this computer."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

MEDIA_TYPE = "application/problem+json"

SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "predictions": {
            "type": "array",
            "description": "The rows of photos none of which could be read, as in predictions.csv.",
            "items": {"type": "object"},
        },
    },
}
"""JSON Schema of a problem."""

OF_EVERY_BODY = {
    "status_400": "There was an error parsing the body",
    "status_401": "Give the server's token.",
    "status_408": "Nothing came for 30 s, or not all within 600 s.",
    "status_413": "At most 50 photos a request, each of 40 MB at most, 500 MB together.",
    "status_429": "Too many photos wait; try again later.",
}
"""What may be answered wherever something is sent."""


def problem(
    status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None, predictions: Sequence[Any] = ()
) -> JSONResponse:
    """An error as RFC 9457 has it; `predictions` are rows of photos that could not be read."""
    content: dict[str, Any] = {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail}
    if predictions:
        content["predictions"] = list(predictions)
    # A client may have sent text that is no Unicode, which is shown back to it.
    content = {key: _clean(value) if isinstance(value, str) else value for key, value in content.items()}
    return JSONResponse(content, status.value, headers, media_type=MEDIA_TYPE)


def responses(**examples: str) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says of an endpoint's errors, each as `status_422="an example"`; those of every body are added."""
    found: dict[int | str, dict[str, Any]] = {}
    for name, detail in (OF_EVERY_BODY | examples).items():
        status = HTTPStatus(int(name.removeprefix("status_")))
        example = {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail}
        found[status.value] = {
            "description": status.phrase,
            "content": {MEDIA_TYPE: {"schema": SCHEMA, "example": example}},
        }
    return found


def tell_problems(app: FastAPI) -> None:
    """Have every error of the app answered as a problem."""

    @app.exception_handler(HTTPException)
    async def told(_: Request, error: HTTPException) -> Response:
        return problem(HTTPStatus(error.status_code), str(error.detail), error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        said = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:5])
        return problem(HTTPStatus.UNPROCESSABLE_ENTITY, said)

    @app.exception_handler(Exception)
    async def broken(_: Request, __: Exception) -> Response:
        return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong on the server; its log says what.")


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
