"""Let a tracker of costs ask the service: what its run costs, may cost and has cost.

A tracker is a run: its calls are usage events of one `run_id`. If the caller names the run, others
may spend in it too, and its budget is a budget in USD of the service, named after the run. A run
that nobody else knows keeps its budget in its tracker. See `docs/decisions/0011-…` for why.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from membudget import results
from membudget._calls import new_id, said
from membudget._cost_values import (
    NO_STAGE,
    CostAlertLevel,
    CostRecord,
    ModelRecommendation,
    PredictedCost,
)
from membudget._events import UNNAMED
from membudget._measured import fit
from membudget._money import UNPRICED, Usd
from membudget._prices import Quality
from membudget._service import Service
from membudget.client import Client

LEVELS = frozenset(level.value for level in CostAlertLevel)
LONGEST_STAGE = 400
LONGEST_TOLD = 60
NAMES_A_BUDGET = re.compile(r"[^/*\x00-\x1f\x7f-\x9f\u2028\u2029]{1,200}")
Counts = tuple[int, int, int]
"""Tokens sent (cached ones included), answered, and cached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Raised:
    """A level that a budget of the service has reached."""

    budget: str
    level: CostAlertLevel
    used: Usd
    limit: Usd
    message: str


class Spending:
    """A run at the service. What it cannot be asked is None, which is told once."""

    def __init__(
        self,
        client: Client | None,
        *,
        run_id: str | None = None,
        agent: str | None = None,
        project: str | None = None,
        user: str | None = None,
        workspace: str | None = None,
    ) -> None:
        self.is_shared = run_id is not None
        """Whether others may know this run."""
        self.run_id = run_id or new_id("run")
        self._service = Service(client)
        self._spender = {"agent": agent, "project": project, "user": user}
        self._workspace = workspace

    def begin_anew(self) -> None:
        """Be another run, unless the caller has named this one."""
        if not self.is_shared:
            self.run_id = new_id("run")

    @property
    def _who(self) -> dict[str, str | None]:
        return {**self._spender, "run_id": self.run_id}

    def price(self, model: str, counts: Counts) -> Usd | None:
        """What a call costs by the service's prices."""
        found = self._service.ask(
            lambda client: client.costs.estimate(
                model,
                counts[0],
                counts[1],
                cached_tokens=min(counts[2], counts[0]) or None,
                workspace=self._workspace,
            )
        )
        return None if found is None else _usd(found.usd)

    def predict(
        self, current: Usd, stages: Sequence[tuple[str, str, int, int]]
    ) -> PredictedCost | None:
        """What everything will have cost."""
        calls = [
            {"stage": stage or None, "model": model, "input_tokens": a, "output_tokens": b}
            for stage, model, a, b in stages
        ]
        found = self._service.ask(
            lambda client: client.costs.predict(
                [said(one) for one in calls], current_usd=current, workspace=self._workspace
            )
        )
        if found is None:
            return None
        made = PredictedCost(_usd(found.total_usd))
        names = [stage for stage, *_ in stages]
        made.remaining = tuple(
            (name, _usd(one.usd)) for name, one in zip(names, found.remaining, strict=False)
        )
        made.lower = _usd(found.lower)
        made.unpriced = found.unpriced
        return made

    def choose(
        self,
        stage: str | None,
        tokens: tuple[int, int],
        quality: Quality,
        remaining: Usd | None,
    ) -> ModelRecommendation | None:
        """The cheapest model of the service's that is good enough and fits."""
        found = self._service.ask(
            lambda client: client.costs.recommend_model(
                *tokens,
                quality,
                budget=None if remaining is None else float(remaining),
                stage=stage or None,
                workspace=self._workspace,
            )
        )
        if found is None:
            return None
        return ModelRecommendation(
            found.model,
            None if found.usd is None else Usd(found.usd),
            grade=found.grade,  # type: ignore[arg-type]
            rejected=[(one.model, one.reason) for one in found.rejected],
        )

    def book(self, record: CostRecord, *, is_stated: bool) -> tuple[list[Raised], bool]:
        """Book a call, once; the levels that budgets have reached by it, and whether the service
        has it now. `is_stated`: the record's cost is the caller's, not worked out from prices."""
        stage = None if record.stage == NO_STAGE else fit(record.stage, LONGEST_STAGE) or None
        event = said(
            {
                "id": new_id("use"),
                "timestamp": record.at,
                **self._who,
                "agent": self._spender["agent"] or UNNAMED,
                "workspace": self._workspace,
                "model": record.model,
                "stage": stage,
                "used_tokens": record.input_tokens,
                "input_tokens": record.input_tokens,
                "output_tokens": record.output_tokens,
                "cached_tokens": min(record.cached_tokens, record.input_tokens) or None,
                "cost_usd": str(record.usd) if is_stated else None,
            }
        )
        receipt = self._service.spend(event)
        if receipt is None or receipt.spooled:
            return [], False
        if not receipt.duplicates:
            return _heard(receipt.alerts), True
        found = self._alerts_of(event["id"], record.at)  # the answer that told them was lost
        return _heard(found or ()), found is not None

    def _alerts_of(self, id: str, at: datetime) -> Sequence[Mapping[str, Any]] | None:
        """What a booked call has raised."""
        found = self._service.ask(
            lambda client: [
                one
                for one in client.usage(run_id=self.run_id, since=at, workspace=self._workspace)
                if one.id == id
            ]
        )
        return (
            None
            if found is None
            else [alert for one in found for alert in one.raw.get("alerts") or ()]
        )

    def keep_budget(
        self, usd: Usd, thresholds: Mapping[CostAlertLevel, Decimal]
    ) -> tuple[Usd, set[CostAlertLevel]] | None:
        """Put the run's budget in force: what the run has spent, and what was raised before."""
        if not NAMES_A_BUDGET.fullmatch(self.run_id):
            self._service.tell(
                f"The run {fit(self.run_id, LONGEST_TOLD)!r} has no budget at the service, only in"
                " its tracker: a budget's name has at most 200 characters, and no / or *."
            )
            return None
        shares = {level.value: thresholds.get(level) for level in CostAlertLevel}
        heard = self._service.ask(
            lambda client: [
                one.level
                for one in client.costs.alerts(budget=self.run_id, workspace=self._workspace)
            ]
        )
        made = self._service.ask(
            lambda client: client.costs.budgets.put(
                self.run_id,
                usd,
                "run",
                scope={"run": self.run_id},
                thresholds=shares,
                workspace=self._workspace,
            )
        )
        if made is None or heard is None:
            return None
        return Usd(made.status.used_usd), {CostAlertLevel(one) for one in heard if one in LEVELS}

    def records(self) -> list[CostRecord] | None:
        """The calls of the run that are booked, oldest first."""
        found = self._service.ask(
            lambda client: list(client.usage(run_id=self.run_id, workspace=self._workspace))
        )
        return None if found is None else [_record(one) for one in reversed(found)]

    def check(self, budget: str | None, wanted: Usd) -> results.CostCheck | None:
        """Whether the service's budgets hold what is wanted: the run's, and all that apply."""
        if budget is None:
            known = self._service.ask(
                lambda client: client.costs.budgets(workspace=self._workspace)
            )
            budget = next((one.name for one in known or () if self._is_about_us(one)), None)
        if budget is None:
            return None
        name = budget
        return self._service.ask(
            lambda client: client.costs.budgets.check(
                name, wanted, **self._who, workspace=self._workspace
            )
        )

    def _is_about_us(self, budget: results.CostBudget) -> bool:
        ((kind, name),) = budget.scope.items() or (("workspace", ""),)
        return kind == "workspace" or self._who.get("run_id" if kind == "run" else kind) == name


def _usd(amount: Decimal | None) -> Usd:
    return UNPRICED if amount is None else Usd(amount)


def _heard(alerts: Sequence[Mapping[str, Any]]) -> list[Raised]:
    """Alerts of budgets in USD, without those of levels that another version has."""
    return [
        Raised(
            budget=str(alert["budget"]),
            level=CostAlertLevel(alert["level"]),
            used=Usd(alert["used_usd"]),
            limit=Usd(alert["limit_usd"]),
            message=str(alert.get("message")),
        )
        for alert in alerts
        if alert.get("level") in LEVELS
        and all(isinstance(alert.get(key), str) for key in ("budget", "used_usd", "limit_usd"))
    ]


def _record(event: results.UsageEvent) -> CostRecord:
    return CostRecord(
        at=event.timestamp or datetime.now(UTC),
        stage=event.stage or NO_STAGE,
        model=event.model or "",
        input_tokens=event.input_tokens or 0,
        output_tokens=event.output_tokens or 0,
        cached_tokens=event.cached_tokens or 0,
        usd=_usd(event.cost_usd),
    )
