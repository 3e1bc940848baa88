"""Cut a text down to a quarter of its tokens: its headings, commands and key points first (A14)."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from app.core.lifecycle import Card, Proposal, age_days
from app.core.lifecycle_rules import SPEC, Rules
from app.core.values import value

Count = Callable[[str], int]
"""Tokens of a text."""

DIVISOR = 4
"""Spec A14: a summary has at most a quarter of the tokens."""

SUMMARY_MARK = "summary_content"
"""Key of a memory's metadata: the content (hexadecimal) that summarising gave it."""

SUMMARY_TOKENS_MARK = "summarised_tokens"
"""Key of a memory's metadata: how many tokens its text had before."""

HEADING, POINT, LEAD, REST = range(4)
"""What a piece of text is, in the order in which it is kept."""

_SHELLS = frozenset("bash sh shell zsh console terminal powershell cmd bat fish".split())
_FENCE = re.compile(r"(\s*)(```+|~~~+)\s*([\w+-]*)")
_HEADING = re.compile(r"(#{1,6})\s+\S")
_COMMAND = re.compile(r"\s*(?:[-*+]\s+)?`?\$\s+\S")
_BULLET = re.compile(r"\s*(?:[-*+•]|\d+[.)])\s+")
_EMPHASIS = re.compile(r"\*\*\S|__\S|[⚠✅❌❗🚨]")
_LABEL = re.compile(r"\s*\*\*[^*]+\*\*:?\s*$")
"""Emphasis that only says what comes next."""

_STRESS = re.compile(
    r"\b(?:must|never|always|important|critical|required|mandatory|warning|caution|note|key|"
    r"remember|avoid|do not|don't|ensure|only|rule|decision|decided)\b",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])")
LONG_LINE = 200
"""Characters above which a line of prose is cut into sentences."""


@value
class _Piece:
    """A line, or a sentence of a long one."""

    line: int
    place: int
    """Which sentence of its line."""
    text: str
    rank: int
    level: int
    """Of a heading, 1 to 6; else 0."""
    section: int
    """The heading that it is below."""
    fence: tuple[int, int] | None = None
    """The lines that open and close the code block it stands in."""


