"""Speak HTTP: an answer in one write, and no patience for clients that never finish."""

import asyncio
import json
import logging
import time
from collections import Counter
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

_STATUS_LINE = b"HTTP/1.1 "

HEAD_BYTES = 64 * 1024
HEADERS = 200
HEAD_SECONDS = 15.0
GRACE_SECONDS = 20.0
LEAST_RATE = 1024
"""Bytes a second that a body comes at, on the whole."""
UNTAKEN_SECONDS = 60.0
WATCH_SECONDS = 5.0
LOG_SECONDS = 10.0
"""How seldom the log says the same of requests that are none."""


def _refusal(status: int, reason: str, code: str, detail: str) -> bytes:
    body = json.dumps(
        {
            "type": f"urn:membudget:problem:{code}",
            "title": reason,
            "status": status,
            "detail": detail,
            "instance": "/",
            "code": code,
        }
    ).encode()
    head = (
        f"HTTP/1.1 {status} {reason}\r\ncontent-type: application/problem+json\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body


REFUSALS = {
    400: _refusal(
        400, "Bad Request", "bad_request", "This is no HTTP/1.1 request: send one Host, one length."
    ),
    408: _refusal(
        408, "Request Timeout", "too_slow", "The request did not come in time; send it again."
    ),
    431: _refusal(
        431,
        "Request Header Fields Too Large",
        "header_too_large",
        f"A request's head has at most {HEADERS} headers and {HEAD_BYTES // 1024} KiB; send less.",
    ),
}
"""Answers to what never became a request, whole."""


class Seldom(logging.Filter):
    """Lets the first of equal warnings through, and then one in a while with their number."""

    def __init__(self) -> None:
        super().__init__()
        self._next: dict[str, float] = {}
        self._held: Counter[str] = Counter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a line is written."""
        if record.levelno > logging.WARNING:
            return True
        text, now = str(record.msg), time.monotonic()
        if now < self._next.get(text, 0.0):
            self._held[text] += 1
            return False
        self._next[text] = now + LOG_SECONDS
        if held := self._held.pop(text, 0):
            record.msg = f"{text} ({held:,} more since the last line)"
        return True


LOG = logging.getLogger("membudget.wire")
LOG.addFilter(Seldom())


class JoinedTransport:
    """A transport that holds back the head of an answer until its body follows.

    Nothing is held for longer than one turn of the loop.
    """

    __slots__ = ("_head", "_loop", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head = b""

    def write(self, data: bytes) -> None:
        """Write, unless this is a head."""
        if self._head:
            data, self._head = self._head + data, b""
        elif data.startswith(_STATUS_LINE):
            self._head = data
            self._loop.call_soon(self.let_go)
            return
        self._transport.write(data)

    def close(self) -> None:
        """Close once everything is written."""
        self.let_go()
        self._transport.close()

    def let_go(self) -> None:
        """Write what is held back."""
        if self._head:
            self._transport.write(self._head)
            self._head = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class JoinedProtocol(HttpToolsProtocol):
    """uvicorn's protocol on such a transport, with bounds on heads and on patience.

    A head is at most `HEAD_BYTES` and `HEADERS`, and is there within `HEAD_SECONDS`; so is what
    stands between the parts of a body, and after it. A body comes at `LEAST_RATE` after
    `GRACE_SECONDS`; an answer that a client does not take is not kept for it.
    """

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection; one that stays silent ends as one that falls silent does."""
        super().connection_made(cast(asyncio.Transport, transport))
        self.logger = LOG
        self._joined = JoinedTransport(self.transport, self.loop)
        self.transport = cast(asyncio.Transport, self._joined)
        self._is_in_head = self._is_in_body = self._is_too_large = False
        self._began, self._got, self._chunk, self._aside = 0.0, 0, 0, 0
        self._has_fed = False
        self._watch: asyncio.TimerHandle | None = None
        self._untaken: asyncio.TimerHandle | None = None
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, and so are its timers."""
        self._unset_keepalive_if_required()
        for timer in (self._watch, self._untaken):
            if timer is not None:
                timer.cancel()
        self._watch = self._untaken = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; what is not whole after them is watched."""
        self._chunk, self._has_fed = len(data), False
        super().data_received(data)
        if self._is_in_head or self._is_in_body:
            self._got += len(data)
            self._aside = 0 if self._has_fed else self._aside + len(data)
            if self._watch is None:
                self._began = self.loop.time()
                self._watch = self.loop.call_later(WATCH_SECONDS, self._judge)
            held = self._got if self._is_in_head else self._aside
            if held > HEAD_BYTES and not self.transport.is_closing():
                self._refuse(431)
        elif self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def on_message_begin(self) -> None:
        """A request begins."""
        self._is_in_head, self._is_in_body, self._got, self._aside = True, False, 0, 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; those that follow a body (trailers) are of no use to us, and not kept."""
        if not self._is_in_body:
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """A part of a body, and not of what stands around its chunks."""
        self._has_fed = True
        super().on_body(body)

    def on_headers_complete(self) -> None:
        """A head is whole: refuse one that is too large, or does not name one host."""
        self._is_in_head, self._is_in_body = False, True
        headers = self.headers
        is_large = self._chunk > HEAD_BYTES or self._got
        if len(headers) > HEADERS or (
            is_large
            and sum(len(name) + len(value) for name, value in headers) + len(self.url) > HEAD_BYTES
        ):
            self._is_too_large = True
            raise ValueError("the head is too large")  # the parser stops, and we are told
        hosts = [name for name, _ in headers].count(b"host")
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() != "1.0"):
            raise ValueError("not one Host")
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """A request is whole."""
        self._is_in_body = False
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP of ours gets a problem document, like every other error."""
        self._refuse(431 if self._is_too_large else 400)
        self._is_in_head = self._is_in_body = False

    def pause_writing(self) -> None:
        """The client takes less than we send: for a while that is its right."""
        super().pause_writing()
        if self._untaken is None:
            self._untaken = self.loop.call_later(UNTAKEN_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """The client has taken it."""
        super().resume_writing()
        if self._untaken is not None:
            self._untaken.cancel()
            self._untaken = None

    def _judge(self) -> None:
        """Whether a request that is not whole is still worth waiting for."""
        self._watch = None
        if self.transport.is_closing() or not (self._is_in_head or self._is_in_body):
            return
        if self.flow.read_paused or (self._is_in_head and not self._is_free()):
            self._began += WATCH_SECONDS  # it is we who take our time
        waited = self.loop.time() - self._began
        if self._is_in_head:
            is_late = waited > HEAD_SECONDS
        else:
            is_late = self._got < (waited - GRACE_SECONDS) * LEAST_RATE
        if is_late:
            self._refuse(408)
        else:
            self._watch = self.loop.call_later(WATCH_SECONDS, self._judge)

    def _is_free(self) -> bool:
        """Whether no answer is on its way, or about to be."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    def _refuse(self, status: int) -> None:
        """Answer a request that never became one, unless another answer is on its way; close."""
        if self._is_free() or not (self._is_in_head or self.cycle.response_started):
            self.transport.write(REFUSALS[status])
        self.transport.close()

    def eof_received(self) -> None:
        """Write what is held: the client has said all, and the transport closes."""
        self._joined.let_go()
        super().eof_received()
