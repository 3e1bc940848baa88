"""Say where totals of budgets in USD contradict the events that they cover, and their alerts."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from app.core.alerts import is_reached
from app.core.analytics import usd
from app.core.auditing import Audited
from app.core.spending import EXCEEDED, CostAlert, CostBudget, CostThreshold, Slot, period
from app.core.values import value
from app.core.windows import MICROS, moment

TotalAt = tuple[str, str, int, str]
"""Workspace, budget, start and key: where a total stands among all, in the order of its table."""


@value
class Total:
    """What a window of a budget has spent, as it is kept, and as its events say."""

    slot: Slot
    used: int
    at: int
    """When its last event ended, in microseconds."""
    counted: int
    """What the events that are kept come to."""
    alerts: Sequence[CostAlert] = ()


def check_total(found: Audited, budget: CostBudget | None, total: Total, *, sealed: int) -> None:
    """Note where a total contradicts its events or its alerts.

    `sealed`: the second before which events are kept no longer; what lies there is the record.
    """
    found.totals += 1
    what = f"total of budget {name_of(total.slot)}"
    if budget is None:
        found.note(what, f"{usd(total.used)} USD", "a budget of this name")
        return
    least, most = _bounds(budget, total, sealed)
    if not least <= total.used <= most:
        found.note(what, f"{usd(total.used)} USD", f"{usd(total.counted)} USD")
    for kept, expected in _alert_misfits(budget, total):
        found.note(f"alerts of budget {name_of(total.slot)}", kept, expected)


def name_of(slot: Slot) -> str:
    """A window of a budget in words."""
    if slot.key:
        return f"{slot.budget}, {slot.key}"
    return f"{slot.budget} from {moment(slot.start).isoformat()}"


def _bounds(budget: CostBudget, total: Total, sealed: int) -> tuple[int, int]:
    """The least and the most that a total may be: what is counted, and events that are gone."""
    is_gone = total.at < sealed * MICROS
    may_lack = sealed > 0 and (budget.window == "run" or budget.subject.kind == "run")
    if budget.window not in ("run", "event"):
        start, _ = period(budget.window, total.slot.start, budget.zone)
        if start != total.slot.start:
            return 0, -1  # no window of this budget begins then
        may_lack = may_lack and start < sealed * MICROS
        is_gone = is_gone and budget.subject.kind == "run"
        # cells outlive events, but tell no parts of an hour
        may_lack = may_lack or (start < sealed * MICROS and start % (3_600 * MICROS) != 0)
    if is_gone or may_lack:
        return total.counted, max(total.used, total.counted)
    return total.counted, total.counted


def _alert_misfits(budget: CostBudget, total: Total) -> Iterator[tuple[str, str]]:
    raised: Mapping[str, CostAlert] = {one.level: one for one in total.alerts}
    due = [one.level for one in budget.thresholds if is_reached(total.used, budget.limit, one)]
    if budget.is_hard and total.used > budget.limit and EXCEEDED not in due:
        due.append(EXCEEDED)
    missing = [level for level in due if level not in raised]
    if missing:
        yield f"no {', '.join(missing)}", f"one at {usd(total.used)} of {usd(budget.limit)} USD"
    for one in _untrue(total.alerts, total.used):
        yield (
            f"{one.level} at {usd(one.used)} of {usd(one.limit)} USD",
            f"from {one.share.normalize():f} of it on, at most {usd(total.used)} USD",
        )


def _untrue(alerts: Iterable[CostAlert], used: int) -> Iterator[CostAlert]:
    """Alerts of more than was ever spent, or below the share that they are about."""
    for one in alerts:
        threshold = CostThreshold(level=one.level, share=one.share)
        if one.used > used or not is_reached(one.used, one.limit, threshold):
            yield one
