"""Answer what agents used, and send what waits."""

from pathlib import Path
from shlex import quote

from membudget._say import say, warn
from membudget._service import shared_client
from membudget.analyzer import BudgetUsageAnalyzer
from membudget.commands import output
from membudget.monitor import USAGE_LOG
from membudget.results import Elsewhere

NOTHING = "\n❌ No usage data found"


def analyze(
    *,
    agent: str | None,
    days: float | None,
    only_recommendations: bool,
    log: Path | None,
    workspace: str | None,
    as_json: bool,
) -> None:
    """What agents used of their budgets, and what is recommended."""
    analyzer = BudgetUsageAnalyzer(log, workspace=workspace)
    with output.working("Reading usage"):
        data = analyzer.load_usage_data(days=days, agent_filter=agent)
    if not data:
        if as_json:
            output.emit(
                {"total_executions": 0, "date_range": None, "agents": [], "recommendations": []}
            )
        if log is None and not USAGE_LOG.exists() and not shared_client().health().up:
            output.stop("There is no log on this machine either.", output.UNAVAILABLE)
        warn(NOTHING)
        output.stop("\nTip: runs are booked when they finish (membudget load, BudgetMonitor).")
    recommendations = analyzer.generate_recommendations(data)
    if as_json:
        output.emit(
            {
                "total_executions": len(data),
                "date_range": {"start": data[0]["timestamp"], "end": data[-1]["timestamp"]},
                "agents": analyzer.analyses(data),
                "recommendations": recommendations,
            }
        )
        return
    if not only_recommendations:
        analyzer.print_analysis(data, agent_filter=agent)
        if output.is_terminal():
            output.bars(
                [
                    (one["agent"], one["avg_usage_pct"] / 100, f"{one['total_executions']} runs")
                    for one in analyzer.analyses(data)
                ]
            )
    analyzer.print_recommendations(recommendations)


def recommend(
    *,
    days: int,
    deed: str | None,
    id: str | None,
    agent: str | None,
    workspace: str | None,
    as_json: bool,
) -> None:
    """Judge every agent by its last runs, or decide on one recommendation."""
    client = shared_client()
    if deed and id:
        decided = getattr(client.recommendations, deed)(id, workspace=workspace)
        if as_json:
            output.emit(decided)
        else:
            say(f"{decided.id}  {decided.agent}  {decided.action}: {decided.status}")
        return
    with output.working("Judging every agent"):
        found = client.recommendations.run(days, workspace=workspace)
    if agent:
        found = tuple(one for one in found if agent in one.agent)
    if as_json:
        output.emit({"items": [one.raw for one in found]})
        return
    if not found:
        say(f"No agent had a run in the last {days} days.")
        return
    columns = ("Id", "Agent", "Action", "To", "Sure", "Runs", "Now", "Why")
    rows = [
        (
            one.id,
            one.agent,
            one.action if one.recommended or one.confidence is None else f"({one.action})",
            one.proposed.profile if one.proposed else None,
            None if one.confidence is None else f"{one.confidence:.0%}",
            one.samples,
            one.current.profile,
            one.reason,
        )
        for one in found
    ]
    if output.is_terminal():  # reasons are sentences: no column is wide enough
        output.table(columns[:-2], [row[:-2] for row in rows])
        for one in found:
            say(f"{one.agent}, now {one.current.profile}: {one.reason}")
        say()
    else:
        output.table(columns, rows)
    say("In brackets: not sure enough. `membudget recommend --apply ID` applies one.")


def flush(*, as_json: bool) -> None:
    """Send the runs that wait on this machine."""
    with output.working("Sending what waits"):
        sent = shared_client().flush()
    if as_json:
        output.emit(
            {
                "sent": sent.sent,
                "refused": sent.refused,
                "waiting": sent.waiting,
                "reason": sent.reason,
                "elsewhere": [
                    {"folder": one.folder, "url": one.url, "waiting": one.waiting}
                    for one in sent.elsewhere
                ],
            }
        )
    else:
        output.facts(
            [("Sent", sent.sent), ("Refused", sent.refused or None), ("Waiting", sent.waiting)]
        )
    for one in sent.elsewhere:
        _point_to(one)
    if sent.waiting:
        output.stop(f"membudget: {sent.reason or 'some could not be sent'}", output.UNAVAILABLE)
    if sent.refused:
        raise SystemExit(output.FAILED)


def _point_to(one: Elsewhere) -> None:
    """Say what else waits, and the line that sends it."""
    whose = one.url or "a service whose address was not noted"
    runs = "run waits" if one.waiting == 1 else "runs wait"
    warn(f"{one.waiting:,} {runs} for {whose}. To send:")
    warn(f"  MEMBUDGET_SPOOL={quote(one.folder)} membudget --url {one.url or 'URL'} flush")
