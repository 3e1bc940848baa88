"""Hold ten thousand idle and five hundred slow connections, and ask /healthz meanwhile."""

import argparse
import contextlib
import http.client
import resource
import socket
import statistics
import sys
import threading
import time
from pathlib import Path

from harness import Limits
from servers import Server, service, workplace

IDLE, SLOW = 10_000, 500
BAR_MS, GOAL_MS = 250.0, 50.0
BAR_KB, GOAL_KB = 24.0, 12.0
"""Memory of the service for each connection."""
DRIP = b"POST /usage HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n" + b"[" * 100_000
DRIP_SECONDS = 0.5
SPARE_FILES = 500


def main() -> int:
    """Print the figures beside their bars."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--idle", type=int, default=IDLE)
    parser.add_argument("--slow", type=int, default=SLOW)
    parser.add_argument("--asks", type=int, default=1_000)
    parser.add_argument("--folder", type=Path, help="where the database goes (default: temp)")
    given = parser.parse_args()
    wanted = given.idle + given.slow + SPARE_FILES
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < wanted:
        print(f"this user may open {most} files, {wanted} are needed", file=sys.stderr)
        return 1
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
    with workplace(given.folder) as place, service(f"sqlite:///{place}/many.db", place) as server:
        return int(measure(server, given.idle, given.slow, given.asks))


def measure(server: Server, idle: int, slow: int, asks: int) -> bool:
    """Whether a bar was missed."""
    limits = Limits(f"{idle:,} idle and {slow:,} slow connections")
    ask(server.port, 100)
    alone = ask(server.port, asks)
    before = server.rss_mb()
    held = connect(server.port, idle)
    dripping = connect(server.port, slow)
    ending = threading.Event()
    drips = threading.Thread(target=drip, args=(dripping, ending))
    drips.start()
    time.sleep(3 * DRIP_SECONDS)
    beside = ask(server.port, asks)
    after = server.rss_mb()
    ending.set()
    drips.join()
    alive = count_open(held)
    for line in (*held, *dripping):
        line.close()
    limits.show("/healthz p99 alone", p99(alone), "ms")
    limits.judge("/healthz p99 beside them", p99(beside), "ms", bar=BAR_MS, goal=GOAL_MS)
    limits.show("/healthz slowest beside them", max(beside), "ms")
    limits.show("memory of the service before", before, "MB")
    limits.show("memory of the service beside them", after, "MB")
    each = 1000 * (after - before) / (idle + slow)
    limits.judge("memory for each connection", each, "kB", bar=BAR_KB, goal=GOAL_KB)
    limits.show("idle connections still open at the end", alive, "")
    time.sleep(2)
    limits.show("memory of the service afterwards", server.rss_mb(), "MB")
    return limits.failed


def connect(port: int, count: int) -> list[socket.socket]:
    """Connections on which nothing was said."""
    return [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(count)]


def drip(lines: list[socket.socket], ending: threading.Event) -> None:
    """Send a body a byte at a time on each."""
    at = 0
    while not ending.is_set() and at < len(DRIP):
        for line in lines:
            with contextlib.suppress(OSError):  # it was dropped
                line.send(DRIP[at : at + 1] if at else DRIP[:60])
        at = max(60, at + 1)
        ending.wait(DRIP_SECONDS)


def ask(port: int, count: int) -> list[float]:
    """Milliseconds of each answer, every other one on a connection of its own."""
    taken = []
    kept = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for number in range(count):
        own = number % 2 == 0
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=60) if own else kept
        began = time.perf_counter()
        line.request("GET", "/healthz")
        status = line.getresponse()
        status.read()
        taken.append(1e3 * (time.perf_counter() - began))
        if status.status != 200:
            raise RuntimeError(f"/healthz: {status.status}")
        if own:
            line.close()
    kept.close()
    return taken


def count_open(lines: list[socket.socket]) -> int:
    """How many were not closed by the other side."""
    is_open = 0
    for line in lines:
        line.setblocking(False)
        try:
            is_open += line.recv(1) != b""
        except BlockingIOError:
            is_open += 1
        except OSError:
            pass
    return is_open


def p99(taken: list[float]) -> float:
    """The 99th percentile."""
    return statistics.quantiles(taken, n=100)[98]


if __name__ == "__main__":
    sys.exit(main())
