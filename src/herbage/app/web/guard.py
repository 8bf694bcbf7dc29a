"""Middleware in front of the app: access control, limits on request sizes, and headers of every response."""

import asyncio
import hmac
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from herbage.app.web.problems import problem

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Headers of every response."""

COOKIE = "herbage_token"
PUBLIC = "/healthz"


@dataclass(frozen=True)
class Limits:
    """Limits per request (photos, bytes per photo, bytes) and on the server (photos waiting, maps stored).

    `bytes_in_flight` limits the total size of all requests that are not yet answered. A request times out after
    `idle_s` seconds without data, or if it is not complete after `whole_s` seconds.
    """

    photos: int = 50
    photo_bytes: int = 40_000_000
    request_bytes: int = 500_000_000
    bytes_in_flight: int = 1_000_000_000
    waiting: int = 100
    maps: int = 500
    idle_s: float = 30.0
    whole_s: float = 600.0


class Guard:
    """ASGI middleware around the complete app.

    With `token`, every path except /healthz requires it, as `Authorization: Bearer` or in the cookie that `/?token=`
    sets. With `hosts`, requests for other host names are refused, as protection against DNS rebinding.
    """

    def __init__(
        self, app: ASGIApp, limits: Limits, *, token: str | None = None, hosts: frozenset[str] | None = None
    ) -> None:
        self.app, self.limits, self.token, self.hosts = app, limits, token, hosts
        self.bytes_in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or pass it to the app."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        started = False

        async def with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        request = Request(scope)
        is_multipart = request.headers.get("content-type", "").startswith("multipart/")
        max_bytes = self.limits.request_bytes if is_multipart else self.limits.photo_bytes
        response = self._early_response(request, max_bytes)
        if response is not None:
            await response(scope, receive, with_headers)
            return
        body = _Body(self, receive, max_bytes)
        try:
            await self.app(scope, body.receive, with_headers)
        except asyncio.CancelledError:
            # The server is shutting down while the client waits for a response.
            if not started:
                await problem(HTTPStatus.SERVICE_UNAVAILABLE, "The server is shutting down.")(
                    scope, receive, with_headers
                )
        finally:
            self.bytes_in_flight -= body.received

    def _early_response(self, request: Request, max_bytes: int) -> Response | None:
        """The response to a request that does not reach the app (an error or a redirect), or None."""
        name = request.url.hostname or ""
        if self.hosts is not None and name not in self.hosts:
            return problem(HTTPStatus.MISDIRECTED_REQUEST, "This server only accepts requests for localhost.")
        if self.token is not None and request.url.path != PUBLIC:
            if request.url.path == "/" and self._is_token(request.query_params.get("token", "")):
                response = RedirectResponse("/", HTTPStatus.SEE_OTHER)
                response.set_cookie(COOKIE, self.token, httponly=True, samesite="strict")
                return response
            scheme, _, given = request.headers.get("authorization", "").partition(" ")
            in_header = scheme.lower() == "bearer" and self._is_token(given)
            if not in_header and not self._is_token(request.cookies.get(COOKIE, "")):
                detail = "Send the server's token as Authorization: Bearer, or open the address that ends in ?token=."
                return problem(HTTPStatus.UNAUTHORIZED, detail, {"WWW-Authenticate": "Bearer"})
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) > max_bytes:
            return problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, too_large(self.limits))
        return None

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), str(self.token).encode())


class _Body:
    """Receives a request's body, with limits on its size and time."""

    def __init__(self, guard: Guard, receive: Receive, max_bytes: int) -> None:
        self.guard, self._receive, self.max_bytes = guard, receive, max_bytes
        self.received, self.complete, self.started = 0, False, time.monotonic()

    async def receive(self) -> Message:
        """The next message; raises HTTPException if a limit of size or time is exceeded."""
        if self.complete:
            return await self._receive()
        limits = self.guard.limits
        remaining_s = self.started + limits.whole_s - time.monotonic()
        try:
            message: dict[str, Any] = dict(await asyncio.wait_for(self._receive(), min(limits.idle_s, remaining_s)))
        except TimeoutError:
            detail = (
                f"No data was received for {limits.idle_s:g} s, "
                f"or the request was not complete within {limits.whole_s:g} s."
            )
            raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, detail) from None
        size = len(message.get("body", b""))
        self.complete = not message.get("more_body", False)
        self.received += size
        self.guard.bytes_in_flight += size
        if self.received > self.max_bytes:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, too_large(limits))
        if self.guard.bytes_in_flight > limits.bytes_in_flight:
            raise busy(5)
        return message


def busy(seconds: int) -> HTTPException:
    """The error for a request that the client should repeat after `seconds`."""
    return HTTPException(
        HTTPStatus.TOO_MANY_REQUESTS, "Too many photos are waiting; try again later.", {"Retry-After": str(seconds)}
    )


def too_large(limits: Limits) -> str:
    """The detail of the error for a request over the limits."""
    return (
        f"A request may contain at most {limits.photos} photos, of at most {limits.photo_bytes / 1e6:g} MB each and "
        f"{limits.request_bytes / 1e6:g} MB in total."
    )
