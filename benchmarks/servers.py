"""Start the service and the baselines as processes, and read what they cost."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

HERE = Path(__file__).resolve().parent
TICKS = os.sysconf("SC_CLK_TCK")
START_SECONDS = 180
DEFAULT_POSTGRES = "postgresql://127.0.0.1:5432/postgres"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server under load, in a process of its own."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    def cpu_seconds(self) -> float:
        """CPU of the process and all below it, in ticks of 10 ms: for spans of seconds."""
        return sum(_ticks(pid) for pid in _family(self.process.pid)) / TICKS

    def cpu_seconds_fine(self) -> float:
        """The same in nanoseconds, without threads that have ended: for single requests."""
        return sum(_scheduled(pid) for pid in _family(self.process.pid)) / 1e9

    def rss_mb(self) -> float:
        """Resident memory of the process and all below it, in millions of bytes."""
        pages = sum(
            int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            for pid in _family(self.process.pid)
        )
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def get(self, path: str) -> bytes:
        """The body of a GET that must succeed."""
        return self.request("GET", path)

    def request(self, method: str, path: str, body: bytes = b"") -> bytes:
        """The body of an answer that must be a 2xx."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=120) as wire:
            wire.sendall(
                f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n"
                f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode()
                + body
            )
            answer = b"".join(iter(lambda: wire.recv(1 << 20), b""))
        head, _, rest = answer.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 2"):
            raise RuntimeError(f"{self.name}: {method} {path}: {answer[:1000]!r}")
        return rest


@contextmanager
def service(database_url: str, folder: Path, **settings: str) -> Iterator[Server]:
    """membudget itself on a database, without its scheduler."""
    port = free_port()
    environment = {
        "MEMBUDGET_DATABASE_URL": database_url,
        "MEMBUDGET_PORT": str(port),
        "MEMBUDGET_SCHEDULER": "off",
        **settings,
    }
    command = [sys.executable, "-m", "app", "serve"]
    with _running("membudget", command, port, environment, folder) as server:
        yield server


@contextmanager
def baseline(module: str, folder: Path, **settings: str) -> Iterator[Server]:
    """A server of `baselines/` under the same uvicorn that the service uses."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", f"baselines.{module}:app", "--port", str(port)]
    command += ["--no-access-log", "--loop", "uvloop", "--http", "httptools"]
    with _running(module, command, port, {"PYTHONPATH": str(HERE), **settings}, folder) as server:
        yield server


@contextmanager
def workplace(folder: Path | None) -> Iterator[Path]:
    """A folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="membudget-bench-", dir=folder) as place:
        yield Path(place)


@contextmanager
def postgres_database(name: str) -> Iterator[str]:
    """The address of an empty PostgreSQL database that is gone afterwards."""
    server = os.environ.get("MEMBUDGET_TEST_POSTGRES_URL", DEFAULT_POSTGRES)
    unique = f"membudget_bench_{name}_{os.getpid()}"
    create = sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'")
    drop = sql.SQL("DROP DATABASE {} WITH (FORCE)")
    with psycopg.connect(server, autocommit=True, connect_timeout=5) as admin:
        admin.execute(create.format(sql.Identifier(unique)))
        try:
            yield server.rsplit("/", 1)[0] + "/" + unique
        finally:
            admin.execute(drop.format(sql.Identifier(unique)))


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_healthy(server: Server, path: str, *, pause: float = 0.02) -> None:
    """Return at the first 2xx; fail with the end of the log if the process ends or is too slow."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            server.get(path)
        except (OSError, RuntimeError):
            time.sleep(pause)
        else:
            return
    end = server.log.read_text(errors="replace")[-3000:]
    raise RuntimeError(f"{server.name} did not start:\n{end}")


@contextmanager
def _running(
    name: str, command: Sequence[str], port: int, environment: dict[str, str], folder: Path
) -> Iterator[Server]:
    log = folder / f"{name}-{port}.log"
    kept = {key: value for key, value in os.environ.items() if not key.startswith("MEMBUDGET_")}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)  # who runs it twice has it compiled
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env={**kept, **environment},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    server = Server(name=name, port=port, process=process, log=log)
    try:
        wait_until_healthy(server, "/healthz")
        yield server
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _family(pid: int) -> list[int]:
    found = [pid]
    for parent in found:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            found.extend(int(child) for child in children.read_text().split())
    return found


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15])  # utime, stime, and of children waited for


def _scheduled(pid: int) -> int:
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks)
