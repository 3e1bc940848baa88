"""Say in a report how the memories stand: what every agent loads, and when that is too much."""

from app.core.health import HEALTHY, Health
from app.core.report_commands import of_workspace, post
from app.core.report_proposals import memories
from app.core.report_text import shown
from app.core.reports import Bar, Chart, Column, Figure, Part, Section, Table, Todo
from app.core.windows import moment

MOST_DAYS = 90
"""Days of history in a chart."""

MOST_AGENTS = 12

RUNS_A_WEEK = 7
"""How often tokens that all agents load are taken to be loaded, at least: ours."""

HEALTH_LABEL = "Memory health"


def health_part(health: Health, *, now: int, is_late: bool, workspace: str) -> Part:
    """Tokens that every agent loads, how they grow, and when that is too much."""
    figures, trend, rules = health.figures, health.trend, health.rules
    total = figures.total.tokens + figures.other.tokens + figures.archive.tokens
    if not total:
        text = (
            "No memories are kept here. Import a .claude/memory tree or send texts to POST"
            " /memories, and this section says how much every agent loads, and how that grows."
        )
        return Part(sections=(Section(key="health", title="Memory health", text=text),))
    used = 100 * figures.everybodys.tokens / rules.health_limit
    section = Section(
        key="health",
        title="Memory health",
        text=_health_text(health, now=now, is_late=is_late),
        figures=(
            Figure(label="Status", value=health.status, unit="text"),
            Figure(
                label="Global: every agent loads it",
                value=figures.everybodys.tokens,
                unit="tokens",
                note=f"{memories(figures.everybodys.files)}; {used:.1f} % of the limit of"
                f" {rules.health_limit:,}",
            ),
            Figure(
                label="Agents' own",
                value=figures.agents.tokens,
                unit="tokens",
                note=memories(figures.agents.files),
            ),
            Figure(
                label="Both together",
                value=figures.total.tokens,
                unit="tokens",
                note=memories(figures.total.files),
            ),
            Figure(
                label="In the archive",
                value=figures.archive.tokens,
                unit="tokens",
                note=memories(figures.archive.files),
            ),
            Figure(
                label="Growth of global memory",
                value=None if trend.tokens_per_day is None else f"{trend.tokens_per_day:+,.0f}",
                unit="figure",
                note=f"tokens a day, over {_days(trend.days)}"
                if trend.tokens_per_day is not None
                else "not enough yet: needs two days of history",
            ),
        ),
        charts=_health_charts(health),
        tables=(_thresholds(health),),
        data={
            "status": health.status,
            "global": figures.everybodys.tokens,
            "agents": figures.agents.tokens,
            "total": figures.total.tokens,
            "archive": figures.archive.tokens,
        },
    )
    glance = Figure(
        label=HEALTH_LABEL,
        value=health.status,
        unit="text",
        note=f"{shown(figures.everybodys.tokens, 'tokens')} global tokens",
    )
    todo = _health_todo(health, workspace=workspace)
    return Part(sections=(section,), todo=todo, glance=(glance,))


def _health_text(health: Health, *, now: int, is_late: bool) -> str:
    parts = []
    if is_late:
        parts.append(
            f"This run was late: these are the figures of {moment(now):%Y-%m-%d %H:%M} UTC, when it"
            " ran, not of the time it was due."
        )
    soon = [
        f"{name} ({tokens:,}) on {moment(day):%Y-%m-%d}"
        for (name, tokens), day in zip(
            health.rules.thresholds.items(), health.trend.reached.values(), strict=True
        )
        if day is not None
    ]
    if soon:
        parts.append("As it grows now, global memory will reach " + ", ".join(soon) + ".")
    return "\n\n".join([*parts, *health.advice])


def _health_charts(health: Health) -> tuple[Chart, ...]:
    days = health.history[-MOST_DAYS:]
    largest = sorted(health.figures.by_agent.items(), key=lambda item: (-item[1].tokens, item[0]))[
        :MOST_AGENTS
    ]
    everybodys = health.figures.everybodys.tokens
    status = Chart(
        title="Global memory and its limit",
        unit="tokens",
        bars=(Bar(label="global", value=everybodys, mark=float(health.rules.health_limit)),),
    )
    history = Chart(
        title="Global memory by day",
        unit="tokens",
        bars=tuple(
            Bar(label=moment(day).date().isoformat(), value=one.everybodys.tokens)
            for day, one in days
        ),
    )
    agents = Chart(
        title="Agents' own memories",
        unit="tokens",
        bars=tuple(Bar(label=name, value=amount.tokens) for name, amount in largest),
    )
    kept = [status, *([history] if len(days) > 1 else []), *([agents] if largest else [])]
    return tuple(kept)


def _thresholds(health: Health) -> Table:
    everybodys = health.figures.everybodys.tokens
    return Table(
        columns=(
            Column(name="Threshold"),
            Column(name="Tokens", unit="tokens"),
            Column(name="Left", unit="tokens"),
            Column(name="Reached on", unit="date"),
        ),
        rows=tuple(
            (name.upper(), tokens, max(0, tokens - everybodys), _day(health.trend.reached[name]))
            for name, tokens in health.rules.thresholds.items()
        ),
    )


def _day(at: int | None) -> str | None:
    return None if at is None else moment(at).date().isoformat()


def _health_todo(health: Health, *, workspace: str) -> tuple[Todo, ...]:
    if health.status == HEALTHY:
        return ()
    everybodys = health.figures.everybodys
    over = everybodys.tokens - health.rules.health_warning
    return (
        Todo(
            title=f"Bring global memory down: it is {health.status}",
            why=(
                f"{everybodys.tokens:,} tokens in {memories(everybodys.files)} are loaded by every"
                f" agent, {over:,} above the warning at {health.rules.health_warning:,}. Of equal"
                " texts keep one, and let requests select what is relevant"
                ' (select: "stored").'
            ),
            how=post("/memories/lifecycle/duplicates/apply", workspace=of_workspace(workspace)),
            weight=float((over + 1) * RUNS_A_WEEK),
        ),
    )


def _days(number: int) -> str:
    return f"{number:,} {'day' if number == 1 else 'days'}"
