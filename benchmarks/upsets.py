"""What can be upset: the service, a PostgreSQL of our own, the wire between, a small disk."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from servers import Server, free_port, wait_until_healthy

COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"
"""The message in which PostgreSQL is told to commit."""

EXIT_SECONDS = 60


class Service:
    """membudget on one port, however often it is started."""

    def __init__(self, url: str, folder: Path, **settings: str) -> None:
        kept = {name: v for name, v in os.environ.items() if not name.startswith("MEMBUDGET_")}
        self.port = free_port()
        self._folder = folder
        self._environment = {
            **kept,
            "MEMBUDGET_DATABASE_URL": url,
            "MEMBUDGET_PORT": str(self.port),
            "MEMBUDGET_SCHEDULER": "off",
            **settings,
        }
        self._process: subprocess.Popen[bytes] | None = None
        self.log = folder / f"service-{self.port}.log"

    def start(self) -> Server:
        """Start it, and return once it answers."""
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "app", "serve"],
                env=self._environment,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        server = self.server
        wait_until_healthy(server, "/healthz")
        return server

    @property
    def server(self) -> Server:
        assert self._process is not None
        return Server(name="membudget", port=self.port, process=self._process, log=self.log)

    def send(self, number: int) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def ended(self) -> float:
        """Wait until it has ended; the seconds that took."""
        assert self._process is not None
        began = time.monotonic()
        self._process.wait(EXIT_SECONDS)
        return time.monotonic() - began

    def stop(self) -> None:
        """End it, whatever it does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            try:
                self._process.wait(EXIT_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


class Postgres:
    """A PostgreSQL server of our own, which may be stopped, killed and frozen."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._bin = postgres_bin()
        self._home = folder / "postgres"
        self._home.mkdir()
        _let_in(folder, self._home)
        self._data = self._home / "data"
        words = ["--auth", "trust", "--username", "membudget", "--encoding", "UTF8", "--no-sync"]
        self._run("initdb", "--pgdata", str(self._data), "--locale", "C", *words)

    @property
    def url(self) -> str:
        """Its first database."""
        return self.url_of("postgres")

    def url_of(self, database: str, port: int | None = None) -> str:
        """A database of its, maybe through another port."""
        return f"postgresql://membudget@127.0.0.1:{port or self.port}/{database}"

    def start(self) -> None:
        """Start it, and return once it answers."""
        options = f"-c listen_addresses=127.0.0.1 -p {self.port} -k {self._home}"
        log = str(self._home / "log")
        data = ["--pgdata", str(self._data)]
        self._run("pg_ctl", *data, "--log", log, "--wait", "--options", options, "start")

    def stop(self, mode: str = "immediate") -> None:
        """Stop it: `fast` closes what is open, `immediate` is a crash."""
        self._run("pg_ctl", "--pgdata", str(self._data), "--mode", mode, "--wait", "stop")

    def freeze(self) -> None:
        """Let every process of it stand still."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        main = int((self._data / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
        for pid in (main, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _run(self, command: str, *words: str) -> None:
        run = [str(self._bin / command), *words]
        if os.geteuid() == 0:
            run = ["runuser", "-u", "postgres", "--", *run]
        done = subprocess.run(run, capture_output=True, cwd="/", check=False, timeout=60)
        if done.returncode:
            raise RuntimeError(f"{command}: {done.stdout.decode()} {done.stderr.decode()}")


def postgres_bin() -> Path:
    """Where PostgreSQL's programs are. Errors: RuntimeError if they are not."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in (*folders, Path("/usr/local/bin"), Path("/usr/bin")):
        if (folder / "initdb").exists() and (folder / "pg_ctl").exists():
            return folder
    raise RuntimeError("initdb and pg_ctl are not installed")


@contextmanager
def postgres(folder: Path) -> Iterator[Postgres]:
    """A PostgreSQL that runs, for as long as the block lasts."""
    server = Postgres(folder)
    server.start()
    try:
        yield server
    finally:
        server.thaw()
        server.stop()


class Wire:
    """A wire to a server: it can be cut, and it can lose the answers of commits."""

    def __init__(self, port: int) -> None:
        self._there = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.loses = 0
        """How many answers of commits are yet to be lost."""
        self.lost = 0
        self._ends: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End all connections."""
        for end in list(self._ends):
            _shut(end)

    def close(self) -> None:
        """End all, and take no more."""
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                here, _ = self._listener.accept()
                try:
                    there = socket.create_connection(("127.0.0.1", self._there), timeout=5)
                except OSError:
                    here.close()
                    continue
                there.settimeout(None)
                self._ends |= {here, there}
                losing = threading.Event()
                for source, sink, is_ours in ((here, there, True), (there, here, False)):
                    words = (source, sink, is_ours, losing)
                    threading.Thread(target=self._pump, args=words, daemon=True).start()

    def _pump(
        self, source: socket.socket, sink: socket.socket, is_ours: bool, losing: threading.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(1 << 16):
                if is_ours and self.loses > 0 and chunk.endswith(COMMIT):
                    self.loses -= 1
                    losing.set()
                if not is_ours and losing.is_set():
                    self.lost += 1
                    break  # the server has answered, and nobody hears it
                sink.sendall(chunk)
        for end in (source, sink):
            _shut(end)
            self._ends.discard(end)


def _shut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


class Disk:
    """A disk of a few megabytes that somebody else can fill."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._filler = place / "somebody-elses"

    def fill(self) -> None:
        """Leave not a byte."""
        with contextlib.suppress(OSError), self._filler.open("ab", buffering=0) as file:
            while True:
                file.write(b"\0" * 4096)

    def free(self) -> None:
        """Let there be room again."""
        self._filler.unlink(missing_ok=True)


@contextmanager
def disk(megabytes: int) -> Iterator[Disk]:
    """A small disk. Errors: PermissionError for whoever may not mount one."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        raise PermissionError("only root may mount a small disk")
    with tempfile.TemporaryDirectory(prefix="membudget-disk-") as name:
        place = Path(name)
        size = f"size={megabytes}m,mode=777"
        subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", name], check=True)
        try:
            _let_in(place, place)
            yield Disk(place)
        finally:
            subprocess.run(["umount", "--lazy", name], check=True)


def _let_in(above: Path, place: Path) -> None:
    """Let the user that PostgreSQL runs as into a folder; it refuses to be root's."""
    if os.geteuid() == 0:
        above.chmod(0o711 if above != place else 0o777)
        owner = pwd.getpwnam("postgres")
        os.chown(place, owner.pw_uid, owner.pw_gid)
