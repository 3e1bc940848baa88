"""Say of memories that found no room which budget would include them."""

from collections.abc import Callable

from app.core.choosing import Choice, Problem

FEWEST_TRIES = 6
MOST_TRIES = 100

WORK = 5_000
"""Memories looked at in all tries together, but for the fewest tries."""

RENDERED_WORK = 1_000
"""The same where each try writes and counts a text."""

LONGEST_TEXT = 500_000
"""Characters of all memories above which texts are not written just to explain."""

COARSE = 100
"""Budgets are told to a hundredth before any is told to the token."""


def can_write(problem: Problem) -> bool:
    """Whether writing the text of all memories is worth an explanation."""
    return sum(len(item.candidate.text or "") for item in problem.items) <= LONGEST_TEXT


def budgets_that_include(
    problem: Problem, made: Choice, choose: Callable[[Problem], Choice], *, work: int = WORK
) -> dict[int, int]:
    """For items left out, the smallest budget that was tried and includes it, in tokens.

    Each has been tried: choosing again with that budget, and rooms of the same shares, includes
    the item. A smaller one may do for some: as far as tries last, all are told to a hundredth and
    then, the best items first, to the token.
    """
    left_out = _left_out(problem, made)
    if not left_out:
        return {}
    tries = _tries(problem, work)
    high = _roomy(problem)
    included = set(choose(problem.at(high)).chosen)
    ranges = [(problem.budget, high, [at for at in left_out if at in included])]
    answers: dict[int, int] = {}
    while ranges:
        ranges.sort(key=_urgency)
        low, high, wanted = ranges.pop()
        if high - low <= 1 or not tries:
            answers |= dict.fromkeys(wanted, high)
            continue
        tries -= 1
        middle = (low + high) // 2
        found = set(choose(problem.at(middle)).chosen)
        below = [at for at in wanted if at in found]
        above = [at for at in wanted if at not in found]
        halves = ((low, middle, below), (middle, high, above))
        ranges += [half for half in halves if half[2]]
    return answers


def displacers(
    problem: Problem, made: Choice, choose: Callable[[Problem], Choice], *, work: int = WORK
) -> dict[int, int]:
    """For the best items left out: one that is chosen, and without which they would be.

    Each has been tried by choosing without it.
    """
    chosen = [at for at in made.chosen if not problem.items[at].candidate.pinned]
    held = sum(problem.items[at].candidate.tokens for at in made.chosen)
    answers = {}
    for at in _left_out(problem, made)[: _tries(problem, work)]:
        short = problem.items[at].candidate.tokens - (problem.budget - held)
        large = [other for other in chosen if problem.items[other].candidate.tokens >= short]
        if large:
            least = large[-1]
            without = [*problem.items[:least], *problem.items[least + 1 :]]
            again = choose(problem.of(without)).chosen
            if at - (at > least) in again:
                answers[at] = least
    return answers


def _left_out(problem: Problem, made: Choice) -> list[int]:
    taken = set(made.chosen)
    return [at for at in range(len(problem.items)) if at not in taken]


def _tries(problem: Problem, work: int) -> int:
    return max(FEWEST_TRIES, min(MOST_TRIES, work // max(1, len(problem.items))))


def _urgency(range_: tuple[int, int, list[int]]) -> tuple[bool, int]:
    """Wide ranges before narrow ones, then those of the best item."""
    low, high, wanted = range_
    return (high - low > high // COARSE, -min(wanted, default=0))


def _roomy(problem: Problem) -> int:
    """A budget that holds everything, twice over for what surrounds it in a text."""
    total = sum(item.candidate.tokens + 50 for item in problem.items)
    smallest = min((room.weight for room in problem.rooms if room.weight > 0), default=None)
    if problem.rigid and smallest is not None:
        total = int(total / smallest) + 1
    return max(problem.budget, 2 * total)
