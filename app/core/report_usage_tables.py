"""Draw up the bars and tables of usage: by agent, complexity, scope and day, and what changed."""

from collections.abc import Iterator, Sequence

from app.core.analytics import Statistics, usd
from app.core.report_text import shown
from app.core.report_use import AgentUse, Usage, spread
from app.core.reports import Bar, Chart, Column, Shown, Table, Unit

MOST_AGENTS = 25
MOST_BARS = 12
"""Rows and bars by agent; programs ask `/usage/analytics` for all."""


def usage_charts(usage: Usage) -> Iterator[Chart]:
    """The bars of usage; without those that there is nothing to show of."""
    return (chart for chart in _charts(usage) if chart.bars)


def _charts(usage: Usage) -> Iterator[Chart]:
    rated = [(one.agent, one.tokens, one.average) for one in usage.agents]
    busiest = sorted(rated, key=lambda one: (-one[1], one[0]))[:MOST_BARS]
    averages = [(agent, average) for agent, _, average in busiest if average is not None]
    which = f", the {MOST_BARS} that load most" if len(rated) > MOST_BARS else ""
    yield _bars(
        f"Used of the budget on average, by agent{which}",
        "percent",
        [
            Bar(label=agent, value=average, mark=100.0)
            for agent, average in sorted(averages, key=lambda one: (-one[1], one[0]))
        ],
    )
    tiers = usage.now.by_complexity or {}
    yield _bars(
        "Used of the budget on average, by complexity",
        "percent",
        [
            Bar(label=f"{tier} ({one.executions:,})", value=one.avg_used_pct, mark=100.0)
            for tier, one in sorted(tiers.items(), key=lambda item: -item[1].executions)
            if one.avg_used_pct is not None
        ],
    )
    shares = usage.now.scope_share or {}
    yield _bars(
        f"Loaded tokens by scope, last {usage.scope_days} days",
        "percent",
        [
            Bar(label=scope, value=100 * share)
            for scope, share in sorted(shares.items(), key=lambda item: (-item[1], item[0]))
        ][:MOST_BARS],
    )
    yield _bars(
        "Tokens used by day",
        "tokens",
        [Bar(label=day, value=tokens) for day, tokens in usage.by_day.items()],
    )


def _bars(title: str, unit: Unit, bars: Sequence[Bar]) -> Chart:
    return Chart(title=title, unit=unit, bars=tuple(bars))


def usage_tables(usage: Usage) -> Iterator[Table]:
    if usage.before.events:
        yield _comparison(usage)
    yield _agents(usage)


_COMPARED: tuple[tuple[str, Unit], ...] = (
    ("Runs with a budget", "count"),
    ("Used of the budget, average", "percent"),
    ("Used of the budget, median", "percent"),
    ("Used of the budget, p95", "percent"),
    ("Over budget", "percent"),
    ("Unmet", "percent"),
    ("Failed", "percent"),
    ("Tokens used", "tokens"),
    ("Tokens a run", "tokens"),
    ("Cost", "usd"),
    ("Duration, average", "seconds"),
)


def _comparison(usage: Usage) -> Table:
    columns = (
        Column(name=""),
        Column(name=f"Last {usage.days} days", unit="figure"),
        Column(name=f"{usage.days} days before", unit="figure"),
        Column(name="Change", unit="figure"),
    )
    pairs = zip(_COMPARED, _measures(usage.now), _measures(usage.before), strict=True)
    return Table(
        title="Against the period before",
        columns=columns,
        rows=tuple(
            (label, shown(now, unit), shown(before, unit), _difference(now, before, unit))
            for (label, unit), now, before in pairs
            if now is not None or before is not None
        ),
    )


def _measures(one: Statistics) -> tuple[Shown, ...]:
    average, median, p95 = _used_pct(one)
    runs = one.executions
    loaded = one.tokens.used - one.tokens.unbudgeted
    return (
        runs,
        average,
        median,
        p95,
        100 * one.exceedance_rate if runs else None,
        100 * one.unmet_rate if runs else None,
        100 * one.failed / one.events if one.events else None,
        one.tokens.used,
        loaded / runs if runs else None,
        one.cost_usd,
        one.avg_duration_seconds,
    )


def _used_pct(one: Statistics) -> tuple[float | None, float | None, float | None]:
    """Average, median and p95, where anything has a used per cent."""
    pct = one.used_pct
    return (None, None, None) if pct is None else (pct.avg, pct.median, pct.p95)


def _difference(now: Shown, before: Shown, unit: Unit) -> str | None:
    if now is None or before is None:
        return None
    new, old = float(now), float(before)
    if unit == "percent":
        return f"{new - old:+.1f} points"
    return f"{100 * (new - old) / old:+.1f} %" if old else None


def _agents(usage: Usage) -> Table:
    def order(one: AgentUse) -> tuple[int, int, str]:
        return -(one.cell.exceeded + one.cell.unmet), -one.tokens, one.agent

    agents = sorted(usage.agents, key=order)
    has_cost = any(one.cell.priced for one in agents)
    columns = [
        Column(name="Agent"),
        Column(name="Runs", unit="count"),
        Column(name="Used, average", unit="percent"),
        Column(name="Over budget", unit="percent"),
        Column(name="95 %", unit="figure"),
        Column(name="Unmet", unit="count"),
        Column(name="Tokens", unit="tokens"),
        Column(name="Tokens a run", unit="tokens"),
    ]
    if has_cost:
        columns.append(Column(name="Cost", unit="usd"))
    rows = []
    for one in agents[:MOST_AGENTS]:
        cell, runs = one.cell, one.cell.executions
        row: list[Shown] = [
            one.agent,
            runs,
            one.average,
            100 * cell.exceeded / runs if runs else None,
            spread(cell.exceeded, runs),
            cell.unmet if runs else None,
            one.tokens,
            cell.used / runs if runs else None,
        ]
        cost = usd(cell.cost) if cell.priced else None
        rows.append(tuple([*row, cost] if has_cost else row))
    return Table(
        title="By agent, those that lack room first",
        columns=tuple(columns),
        rows=tuple(rows),
        more=max(0, len(agents) - MOST_AGENTS),
    )
