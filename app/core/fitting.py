"""Choose so that the text to load, as it will be written, fits the budget."""

from collections import Counter
from collections.abc import Callable, Sequence
from math import ceil

from app.core.choosing import Choice, Problem, ceiling, choose
from app.core.rendering import Format, frame, piece, reading_order, render
from app.core.values import value

Count = Callable[[str], int]

MOST_TRIES = 8
"""Choices tried before the least of the last one are left out until the text fits."""

SPARE = 0.02
"""Share of the budget that may be left without a try at more."""

SAMPLED = 32
"""Memories whose frames are counted to know what those of the others take."""


@value
class Fitted:
    """A choice, and its text where one is to be written."""

    choice: Choice
    text: str | None = None
    tokens: int | None = None
    """Of the text."""


def fit(problem: Problem, kind: Format | None, count: Count | None) -> Fitted:
    """The choice whose tokens fit the budget, as does its text, if it is to be written.

    The tokens of candidates are taken as they are stated; those of the text are counted.
    """
    if kind is None or count is None:
        return Fitted(choice=choose(problem, [item.candidate.tokens for item in problem.items]))
    return _Fit(problem, kind, count).run()


class _Fit:
    """What the items of a problem weigh in a text, as far as is known."""

    def __init__(self, problem: Problem, kind: Format, count: Count) -> None:
        self.problem = problem
        self.kind: Format = kind
        self.count = count
        order = {room.name: at for at, room in enumerate(problem.rooms)}
        self.ranks = [order.get(item.home or "", len(order)) for item in problem.items]
        self.stated = [item.candidate.tokens for item in problem.items]
        frames = ["".join(frame(kind, item.candidate)) for item in problem.items]
        sharing = Counter(frames)
        around = [
            piece(kind, item.candidate, "") + above[: len(above) // min(2, sharing[above])]
            for item, above in zip(problem.items, frames, strict=True)
        ]
        sample = "\n".join(around[:: len(around) // SAMPLED + 1])
        per_sign = count(sample) / len(sample) if sample else 0.0
        self.weights = [
            tokens + ceil(len(signs) * per_sign) + 1
            for tokens, signs in zip(self.stated, around, strict=True)
        ]
        self.counted: set[int] = set()

    def run(self) -> Fitted:
        """The most valuable of the tries that fit."""
        budget = aim = self.problem.budget
        best: Fitted | None = None
        chosen: Sequence[int] = ()
        for _ in range(MOST_TRIES):
            chosen = choose(self._aimed(aim), self.weights).chosen
            tried = self._written(chosen)
            if self._fits(tried):
                if best is not None and tried.choice.value <= best.choice.value:
                    break
                best = tried
                spare = budget - (tried.tokens or 0)
                if len(chosen) == len(self.problem.items) or spare <= SPARE * budget:
                    break
                aim += spare
            elif best is not None:
                break
            elif not self._corrected(chosen):
                aim = max(0, aim - max(1, (tried.tokens or 0) - budget))
        fitted = best or self._cut(chosen)
        bound = max(fitted.choice.value, ceiling(self.problem, self.stated))
        choice = Choice(chosen=fitted.choice.chosen, value=fitted.choice.value, bound=bound)
        return Fitted(choice=choice, text=fitted.text, tokens=fitted.tokens)

    def _aimed(self, budget: int) -> Problem:
        problem = self.problem
        return Problem(items=problem.items, rooms=problem.rooms, budget=budget, rigid=problem.rigid)

    def _written(self, chosen: Sequence[int]) -> Fitted:
        items = self.problem.items
        in_order = sorted(
            chosen, key=lambda at: (self.ranks[at], reading_order(items[at].candidate))
        )
        text = render(self.kind, [items[at].candidate for at in in_order])
        total = sum(items[at].score.total for at in chosen)
        choice = Choice(chosen=chosen, value=total, bound=total)
        return Fitted(choice=choice, text=text, tokens=self.count(text))

    def _fits(self, tried: Fitted) -> bool:
        stated = sum(self.stated[at] for at in tried.choice.chosen)
        return max(stated, tried.tokens or 0) <= self.problem.budget

    def _corrected(self, chosen: Sequence[int]) -> bool:
        """Whether counting what was chosen has found more than was known."""
        more = False
        for at in chosen:
            if at not in self.counted:
                self.counted.add(at)
                counted = self.count(piece(self.kind, self.problem.items[at].candidate))
                if counted > self.weights[at]:
                    self.weights[at] = counted
                    more = True
        return more

    def _cut(self, chosen: Sequence[int]) -> Fitted:
        """The longest beginning that fits: pinned ones first, then the most for their weight."""
        items = self.problem.items
        ranked = sorted(
            chosen,
            key=lambda at: (
                not items[at].candidate.pinned,
                -items[at].score.total / max(1, self.weights[at]),
            ),
        )
        low, high = 0, len(ranked)
        while low < high:
            middle = (low + high + 1) // 2
            if self._fits(self._written(sorted(ranked[:middle]))):
                low = middle
            else:
                high = middle - 1
        fitted = self._written(sorted(ranked[:low]))
        if low or self._fits(fitted):
            return fitted
        return Fitted(choice=fitted.choice, text="", tokens=0)
