"""Write the selected memories as the one text to load.

Their order follows from what they are and not from their scores, the oldest first, so that the
text of one call begins like that of the next and prompt caches last. No memory ends its own
element or poses as another.
"""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC
from itertools import groupby
from math import inf
from typing import Literal

from app.core.memory import Candidate

Format = Literal["markdown", "xml", "json"]

_OPENS_A_BLOCK = re.compile(
    r"\A[ \t]"  # goes on with the list before it
    r"|(?:\A|[\r\n])[ \t]*(?:#|```|~~~|<|\[|=+[ \t]*(?:[\r\n]|\Z)|-+[ \t]*(?:[\r\n]|\Z))"
)
"""What may be more than a paragraph in Markdown: a heading, a fence, raw HTML, a definition."""

_TICKS = re.compile("`+")
_REFERENCES = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\r", "&#13;"))
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def reading_order(memory: Candidate) -> tuple[float, str, float, str]:
    """Sorts memories of one scope: oldest first, those of no time last."""
    return (
        inf if memory.created_at is None else memory.created_at.timestamp(),
        memory.session or "",
        inf if memory.position is None else memory.position,
        memory.id,
    )


def render(kind: Format, memories: Iterable[Candidate]) -> str:
    """The texts of the memories that have one, in the order given.

    Those of one path stand together, else those of one sitting and day, else each by its id: under
    a heading in Markdown, in a group in XML. JSON has an object for each memory.
    """
    told = [memory for memory in memories if memory.text is not None]
    if kind == "json":
        return "[" + ",".join(piece(kind, memory) for memory in told) + "]"
    parts = []
    for _, together in groupby(told, key=_place):
        group = list(together)
        above, below = frame(kind, group[0])
        parts += [above, *(piece(kind, memory) for memory in group), below]
    if kind == "markdown":
        return "\n\n".join(filter(None, parts))
    return "\n".join(("<memories>", *parts, "</memories>")) if told else ""


def piece(kind: Format, memory: Candidate, text: str | None = None) -> str:
    """What one memory adds to what stands with it; nothing where it has no text.

    `text` stands in for its own.
    """
    if memory.text is None:
        return ""
    text = memory.text if text is None else text
    named = {}
    if memory.speaker is not None and not memory.text.startswith(f"{memory.speaker}:"):
        named["speaker"] = memory.speaker
    if kind == "json":
        members = {"id": memory.id, **dict(_place(memory)), **named, "text": text}
        return json.dumps(members, ensure_ascii=False, separators=(",", ":"))
    if kind == "xml":
        return f"{_tag('memory', named)}{_escaped(text)}</memory>"
    return _paragraph(f"{_one_line(named['speaker'])}: {text}" if named else text)


def frame(kind: Format, memory: Candidate) -> tuple[str, str]:
    """What stands above and below the memories that stand with this one."""
    place = _place(memory)
    if kind == "json":
        return "", ""
    if kind == "xml":
        return _tag("group", dict(place)), "</group>"
    return f"## {_one_line(', '.join(name for _, name in place))}", ""


def _place(memory: Candidate) -> tuple[tuple[str, str], ...]:
    """Where a memory comes from, and when: what those that stand together share."""
    if memory.path:
        return (("path", memory.path),)
    known = []
    if memory.session:
        known.append(("session", memory.session))
    if memory.created_at is not None:
        known.append(("date", memory.created_at.astimezone(UTC).date().isoformat()))
    return tuple(known) or (("id", memory.id),)


def _one_line(name: str) -> str:
    return " ".join(name.split())


def _paragraph(text: str) -> str:
    """A text as it is where that is a paragraph, else between fences that it does not hold."""
    if not _OPENS_A_BLOCK.search(text):
        return text
    longest = max(map(len, _TICKS.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"


def _tag(name: str, attributes: Mapping[str, str]) -> str:
    written = "".join(f' {key}="{_quoted(text)}"' for key, text in attributes.items())
    return f"<{name}{written}>"


def _quoted(text: str) -> str:
    return _escaped(text).replace('"', "&quot;").replace("\n", "&#10;").replace("\t", "&#9;")


def _escaped(text: str) -> str:
    """As XML may hold it: signs that it may not become U+FFFD."""
    plain = _NOT_XML.sub("\ufffd", text)
    for sign, reference in _REFERENCES:
        plain = plain.replace(sign, reference)
    return plain
