"""Say what policy gives an agent: a profile, its base and ceiling, the weights of its scopes."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from app.core.names import MAX_NAME_LENGTH, split_agent
from app.core.policybook import PolicyBook


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What policy gives an agent."""

    profile: str | None
    """None: no profile decides, but the budget of a workspace."""
    base: int
    """Tokens at medium complexity."""
    ceiling: int | None
    weights: Mapping[str, Decimal]
    is_own: bool = False
    """Whether the agent has weights of its own."""


def typed(agent: str) -> tuple[str | None, str]:
    """The type, where it must be given apart, and the name of an agent by its full name."""
    is_long = len(agent) > MAX_NAME_LENGTH  # then its type was given apart
    return split_agent(agent) if is_long else (None, agent)


def grant_of(book: PolicyBook, agent: str) -> Grant:
    """What an agent gets now, by its full name."""
    type_, name = typed(agent)
    policy, _ = book.resolve(agent=name, agent_type=type_, fuzzy=False)
    profile = book.profiles.get(policy.name) if policy.kind == "profile" else None
    return Grant(
        profile=None if profile is None else profile.name,
        base=policy.base,
        ceiling=policy.ceiling,
        weights={scope.name: scope.weight for scope in policy.scopes},
        is_own=profile is not None and policy.scopes != profile.scopes,
    )


def ladder_of(book: PolicyBook) -> tuple[Grant, ...]:
    """The profiles there are, the smallest base first."""
    grants = (
        Grant(
            profile=profile.name,
            base=profile.base,
            ceiling=profile.ceiling,
            weights={scope.name: scope.weight for scope in profile.scopes},
        )
        for profile in book.profiles.values()
    )
    return tuple(sorted(grants, key=lambda grant: (grant.base, grant.profile or "")))
