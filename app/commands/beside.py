"""The process that reads long lists of usage events for a service: `python -m app.commands.beside`.

It is started by the service, speaks with it over its standard input and output, and ends with it.
"""

import gc
import os
import signal
import sys
from functools import cache
from typing import TYPE_CHECKING

from app import clock
from app.api.beside import Reader
from app.core.pricing import Price, Service
from app.gateways.beside import MESSAGE, QUESTION, READY, Lost, read_frame, write_frame

if TYPE_CHECKING:
    from app.gateways.prices import PriceList

COMMAND = (sys.executable, "-m", "app.commands.beside")


def main() -> None:
    """Answer until the service is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    said = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what is printed must not be taken for ours
    heard = os.fdopen(os.dup(sys.stdin.fileno()), "rb", buffering=0)
    reader = Reader(clock.new_id, _listed)
    gc.collect()
    gc.freeze()
    gc.disable()  # nothing that a group leaves behind holds itself

    def ask(question: bytes) -> bytes:
        write_frame(said, QUESTION, question)
        return read_frame(heard)[1]

    try:
        write_frame(said, READY, b"")
        while True:
            write_frame(said, MESSAGE, reader.answer(read_frame(heard)[1], ask))
    except (Lost, BrokenPipeError):
        return


def _listed(model: str, at: int, service: Service) -> Price | None:
    return _prices().price(model, at, service)


@cache
def _prices() -> "PriceList":
    from app.gateways.prices import PriceList  # noqa: PLC0415 (many never name a model)

    return PriceList()


if __name__ == "__main__":
    main()
