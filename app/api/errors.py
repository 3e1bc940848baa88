"""Answer every error as application/problem+json: the only place that knows status codes."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Match

from app.api.names import in_words
from app.core import errors

log = structlog.get_logger("membudget")

STATUS: Mapping[type[errors.DomainError], int] = {
    errors.InvalidRequest: 422,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.RateLimited: 429,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.StorageFull: 507,
    errors.Unavailable: 503,
    errors.DomainError: 400,
}
"""Status of an error: its own, else that of the nearest class above it."""

TITLES = {
    400: "Bad request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    409: "Conflict",
    413: "Body too large",
    415: "Unsupported media type",
    422: "Invalid request",
    429: "Too many requests",
    431: "Header too large",
    500: "Internal error",
    503: "Unavailable",
    507: "Storage full",
}

CODES = {
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    413: "body_too_large",
    415: "unsupported_media_type",
}

RETRY_AFTER_SECONDS = "1"
METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
OUTAGE_LOG_SECONDS = 10
CLIENT_LEFT = 499
"""What the counters call a request whose client went away before it was sent whole."""
MAX_ERRORS = 50
PROBLEM = "application/problem+json"
MAX_NAME = 100
TYPE_PREFIX = "urn:membudget:problem:"


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    instance: str,
    errors: Sequence[Mapping[str, Any]] = (),
    headers: Mapping[str, str] | None = None,
    extensions: Mapping[str, Any] | None = None,
) -> Response:
    """A problem document (RFC 9457) as a response."""
    body: dict[str, Any] = {
        **(extensions or {}),
        "type": TYPE_PREFIX + code,
        "title": TITLES.get(status, "Error"),
        "status": status,
        "detail": detail,
        "instance": instance,
        "code": code,
    }
    if errors:
        body["errors"] = list(errors)[:MAX_ERRORS]
    return Response(
        json.dumps(body, default=str),
        status_code=status,
        media_type=PROBLEM,
        headers=dict(headers or {}),
    )


class BodyTooLarge(Exception):
    """More bytes came than the path takes."""


def on_large_body(request: Request, error: Exception) -> Response:
    """A body that turned out too large while it was read."""
    return problem(
        413,
        "body_too_large",
        "The body is larger than this path takes; send less, or in parts.",
        instance=request.url.path,
        headers={"Connection": "close"},
    )


def on_client_left(request: Request, error: Exception) -> Response:
    """Nobody hears this answer; the counters do."""
    return Response(status_code=CLIENT_LEFT)


class Outages:
    """Logs that requests cannot be recorded, once in a while and not for each of them."""

    def __init__(self) -> None:
        self._next = 0.0
        self._count = 0

    def note(self, code: str) -> None:
        """One more request that could not be recorded."""
        self._count += 1
        if time.monotonic() >= self._next:
            log.error("not_recorded", code=code, requests=self._count)
            self._next = time.monotonic() + OUTAGE_LOG_SECONDS
            self._count = 0


OUTAGES = Outages()


def status_of(kind: type[errors.DomainError]) -> int:
    """The status code of an error class."""
    return next(STATUS[base] for base in kind.__mro__ if base in STATUS)


def describe_validation(
    error: ValidationError, prefix: tuple[str, ...] = ()
) -> list[dict[str, Any]]:
    """Where a value is wrong and why, without the value itself."""
    return [
        {"loc": [*prefix, *map(_brief, item["loc"])], "msg": in_words(item["msg"])}
        for item in error.errors(include_url=False, include_context=False, include_input=False)
    ]


def _brief(part: str | int) -> str | int:
    """A part of a location: the names of fields may be anything, and of any length."""
    if isinstance(part, int) or len(part) <= MAX_NAME:
        return part
    return part[:MAX_NAME] + "…"


def on_domain_error(request: Request, error: Exception) -> Response:
    """A DomainError as a problem."""
    assert isinstance(error, errors.DomainError)
    status = status_of(type(error))
    headers = None
    if status == 401:
        headers = {"WWW-Authenticate": "Bearer"}
    elif status in (503, 507):
        headers = {"Retry-After": RETRY_AFTER_SECONDS}
        OUTAGES.note(error.code)
    return problem(
        status,
        error.code,
        error.detail,
        instance=request.url.path,
        errors=error.errors,
        headers=headers,
        extensions=error.extensions,
    )


def on_invalid(request: Request, error: Exception) -> Response:
    """A request that does not fit the contract as a problem."""
    if isinstance(error, RequestValidationError):
        found = [
            {"loc": list(map(_brief, item["loc"])), "msg": in_words(item["msg"])}
            for item in error.errors()
        ]
    else:
        assert isinstance(error, ValidationError)
        found = describe_validation(error, ("body",))
    detail = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in found[:3])
    return problem(422, "invalid_request", detail[:1000], instance=request.url.path, errors=found)


def not_found(request: Request) -> Response:
    """The problem of a path that is not there."""
    return on_http_error(request, HTTPException(404))


def on_http_error(request: Request, error: Exception) -> Response:
    """A 404, 405 and the like of the framework as a problem."""
    assert isinstance(error, HTTPException)
    details = {
        404: "No such path; /openapi.json lists all of them.",
        405: "This path does not take this method; the Allow header lists those it takes.",
    }
    return problem(
        error.status_code,
        CODES.get(error.status_code, "http_error"),
        details.get(error.status_code, str(error.detail)),
        instance=request.url.path,
        headers={"Allow": _allowed(request)} if error.status_code == 405 else error.headers,
    )


def _allowed(request: Request) -> str:
    """The methods of all routes that have this path; the framework names those of one."""
    methods = [
        method
        for method in METHODS
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL
            for route in request.app.routes
        )
    ]
    return ", ".join(methods)


def on_fault(request: Request, error: Exception) -> Response:
    """A fault of ours as a problem that gives nothing away; the log has the traceback."""
    log.error("fault", path=request.url.path, kind=type(error).__name__, exc_info=error)
    return problem(
        500,
        "internal_error",
        "The service failed; nothing was stored. The log has the details.",
        instance=request.url.path,
    )


def respond(request: Request, error: Exception) -> Response:
    """Any error as a problem."""
    if isinstance(error, errors.DomainError):
        return on_domain_error(request, error)
    if isinstance(error, ValidationError | RequestValidationError):
        return on_invalid(request, error)
    return on_fault(request, error)


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldProblem:
    """What is wrong with one field."""

    loc: list[str | int]
    """Where: `body`, `query` or `path`, then names and indexes."""
    msg: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """An error (RFC 9457). `code` is stable; `detail` says what to change."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    errors: list[FieldProblem] | None = None
    """Fields at fault, where some are."""


RESPONSES: dict[int | str, dict[str, Any]] = {
    "default": {"model": Problem, "description": "What is wrong, and what to change"}
}


def describe_problems(document: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI document with the media type that problems really have."""
    for operations in document["paths"].values():
        for operation in operations.values():
            answer = operation["responses"].get("default", {})
            content = answer.get("content", {})
            if "application/json" in content:
                answer["content"] = {PROBLEM: content["application/json"]}
    return document


def install(app: FastAPI) -> None:
    """Answer all errors of an application as problems."""
    app.add_exception_handler(errors.DomainError, on_domain_error)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(ValidationError, on_invalid)
    app.add_exception_handler(BodyTooLarge, on_large_body)
    app.add_exception_handler(ClientDisconnect, on_client_left)
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(Exception, on_fault)
