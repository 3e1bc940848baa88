"""A process beside ours that freezes, ends or talks nonsense holds nobody up."""

import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from app.commands.beside import ROOT
from app.gateways.beside import HEAD, MESSAGE, PIPE_BYTES, QUESTION, Beside, Failed, Lost

HELLO = "import os, sys, time; "
READY = "os.write(1, {}); ".format(HEAD.pack(b"r", 0))
FRAMES = (
    f"sys.path.insert(0, {ROOT!r}); from app.gateways.beside import *; "
    "i, o = open(0, 'rb', 0), open(1, 'wb', 0); "
)
ECHO = (
    "import sys\n"
    f"{FRAMES}write_frame(o, READY, b'')\n"
    "while True:\n"
    "    kind, content = read_frame(i)\n"
    "    if content == b'fail': write_frame(o, FAILED, b'TypeError'); continue\n"
    "    if content == b'ask': write_frame(o, QUESTION, b'who'); content = read_frame(i)[1]\n"
    "    write_frame(o, MESSAGE, content)\n"
)
GIVE_UP = 30.0


def nobody(question: bytes) -> bytes:
    raise AssertionError(question)


def begun(script: str) -> Beside:
    return Beside((sys.executable, "-c", script), patience_seconds=0.5)


def until(holds: Callable[[], bool]) -> None:
    give_up = time.monotonic() + GIVE_UP
    while not holds():
        assert time.monotonic() < give_up
        time.sleep(0.01)


@pytest.fixture
def echo() -> Iterator[Beside]:
    beside = Beside((sys.executable, "-c", ECHO))
    with closing(beside):
        until(beside.is_ready)
        yield beside


def pid_of(beside: Beside) -> int:
    assert beside._process is not None
    return beside._process.pid


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_it_answers_and_asks(echo: Beside) -> None:
    long = b"x" * (5 * PIPE_BYTES)

    assert echo.converse(long, nobody) == long
    assert echo.converse(b"ask", lambda question: question * 2) == b"whowho"
    with pytest.raises(Failed, match="TypeError"):
        echo.converse(b"fail", nobody)
    assert echo.converse(b"", nobody) == b""


@pytest.mark.parametrize("length", [1, 5 * PIPE_BYTES])
def test_one_that_is_frozen_is_given_up(length: int) -> None:
    with closing(begun(ECHO)) as beside:
        until(beside.is_ready)
        os.kill(pid_of(beside), signal.SIGSTOP)

        with pytest.raises(Lost):
            beside.converse(b"x" * length, nobody)

        assert not beside.is_ready()


@pytest.mark.parametrize(
    "said",
    [
        HEAD.pack(MESSAGE, 1 << 62),
        HEAD.pack(MESSAGE, 100),
        HEAD.pack(QUESTION, 100) + b"half",
        HEAD.pack(b"?", 0),
        b"nonsense" * 200_000,
        b"",
    ],
    ids=["endless", "nothing of it", "half a question", "unknown", "nonsense", "the end"],
)
def test_nonsense_is_no_answer(said: bytes) -> None:
    rest = f"os.read(0, 1); os.write(1, {said[:64]!r} * {max(1, len(said) // 64)}); "
    stay = "time.sleep(60)" if said else ""
    with closing(begun(HELLO + READY + rest + stay)) as beside:
        until(beside.is_ready)
        with pytest.raises(Lost):
            beside.converse(b"x" * (3 * PIPE_BYTES), nobody)


@pytest.mark.parametrize("said", ["os.write(1, b'hello')", "os.write(1, b'n' * 100_000)", ""])
def test_one_that_begins_with_nonsense_is_never_ready(said: str) -> None:
    with closing(begun(f"{HELLO}{said or 'sys.exit()'}; time.sleep(60)")) as beside:
        assert not beside.is_ready()
        pid = pid_of(beside)
        until(lambda: not beside.is_ready() and beside._process is None)
        assert not os.path.exists(f"/proc/{pid}")


def test_one_that_is_not_ready_is_not_spoken_to() -> None:
    with closing(begun(f"{HELLO}time.sleep(60)")) as beside:
        beside.is_ready()
        with pytest.raises(Lost):
            beside.converse(b"x", nobody)


def test_a_conversation_that_broke_off_is_not_gone_on_with(echo: Beside) -> None:
    with pytest.raises(AssertionError):
        echo.converse(b"ask", nobody)

    with pytest.raises(Lost):
        echo.converse(b"another", nobody)


def test_a_command_that_cannot_be_started_is_never_ready() -> None:
    beside = Beside(("/nowhere/at-all",))

    assert not beside.is_ready()
    assert not beside.is_ready()


def test_who_stops_it_waits_for_no_answer() -> None:
    beside = Beside((sys.executable, "-c", f"{HELLO}{READY}time.sleep(60)"))
    until(beside.is_ready)
    stopping = threading.Timer(0.1, beside.stop)
    stopping.start()
    with pytest.raises(Lost):
        beside.converse(b"x", nobody)
    stopping.join()

    assert not beside.is_ready()
    assert beside.starts == 1


def test_starts_leave_no_descriptor(echo: Beside) -> None:
    before = descriptors()
    for _ in range(5):
        echo.close()
        echo._not_before = 0.0
        until(echo.is_ready)
        assert echo.converse(b"x", nobody) == b"x"
    assert descriptors() == before


def test_it_works_where_many_files_are_open() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    many = 1_200
    if hard != resource.RLIM_INFINITY and hard < many + 200:
        pytest.skip("the system lets nobody open so many files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, many + 200), hard))
    held = [os.dup(0) for _ in range(many)]
    try:
        with closing(Beside((sys.executable, "-c", ECHO))) as beside:
            until(beside.is_ready)
            assert beside.converse(b"ask", lambda question: question) == b"who"
    finally:
        for one in held:
            os.close(one)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
