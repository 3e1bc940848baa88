"""Let requests in, bound bodies and count, once for every request, in plain ASGI."""

import time
from collections.abc import Mapping
from typing import Any

import structlog
from prometheus_client import Counter, Histogram
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.errors import CLIENT_LEFT, BodyTooLarge, not_found, problem, respond
from app.api.letting import KEY
from app.api.pacing import Header, Pacer
from app.api.routing import Handle
from app.api.scopes import PUBLIC
from app.core.errors import DomainError
from app.core.keys import Key
from app.flows.authenticate import Doorkeeper
from app.store.keyring import KeyRing
from app.store.pacing import TRAFFIC

log = structlog.get_logger("membudget")

REQUESTS = Counter("membudget_requests", "Requests answered.", ["method", "route", "status"])
SECONDS = Histogram(
    "membudget_request_seconds",
    "Time to the start of the answer.",
    ["route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)

UPLOAD_SUFFIX = "/import"
MOST_DIGITS = 19
"""Of a length: one of more is too large however it goes on."""


class Edge:
    """The outermost layer: limits what comes in, counts what goes out.

    `express` holds handlers of the busiest paths, which need no router: what a framework does
    around a handler costs more than the handler itself.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        application: Starlette,
        express: Mapping[tuple[str, str], Handle],
        ring: KeyRing,
        doorkeeper: Doorkeeper,
        rate_limit: int | None,
        body_limit: int,
        upload_limit: int,
        access_log: bool,
    ) -> None:
        self._app = app
        self._application = application
        self._express = express
        self._ring = ring
        self._doorkeeper = doorkeeper
        self._pacer = None if rate_limit is None else Pacer(rate_limit)
        self._body_limit = body_limit
        self._upload_limit = upload_limit
        self._access_log = access_log
        self._counters: dict[tuple[str, str, int], Any] = {}
        self._timers: dict[str, Any] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["app"] = self._application
        started = time.perf_counter()
        path = scope["path"]
        declared, secret, is_encoded = _read_head(scope)
        handle = self._express.get((scope["method"], path))
        is_short = declared is not None and declared <= self._body_limit
        key: Key | None = None
        is_known = self._ring.is_open or path in PUBLIC
        if not is_known:
            key = self._ring.find(secret or b"", self._now)
            is_known = key is not None
        if is_known and handle is not None and is_short and not is_encoded:
            status = await self._hurry(handle, key, scope, receive, send)
            self._count(scope["method"], path, status, time.perf_counter() - started)
            return
        status = 0

        paced: list[Header] = []

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if paced:
                    message["headers"] = [*message["headers"], *paced]
            if status != CLIENT_LEFT:  # nobody is there to hear it
                await send(message)

        limit = self._upload_limit if path.endswith(UPLOAD_SUFFIX) else self._body_limit
        try:
            if not is_known:
                key = await self._doorkeeper.find(secret, self._now)
            self._admit(key, scope, paced)
            if is_encoded:
                await _refuse_encoding(scope, receive, sending)
                return
            if "\0" in path:  # no name holds one, and PostgreSQL takes none
                await not_found(Request(scope))(scope, receive, sending)
                return
            if declared is not None and declared > limit:
                raise BodyTooLarge
            counted = receive if declared is not None else _counting(receive, limit)
            await self._app(scope, counted, sending)
        except DomainError as error:  # refused at the door: further in, the application answers
            await respond(Request(scope), error)(scope, receive, sending)
        except BodyTooLarge:
            if status:
                raise
            await _refuse(limit, scope, receive, sending)
        except ClientDisconnect:
            status = CLIENT_LEFT
        except Exception:
            status = status or 500  # the layer outside answers it
            raise
        finally:
            self._note(scope, status, time.perf_counter() - started)

    def _now(self) -> int:
        """The present in microseconds, by the clock of the house."""
        now: int = self._application.state.house.now_micros()
        return now

    def _admit(self, key: Key | None, scope: Scope, paced: list[Header]) -> None:
        """Note whose request it is, and count it. Errors: RateLimited."""
        if key is not None:
            scope[KEY] = key
            if self._pacer is not None:
                self._pacer.pass_(key.id, paced)

    async def _hurry(
        self, handle: Handle, key: Key | None, scope: Scope, receive: Receive, send: Send
    ) -> int:
        """Answer a request of the express lane; the status of the answer."""
        request = HurriedRequest(scope, receive)
        paced: list[Header] = []
        try:
            self._admit(key, scope, paced)
            response = await handle(request)
        except ClientDisconnect:
            return CLIENT_LEFT
        except Exception as error:  # noqa: BLE001 (as the framework does: the client is told)
            response = respond(request, error)
        finally:
            TRAFFIC.end(request)
        start = {
            "type": "http.response.start",
            "status": response.status_code,
            "headers": [*response.raw_headers, *paced] if paced else response.raw_headers,
        }
        await send(start)
        await send({"type": "http.response.body", "body": response.body})
        return response.status_code

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "other"
        if (method, scope["path"]) in self._express:
            route = scope["path"]
        else:
            route = getattr(scope.get("route"), "path", "unmatched")
        self._count(method, route, status, seconds)

    def _count(self, method: str, route: str, status: int, seconds: float) -> None:
        key = (method, route, status)
        counter = self._counters.get(key)
        if counter is None:
            counter = self._counters[key] = REQUESTS.labels(method, route, str(status))
        counter.inc()
        timer = self._timers.get(route)
        if timer is None:
            timer = self._timers[route] = SECONDS.labels(route)
        timer.observe(seconds)
        if self._access_log:
            ms = round(seconds * 1000, 2)
            log.info("request", method=method, route=route, status=status, ms=ms)


class HurriedRequest(Request):
    """A request of the express lane: a body mostly comes in one piece, and is taken without the
    generators that make a stream of any."""

    _whole: bytes | None = None

    async def body(self) -> bytes:
        """The whole body. Errors: ClientDisconnect."""
        if self._whole is None:
            pieces: list[bytes] = []
            is_whole = False
            while not is_whole:
                message = await self.receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                pieces.append(message.get("body", b""))
                is_whole = not message.get("more_body", False)
            self._whole = b"".join(pieces)
            TRAFFIC.begin(self)  # not before: jobs do not wait for a slow client
        return self._whole


_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})


def _read_head(scope: Scope) -> tuple[int | None, bytes | None, bool]:
    """The length that the body is said to have, the key that is shown, and whether the body is
    compressed."""
    length, secret, is_encoded = None, None, False
    for name, value in scope["headers"]:
        if name == b"content-length":
            length = int(value.lstrip(b"0")[:MOST_DIGITS] or b"0") if value.isdigit() else None
        elif name == b"authorization":
            scheme, _, shown = value.partition(b" ")
            secret = (shown.strip() or None) if scheme.lower() == b"bearer" else None
        elif name == b"content-encoding":
            is_encoded = value.strip().lower() not in (b"", b"identity")
    return length, secret, is_encoded


def _counting(receive: Receive, limit: int) -> Receive:
    """`receive` for bodies that do not say their length."""
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            raise BodyTooLarge
        return message

    return counted


async def _refuse_encoding(scope: Scope, receive: Receive, send: Send) -> None:
    response = problem(
        415,
        "unsupported_media_type",
        "Bodies are taken as they are: send this one without Content-Encoding.",
        instance=Request(scope).url.path,
        headers={"Accept-Encoding": "identity"},
    )
    await response(scope, receive, send)


async def _refuse(limit: int, scope: Scope, receive: Receive, send: Send) -> None:
    response = problem(
        413,
        "body_too_large",
        f"This path takes at most {limit:,} bytes; send less, or in parts.",
        instance=Request(scope).url.path,
        headers={"Connection": "close"},
    )
    await response(scope, receive, send)
