"""The process that reads long lists of usage events for a service.

It is started by the service, speaks with it over its standard input and output, and ends with it.
"""

import gc
import os
import signal
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from app import clock
from app.api.beside import Reader
from app.core.pricing import Price, Service
from app.gateways.beside import FAILED, MESSAGE, QUESTION, READY, Lost, read_frame, write_frame

if TYPE_CHECKING:
    from app.gateways.prices import PriceList

ROOT = str(Path(__file__).parents[2])
COMMAND = (
    sys.executable,
    "-P",  # a folder that the service is started in must not lend it modules
    "-c",
    f"import sys; sys.path.insert(0, {ROOT!r}); from app.commands.beside import main; main()",
)

GROUPS = 64
"""After so many groups what holds itself is looked for: refusals do, events do not."""


def main() -> None:
    """Answer until the service is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    said = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what is printed must not be taken for ours
    heard = os.fdopen(os.dup(sys.stdin.fileno()), "rb", buffering=0)
    reader = Reader(clock.new_id, _listed)
    gc.collect()
    gc.freeze()
    gc.disable()

    def ask(question: bytes) -> bytes:
        write_frame(said, QUESTION, question)
        return read_frame(heard)[1]

    count = 0
    try:
        write_frame(said, READY, b"")
        while True:
            _, message = read_frame(heard)
            try:
                write_frame(said, MESSAGE, reader.answer(message, ask))
            except (Lost, OSError):
                raise
            except Exception as error:  # noqa: BLE001 (the service does the work, and logs this)
                write_frame(said, FAILED, type(error).__name__.encode())
            count += 1
            if count % GROUPS == 0:
                gc.collect()
    except (Lost, OSError):
        return


def _listed(model: str, at: int, service: Service) -> Price | None:
    return _prices().price(model, at, service)


@cache
def _prices() -> "PriceList":
    from app.gateways.prices import PriceList  # noqa: PLC0415 (many never name a model)

    return PriceList()
