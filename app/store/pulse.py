"""Tell a PostgreSQL that is frozen from one that is slow, and let nobody wait for a frozen one.

A statement may take its time. When one takes longer than a moment, the server is asked for a new
connection: if it does not even answer that, every connection is cut where it is, so that whoever
waits hears of it, and nobody asks the server until it answers again.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import structlog
from sqlalchemy import Engine, event

from app.core.errors import Unavailable

log = structlog.get_logger("membudget")

PATIENCE_SECONDS = 1.0
"""How long work on a connection may take before the server is asked whether it lives."""

LOOK_SECONDS = 0.25

Probe = Callable[[], bool]
"""Whether the server is silent: it takes connections and says nothing. One that refuses is not."""


class Pulse:
    """Watches over the connections of an engine, in a thread of its own."""

    def __init__(self, engine: Engine, probe: Probe) -> None:
        self.is_away = False
        """Whether the server was silent when it was last asked."""
        self._probe = probe
        self._plugs: dict[int, socket.socket] = {}
        """A second handle of each connection's socket: it can be shut while a thread waits."""
        self._busy: dict[object, float] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        event.listen(engine, "do_connect", self._before_connecting)
        event.listen(engine, "connect", self._connected)
        event.listen(engine, "close", self._closed)

    def start(self) -> None:
        """Begin to watch."""
        self._ended.clear()
        self._thread = threading.Thread(target=self._watch, name="pulse", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Watch no longer."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch what this thread does in the block. Errors: Unavailable if the server is away."""
        self.require()
        token = object()
        self._busy[token] = time.monotonic()
        try:
            yield
        finally:
            del self._busy[token]

    def require(self) -> None:
        """Refuse what would wait in vain. Errors: Unavailable."""
        if self.is_away:
            raise Unavailable("The database is silent; nothing was stored, try again shortly.")

    def _watch(self) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            if not self.is_away and not self._is_slow():
                continue
            was_away, self.is_away = self.is_away, self._probe()
            if self.is_away:
                self._cut()
            if self.is_away and not was_away:
                log.error("database_silent")
            elif was_away and not self.is_away:
                log.info("database_answers")

    def _is_slow(self) -> bool:
        begun = min(list(self._busy.values()), default=None)
        return begun is not None and time.monotonic() - begun > PATIENCE_SECONDS

    def _cut(self) -> None:
        """Shut every socket; the threads that wait at them hear that the server is gone."""
        with self._lock:
            for plug in self._plugs.values():
                with suppress(OSError):  # the other side has shut it
                    plug.shutdown(socket.SHUT_RDWR)

    def _before_connecting(self, *_: object) -> None:
        self.require()

    def _connected(self, connection: Any, _: object) -> None:
        plug = socket.socket(fileno=os.dup(connection.fileno()))
        with self._lock:
            self._plugs[id(connection)] = plug

    def _closed(self, connection: Any, _: object) -> None:
        with self._lock:
            plug = self._plugs.pop(id(connection), None)
        if plug is not None:
            plug.close()
