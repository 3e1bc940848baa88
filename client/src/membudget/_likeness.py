"""Stand in for rapidfuzz where it is not installed: a few hundred short names, no hurry."""

from collections.abc import Callable, Mapping
from difflib import SequenceMatcher
from types import SimpleNamespace
from typing import Any

Scorer = Callable[..., float]


def osa(one: str, other: str, *, score_cutoff: int | None = None) -> int:
    """Edits between two texts: letters put in, left out, changed, or swapped with the next."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for at, letter in enumerate(one, 1):
        last, row, two_before = row, [at], before
        before = last
        for place, there in enumerate(other, 1):
            cost = min(last[place] + 1, row[-1] + 1, last[place - 1] + (letter != there))
            if at > 1 and place > 1 and letter == other[place - 2] and one[at - 2] == there:
                cost = min(cost, two_before[place - 2] + 1)
            row.append(cost)
    edits = row[-1]
    return edits if score_cutoff is None or edits <= score_cutoff else score_cutoff + 1


def ratio(one: str, other: str, **_: Any) -> float:
    """Likeness, 0–100."""
    return 100 * SequenceMatcher(None, one, other, autojunk=False).ratio()


def extract(
    query: str,
    choices: Mapping[str, str],
    *,
    scorer: Scorer,
    processor: None = None,
    score_cutoff: float | None = None,
    limit: int | None = 5,
) -> list[tuple[str, float, str]]:
    """The nearest of named texts: text, score, name; distances from below, likeness from above."""
    nearer = scorer is osa
    scored = [(text, scorer(query, text), name) for name, text in choices.items()]
    if score_cutoff is not None:
        scored = [one for one in scored if nearer == (one[1] <= score_cutoff)]
    scored.sort(key=lambda one: one[1] if nearer else -one[1])
    return scored[:limit]


OSA = SimpleNamespace(distance=osa)
fuzz = SimpleNamespace(ratio=ratio, WRatio=ratio)
process = SimpleNamespace(extract=extract)
