"""Hold what the service says of costs: estimates, predictions, breakdowns, budgets in USD."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from membudget._reading import Result


@dataclass(frozen=True, slots=True, kw_only=True)
class CostEstimate(Result):
    """What a call would cost."""

    promised = ("model", "usd", "unpriced")

    model: str = ""
    usd: Decimal | None = None
    """None where nobody knows the price: unpriced, not free."""
    input_usd: Decimal | None = None
    output_usd: Decimal | None = None
    price_version: str | None = None
    unpriced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCost(Result):
    """What a stage will cost."""

    promised = ("stage", "usd")

    stage: str | None = None
    usd: Decimal | None = None
    """None: unpriced."""
    model: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CostPrediction(Result):
    """What a run will have cost in the end."""

    promised = ("total_usd", "current_usd", "remaining")

    total_usd: Decimal | None = None
    """None where a declared stage has no price."""
    current_usd: Decimal = Decimal()
    remaining: tuple[StageCost, ...] = ()
    lower: Decimal | None = None
    upper: Decimal | None = None
    """With `lower` the interval in which four of five such runs end."""
    unpriced: tuple[str, ...] = ()
    samples: int = 0
    """Earlier runs that this was projected from; 0 where it was declared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedModel(Result):
    """A model that was not chosen, and why."""

    promised = ("model", "reason")

    model: str = ""
    reason: str = ""
    usd: Decimal | None = None
    grade: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChoice(Result):
    """The model to use for a call."""

    promised = ("model", "usd", "rejected")

    model: str | None = None
    """None where none is good enough within the money left."""
    usd: Decimal | None = None
    grade: str | None = None
    price_version: str | None = None
    rejected: tuple[RejectedModel, ...] = ()
    """Cheapest first; those without a price last."""
    budget: str | None = None
    """The budget that says how much is left."""
    remaining_usd: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CostItem(Result):
    """What one stage, model, agent, user, project or day cost."""

    promised = ("key", "usd", "calls")

    key: str | None = None
    """None: what has none of this dimension."""
    usd: Decimal = Decimal()
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    calls: int = 0
    unpriced: int = 0
    """Calls whose cost nobody knows; it is not in `usd`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostBreakdown(Result):
    """Where the money went; the items sum to the total."""

    promised = ("by", "items", "total_usd")

    by: str = ""
    items: tuple[CostItem, ...] = ()
    total_usd: Decimal = Decimal()
    calls: int = 0
    unpriced: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CostBudgetStatus(Result):
    """How a budget's present window stands."""

    promised = ("used_usd", "remaining_usd")

    used_usd: Decimal = Decimal()
    remaining_usd: Decimal = Decimal()
    used_pct: float | None = None
    level: str | None = None
    resets_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CostBudget(Result):
    """A budget in USD, and how it stands."""

    promised = ("name", "usd", "window", "status")

    name: str = ""
    workspace: str = "default"
    usd: Decimal = Decimal()
    window: str = ""
    """`event`, `run`, `day`, `week` or `month`."""
    thresholds: Mapping[str, float | None] = field(default_factory=dict)
    """By level; None: this one is not raised."""
    enforcement: str = "soft"
    scope: Mapping[str, str] = field(default_factory=dict)
    timezone: str = "UTC"
    status: CostBudgetStatus = field(default_factory=CostBudgetStatus)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyingBudget(Result):
    """One budget that applies to what is asked."""

    promised = ("name", "allowed")

    name: str = ""
    enforcement: str = "soft"
    window: str = ""
    allowed: bool = True
    used_usd: Decimal = Decimal()
    limit_usd: Decimal = Decimal()
    remaining_usd: Decimal = Decimal()
    level: str | None = None
    resets_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CostCheck(Result):
    """Whether an amount may be spent; the figures are those of the budget that binds."""

    promised = ("allowed", "binding", "budgets")

    allowed: bool = True
    """It fits every budget that applies."""
    level: str | None = None
    """The highest level that would be reached."""
    used_usd: Decimal = Decimal()
    limit_usd: Decimal = Decimal()
    remaining_usd: Decimal = Decimal()
    binding: str = ""
    """The budget with the least left of those that apply."""
    enforcement: str = "soft"
    resets_at: datetime | None = None
    budgets: tuple[ApplyingBudget, ...] = ()
    """All that apply, the one that was asked first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostAlertRaised(Result):
    """A threshold of a budget in USD that was reached, once."""

    promised = ("id", "budget", "level")

    id: str = ""
    at: datetime | None = None
    budget: str = ""
    level: str = ""
    share: float = 0.0
    used_usd: Decimal = Decimal()
    limit_usd: Decimal = Decimal()
    used_pct: float | None = None
    window_start: datetime | None = None
    key: str | None = None
    """The run or event, of a budget that is about each by itself."""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedPrice(Result):
    """What a workspace states that a model costs; USD for a million tokens."""

    promised = ("model", "prices")

    model: str = ""
    quality: str | None = None
    prices: tuple[Mapping[str, object], ...] = ()
    """By day, each in the fields that `put_price` takes."""
    version: str = ""
