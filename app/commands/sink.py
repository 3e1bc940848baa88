"""Write to a file that appears when it is complete, or to standard output."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def sink(output: str) -> Iterator[BinaryIO]:
    """Where to write; `-` is standard output. Errors: OSError, by the name that was given."""
    if output == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(output)
    growing = path.with_name(f".{path.name}.part")
    try:
        with growing.open("wb") as file:
            yield file
        growing.replace(path)
    except OSError as error:
        if str(error.filename) == str(growing):
            error.filename = output
        raise
    finally:
        growing.unlink(missing_ok=True)
