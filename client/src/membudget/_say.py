"""Write lines for people, on whatever they read them."""

import sys
from typing import TextIO

RULE = 70
"""Width of the originals' lines."""


def say(text: str = "", *, to: TextIO | None = None) -> None:
    """Write a line; signs that the terminal does not know become `?`."""
    out = sys.stdout if to is None else to
    line = f"{text}\n"
    try:
        out.write(line)
    except UnicodeEncodeError:
        known = out.encoding or "ascii"
        out.write(line.encode(known, "replace").decode(known))


def warn(text: str) -> None:
    """Write a line where warnings go."""
    say(text, to=sys.stderr)


def headline(text: str) -> None:
    """Write a title between two rules, as the originals do."""
    say()
    say("=" * RULE)
    say(text)
    say("=" * RULE)
