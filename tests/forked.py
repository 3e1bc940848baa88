"""Start our commands as processes, from a process that has imported them already."""

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from threading import Timer
from typing import IO, Any

from tests.data import REPOSITORY


class Forked:
    """A running command; what it can be asked is as of `subprocess.Popen`."""

    def __init__(self, status: socket.socket, stdout: IO[bytes]) -> None:
        self._status = status
        self.pid = _number(status)
        self.returncode: int | None = None
        self.stdout = stdout

    def poll(self) -> int | None:
        """Its exit code, or None while it runs."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end."""
        if self.returncode is None:
            self._status.settimeout(timeout)
            try:
                self.returncode = _number(self._status)
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0) from None
            self._status.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Signal it, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


def start(
    words: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path,
    stdin: int | IO[Any] = subprocess.DEVNULL,
    stderr: IO[Any],
    stops_at: tuple[str, str, int] | None = None,
) -> Forked:
    """Start `membudget-server WORDS`; its standard output is a pipe.

    `stops_at`: the stage at which it sends itself a SIGTERM, as `tests/stopping.py` has them.
    """
    status, theirs = socket.socketpair()
    reading, writing = os.pipe()
    with theirs, open(os.devnull, "rb") as nothing:
        given = nothing if isinstance(stdin, int) else stdin
        asked = {
            "words": words,
            "environment": dict(environment),
            "folder": str(folder),
            "stops_at": stops_at,
        }
        fds = [given.fileno(), writing, stderr.fileno(), theirs.fileno()]
        socket.send_fds(_zygote(), [json.dumps(asked).encode()], fds)
        os.close(writing)
    return Forked(status, os.fdopen(reading, "rb"))


def run(
    words: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path,
    given: str | None = None,
    timeout: float,
) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end."""
    with TemporaryFile() as stdin, TemporaryFile() as stderr:
        stdin.write((given or "").encode())
        stdin.seek(0)
        process = start(words, environment=environment, folder=folder, stdin=stdin, stderr=stderr)
        watch = Timer(timeout, process.kill)
        watch.start()
        with process.stdout:
            said = process.stdout.read()
        code = process.wait(timeout)
        watch.cancel()
        stderr.seek(0)
        return subprocess.CompletedProcess(list(words), code, said.decode(), stderr.read().decode())


def _number(status: socket.socket) -> int:
    told = status.recv(8)
    assert told, "the process that starts others has died"
    return int.from_bytes(told, "big", signed=True)


@cache
def _zygote() -> socket.socket:
    """The process that starts others: one for each process of tests, for as long as that lasts."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.zygote", str(theirs.fileno())],
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )

    def end() -> None:
        ours.close()
        process.wait(10)

    atexit.register(end)
    return ours
