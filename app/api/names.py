"""Say what the names that callers give may be made of."""

from starlette.convertors import PathConvertor, register_url_convertor

_CONTROL = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
"""Signs that steer a terminal or end a line: of C0 and C1, and Unicode's two."""
_UNSEEN = r"\s\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff"
"""Blanks, and signs that only say how others are drawn."""


def visible(but: str = "", blank: str = "") -> str:
    """The pattern of a name on one line: without the signs named, and not of unseen ones and
    `blank` alone."""
    any_ = f"[^{but}{_CONTROL}]*"
    return f"^{any_}[^{but}{blank}{_CONTROL}{_UNSEEN}]{any_}$"


LABEL = visible()
"""Of users, runs, models, agents."""
ID = visible("/", ".")
"""Of what is named in a path, where dots alone lead elsewhere."""
NAME = visible("/*", ".")
"""Of workspaces, projects, scopes and budgets."""

_SEEN = "one line without control characters, of which something can be seen"
_IN_WORDS = {
    f"String should match pattern '{pattern}'": words
    for pattern, words in (
        (LABEL, f"Must be {_SEEN}"),
        (ID, f"Must be {_SEEN} beside dots, without /"),
        (NAME, f"Must be {_SEEN} beside dots, without / and *"),
    )
}


def in_words(fault: str) -> str:
    """What is said of a value, in place of a pattern that it does not match."""
    return _IN_WORDS.get(fault, fault)


class _Whole(PathConvertor):
    """The rest of a path with all its lines: one that breaks is refused by name, not as a path."""

    regex = r"[\s\S]*"


register_url_convertor("whole", _Whole())
