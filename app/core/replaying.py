"""Say which budget a recorded run would have had: under the policy then in force, or another."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Literal

from app.core.budgets import budget_for
from app.core.complexity import TASK_TIERS, rung, tier_at
from app.core.names import MAX_NAME_LENGTH, split_agent
from app.core.policybook import PolicyBook
from app.core.profiles import ResolvedPolicy
from app.core.simulation import Runs
from app.core.terms import terms_of

Reason = Literal["manual", "reported", "raised", "without_agent", "other"]
"""Why a run kept its recorded budget: `max_tokens` was asked for; its client sent a budget that
the policy then in force did not give; `auto_bump` had raised it; no agent was named, and a
profile is for agents; or the policy that decided it is not known any more."""

MANUAL = "manual"
"""What the policy of a run is called that asked for `max_tokens`."""

LAG = 10 * 1_000_000
"""Microseconds that a process may go on with the policy before a change (1 s, and some room)."""

MOST_TRIED = 32
"""Policies that are tried for a run: those in force while it ran, the latest of them."""

MOST_BOOKS = 64
MOST_KNOWN = 100_000
"""Budgets that a book keeps at hand."""


class BookBudgets:
    """The budgets that one policy book gives; other multipliers, or one profile for all agents,
    may take the place of what it states."""

    def __init__(
        self,
        book: PolicyBook,
        *,
        profile: str | None = None,
        multipliers: Mapping[str, Decimal] | None = None,
    ) -> None:
        self._book = book
        self._profile = None if profile is None else book.under(profile)
        self._multipliers = multipliers or {}
        self._known: dict[tuple[str, str | None, str | None, str | None], int] = {}

    def budget(self, run: Runs) -> int:
        """The tokens that the run gets; without a complexity it counts as medium."""
        book = self._book
        project = run.project if run.project in book.projects else None
        user = run.user if run.user in book.users else None
        key = (run.agent, run.complexity, project, user)
        tokens = self._known.get(key)
        if tokens is None:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            policy = self.policy(run)
            tokens = self._known[key] = budget_for(policy, _tier(run, policy)).tokens
        return tokens

    def is_raised(self, run: Runs) -> bool:
        """Whether the run has the budget of a higher tier, which `auto_bump` may give."""
        policy = self.policy(run)
        terms = terms_of(policy, _tier(run, policy), budget=self.budget(run))
        return policy.auto_bump and any(bump.tokens == run.budget for bump in terms.ladder)

    def policy(self, run: Runs) -> ResolvedPolicy:
        """The policy of the run, its multipliers replaced where others are tried."""
        policy = self._profile or self._resolved(run)
        if not self._multipliers:
            return policy
        kind = policy.text_kind
        tried = {tier_at(rung(tier), kind): share for tier, share in self._multipliers.items()}
        return replace(policy, multipliers={**policy.multipliers, **tried})

    def _resolved(self, run: Runs) -> ResolvedPolicy:
        is_long = len(run.agent) > MAX_NAME_LENGTH  # then its type was given apart
        type_, name = split_agent(run.agent) if is_long else (None, run.agent)
        policy, _ = self._book.resolve(
            agent=name or None,
            agent_type=type_,
            workspace=self._book.workspace,
            project=run.project,
            user=run.user,
            fuzzy=False,  # names were resolved when they were booked
        )
        return policy


def _tier(run: Runs, policy: ResolvedPolicy) -> str:
    return tier_at(rung(run.complexity or TASK_TIERS[1]), policy.text_kind)


class Tried:
    """Budgets under a policy that is tried out; counts the runs that keep theirs."""

    def __init__(self, budgets: BookBudgets, *, is_for_agents: bool = False) -> None:
        self._budgets = budgets
        self._is_for_agents = is_for_agents
        self.kept: Counter[Reason] = Counter()

    def __call__(self, run: Runs) -> int:
        if run.allocation_id is not None and run.profile == MANUAL:
            return self._keep(run, "manual")
        if self._is_for_agents and not run.agent:
            return self._keep(run, "without_agent")
        return self._budgets.budget(run)

    def _keep(self, run: Runs, reason: Reason) -> int:
        self.kept[reason] += run.count
        return run.budget


class InForce:
    """Budgets under the policy then in force; counts the runs that keep theirs.

    `since`: when each policy came into force (microseconds, ascending); the first held before,
    too. `book_at` gives the book of an index.
    """

    def __init__(self, since: Sequence[int]) -> None:
        self._since = since
        self._books: dict[int, BookBudgets] = {}
        self.kept: Counter[Reason] = Counter()

    def budget(self, run: Runs, *, book_at: Callable[[int], PolicyBook]) -> int:
        """The tokens that policy gave the run, or those that it had anyway."""
        tried = self._while_it_ran(run)
        for index in tried:
            if self._budgets(index, book_at).budget(run) == run.budget:
                return run.budget
        self.kept[self._reason(run, [self._budgets(index, book_at) for index in tried])] += (
            run.count
        )
        return run.budget

    def _reason(self, run: Runs, tried: Sequence[BookBudgets]) -> Reason:
        if run.allocation_id is None:
            return "reported"
        if run.profile == MANUAL:
            return "manual"
        return "raised" if any(one.is_raised(run) for one in tried) else "other"

    def _while_it_ran(self, run: Runs) -> Sequence[int]:
        """The policies that may have decided: when it began first, then the others."""
        begin = max(bisect_right(self._since, run.opened_at) - 1, 0)
        first = max(bisect_right(self._since, run.opened_at - LAG) - 1, 0)
        last = max(bisect_right(self._since, run.at) - 1, begin)
        if first == last:
            return (begin,)
        others = [index for index in range(last, first - 1, -1) if index != begin]
        return (begin, *others[:MOST_TRIED])

    def _budgets(self, index: int, book_at: Callable[[int], PolicyBook]) -> BookBudgets:
        found = self._books.get(index)
        if found is None:
            if len(self._books) >= MOST_BOOKS:
                self._books.pop(next(iter(self._books)))
            found = self._books[index] = BookBudgets(book_at(index))
        return found
