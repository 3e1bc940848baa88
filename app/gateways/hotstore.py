"""Share texts of memories between replicas through Redis, which may go away at any moment.

A text is kept under its digest, so whatever is found is right: nothing needs to be made invalid.
Redis gets a moment to answer; when it fails no request asks it any more, and the database serves,
until a thread of its own has found it again.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from threading import Event, Thread
from typing import Any, cast

import structlog
from prometheus_client import Counter, Histogram
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

log = structlog.get_logger("membudget")

TEXTS = Counter("membudget_hot_texts", "Texts asked of Redis.", ["found"])
FAILURES = Counter("membudget_hot_failures", "Times that Redis went away.")
WAITS = Histogram(
    "membudget_hot_seconds",
    "Seconds that a request waited for Redis, once to read and once to keep.",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1),
)

PATIENCE_SECONDS = 0.015
"""For a connection, and again for an answer: together well below the 50 ms that a request may lose
when Redis goes away."""

PROBE_SECONDS = 1.0
"""How often Redis is looked for while it is away; no request waits for that."""

KEPT_SECONDS = 3_600
"""A text that nobody holds any more is gone from Redis after an hour."""

AT_ONCE = 100
"""Texts of one command: its answer comes in one piece, mostly."""

LONGEST = 100_000
"""Characters of the longest text that is kept there."""

CHECK_BYTES = 8


class HotStore:
    """Texts and their words by workspace and digest. No method raises; Redis may be away."""

    def __init__(self, url: str) -> None:
        self._redis = Redis.from_url(
            url,
            socket_timeout=PATIENCE_SECONDS,
            socket_connect_timeout=PATIENCE_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._is_there = False
        self._closed = Event()
        self._wanted = Event()
        """Somebody is to look for Redis."""
        self._wanted.set()
        self._seeker = Thread(target=self._seek, name="hot-store", daemon=True)
        self._seeker.start()

    @property
    def trouble(self) -> str | None:
        """What is not well: Redis failed, and is not asked for the moment."""
        return None if self._is_there else "Redis does not answer; the database serves instead."

    def get_many(self, workspace: str, contents: Iterable[bytes]) -> dict[bytes, tuple[str, str]]:
        """Text and words of those digests that Redis has."""
        wanted = sorted(contents)
        if not self._is_there or not wanted:
            return {}
        with WAITS.time():
            found = self._get(workspace, wanted)
        TEXTS.labels("yes").inc(len(found))
        TEXTS.labels("no").inc(len(wanted) - len(found))
        return found

    def put_many(self, workspace: str, texts: Mapping[bytes, tuple[str, str]]) -> None:
        """Keep texts and words by their digests for an hour."""
        short = [(c, *text) for c, text in texts.items() if len(text[0]) <= LONGEST]
        if self._is_there and short:
            with WAITS.time():
                self._put(workspace, short)

    def _get(self, workspace: str, wanted: Sequence[bytes]) -> dict[bytes, tuple[str, str]]:
        found: dict[bytes, tuple[str, str]] = {}
        give_up = time.monotonic() + PATIENCE_SECONDS
        for first in range(0, len(wanted), AT_ONCE):
            if not self._is_there or (first and time.monotonic() > give_up):
                break
            keys = [key_of(workspace, content) for content in wanted[first : first + AT_ONCE]]
            try:
                answers = cast("list[Any]", self._redis.mget(keys))
            except (RedisError, OSError, ValueError) as error:
                self._leave(error)
                break
            for content, key, answer in zip(wanted[first:], keys, answers, strict=False):
                text = None if answer is None else unpack(key, answer)
                if text is not None:
                    found[content] = text
        return found

    def _put(self, workspace: str, short: Sequence[tuple[bytes, str, str]]) -> None:
        give_up = time.monotonic() + PATIENCE_SECONDS
        for first in range(0, len(short), AT_ONCE):
            if not self._is_there or (first and time.monotonic() > give_up):
                return
            try:
                with self._redis.pipeline(transaction=False) as pipe:
                    for content, text, words in short[first : first + AT_ONCE]:
                        key = key_of(workspace, content)
                        pipe.set(key, pack(key, text, words), ex=KEPT_SECONDS)
                    pipe.execute()
            except (RedisError, OSError, ValueError) as error:
                self._leave(error)

    def close(self) -> None:
        """Close all connections."""
        self._closed.set()
        self._wanted.set()
        self._seeker.join()
        self._redis.close()

    def _leave(self, error: Exception) -> None:
        """Ask nothing until Redis is found again; said once, however many requests it failed."""
        if self._is_there:
            self._is_there = False
            FAILURES.inc()
            log.warning("hot_store_away", kind=type(error).__name__)
        self._wanted.set()

    def _seek(self) -> None:
        while self._wanted.wait() and not self._closed.is_set():
            try:
                self._redis.ping()
            except (RedisError, OSError, ValueError):
                self._closed.wait(PROBE_SECONDS)
            else:
                self._wanted.clear()
                self._is_there = True


def key_of(workspace: str, content: bytes) -> bytes:
    """The key of a text: its workspace's own, so that no workspace can tell what others keep."""
    place = blake2b(workspace.encode(), digest_size=10).hexdigest()
    return f"membudget:text:1:{place}:{content.hex()}".encode()


def pack(key: bytes, text: str, words: str) -> bytes:
    """A text and its words as a value, which tells whether it was damaged."""
    payload = f"{text}\0{words}".encode()
    return _check(key, payload) + payload


def unpack(key: bytes, value: bytes) -> tuple[str, str] | None:
    """Text and words of a value; None for one that is not what was kept under the key."""
    payload = value[CHECK_BYTES:]
    if value[:CHECK_BYTES] != _check(key, payload):
        return None
    text, _, words = payload.decode().partition("\0")
    return text, words


def _check(key: bytes, payload: bytes) -> bytes:
    return blake2b(payload, key=blake2b(key, digest_size=32).digest(), digest_size=8).digest()
