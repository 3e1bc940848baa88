"""Count the tokens of texts exactly and offline, with tiktoken and rank files of our own."""

import hashlib
import lzma
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from tiktoken import Encoding
from tiktoken.model import encoding_name_for_model

from app.core.errors import InvalidRequest

DEFAULT_ENCODING = "cl100k_base"  # "Settled details": unless the model says otherwise

LONG_RUN = 100_000
"""Blanks in a row above which a text is cut by hand: `\\s+(?!\\S)` needs a stack entry for each
of them, and at a million tiktoken 0.14 panics (below `Exception`, so that nobody catches it)."""

STRETCH = 200_000
"""Characters above which a text is counted in parts: tiktoken makes a list of all tokens at the
end, and no other thread runs meanwhile."""

_LINE = re.compile(r"\n(?=[A-Za-z])")

_END = b"\xff\xfe"  # after each token in a rank file; no token holds these two bytes

# White_Space of Unicode without the line ends, which open a piece of their own. Python's \s is
# another set: it has the separators U+001C to U+001F.
_BLANKS = r"[\t\v\f \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"


@dataclass(frozen=True, slots=True, kw_only=True)
class RankFile:
    """What builds one encoding; patterns are those of tiktoken_ext, as a test compares."""

    sha256: str
    """Of the compressed file beside this module."""
    pattern: str
    """How a text is split into pieces before they are encoded."""
    final_blanks_join: bool
    """Whether the blanks that end a text make one piece with the line ends before them."""


RANK_FILES = {
    "cl100k_base": RankFile(
        sha256="2550b6e49b89e985e48a3671f57a3d59f8155f5e70262a0704430d972a72ec43",
        pattern=r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+"""
        r"""| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s""",
        final_blanks_join=True,
    ),
    "o200k_base": RankFile(
        sha256="ce5b7651c58a6f4226ab1f35172e8da34f67c3ee7f29a0a07487c66befef11d2",
        pattern="|".join(
            (
                r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*"
                r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
                r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+"
                r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
                r"\p{N}{1,3}",
                r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
                r"\s*[\r\n]+",
                r"\s+(?!\S)",
                r"\s+",
            )
        ),
        final_blanks_join=False,
    ),
}

# Encodings that differ from one of ours in special tokens only, which plain text never holds.
_SAME_RANKS = {"o200k_harmony": "o200k_base"}


def encoding_for(model: str | None) -> str:
    """The encoding of a model, with or without its provider: cl100k_base where none is known."""
    return own_encoding(model) or DEFAULT_ENCODING


def own_encoding(model: str | None) -> str | None:
    """The encoding that a model itself reads in; None where that is not known, or not here."""
    if not model:
        return None
    name = model.rsplit("/", 1)[-1].lower()
    before, _, after = name.partition(":")
    for candidate in (name, after, before):  # ft:gpt-4o:acme, openai:gpt-4o, gpt-4o:extended
        try:
            encoding = encoding_name_for_model(candidate)
        except KeyError:
            continue
        encoding = _SAME_RANKS.get(encoding, encoding)
        return encoding if encoding in RANK_FILES else None
    return None


def read_ranks(name: str) -> dict[bytes, int]:
    """The tokens of an encoding with their merge ranks, from the file shipped beside this."""
    packed = (files("app.gateways") / "ranks" / f"{name}.xz").read_bytes()
    if hashlib.sha256(packed).hexdigest() != RANK_FILES[name].sha256:
        raise RuntimeError(f"ranks/{name}.xz is damaged: install the package again")
    tokens = lzma.decompress(packed).split(_END)
    return {token: rank for rank, token in enumerate(tokens)}


def count_tokens(encoding: Encoding, text: str, *, long_run: int = LONG_RUN) -> int:
    """Tokens of a text as plain text; the same count for any `long_run`.

    Blanks before a visible character are one piece but for the last, which joins that character;
    so a text may be cut around such a piece, which then needs no pattern.
    """
    if len(text) > STRETCH:
        return sum(_count(encoding, part, long_run) for part in stretches(text))
    return _count(encoding, text, long_run)


def stretches(text: str, most: int = STRETCH) -> Iterator[str]:
    """A text in parts that have its tokens together: cut between a line's end and a letter, which
    are never of one piece. Where no such place is, a part is longer than `most`."""
    start = 0
    while len(text) - start > most:
        cut = _LINE.search(text, start + most // 2)
        if cut is None:
            break
        yield text[start : cut.end()]
        start = cut.end()
    yield text[start:]


def _count(encoding: Encoding, text: str, long_run: int) -> int:
    if len(text) <= long_run:
        return len(encoding.encode_ordinary(text))
    total, start = 0, 0
    for run in _long_runs(long_run).finditer(text):
        if run.end() == len(text):
            if RANK_FILES[encoding.name].final_blanks_join:
                break
            piece_end = run.end()
        elif text[run.end()] in "\r\n":  # one piece with the line end, which needs no stack
            continue
        else:
            piece_end = run.end() - 1
        total += len(encoding.encode_ordinary(text[start : run.start()]))
        total += len(encoding._encode_single_piece(text[run.start() : piece_end]))
        start = piece_end
    return total + len(encoding.encode_ordinary(text[start:]))


@lru_cache(maxsize=8)
def _long_runs(longer_than: int) -> re.Pattern[str]:
    # A run is tried at its first blank only, or many runs just short of it would take minutes.
    return re.compile(f"(?<!{_BLANKS}){_BLANKS}{{{longer_than + 1},}}")


class TokenCounter:
    """Counts by encoding; each is built once, at its first count, whichever thread comes first."""

    def __init__(self) -> None:
        self._encodings: dict[str, Encoding] = {}
        self._lock = threading.Lock()

    def count(self, text: str, encoding: str = DEFAULT_ENCODING) -> int:
        """Tokens of one text. The first count of an encoding takes some tenths of a second, and
        tiktoken lets other threads run while it counts: call it off the event loop."""
        return count_tokens(self._encoding(encoding), text)

    def count_many(self, texts: Sequence[str], encoding: str = DEFAULT_ENCODING) -> list[int]:
        """Tokens of each text, in order."""
        if not texts:
            return []
        ready = self._encoding(encoding)
        return [count_tokens(ready, text) for text in texts]

    def encoding_for(self, model: str | None) -> str:
        """The encoding to count in for a model; unknown ones are counted in cl100k_base."""
        return encoding_for(model)

    def _encoding(self, name: str) -> Encoding:
        ready = self._encodings.get(name)
        if ready is not None:
            return ready
        if name not in RANK_FILES:
            raise InvalidRequest(f"unknown encoding: take one of {', '.join(RANK_FILES)}")
        with self._lock:
            if name not in self._encodings:
                self._encodings[name] = Encoding(
                    name,
                    pat_str=RANK_FILES[name].pattern,
                    mergeable_ranks=read_ranks(name),
                    special_tokens={},  # they never count: users' text is plain text
                )
            return self._encodings[name]
