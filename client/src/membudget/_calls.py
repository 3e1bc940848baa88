"""Describe a request to the service and how its answer is read, for both clients."""

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import PurePath
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from membudget import results
from membudget._answers import JSON, Answer, Page, nothing, one, page_of
from membudget._reading import Result, read
from membudget.errors import InvalidRequest

T = TypeVar("T")
R = TypeVar("R", bound=Result)

GZIP = "application/gzip"
GZIP_MAGIC = b"\x1f\x8b"

PAGE = 1_000
"""Items a page."""
EVENTS = 10_000
"""Usage events that one request may hold."""
LONG_SECONDS = 300.0
"""What work on everything (jobs, backups, imports, simulations) may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[T]):
    """A request, and how its answer is read."""

    method: str
    path: str
    read: Callable[[Answer], T]
    params: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    is_repeatable: bool = True
    """Sent twice it has the effect of once."""
    seconds: float | None = None
    """What it may take, where that is more than the client's time-out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing(Generic[T]):
    """A list that is read page by page."""

    first: Call[Page[T]]
    limit: int | None
    """Items in all; None: every one."""

    def at(self, cursor: str | None, taken: int) -> Call[Page[T]]:
        """The request for the page that begins at a cursor."""
        params = dict(self.first.params)
        if cursor is not None:
            params["cursor"] = cursor
        if self.limit is not None:
            params["limit"] = str(max(1, min(PAGE, self.limit - taken)))
        return replace(self.first, params=params)

    def rest(self, taken: int) -> int | None:
        """How many more are wanted."""
        return None if self.limit is None else max(0, self.limit - taken)


class Builder:
    """Builds requests, with its workspace where none is named."""

    def __init__(self, workspace: str | None) -> None:
        self.workspace = workspace

    def _body(self, given: Mapping[str, Any]) -> dict[str, Any]:
        body = said(given)
        if self.workspace is not None:
            body.setdefault("workspace", self.workspace)
        return body

    def _params(self, given: Mapping[str, Any]) -> dict[str, str]:
        return {key: param(held) for key, held in self._body(given).items()}

    def _listing(
        self,
        path: str,
        kind: type[R],
        limit: int | None,
        wanted: Mapping[str, Any],
        *,
        seconds: float | None = None,
    ) -> Listing[R]:
        params = {**self._params(wanted), "limit": str(PAGE)}
        first: Call[Page[R]] = Call(
            method="GET",
            path=path,
            read=page_of(lambda data: read(kind, data)),
            params=params,
            seconds=seconds,
        )
        return Listing(first=first, limit=limit)

    def _upload(
        self, path: str, data: bytes, kind: str, params: Mapping[str, Any]
    ) -> Call[results.Imported]:
        return Call(
            method="POST",
            path=path,
            read=one(results.Imported),
            params=self._params(params),
            headers={"Content-Type": kind},
            content=data,
            seconds=LONG_SECONDS,
        )


def said(given: Mapping[str, Any]) -> dict[str, Any]:
    """What was said: fields that are None were not."""
    return {key: held for key, held in given.items() if held is not None}


def encode(data: Any) -> bytes:
    """Data as JSON. Errors: ValueError for NaN, TypeError for what JSON has no word for."""
    return json.dumps(data, default=in_json, allow_nan=False, separators=(",", ":")).encode()


def part(name: str) -> str:
    """A name as one part of a path. Errors: InvalidRequest for one that would lead elsewhere."""
    if name in (".", ".."):
        raise InvalidRequest(f"{name!r} can be no name: in an address it means another place.")
    return quote(name, safe="")


def agent_path(agent: str) -> str:
    """The path of an agent, `type/name` or a bare name."""
    return "/agents/" + "/".join(map(part, agent.split("/", 1)))


def new_id(prefix: str) -> str:
    """An id that nobody else makes; later ones sort behind earlier ones."""
    return f"{prefix}_{time.time_ns() // 1000:014x}{os.urandom(8).hex()}"


def getting(
    path: str,
    read_: Callable[[Answer], T],
    params: Mapping[str, str] | None = None,
    *,
    accept: str | None = None,
    seconds: float | None = None,
) -> Call[T]:
    return Call(
        method="GET",
        path=path,
        read=read_,
        params=params or {},
        headers={} if accept is None else {"Accept": accept},
        seconds=seconds,
    )


def posting(
    path: str,
    body: Any,
    read_: Callable[[Answer], T],
    *,
    params: Mapping[str, str] | None = None,
    is_repeatable: bool = True,
    seconds: float | None = None,
) -> Call[T]:
    return Call(
        method="POST",
        path=path,
        read=read_,
        params=params or {},
        headers={} if body is None else {"Content-Type": JSON},
        content=None if body is None else encode(body),
        is_repeatable=is_repeatable,
        seconds=seconds,
    )


def putting(
    path: str, body: Any, read_: Callable[[Answer], T], params: Mapping[str, str]
) -> Call[T]:
    return Call(
        method="PUT",
        path=path,
        read=read_,
        params=params,
        headers={"Content-Type": JSON},
        content=encode(body),
    )


def deleting(path: str, params: Mapping[str, str]) -> Call[None]:
    return Call(method="DELETE", path=path, read=nothing, params=params)


def param(held: Any) -> str:
    if isinstance(held, bool):
        return "true" if held else "false"
    if isinstance(held, datetime):
        return moment(held)
    return str(held)


def moment(at: datetime) -> str:
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).isoformat()


def in_json(held: Any) -> Any:
    """What JSON has no word for, in words that it has."""
    if isinstance(held, datetime):
        return moment(held)
    if isinstance(held, Decimal | PurePath):
        return str(held)
    if isinstance(held, Result):
        return held.raw
    if isinstance(held, Mapping):
        return dict(held)
    if isinstance(held, set | frozenset | tuple) or (
        isinstance(held, Sequence) and not isinstance(held, str | bytes)
    ):
        return list(held)
    raise TypeError(f"{type(held).__name__} cannot be sent as JSON")
