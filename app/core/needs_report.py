"""Write what agents need as a report: what to do first, then every agent's figures."""

from collections.abc import Iterable, Sequence

from app.core.analytics import usd
from app.core.needs import COVERED, USUAL, Choice, Fit
from app.core.needs_advice import advice
from app.core.report_commands import KEY_NOTE
from app.core.report_html import GLANCE
from app.core.reports import Bar, Chart, Column, Figure, Report, Section, Shown, Table
from app.core.values import value
from app.core.windows import moment

SHOWN_AGENTS = 100
SHOWN_BARS = 15
TODO = 3
TITLE = "What your agents need"
ABOUT = (
    "A run's need is all the context that it had or would have had: input, cache writes and cache"
    " reads. In transcripts and spend logs a run is one call of a model.\n\n"
    f"A profile fits where its budget covers {COVERED} of 100 runs; the smallest that does is"
    f" shown. Where the complexity of runs is not known, the budget for {USUAL} tasks counts."
    " Saved is what was loaded beyond that budget; in USD it is at most that much, in proportion"
    " to the tokens of runs that have a cost. Short are runs that needed more than the budget."
    " Medians and 95th percentiles (p95) are within one per cent."
)
EMPTY = "There are no runs in this window. Import some: membudget-server import ~/.claude/projects"
CALM = "Every agent with enough runs has the profile that fits it."
TOO_FEW = "No agent has enough runs yet to propose a profile: import more, or wait for more."


@value
class Asked:
    """What the report is about, and its place; moments in microseconds since 1970."""

    id: str
    workspace: str
    since: int
    until: int
    now: int


def needs_report(fits: Iterable[Fit], choices: Sequence[Choice], asked: Asked) -> Report:
    """The report of kind `needs`; agents with more tokens come first."""
    ordered = sorted(fits, key=lambda fit: (-fit.need.used, fit.agent))
    todo = tuple(advice(ordered, choices, asked.workspace)[:TODO])
    has_runs = any(fit.need.runs for fit in ordered)
    is_enough = any(fit.need.runs and not fit.missing for fit in ordered)
    sections = [_glance(ordered)]
    if has_runs:
        sections += [_agents(ordered), _profiles(ordered, choices)]
    else:
        sections.append(Section(key="agents", title="Agents", text=EMPTY, data={"agents": []}))
    return Report(
        id=asked.id,
        workspace=asked.workspace,
        kind="needs",
        period=moment(asked.now).isoformat().replace("+00:00", "Z"),
        title=TITLE,
        since=asked.since,
        until=asked.until,
        created_at=asked.now,
        todo=todo,
        sections=tuple(sections),
        calm="" if todo or not has_runs else CALM if is_enough else TOO_FEW,
    )


def _glance(fits: Sequence[Fit]) -> Section:
    runs = sum(fit.need.runs for fit in fits)
    used = sum(fit.need.used for fit in fits)
    cached = sum(fit.need.cached for fit in fits)
    cost = sum(fit.need.cost for fit in fits)
    figures = [
        Figure(label="Agents", value=len(fits), unit="count"),
        Figure(label="Runs", value=runs, unit="count"),
        Figure(label="Context loaded", value=f"{used / 1e6:,.1f} M", unit="figure", note="tokens"),
    ]
    if cached and used:
        share = min(100.0, 100 * cached / used)
        figures.append(Figure(label="Read from a cache", value=share, unit="percent"))
    priced = sum(fit.need.priced for fit in fits)
    if priced:
        note = f"of the {priced:,} runs that have one"
        figures.append(Figure(label="Cost", value=usd(cost), unit="usd", note=note))
    return Section(key=GLANCE, title="At a glance", figures=tuple(figures))


_NEED = (
    Column(name="agent"),
    Column(name="runs", unit="count"),
    Column(name="median", unit="tokens"),
    Column(name="p95", unit="tokens"),
    Column(name="largest", unit="tokens"),
    Column(name="cached", unit="percent"),
    Column(name="profile now"),
)
_FITTING = (
    Column(name="agent"),
    Column(name="profile that fits"),
    Column(name="budget", unit="tokens"),
    Column(name="short", unit="percent"),
    Column(name="95 % interval"),
    Column(name="saved", unit="tokens"),
    Column(name="of loaded", unit="percent"),
    Column(name="saved, up to", unit="usd"),
)


