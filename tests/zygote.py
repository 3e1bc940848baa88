"""Hold our commands imported and fork one whenever a test starts a process of them.

A process that is forked here is one of its own in all that tests look at (environment, folder,
files, signals, exit code); it saves the second that importing everything takes.
"""

import json
import os
import select
import signal
import socket
import sys
import time
from contextlib import suppress

from app.__main__ import main as command  # and with it all that the service needs
from tests.stopping import stop_at

Given = tuple[socket.socket, list[int], dict[str, object]]
"""Where to tell how it ends, its standard files, and its words, environment, folder and stage."""

MOST_BYTES = 1 << 20


def serve(control: socket.socket) -> Given | None:
    """Fork for each request; answers in the children what they are to do, and at the end None."""
    woken, waking = socket.socketpair()
    for side in (woken, waking):
        side.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waking.fileno())
    telling: dict[int, socket.socket] = {}
    while True:
        ready, _, _ = select.select([control, woken], [], [])
        if woken in ready:
            with suppress(BlockingIOError):
                woken.recv(4096)
            _reap(telling)
        if control not in ready:
            continue
        raw, fds, _, _ = socket.recv_fds(control, MOST_BYTES, 4)
        if not raw:
            return None
        status = socket.socket(fileno=fds[3])
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for other in (control, woken, waking, *telling.values()):
                other.close()
            return status, fds[:3], json.loads(raw)
        for fd in fds[:3]:
            os.close(fd)
        telling[pid] = status
        status.sendall(pid.to_bytes(8, "big"))


def _reap(telling: dict[int, socket.socket]) -> None:
    while telling:
        pid, ended = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        with telling.pop(pid) as status, suppress(OSError):
            status.sendall(os.waitstatus_to_exitcode(ended).to_bytes(8, "big", signed=True))


def become(given: Given) -> None:
    """Make this child the process that was asked for."""
    status, files, asked = given
    status.close()
    for fd, file in enumerate(files):
        os.dup2(file, fd)
        os.close(file)
    words, environment, folder = asked["words"], asked["environment"], asked["folder"]
    assert isinstance(words, list)
    assert isinstance(environment, dict)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(str(folder))
    time.tzset()
    sys.argv = ["membudget-server", *words]
    if stage := asked["stops_at"]:
        assert isinstance(stage, list)
        stop_at(*stage)


def main() -> None:
    """Wait; a child goes on as the command it is to be."""
    given = serve(socket.socket(fileno=int(sys.argv[1])))
    if given is not None:
        become(given)
        command()


if __name__ == "__main__":
    main()
