"""Turn a policy and a complexity tier into a budget and the room each scope has in it."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from app.core.amounts import exact_ratio, scale_down, split_by_weight
from app.core.profiles import ResolvedPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How many tokens one allocation may load, and what decided it."""

    tokens: int
    base: int
    max: int | None
    """The policy's ceiling; none in workspaces and manual budgets."""
    multiplier: Decimal
    capped: bool
    """Whether base × multiplier is more than the ceiling; equality is not capped."""
    mode: Literal["profile"] = "profile"
    bound_by: Literal["multiplier", "max", "max_tokens"]
    predicted: None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """The tokens that one scope may hold."""

    name: str
    weight: Decimal
    tokens: int


def budget_for(policy: ResolvedPolicy, tier: str) -> Budget:
    """The smaller of ⌊base × multiplier⌋ and the ceiling, computed exactly."""
    multiplier = policy.multipliers[tier]
    ceiling = policy.ceiling
    above, below = exact_ratio(multiplier)
    capped = ceiling is not None and policy.base * above > ceiling * below

    bound_by: Literal["multiplier", "max", "max_tokens"] = "max" if capped else "multiplier"
    if policy.kind == "manual":
        bound_by = "max_tokens"
    return Budget(
        tokens=ceiling if capped and ceiling is not None else policy.base * above // below,
        base=policy.base,
        max=ceiling,
        multiplier=multiplier,
        capped=capped,
        bound_by=bound_by,
    )


def rooms(policy: ResolvedPolicy, budget: Budget) -> tuple[Room, ...]:
    """The room of each scope, in the policy's order.

    By largest remainder they sum to the budget; by floor each tier is ⌊base × share × multiplier⌋.
    """
    weights = tuple(scope.weight for scope in policy.scopes)
    if policy.rounding == "floor":
        tokens = tuple(scale_down(policy.base, weight, budget.multiplier) for weight in weights)
    else:
        tokens = split_by_weight(budget.tokens, weights)
    return tuple(
        Room(name=scope.name, weight=scope.weight, tokens=share)
        for scope, share in zip(policy.scopes, tokens, strict=True)
    )