def _agents(fits: Sequence[Fit]) -> Section:
    listed = [fit for fit in fits if fit.need.runs]
    shown, more = listed[:SHOWN_AGENTS], max(0, len(listed) - SHOWN_AGENTS)
    has_costs = any(fit.need.priced for fit in listed)
    columns = _FITTING if has_costs else _FITTING[:-1]
    fitting = tuple(_fitting_row(fit)[: len(columns)] for fit in shown)
    bars = tuple(
        Bar(label=_name(fit), value=fit.p95, mark=_budget(fit)) for fit in listed[:SHOWN_BARS]
    )
    return Section(
        key="agents",
        title="Agents",
        text=ABOUT,
        charts=(
            Chart(
                title=f"Tokens that {COVERED} of 100 runs need, and the budget that fits (mark)",
                unit="tokens",
                bars=bars,
            ),
        ),
        tables=(
            Table(
                title="Tokens needed by a run",
                columns=_NEED,
                rows=tuple(map(_need_row, shown)),
                more=more,
            ),
            Table(title="The profile that would fit", columns=columns, rows=fitting, more=more),
        ),
        data={"agents": [_data(fit) for fit in listed]},
    )


def _name(fit: Fit) -> str:
    return fit.agent or "(none)"


def _budget(fit: Fit) -> int | None:
    return fit.own if fit.choice is None else fit.choice.usual


def _fitting(fit: Fit) -> str:
    if fit.missing:
        return f"too few runs to say: {fit.missing:,} more"
    return "none: needs one of its own" if fit.choice is None else fit.choice.name


def _need_row(fit: Fit) -> tuple[Shown, ...]:
    need = fit.need
    return (
        _name(fit),
        need.runs,
        round(fit.median),
        round(fit.p95),
        need.high,
        min(100.0, 100 * need.cached / need.used) if need.used else None,
        fit.has if fit.is_assigned else f"{fit.has} (default)" if fit.has else None,
    )


def _fitting_row(fit: Fit) -> tuple[Shown, ...]:
    need, outcome, interval = fit.need, fit.outcome, fit.interval
    if outcome is None or interval is None:
        return (_name(fit), _fitting(fit), None, None, None, None, None, None)
    return (
        _name(fit),
        _fitting(fit),
        _budget(fit),
        100 * outcome.short / need.runs,
        f"{100 * interval[0]:.1f}–{100 * interval[1]:.1f} %",
        outcome.saved,
        100 * outcome.saved / need.used if need.used else None,
        None if outcome.saved_cost is None else usd(outcome.saved_cost),
    )


def _data(fit: Fit) -> dict[str, object]:
    """An agent's figures for programs; shares from 0 to 1."""
    need, outcome, interval = fit.need, fit.outcome, fit.interval
    return {
        "agent": fit.agent,
        "runs": need.runs,
        "empty_runs": need.empty,
        "tokens": {
            "median": round(fit.median),
            "p95": round(fit.p95),
            "max": need.high,
            "total": need.used,
            "output": need.output,
            "cached": need.cached,
        },
        "profile": None if fit.choice is None else fit.choice.name,
        "budget": _budget(fit),
        "own_base": fit.own,
        "runs_missing": fit.missing,
        "short": None if outcome is None else outcome.short,
        "short_rate": None if outcome is None else outcome.short / need.runs,
        "short_interval": None if interval is None else list(interval),
        "tokens_saved": None if outcome is None else outcome.saved,
        "usd_saved": None
        if outcome is None or outcome.saved_cost is None
        else usd(outcome.saved_cost),
        "cost_usd": usd(need.cost) if need.priced else None,
        "profile_now": fit.has or None,
        "assigned": fit.is_assigned,
    }


def _profiles(fits: Sequence[Fit], choices: Sequence[Choice]) -> Section:
    rows = tuple(
        (
            choice.name,
            choice.usual,
            choice.ceiling,
            sum(fit.choice is not None and fit.choice.name == choice.name for fit in fits),
        )
        for choice in choices
    )
    columns = (
        Column(name="profile"),
        Column(name=f"budget, {USUAL}", unit="tokens"),
        Column(name="ceiling", unit="tokens"),
        Column(name="agents that it fits", unit="count"),
    )
    return Section(
        key="profiles",
        title="Profiles they were measured against",
        text=KEY_NOTE,
        tables=(Table(columns=columns, rows=rows),),
    )
