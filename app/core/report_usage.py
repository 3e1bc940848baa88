"""Say in a report what agents used, how that differs from before, and what to do about it."""

from collections.abc import Iterator

from app.core.analytics import Statistics
from app.core.comparing import FEWEST_RUNS, Change, change_of_rate, share_interval
from app.core.report_commands import get, of_workspace, post
from app.core.report_text import brief, clipped, shown
from app.core.report_usage_tables import usage_charts, usage_tables
from app.core.report_use import Usage, spread
from app.core.reports import Figure, Part, Section, Todo, Unit

WEEK_DAYS = 7
TOO_OFTEN = 20.0
"""Per cent of runs over the budget above which A12 says upgrade."""
TOO_MANY_FAILED = 20.0
"""Per cent of failed runs that is worth a look whatever the budget."""


def usage_part(usage: Usage) -> Part:
    """Runs, tokens and budgets of a window against the one before."""
    overall = usage.now
    title = f"Usage of the last {usage.days} days"
    if not overall.events:
        return Part(sections=(Section(key="usage", title=title, text=_nothing(usage)),))
    section = Section(
        key="usage",
        title=title,
        text=_summary(usage),
        figures=tuple(_figures(overall)),
        charts=tuple(usage_charts(usage)),
        tables=tuple(usage_tables(usage)),
        data={
            "executions": overall.executions,
            "events": overall.events,
            "exceeded": overall.exceeded,
            "unmet": overall.unmet,
            "used_tokens": overall.tokens.used,
            "budget_tokens": overall.tokens.budget,
            "cost_usd": overall.cost_usd,
        },
    )
    return Part(sections=(section,), todo=tuple(_todo(usage)), glance=tuple(_glance(usage)))


def _nothing(usage: Usage) -> str:
    earlier = usage.before.events
    if earlier:
        return (
            f"No runs were reported in the last {usage.days} days; in the {usage.days} days before"
            f" there were {earlier:,}. If agents did run, see whether they still reach the service."
        )
    return (
        f"No runs were reported in the last {usage.days} days. Budgets get better from use: let"
        " agents ask POST /allocate before a run and finish it, or send runs to POST /usage."
    )


def _summary(usage: Usage) -> str:
    overall = usage.now
    agents = sum(1 for one in usage.agents if one.cell.executions)
    parts = []
    if overall.used_pct is not None:
        low, high = share_interval(overall.exceeded, overall.executions)
        parts.append(
            f"{_count(overall.executions, 'run')} of {_count(agents, 'agent')} used"
            f" {shown(overall.used_pct.avg, 'percent')} of their budgets on average."
            f" {shown(100 * overall.exceedance_rate, 'percent')} went over theirs"
            f" (95 %: {shown(low, 'percent')} to {shown(high, 'percent')})."
        )
    without = overall.events - overall.executions
    if without:
        parts.append(f"{_count(without, 'event')} without a budget count in tokens and cost only.")
    parts.append(_what_changed(usage))
    return "\n\n".join(part for part in parts if part)


def _what_changed(usage: Usage) -> str:
    now, before = usage.now, usage.before
    if not before.executions:
        return f"There is nothing to compare with: no runs in the {usage.days} days before."
    if min(now.executions, before.executions) < FEWEST_RUNS:
        return (
            "Too few runs to say what changed: it takes"
            f" {FEWEST_RUNS} on each side, and there are {before.executions:,} and"
            f" {now.executions:,}."
        )
    said = [
        f"{name} went {'up' if change.by > 0 else 'down'} by"
        f" {abs(100 * change.by):.1f} points (95 %: {100 * change.low:+.1f} to"
        f" {100 * change.high:+.1f})"
        for name, change in _changes(before, now)
        if change is not None and change.is_clear
    ]
    if not said:
        return (
            f"Against the {usage.days} days before, the shares of runs that were over budget,"
            " unmet or failed show no clear change."
        )
    text = "; ".join(said)
    return f"{text[0].upper()}{text[1:]} against the {usage.days} days before."


def _changes(before: Statistics, now: Statistics) -> Iterator[tuple[str, Change | None]]:
    yield (
        "the share of runs over budget",
        change_of_rate((before.exceeded, before.executions), (now.exceeded, now.executions)),
    )
    yield (
        "the share of unmet runs",
        change_of_rate((before.unmet, before.executions), (now.unmet, now.executions)),
    )
    yield (
        "the share of failed runs",
        change_of_rate((before.failed, before.events), (now.failed, now.events)),
    )


