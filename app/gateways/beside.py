"""Hold a process that works beside this one: it answers messages, and may ask back meanwhile.

It is started when it is first wanted, serves once it has said that it is ready, and is ended when
nobody has wanted it for a while; where it is lost, whoever asked does the work himself.
"""

import select
import struct
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import IO

HEAD = struct.Struct("<cQ")
"""What a frame is, and the length of what follows."""

MESSAGE, QUESTION, READY, FAILED = b"m", b"q", b"r", b"f"

PATIENCE_SECONDS = 30.0
"""How long it may think about one message."""

PAUSE_SECONDS = 60.0
"""How long one that was lost is not started again."""


PIPE_BYTES = 1 << 20
"""What a pipe holds, where the system lets us say so: a frame then goes in few pieces."""


class Lost(Exception):
    """The process is gone, or says nothing."""


class Failed(Exception):
    """The process could not do it; it goes on."""


class Beside:
    """A process that works beside this one; one conversation at a time."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self.starts = 0
        """How often it was started: what an earlier one was told this one does not know."""
        self._process: subprocess.Popen[bytes] | None = None
        self._is_ready = False
        self._not_before = 0.0

    def is_ready(self) -> bool:
        """Whether it answers; it is started if it does not run."""
        if self._is_ready:
            return True
        process = self._process
        if process is None:
            if time.monotonic() >= self._not_before:
                self._start()
            return False
        try:
            if _has_more(process, 0.0):
                self._is_ready = read_frame(_out(process))[0] == READY
        except Lost:
            self._lose()
        return self._is_ready

    def converse(self, message: bytes, answer: Callable[[bytes], bytes]) -> bytes:
        """What it says to a message; `answer` answers its questions meanwhile. Blocks.

        Errors: Lost; Failed, with the kind of error.
        """
        process = self._process
        if process is None:
            raise Lost
        try:
            write_frame(_in(process), MESSAGE, message)
            while True:
                if not _has_more(process, PATIENCE_SECONDS):
                    raise Lost
                kind, content = read_frame(_out(process))
                if kind == MESSAGE:
                    return content
                if kind == FAILED:
                    raise Failed(content.decode())
                write_frame(_in(process), MESSAGE, answer(content))
        except (Lost, OSError) as error:
            self._lose()
            raise Lost from error

    def close(self) -> None:
        """End it; it is started again when it is wanted."""
        process, self._process, self._is_ready = self._process, None, False
        if process is not None:
            process.kill()
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                pipe.close()
            process.wait()

    def _start(self) -> None:
        self.starts += 1
        self._not_before = time.monotonic() + PAUSE_SECONDS
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            pipesize=PIPE_BYTES,
            start_new_session=True,  # what stops the service must not stop it before
        )

    def _lose(self) -> None:
        self._not_before = time.monotonic() + PAUSE_SECONDS
        self.close()


def _in(process: "subprocess.Popen[bytes]") -> IO[bytes]:
    assert process.stdin is not None
    return process.stdin


def _out(process: "subprocess.Popen[bytes]") -> IO[bytes]:
    assert process.stdout is not None
    return process.stdout


def _has_more(process: "subprocess.Popen[bytes]", seconds: float) -> bool:
    return bool(select.select([_out(process)], [], [], seconds)[0])


def write_frame(pipe: IO[bytes], kind: bytes, content: bytes) -> None:
    """Send a frame."""
    for part in (HEAD.pack(kind, len(content)), content):
        left = memoryview(part)
        while left:
            left = left[pipe.write(left) :]


def read_frame(pipe: IO[bytes]) -> tuple[bytes, bytes]:
    """The next frame. Errors: Lost at the end."""
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
