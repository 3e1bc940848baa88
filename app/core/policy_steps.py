"""Say when what decides an agent's budget was last changed, from the policies that held."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal

from app.core.grants import grant_of
from app.core.policybook import PolicyBook
from app.core.values import value


@value
class Decides:
    """What an agent's budgets are reckoned from."""

    profile: str | None
    base: int
    ceiling: int | None
    weights: tuple[tuple[str, Decimal], ...]
    multipliers: tuple[tuple[str, Decimal], ...]


def decides_for(book: PolicyBook, agent: str) -> Decides:
    """What a book says of an agent's budgets."""
    grant = grant_of(book, agent)
    own = book.profiles[grant.profile].multipliers if grant.profile else None
    return Decides(
        profile=grant.profile,
        base=grant.base,
        ceiling=grant.ceiling,
        weights=_ordered(grant.weights),
        multipliers=_ordered({**book.multipliers, **(own or {})}),
    )


def last_changes(
    agents: Iterable[str],
    since: Sequence[int],
    book_at: Callable[[int], PolicyBook],
    *,
    most: int,
    decides: Callable[[PolicyBook, str], Decides] = decides_for,
) -> dict[str, int]:
    """When each agent's budgets were last changed; those that were not are left out.

    `since` has the moments at which states of policy began, oldest first; of the newest `most`
    changes each is looked at, newest first, until every agent has one.
    """
    found: dict[str, int] = {}
    left = set(agents)
    later = {}
    if since and left:
        book = book_at(len(since) - 1)
        later = {agent: decides(book, agent) for agent in left}
    for index in range(len(since) - 1, max(0, len(since) - 1 - most), -1):
        if not left:
            break
        book = book_at(index - 1)
        earlier = {agent: decides(book, agent) for agent in left}
        changed = {agent for agent in left if earlier[agent] != later[agent]}
        found.update(dict.fromkeys(changed, since[index]))
        left -= changed
        later = earlier
    return found


def _ordered(amounts: Mapping[str, Decimal]) -> tuple[tuple[str, Decimal], ...]:
    return tuple(sorted(amounts.items()))
