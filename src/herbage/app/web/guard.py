"""What stands before the app: who may ask, how much may come in, and the headers of every answer."""

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
"""Of every answer."""

COOKIE = "herbage_token"
PUBLIC = "/healthz"


@dataclass(frozen=True)
class Limits:
    """What a request and the server may hold: photos and bytes a request, bytes a photo, photos waiting, maps kept.

    `bytes_in_flight` bounds what all requests together have sent and not yet had answered; a client that sends nothing
    for `idle_s` seconds, or is not done after `whole_s`, is let go.
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
    """ASGI middleware around the whole app.

    With `token`, everything but /healthz asks for it, as `Authorization: Bearer`, or by a cookie that the address
    `/?token=` sets. With `hosts`, other names of this server are refused, so that a stranger's page cannot reach it by
    a name that it made point here.
    """

    def __init__(
        self, app: ASGIApp, limits: Limits, *, token: str | None = None, hosts: frozenset[str] | None = None
    ) -> None:
        self.app, self.limits, self.token, self.hosts = app, limits, token, hosts
        self.bytes_in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let the app do it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        begun = False

        async def with_headers(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        request = Request(scope)
        many = request.headers.get("content-type", "").startswith("multipart/")
        most = self.limits.request_bytes if many else self.limits.photo_bytes
        answer = self._answer(request, most)
        if answer is not None:
            await answer(scope, receive, with_headers)
            return
        body = _Body(self, receive, most)
        try:
            await self.app(scope, body.receive, with_headers)
        except asyncio.CancelledError:
            # The server ends; a client that still waits is told.
            if not begun:
                await problem(HTTPStatus.SERVICE_UNAVAILABLE, "The server ends.")(scope, receive, with_headers)
        finally:
            self.bytes_in_flight -= body.received

    def _answer(self, request: Request, most: int) -> Response | None:
        """What is answered before the app sees a request, which may have so many bytes; None lets it through."""
        name = request.url.hostname or ""
        if self.hosts is not None and name not in self.hosts:
            return problem(HTTPStatus.MISDIRECTED_REQUEST, "This server answers as localhost only.")
        if self.token is not None and request.url.path != PUBLIC:
            if request.url.path == "/" and self._is_token(request.query_params.get("token", "")):
                answer = RedirectResponse("/", HTTPStatus.SEE_OTHER)
                answer.set_cookie(COOKIE, self.token, httponly=True, samesite="strict")
                return answer
            scheme, _, given = request.headers.get("authorization", "").partition(" ")
            bears = scheme.lower() == "bearer" and self._is_token(given)
            if not bears and not self._is_token(request.cookies.get(COOKIE, "")):
                said = "Give the server's token as Authorization: Bearer, or open the address that ends in ?token=."
                return problem(HTTPStatus.UNAUTHORIZED, said, {"WWW-Authenticate": "Bearer"})
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) > most:
            return problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, too_large(self.limits))
        return None

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), str(self.token).encode())


class _Body:
    """A request's body as it comes in: counted, bounded, and not waited for endlessly."""

    def __init__(self, guard: Guard, receive: Receive, most: int) -> None:
        self.guard, self._receive, self.most = guard, receive, most
        self.received, self.whole, self.started = 0, False, time.monotonic()

    async def receive(self) -> Message:
        """The next message; raises HTTPException for too much, or nothing for too long."""
        if self.whole:
            return await self._receive()
        limits = self.guard.limits
        left = self.started + limits.whole_s - time.monotonic()
        try:
            message: dict[str, Any] = dict(await asyncio.wait_for(self._receive(), min(limits.idle_s, left)))
        except TimeoutError:
            said = f"Nothing came for {limits.idle_s:g} s, or not all within {limits.whole_s:g} s."
            raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, said) from None
        size = len(message.get("body", b""))
        self.whole = not message.get("more_body", False)
        self.received += size
        self.guard.bytes_in_flight += size
        if self.received > self.most:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, too_large(limits))
        if self.guard.bytes_in_flight > limits.bytes_in_flight:
            raise busy(5)
        return message


def busy(seconds: int) -> HTTPException:
    """The answer to a request that has to come back later."""
    return HTTPException(
        HTTPStatus.TOO_MANY_REQUESTS, "Too many photos wait; try again later.", {"Retry-After": str(seconds)}
    )


def too_large(limits: Limits) -> str:
    """What is said of a request that is too large."""
    return (
        f"At most {limits.photos} photos a request, each of {limits.photo_bytes / 1e6:g} MB at most, "
        f"{limits.request_bytes / 1e6:g} MB together."
    )
