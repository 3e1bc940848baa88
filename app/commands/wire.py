"""Send an answer's head and body in one write: a packet and a wake-up of the client less."""

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_STATUS_LINE = b"HTTP/1.1 "


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
    """uvicorn's protocol on such a transport."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection."""
        super().connection_made(cast(asyncio.Transport, transport))
        self._joined = JoinedTransport(self.transport, self.loop)
        self.transport = cast(asyncio.Transport, self._joined)

    def eof_received(self) -> None:
        """Write what is held: the client has said all, and the transport closes."""
        self._joined.let_go()
        super().eof_received()