def summaries(cards: Iterable[Card], now: int, rules: Rules = SPEC) -> list[Proposal]:
    """Long memories that nobody has used for long, those first that save most.

    The text itself is cut when the proposal is applied (`summarise`).
    """
    found = [
        Proposal(
            memory_id=card.id,
            score=min(1.0, (card.tokens - card.tokens // DIVISOR) / 10_000),
            reason=f"age={age_days(card, now)} days > {rules.summary_days},"
            f" tokens={card.tokens} >= {rules.summary_tokens}",
            project=card.project,
            path=card.path,
            agent=card.agent,
            source=f"{card.tokens} tokens",
            target=f"at most {card.tokens // DIVISOR} tokens",
            ids=(card.id,),
        )
        for card in cards
        if not card.pinned
        and card.tokens >= rules.summary_tokens
        and age_days(card, now) > rules.summary_days
        and card.summary != card.content.hex()
    ]
    return sorted(found, key=lambda one: (-one.score, one.memory_id))


def summarise(text: str, count: Count) -> str | None:
    """Lines and sentences of a text, in its order, of at most a quarter of its tokens.

    Headings come first, the highest before the lower ones; then commands and key points, from all
    sections in turn; then each section's opening; then what still fits. None: nothing fits.
    """
    room = count(text) // DIVISOR
    lines = text.splitlines()
    kept: list[_Piece] = []
    fences: set[tuple[int, int]] = set()
    left = room
    for piece in _by_worth(_pieces(lines)):
        cost = count(piece.text + "\n")
        if piece.fence is not None and piece.fence not in fences:
            cost += sum(count(lines[at] + "\n") for at in piece.fence)
        if cost <= left:
            left -= cost
            kept.append(piece)
            if piece.fence is not None:
                fences.add(piece.fence)
    while kept:
        summary = _written(kept, lines)
        if count(summary) <= room:
            return summary
        kept.pop()  # counts of pieces are those of the whole but for a few tokens at their ends
    return None


def _by_worth(pieces: Iterable[_Piece]) -> list[_Piece]:
    """Pieces in the order in which they are kept: sections take turns within a rank."""
    turns: Counter[tuple[int, int]] = Counter()
    ordered = []
    for piece in pieces:
        turn = turns[piece.rank, piece.section]
        turns[piece.rank, piece.section] += 1
        order = piece.level if piece.rank == HEADING else turn
        ordered.append(((piece.rank, order, piece.line, piece.place), piece))
    return [piece for _, piece in sorted(ordered, key=lambda pair: pair[0])]


def _pieces(lines: Sequence[str]) -> Iterator[_Piece]:
    section = 0
    opened = True  # whether the section's first prose is still to come
    fence: tuple[int, int] | None = None
    is_shell = False
    fences = _fences(lines)
    for at, line in enumerate(lines):
        if at in fences:
            fence, is_shell = fences[at]
            continue
        if fence is not None and at == fence[1]:
            fence = None
            continue
        if not line.strip():
            continue
        if fence is not None:
            is_command = is_shell or _COMMAND.match(line) is not None
            rank = POINT if is_command and not line.lstrip().startswith("# ") else REST
            yield _Piece(
                line=at, place=0, text=line, rank=rank, level=0, section=section, fence=fence
            )
            continue
        heading = _HEADING.match(line)
        if heading is not None:
            section, opened = at + 1, True
            level = len(heading[1])
            yield _Piece(line=at, place=0, text=line, rank=HEADING, level=level, section=section)
            continue
        for place, sentence in enumerate(_sentences(line)):
            rank = _rank_of(sentence, is_opening=opened)
            opened = opened and rank != LEAD
            yield _Piece(line=at, place=place, text=sentence, rank=rank, level=0, section=section)


def _fences(lines: Sequence[str]) -> dict[int, tuple[tuple[int, int], bool]]:
    """Code blocks by the line that opens them: first and last line, whether they hold commands.

    A fence that is indented deeper than the one that opened the block belongs to its text.
    """
    found: dict[int, tuple[tuple[int, int], bool]] = {}
    begun: tuple[int, re.Match[str]] | None = None
    for at, line in enumerate(lines):
        fence = _FENCE.match(line)
        if fence is None:
            continue
        if begun is None:
            begun = (at, fence)
            continue
        first, opening = begun
        is_end = fence[2].startswith(opening[2]) and not fence[3]
        if is_end and len(fence[1]) <= len(opening[1]):
            found[first] = ((first, at), opening[3].lower() in _SHELLS)
            begun = None
    return found


def _sentences(line: str) -> list[str]:
    if len(line) <= LONG_LINE:
        return [line]
    return [part for part in _SENTENCE_END.split(line) if part.strip()]


def _rank_of(text: str, *, is_opening: bool) -> int:
    if _COMMAND.match(text):
        return POINT
    if _EMPHASIS.search(text):
        return LEAD if _LABEL.match(text) else POINT
    if _BULLET.match(text):
        return POINT if _STRESS.search(text) else REST
    return LEAD if is_opening or _STRESS.search(text) else REST


def _written(kept: Iterable[_Piece], lines: Sequence[str]) -> str:
    """Pieces in the order of their text, code within its fences."""
    written: list[str] = []
    fence: tuple[int, int] | None = None
    last = -1
    for piece in sorted(kept, key=lambda piece: (piece.line, piece.place)):
        if fence is not None and piece.fence != fence:
            written.append(lines[fence[1]])
        if piece.fence is not None and piece.fence != fence:
            written.append(lines[piece.fence[0]])
        fence = piece.fence
        if piece.line == last:
            written[-1] += " " + piece.text
        else:
            written.append(piece.text)
        last = piece.line
    if fence is not None:
        written.append(lines[fence[1]])
    return "\n".join(written) + "\n"