def _figures(overall: Statistics) -> Iterator[Figure]:
    pct = overall.used_pct
    yield Figure(label="Runs with a budget", value=overall.executions, unit="count")
    if pct is not None:
        yield Figure(
            label="Used of the budget, average",
            value=pct.avg,
            unit="percent",
            note=f"median {shown(pct.median, 'percent')}, p95 {shown(pct.p95, 'percent')}",
        )
    if overall.executions:
        low, high = share_interval(overall.exceeded, overall.executions)
        yield Figure(
            label="Runs over their budget",
            value=100 * overall.exceedance_rate,
            unit="percent",
            low=low,
            high=high,
            note=f"{overall.exceeded:,} of {overall.executions:,}",
        )
        low, high = share_interval(overall.unmet, overall.executions)
        yield Figure(
            label="Unmet: needed more, kept to the budget",
            value=100 * overall.unmet_rate,
            unit="percent",
            low=low,
            high=high,
            note=f"{overall.unmet:,} of {overall.executions:,}",
        )
    yield Figure(label="Tokens used", value=overall.tokens.used, unit="tokens")
    if overall.cost_usd is not None:
        yield Figure(label="Cost of the priced runs", value=overall.cost_usd, unit="usd")
    if overall.avg_duration_seconds is not None:
        yield Figure(label="Duration, average", value=overall.avg_duration_seconds, unit="seconds")


def _glance(usage: Usage) -> Iterator[Figure]:
    overall, before = usage.now, usage.before
    yield Figure(
        label=f"Runs in {usage.days} days",
        value=overall.executions,
        unit="count",
        note=_against(overall.executions, before.executions, "count"),
    )
    if overall.used_pct is not None:
        earlier = before.used_pct.avg if before.used_pct else None
        yield Figure(
            label="Used of the budget",
            value=overall.used_pct.avg,
            unit="percent",
            note=_against(overall.used_pct.avg, earlier, "percent"),
        )
    if overall.executions:
        low, high = share_interval(overall.exceeded, overall.executions)
        yield Figure(
            label="Runs over budget",
            value=100 * overall.exceedance_rate,
            unit="percent",
            low=low,
            high=high,
        )
    yield Figure(
        label="Tokens used",
        value=overall.tokens.used,
        unit="tokens",
        note=_against(overall.tokens.used, before.tokens.used, "tokens")
        if overall.cost_usd is None
        else f"for {shown(overall.cost_usd, 'usd')}",
    )


def _against(now: float, before: float | None, unit: Unit) -> str:
    return "" if not before else f"{brief(before, unit)} before"


def _todo(usage: Usage) -> Iterator[Todo]:
    weekly = WEEK_DAYS / usage.days
    workspace = of_workspace(usage.workspace)
    for one in usage.agents:
        name, cell, runs = clipped(one.agent), one.cell, one.cell.executions
        each = weekly * one.tokens / max(cell.events, 1)
        is_over = runs >= FEWEST_RUNS and share_interval(cell.exceeded, runs)[0] > TOO_OFTEN
        if is_over and one.agent not in usage.advised:
            body = {} if workspace is None else {"workspace": workspace}
            yield Todo(
                title=f"Give {name} more room",
                why=(
                    f"{cell.exceeded:,} of its {runs:,} runs went over the budget"
                    f" ({shown(100 * cell.exceeded / runs, 'percent')}; 95 %:"
                    f" {spread(cell.exceeded, runs)} %). Ask for recommendations: one may say"
                    " which profile fits, and what that would have changed."
                ),
                how=post("/recommendations/run", body),
                weight=cell.exceeded * each,
            )
        is_short = runs >= FEWEST_RUNS and share_interval(cell.unmet, runs)[0] > TOO_OFTEN
        if is_short and not is_over:
            yield Todo(
                title=f"See what {name} lacks",
                why=(
                    f"{cell.unmet:,} of its {runs:,} runs needed more than their budget and kept"
                    f" to it (95 %: {spread(cell.unmet, runs)} %). Recommendations count runs that"
                    " went over only; this answer says which profile covers 95 of 100 runs."
                ),
                how=get("/reports/needs", workspace=workspace),
                weight=weekly * cell.budget * cell.unmet / runs,
            )
        is_failing = share_interval(cell.failed, cell.events)[0] > TOO_MANY_FAILED
        if cell.events >= FEWEST_RUNS and is_failing:
            yield Todo(
                title=f"Look at why {name} fails",
                why=(
                    f"{cell.failed:,} of its {cell.events:,} runs failed (95 %:"
                    f" {spread(cell.failed, cell.events)} %), and what they loaded was for"
                    " nothing. Its last runs say with which error."
                ),
                how=get("/usage", agent=one.agent, workspace=workspace, limit=20),
                weight=cell.failed * each,
            )


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
