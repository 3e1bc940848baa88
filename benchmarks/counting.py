"""What /healthz waits while texts of 3 MB are counted, and contexts of 400,000 characters cut."""

import argparse
import json
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count, cycle

import httpx
from harness import Limits
from servers import service, workplace

WORDS = (
    "budget token agent memory scope deploy incremental model warehouse query freshness dashboard "
    "pipeline review branch merge test schedule alert report café 会议 x1 don't 42"
).split()
LONG, CONTEXT = 3_000_000, 400_000
PAUSE = 0.005


def main() -> int:
    """Print the figures and judge those that have a bar."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0)
    run = parser.parse_args()
    limits = Limits("GET /healthz beside long work")
    with workplace(None) as folder, service(f"sqlite:///{folder}/books.db", folder) as server:
        url = f"http://127.0.0.1:{server.port}"
        httpx.post(f"{url}/tokens/count", json={"text": "warm"}).raise_for_status()
        idle = waits(url, None, run.seconds)
        limits.show("idle: p99", quantile(idle, 0.99), "ms")
        text = long_text(LONG)
        body = json.dumps({"text": text}).encode()
        numbers = count()

        def minified() -> bytes:
            at = next(numbers) % 1_000  # another text each time: the same is remembered
            context = {"a": text[at : at + CONTEXT]}
            asked = {"context": context, "max_tokens": 40_000, "task": "incremental model"}
            return json.dumps(asked).encode()

        for name, path, make in (
            ("counting 3 MB", "/tokens/count", lambda: body),
            ("cutting 400,000 characters", "/minify", minified),
        ):
            found = waits(url, (path, make), run.seconds)
            limits.show(f"{name}: median", statistics.median(found), "ms")
            limits.judge(f"{name}: p99", quantile(found, 0.99), "ms", bar=50.0, goal=25.0)
    return int(limits.failed)


def waits(url: str, work: tuple[str, Callable[[], bytes]] | None, seconds: float) -> list[float]:
    """Milliseconds that each /healthz took while another client had work done, one at a time."""
    ended = threading.Event()

    def busy() -> None:
        assert work is not None
        path, make = work
        with httpx.Client(base_url=url, timeout=60) as client:
            while not ended.is_set():
                client.post(path, content=make()).raise_for_status()

    thread = threading.Thread(target=busy) if work else None
    if thread is not None:
        thread.start()
    found = []
    try:
        with httpx.Client(base_url=url, timeout=60) as client:
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                started = time.perf_counter()
                client.get("/healthz").raise_for_status()
                found.append(1000 * (time.perf_counter() - started))
                time.sleep(PAUSE)
    finally:
        ended.set()
        if thread is not None:
            thread.join()
    return found


def quantile(values: list[float], q: float) -> float:
    """The value of rank ⌈q·n⌉."""
    return sorted(values)[-(-int(q * 1000) * len(values) // 1000) - 1]


def long_text(length: int) -> str:
    """A text with sentences, lines and headings."""

    def pieces() -> Iterator[str]:
        for at, word in enumerate(cycle(WORDS)):
            yield (
                f"\n\n## {word} {at}\n\n" if at % 97 == 0 else ".\n" if at % 13 == 0 else f"{word} "
            )

    text, size = [], 0
    for piece in pieces():
        text.append(piece)
        size += len(piece)
        if size >= length:
            return "".join(text)[:length]
    raise AssertionError


if __name__ == "__main__":
    sys.exit(main())
