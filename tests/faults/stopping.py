"""The service in a process that forks from one where its modules are loaded already."""

import os
import signal
import sys
from collections.abc import Mapping
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from app.__main__ import main


def serve_till(
    stage: tuple[str, str, int],
    environment: Mapping[str, str],
    folder: Path,
    out: Connection,
    log: Path,
) -> None:
    """Serve, and send oneself a SIGTERM when something is called for the n-th time."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    os.dup2(out.fileno(), 1)
    out.close()
    with log.open("wb") as stderr:
        os.dup2(stderr.fileno(), 2)
    stop_at(*stage)
    sys.argv[1:] = ["serve", "--port", "0"]
    main()


def stop_at(module: str, name: str, calls: int) -> None:
    """Put a function in another's place that sends a SIGTERM at its n-th call."""
    *path, last = name.split(".")
    owner: Any = import_module(module)
    for part in path:
        owner = getattr(owner, part)
    original = getattr(owner, last)
    left = [calls]

    def stopping(*args: Any, **named: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(*args, **named)

    setattr(owner, last, stopping)
