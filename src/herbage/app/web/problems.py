"""Errors as RFC 9457 problem details, without tracebacks or paths on the server."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from herbage.errors import InputInvalid

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
            "description": "One row per photo, as in predictions.csv, if none of the photos could be read.",
            "items": {"type": "object"},
        },
    },
}
"""JSON Schema of a problem details object."""

BODY_ERRORS = {
    "status_400": "There was an error parsing the body",
    "status_401": "The server requires its token.",
    "status_408": "No data was received for 30 s, or the request was not complete within 600 s.",
    "status_413": "A request may contain at most 50 photos, of at most 40 MB each and 500 MB in total.",
    "status_429": "Too many photos are waiting; try again later.",
}
"""Possible errors of every endpoint with a request body, with examples of their details."""


def problem(
    status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None, predictions: Sequence[Any] = ()
) -> JSONResponse:
    """A problem details response (RFC 9457); `predictions` are rows of photos that could not be read."""
    content: dict[str, Any] = {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail}
    if predictions:
        content["predictions"] = list(predictions)
    # The detail may quote invalid Unicode from the request.
    content = {key: _clean(value) if isinstance(value, str) else value for key, value in content.items()}
    return JSONResponse(content, status.value, headers, media_type=MEDIA_TYPE)


def responses(**examples: str) -> dict[int | str, dict[str, Any]]:
    """OpenAPI descriptions of an endpoint's errors, given as `status_422="example detail"`; BODY_ERRORS are added."""
    described: dict[int | str, dict[str, Any]] = {}
    for name, detail in (BODY_ERRORS | examples).items():
        status = HTTPStatus(int(name.removeprefix("status_")))
        example = {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail}
        described[status.value] = {
            "description": status.phrase,
            "content": {MEDIA_TYPE: {"schema": SCHEMA, "example": example}},
        }
    return described


@contextmanager
def refused() -> Iterator[None]:
    """Answer 422 to a request that is invalid for the library."""
    try:
        yield
    except InputInvalid as error:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from error


def tell_problems(app: FastAPI) -> None:
    """Register handlers that answer every error of the app with problem details."""

    @app.exception_handler(HTTPException)
    async def http_error(_: Request, error: HTTPException) -> Response:
        return problem(HTTPStatus(error.status_code), str(error.detail), error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid_request(_: Request, error: RequestValidationError) -> Response:
        detail = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:5])
        return problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail)

    @app.exception_handler(Exception)
    async def unexpected(_: Request, __: Exception) -> Response:
        return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "Unexpected error on the server; see its log.")


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
