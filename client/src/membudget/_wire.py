"""Send requests with httpx, which comes with the first one."""

import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from membudget._answers import Answer
from membudget._exchange import Failed, Send

if TYPE_CHECKING:
    import httpx

C = TypeVar("C")

CONNECT_SECONDS = 3.0
"""What making a connection may take of a call's time."""
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class SyncWire:
    """Connections of a client whose calls block."""

    def __init__(
        self, url: str, headers: Mapping[str, str], transport: "httpx.BaseTransport | None"
    ) -> None:
        self._url = url
        self._headers = headers
        self._transport = transport
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None
        self._process = 0

    def send(self, step: Send) -> Answer:
        """What came back. Errors: Failed."""
        import httpx  # noqa: PLC0415 - it comes with the first call

        until = time.monotonic() + step.seconds
        client = self._open()
        try:
            request = client.build_request(
                step.call.method, step.call.path, **arguments(step, httpx.Timeout)
            )
            response = client.send(request, stream=True)
            try:
                parts = []
                for part in response.iter_bytes():
                    parts.append(part)
                    if time.monotonic() > until:
                        raise Failed("it answers too slowly", was_sent=True, is_late=True)
            finally:
                response.close()
        except httpx.HTTPError as error:
            raise failure_of(error) from error
        return Answer(response.status_code, lower(response.headers), b"".join(parts))

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _open(self) -> "httpx.Client":
        import httpx  # noqa: PLC0415 - it comes with the first call

        with self._lock:
            if self._client is None or self._process != os.getpid():
                self._process = os.getpid()  # a fork must not share its parent's connections
                self._client = httpx.Client(
                    base_url=self._url,
                    headers=dict(self._headers),
                    transport=self._transport,
                    trust_env=trusts_environment(self._url),
                )
            return self._client


class AsyncWire:
    """Connections of a client whose calls are awaited."""

    def __init__(
        self, url: str, headers: Mapping[str, str], transport: "httpx.AsyncBaseTransport | None"
    ) -> None:
        self._url = url
        self._headers = headers
        self._transport = transport
        self._client: httpx.AsyncClient | None = None
        self._place: Any = None

    async def send(self, step: Send) -> Answer:
        """What came back. Errors: Failed."""
        import anyio  # noqa: PLC0415 - it comes with the first call
        import httpx  # noqa: PLC0415

        client = self._open()
        try:
            with anyio.fail_after(step.seconds):
                response = await client.request(
                    step.call.method, step.call.path, **arguments(step, httpx.Timeout)
                )
        except httpx.HTTPError as error:
            raise failure_of(error) from error
        except TimeoutError as error:
            raise Failed("no answer yet", was_sent=True, is_late=True) from error
        return Answer(response.status_code, lower(response.headers), response.content)

    async def close(self) -> None:
        """Close all connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def _open(self) -> "httpx.AsyncClient":
        import httpx  # noqa: PLC0415 - it comes with the first call
        from anyio.lowlevel import current_token  # noqa: PLC0415

        place = (os.getpid(), current_token())
        if self._client is None or self._place != place:
            self._place = place  # connections belong to one event loop
            self._client = httpx.AsyncClient(
                base_url=self._url,
                headers=dict(self._headers),
                transport=self._transport,
                trust_env=trusts_environment(self._url),
            )
        return self._client


def arguments(step: Send, timeout: Callable[..., Any]) -> dict[str, Any]:
    """What httpx takes for a request."""
    call = step.call
    return {
        "params": dict(call.params) or None,
        "headers": dict(call.headers),
        "content": call.content,
        "timeout": timeout(step.seconds, connect=min(step.seconds, CONNECT_SECONDS)),
    }


def failure_of(error: "httpx.HTTPError") -> Failed:
    """Why no answer came, and whether the service may have acted all the same."""
    import httpx  # noqa: PLC0415 - it is there by now

    was_sent = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
    is_late = isinstance(error, httpx.TimeoutException) and was_sent
    return Failed(str(error) or type(error).__name__, was_sent=was_sent, is_late=is_late)


def lower(headers: "httpx.Headers") -> dict[str, str]:
    """Headers by their names in lower case."""
    return {name.lower(): held for name, held in headers.items()}


def trusts_environment(url: str) -> bool:
    """Whether proxies of the environment are used: not to reach this machine."""
    return urlsplit(url).hostname not in LOOPBACK
