"""Take a Markdown text apart where it may be cut, and put what is kept together again.

A text is sections (each below its headings), a section is pieces: sentences, list items, whole code
blocks, rows of tables. What is put together is in the order of the text, a code block is whole or
absent, and rows of a table stand below its head.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

HEADING, HEAD, PROSE, ITEM, CODE, ROW = "heading", "head", "prose", "item", "code", "row"
"""What a piece is; `head`: the two lines that make rows a table."""

_FENCE = re.compile(r"(\s*)(```+|~~~+)(.*)$")
_HEADING = re.compile(r"(#{1,6})\s+\S")
_ITEM = re.compile(r"\s*(?:[-*+•]|\d+[.)])\s+\S")
_DIVIDER = re.compile(r"\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?$")
"""Of a line without blanks around it: two runs of blanks in a row would take quadratic time."""
LONG_SENTENCE = 600
"""Characters above which what has no sentence's end is cut between words."""
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=\S)|(?<=[。！？])\s*(?=\S)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """What is kept or left out as a whole."""

    at: int
    """Its place in the text."""
    kind: str
    text: str
    section: int
    """Which section of the text; 0 is what stands before the first heading."""
    level: int = 0
    """Of a heading, 1 to 6."""
    below: tuple[int, ...] = ()
    """Places of the headings, the table's head or the list item that it makes no sense without."""
    block: int
    """Which paragraph, item, row … of the text it is a part of."""
    gap: str = "\n"
    """What stands before that block."""
    joiner: str = ""
    """What stands between it and the piece before it of the same block."""


def pieces_of(text: str) -> list[Piece]:
    """The pieces of a text in order; joined, they are the text but for blanks at its ends."""
    found: list[Piece] = []
    above: list[tuple[int, int]] = []  # level and place of the headings that are open
    section = number = head = 0
    gap = ""
    for block in _blocks(text.splitlines()):
        if block.kind == "":
            gap += "\n"
            continue
        number += 1
        if block.kind == HEADING:
            section += 1
            above = [one for one in above if one[0] < block.level]
        below = tuple(place for _, place in above)
        if block.kind == ROW:
            below = (*below, head)
        for joiner, part in _parts(block):
            found.append(
                Piece(
                    at=len(found),
                    kind=block.kind,
                    text=part,
                    section=section,
                    level=block.level,
                    below=below,
                    block=number,
                    gap="\n" + gap,
                    joiner=joiner,
                )
            )
        gap = ""
        if block.kind == HEADING:
            above.append((block.level, len(found) - 1))
        elif block.kind == HEAD:
            head = len(found) - 1
    return found


def joined(kept: Iterable[Piece]) -> str:
    """Pieces in the order of the text, as far apart as they stood."""
    written: list[str] = []
    last: Piece | None = None
    for piece in sorted(kept, key=lambda piece: piece.at):
        if last is not None:
            if piece.block == last.block:
                between = piece.joiner if piece.at == last.at + 1 else piece.joiner or " "
            elif piece.gap == "\n" and piece.at > last.at + 1 and _runs_into(last, piece):
                between = "\n\n"
            else:
                between = piece.gap
            written.append(between)
        written.append(piece.text)
        last = piece
    return "".join(written)


@dataclass(frozen=True, slots=True)
class _Block:
    kind: str
    text: str
    level: int = 0


def _blocks(lines: Sequence[str]) -> Iterator[_Block]:
    at = 0
    while at < len(lines):
        start = at
        heading = _HEADING.match(lines[at])
        at += 1
        if not lines[start].strip():
            yield _Block("", "")
        elif end := _fence_end(lines, start):
            yield _Block(CODE, "\n".join(lines[start:end]))
            at = end
        elif _is_table(lines, start):
            yield _Block(HEAD, "\n".join(lines[start : start + 2]))
            at += 1
            while at < len(lines) and "|" in lines[at]:
                yield _Block(ROW, lines[at])
                at += 1
        elif heading is not None:
            yield _Block(HEADING, lines[start], len(heading[1]))
        else:
            while at < len(lines) and not _opens(lines, at):
                at += 1
            kind = ITEM if _ITEM.match(lines[start]) else PROSE
            yield _Block(kind, "\n".join(lines[start:at]))


def _opens(lines: Sequence[str], at: int) -> bool:
    """Whether a line is no continuation of a paragraph or an item before it."""
    line = lines[at]
    return (
        not line.strip()
        or any(pattern.match(line) for pattern in (_HEADING, _ITEM, _FENCE))
        or _is_table(lines, at)
    )


def _is_table(lines: Sequence[str], at: int) -> bool:
    return (
        "|" in lines[at]
        and at + 1 < len(lines)
        and "|" in lines[at + 1]
        and _DIVIDER.match(lines[at + 1].strip()) is not None
    )


def _fence_end(lines: Sequence[str], at: int) -> int:
    """The line after the code block that opens here; 0 if none does. An open one ends the text."""
    opening = _FENCE.match(lines[at])
    if opening is None:
        return 0
    for end in range(at + 1, len(lines)):
        fence = _FENCE.match(lines[end])
        if fence is not None and fence[2].startswith(opening[2]) and not fence[3].strip():
            return end + 1
    return len(lines)


def _parts(block: _Block) -> list[tuple[str, str]]:
    """What stands before each part, and the part."""
    if block.kind != PROSE:
        return [("", block.text)]
    parts: list[tuple[str, str]] = []
    start, joiner = 0, ""
    for end in _SENTENCE_END.finditer(block.text):
        parts += _lines_of(joiner, block.text[start : end.start()])
        start, joiner = end.end(), end.group()
    return [*parts, *_lines_of(joiner, block.text[start:])]


def _lines_of(joiner: str, sentence: str) -> list[tuple[str, str]]:
    """A sentence; a long one cut at a line's end, else between words."""
    parts = []
    start = 0
    while len(sentence) - start > LONG_SENTENCE:
        end = sentence.rfind("\n", start + 1, start + LONG_SENTENCE)
        if end < 0:
            end = sentence.rfind(" ", start + 1, start + LONG_SENTENCE)
        if end < 0:
            break
        parts.append((joiner, sentence[start:end]))
        start, joiner = end + 1, sentence[end]
    return [*parts, (joiner, sentence[start:])]


def _runs_into(last: Piece, piece: Piece) -> bool:
    """Whether one would be read as a part of the other, had they no empty line between them."""
    if HEAD in (last.kind, piece.kind) or (last.kind == ROW) != (piece.kind == ROW):
        return piece.kind != ROW or last.kind != HEAD
    return piece.kind == PROSE and last.kind in (PROSE, ITEM)
