"""Answer whatever is asked with the same thing, as something that is no membudget service does."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PAGE = (200, "text/html", b"<!doctype html><html>Welcome to nginx!</html>")
STRANGERS: dict[str, tuple[int, str, bytes]] = {
    "a page": PAGE,
    "a page that says it is JSON": (200, "application/json", PAGE[2]),
    "nothing": (200, "application/json", b""),
    "half an object": (200, "application/json", b'{"items": ['),
    "another's object": (200, "application/json", b'{"status": "ok"}'),
    "another's list": (200, "application/json", b'[{"status": "ok"}]'),
    "another's items": (200, "application/json", b'{"items": [{"status": "ok"}], "total": 1}'),
    "a number": (200, "application/json", b"7"),
    "null": (200, "application/json", b"null"),
    "lines": (200, "application/x-ndjson", b'{"status": "ok"}\n'),
    "a table": (200, "text/csv", b"status\nok\n"),
    "a moved page": (302, "text/html", b""),
    "nobody's page": (404, "text/html", b"<html>404</html>"),
    "another's refusal": (404, "application/json", b'{"code": "not_found", "detail": "Not Found"}'),
    "depth": (200, "application/json", b"[" * 100_000),
}


@dataclass(slots=True)
class Stranger:
    """A server that is up, and what it was asked."""

    url: str
    answer: tuple[int, str, bytes] = PAGE
    seen: list[str] = field(default_factory=list)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    stranger: Stranger


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65_536
    server: _Server

    def do_any(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.server.stranger.seen.append(self.path)
        status, kind, content = self.server.stranger.answer
        self.send_response_only(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(content)))
        if status == 302:
            self.send_header("location", "/login")
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_any

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def stranger() -> Iterator[Stranger]:
    """A stranger, for as long as the block lasts."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.stranger = Stranger(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server.stranger
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
