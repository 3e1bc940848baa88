"""Stand between a client and the service, and behave as badly as a network does."""

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

Fault = Callable[["Handler", bytes], bool]
"""Deals with a request itself (True), or lets it through."""

HOP = frozenset({"connection", "transfer-encoding", "content-length", "keep-alive"})


@dataclass(slots=True)
class Proxy:
    """A proxy that is up: what came through it, and what it does to what comes next."""

    upstream: str
    url: str = ""
    fault: Fault | None = None
    change: Callable[[Any], Any] | None = None
    """What becomes of an answer's JSON."""
    seen: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    """Method, path, headers and body of each request."""


class Server(ThreadingHTTPServer):
    """The listening part."""

    daemon_threads = True
    block_on_close = False
    proxy: Proxy


class Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_any(self) -> None:
        """Let a request through, or not."""
        proxy = self.server.proxy
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): held for name, held in self.headers.items()}
        proxy.seen.append((self.command, self.path, headers, body))
        if proxy.fault is not None and proxy.fault(self, body):
            return
        status, answered, content = self.forward(body)
        if proxy.change is not None and "json" in answered.get("content-type", ""):
            content = json.dumps(proxy.change(json.loads(content))).encode()
        self.reply(status, content, answered)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_any

    def forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """What the service answers."""
        there = urlsplit(self.server.proxy.upstream)
        connection = HTTPConnection(there.hostname or "", there.port, timeout=30)
        try:
            kept = {name: held for name, held in self.headers.items() if name.lower() not in HOP}
            connection.request(self.command, self.path, body or None, kept)
            response = connection.getresponse()
            headers = {name.lower(): held for name, held in response.getheaders()}
            return response.status, headers, response.read()
        finally:
            connection.close()

    def reply(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        """Answer."""
        self.send_response_only(status)
        for name, held in (headers or {}).items():
            if name not in HOP:
                self.send_header(name, held)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def hang_up(self) -> None:
        """End the connection without an answer."""
        self.close_connection = True
        self.connection.close()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def proxied(upstream: str) -> Iterator[Proxy]:
    """A proxy before a service, for as long as the block lasts."""
    server = Server(("127.0.0.1", 0), Handler)
    server.proxy = Proxy(upstream, f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server.proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def every_second(status: int = 503, **headers: str) -> Fault:
    """Refuse the first request, let the second through, and so on."""
    count = itertools.count()

    def fault(handler: Handler, body: bytes) -> bool:
        if next(count) % 2:
            return False
        handler.reply(status, b"<html>no upstream</html>", {"content-type": "text/html", **headers})
        return True

    return fault


def lost_answers(times: int) -> Fault:
    """Let the first requests through, and lose their answers."""
    left = iter(range(times))

    def fault(handler: Handler, body: bytes) -> bool:
        if next(left, None) is None:
            return False
        handler.forward(body)
        handler.hang_up()
        return True

    return fault


def slow(seconds: float) -> Fault:
    """Answer much later than anybody waits."""

    def fault(handler: Handler, body: bytes) -> bool:
        time.sleep(seconds)
        handler.hang_up()
        return True

    return fault


def stalling(until: threading.Event, only: str = "", *, passing: bool = False) -> Fault:
    """Take requests (whose path has `only` in it) and never answer; `passing`: they are done."""

    def fault(handler: Handler, body: bytes) -> bool:
        if only not in handler.path:
            return False
        if passing:
            handler.forward(body)
        until.wait(120)
        handler.hang_up()
        return True

    return fault


def dripping() -> Fault:
    """Begin an answer, and send it byte by byte for ever."""

    def fault(handler: Handler, body: bytes) -> bool:
        handler.send_response_only(200)
        handler.send_header("content-type", "application/json")
        handler.send_header("content-length", "100000")
        handler.end_headers()
        try:
            for _ in range(100):
                handler.wfile.write(b" ")
                time.sleep(0.05)
        except OSError:
            pass
        handler.hang_up()
        return True

    return fault
