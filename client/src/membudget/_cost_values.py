"""What a cost tracker says: levels, alerts, calls, checks, predictions, recommendations."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Literal, Self

from membudget._money import UNPRICED, Usd
from membudget._prices import Quality


class CostAlertLevel(Enum):
    """How much of a budget is spent."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"
    BUDGET_EXCEEDED = "budget_exceeded"


THRESHOLDS = {  # spec C2
    CostAlertLevel.INFO: Decimal("0.25"),
    CostAlertLevel.WARNING: Decimal("0.50"),
    CostAlertLevel.CRITICAL: Decimal("0.75"),
    CostAlertLevel.BUDGET_EXCEEDED: Decimal("1.00"),
}


NO_STAGE = "(none)"


class CostBudgetExceeded(RuntimeError):
    """Hard enforcement: the budget does not hold what was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostAlert:
    """A threshold that was reached, once."""

    level: CostAlertLevel
    threshold: Decimal
    """The share of the budget, 0–1."""
    used_usd: Usd
    budget_usd: Usd
    at: datetime
    message: str
    budget: str | None = None
    """The service's budget that reached it; None: the tracker's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostRecord:
    """A call that was made."""

    at: datetime
    stage: str
    model: str
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    usd: Usd
    """`UNPRICED` if nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetCheck:
    """Whether a budget holds; true as a condition if it does."""

    allowed: bool
    level: CostAlertLevel | None
    """The highest level reached."""
    used_usd: Usd
    limit_usd: Usd | None
    remaining_usd: Usd | None
    """Not below zero; None without a limit."""
    unpriced_calls: int
    """Calls whose cost is not in `used_usd` because nobody knows it."""
    reason: str
    binding: str | None = None
    """The service's budget that the figures are of, where it has less left than the tracker's."""
    enforcement: Literal["soft", "hard"] = "soft"
    """`hard`: `authorize` refuses what is not allowed."""

    def __bool__(self) -> bool:
        return self.allowed


class PredictedCost(Usd):
    """The cost of everything, known and to come; unpriced if a stage's model has no price."""

    remaining: tuple[tuple[str, Usd], ...] = ()
    """What each stage to come will cost."""
    lower: Usd = UNPRICED
    """The part that has prices: it will be at least that."""
    unpriced: tuple[str, ...] = ()
    """Models without a price."""


class ModelRecommendation(tuple[str | None, Usd | None]):
    """`(model, cost)`, and why not another; both None if no model fits."""

    grade: Quality | None
    rejected: tuple[tuple[str, str], ...]
    """Model and reason, the cheapest first."""

    def __new__(
        cls,
        model: str | None,
        usd: Usd | None,
        *,
        grade: Quality | None,
        rejected: Iterable[tuple[str, str]],
    ) -> Self:
        made = super().__new__(cls, (model, usd))
        made.grade = grade
        made.rejected = tuple(rejected)
        return made

    @property
    def model(self) -> str | None:
        """The cheapest model that is good enough and fits."""
        return self[0]

    @property
    def usd(self) -> Usd | None:
        """What the call will cost with it."""
        return self[1]


@dataclass(slots=True)
class Sum:
    calls: int = 0
    usd: Decimal = Decimal()
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    unpriced_calls: int = 0

    def add(self, record: CostRecord) -> None:
        self.calls += 1
        self.input_tokens += record.input_tokens
        self.output_tokens += record.output_tokens
        self.cached_tokens += record.cached_tokens
        if record.usd.is_unpriced:
            self.unpriced_calls += 1
        else:
            self.usd = Decimal(self.usd + record.usd)

    def shown(self) -> dict[str, Any]:
        return {
            "usd": Usd(self.usd),
            "calls": self.calls,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cached_tokens": self.cached_tokens,
            "unpriced_calls": self.unpriced_calls,
        }
