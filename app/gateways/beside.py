"""Hold a process that works beside this one: it answers messages, and may ask back meanwhile.

It is started when it is first wanted, serves once it has said that it is ready, and is ended when
nobody has wanted it for a while; where it is lost, whoever asked does the work himself.
"""

import fcntl
import os
import select
import struct
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import IO

HEAD = struct.Struct("<cQ")
"""What a frame is, and the length of what follows."""

MESSAGE, QUESTION, READY, FAILED = b"m", b"q", b"r", b"f"

PATIENCE_SECONDS = 10.0
"""How long a conversation about one message may last."""

PAUSE_SECONDS = 60.0
"""How long one that was lost is not started again."""

END_SECONDS = 1.0
"""How long a process that is killed is waited for."""

PIPE_BYTES = 1 << 20
"""What a pipe holds, where the system lets us say so: a frame then goes in few pieces."""

MOST_BYTES = 1 << 30
"""Of a frame: whoever says more has lost his way."""


class Lost(Exception):
    """The process is gone, says nothing, or says what nobody understands."""


class Failed(Exception):
    """The process could not do it; it goes on."""


class Beside:
    """A process that works beside this one; one conversation at a time."""

    def __init__(
        self, command: Sequence[str], *, patience_seconds: float = PATIENCE_SECONDS
    ) -> None:
        self._command = command
        self._patience = patience_seconds
        self.starts = 0
        """How often it was started: what an earlier one was told this one does not know."""
        self._process: subprocess.Popen[bytes] | None = None
        self._is_ready = False
        self._not_before = 0.0

    def is_ready(self) -> bool:
        """Whether it answers; it is started if it does not run. Blocks nobody."""
        if self._is_ready:
            return True
        process = self._process
        if process is None:
            if time.monotonic() >= self._not_before:
                self._start()
            return False
        try:
            said = os.read(_out(process), HEAD.size)
        except BlockingIOError:
            return False
        self._is_ready = said == HEAD.pack(READY, 0)
        if not self._is_ready:
            self._lose()
        return self._is_ready

    def converse(self, message: bytes, answer: Callable[[bytes], bytes]) -> bytes:
        """What it says to a message; `answer` answers its questions meanwhile. Blocks.

        Errors: Lost; Failed, with the kind of error; those of `answer`.
        """
        process = self._process
        if process is None or not self._is_ready:
            raise Lost
        try:
            return _converse(process, message, answer, time.monotonic() + self._patience)
        except Failed:
            raise
        except OSError as error:
            self._lose()
            raise Lost from error
        except BaseException:  # where a conversation broke off, the next would hear the rest of it
            self._lose()
            raise

    def stop(self) -> None:
        """End it for good, whoever talks to it: that one hears that it is lost."""
        self._not_before = float("inf")
        process = self._process
        if process is not None:
            process.kill()

    def close(self) -> None:
        """End it, where nobody talks to it; it is started again when it is wanted."""
        process, self._process, self._is_ready = self._process, None, False
        if process is not None:
            process.kill()
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                pipe.close()
            with suppress(subprocess.TimeoutExpired):
                process.wait(END_SECONDS)

    def _start(self) -> None:
        self._pause()
        try:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,  # what stops the service must not stop it before
            )
        except OSError:  # no memory, processes or files are left
            return
        for pipe in (_in(process), _out(process)):
            os.set_blocking(pipe, False)
            if hasattr(fcntl, "F_SETPIPE_SZ"):
                with suppress(OSError):  # what a user's pipes may hold together is limited
                    fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self.starts += 1
        self._process = process

    def _lose(self) -> None:
        self._pause()
        self.close()

    def _pause(self) -> None:
        self._not_before = max(self._not_before, time.monotonic() + PAUSE_SECONDS)


def _converse(
    process: "subprocess.Popen[bytes]",
    message: bytes,
    answer: Callable[[bytes], bytes],
    until: float,
) -> bytes:
    while True:
        _send(_in(process), HEAD.pack(MESSAGE, len(message)), until)
        _send(_in(process), message, until)
        kind, length = HEAD.unpack(_receive(_out(process), HEAD.size, until))
        if kind not in (MESSAGE, FAILED, QUESTION) or length > MOST_BYTES:
            raise Lost
        content = _receive(_out(process), length, until)
        if kind == MESSAGE:
            return content
        if kind == FAILED:
            raise Failed(content.decode(errors="replace"))
        message = answer(content)


def _in(process: "subprocess.Popen[bytes]") -> int:
    assert process.stdin is not None
    return process.stdin.fileno()


def _out(process: "subprocess.Popen[bytes]") -> int:
    assert process.stdout is not None
    return process.stdout.fileno()


def _send(pipe: int, content: bytes, until: float) -> None:
    left = memoryview(content)
    while left:
        try:
            left = left[os.write(pipe, left) :]
        except BlockingIOError:
            _wait(pipe, select.POLLOUT, until)


def _receive(pipe: int, length: int, until: float) -> bytes:
    found = bytearray(length)
    left = memoryview(found)
    while left:
        try:
            count = os.readv(pipe, [left])
        except BlockingIOError:
            _wait(pipe, select.POLLIN, until)
            continue
        if not count:
            raise Lost
        left = left[count:]
    return bytes(found)


def _wait(pipe: int, event: int, until: float) -> None:
    """Wait until a pipe takes or has more. Errors: Lost, if it takes too long."""
    waiting = select.poll()  # `select` knows the first 1,024 descriptors only
    waiting.register(pipe, event)
    if not waiting.poll(max(0.0, until - time.monotonic()) * 1_000):
        raise Lost


def write_frame(pipe: IO[bytes], kind: bytes, content: bytes) -> None:
    """Send a frame, as the process does."""
    for part in (HEAD.pack(kind, len(content)), content):
        left = memoryview(part)
        while left:
            left = left[pipe.write(left) :]


def read_frame(pipe: IO[bytes]) -> tuple[bytes, bytes]:
    """The next frame, as the process hears it. Errors: Lost at the end."""
    kind, length = HEAD.unpack(_read(pipe, HEAD.size))
    return kind, _read(pipe, length)


def _read(pipe: IO[bytes], length: int) -> bytes:
    found = bytearray(length)
    left = memoryview(found)
    while left:
        count = pipe.readinto(left)  # type: ignore[attr-defined]  # pipes without a buffer have it
        if not count:
            raise Lost
        left = left[count:]
    return bytes(found)
