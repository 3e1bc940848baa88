"""Answer what agents used, carry data in and out, and send what waits."""

import json
from pathlib import Path
from shlex import quote
from typing import Any

from membudget._say import say, warn
from membudget._service import shared_client
from membudget.analyzer import BudgetUsageAnalyzer
from membudget.commands import output
from membudget.results import Elsewhere, Imported

NOTHING = "\n❌ No usage data found"
FORMATS = {
    "usage": ("jsonl", "csv"),
    "memories": ("jsonl", "json"),
    "profiles": ("json",),
    "workspaces": ("yaml",),
}
"""How each kind can be written; the first unless said otherwise."""
KINDS = ("memories", "usage", "policy")


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


def export(
    kind: str, *, to: Path | None, format: str | None, workspace: str | None, agent: str | None
) -> None:
    """Everything of a kind, to a file or to standard output."""
    if kind not in FORMATS:
        output.stop(f"Export one of {', '.join(FORMATS)}, not {kind!r}.", output.USAGE)
    if format is not None and format not in FORMATS[kind]:
        output.stop(f"{kind} is written as {' or '.join(FORMATS[kind])}.", output.USAGE)
    if to is not None and not to.absolute().parent.is_dir():
        output.stop(f"There is no folder {to.absolute().parent}.")
    client = shared_client()
    with output.working(f"Exporting {kind}"):
        if kind == "usage":
            data = client.usage_export(format or "jsonl", workspace=workspace, agent=agent)
        elif kind == "memories":
            data = client.memories.export(
                "json" if format == "json" else "jsonl", workspace=workspace
            )
        elif kind == "profiles":
            data = client.config.export("json", workspace=workspace)
        else:
            data = client.config.export("yaml", workspace=workspace)
    if to is None:
        output.write(data)
    else:
        to.write_bytes(data)
        warn(f"{len(data):,} bytes in {to}")


def import_(
    source: Path,
    *,
    kind: str | None,
    dry_run: bool,
    replace: bool,
    project: str | None,
    workspace: str | None,
    as_json: bool,
) -> None:
    """A memory tree, a usage log, or a file of policy: what it is is seen from what it holds."""
    if not source.exists():
        output.stop(f"There is no {source}.")
    if kind is not None and kind not in KINDS:
        output.stop(f"Import one of {', '.join(KINDS)}, not {kind!r}.", output.USAGE)
    kind = kind or _kind_of(source)
    client = shared_client()
    if dry_run and kind != "policy":
        output.stop("--dry-run goes with files of policy.", output.USAGE)
    with output.working(f"Importing {source}"):
        found: Any
        if kind == "policy":
            found = client.config.import_(
                source, dry_run=dry_run, replace=replace, workspace=workspace
            )
        elif kind == "usage":
            found = client.usage_import(source, workspace=workspace)
        else:
            found = client.memories.import_(
                source, workspace=workspace, project=project, replace=replace
            )
    if as_json:
        output.emit(found)
    elif kind == "policy":
        output.facts((name, json.dumps(value, default=str)) for name, value in found.items())
    else:
        _imported(found)
    if kind != "policy" and not _is_taken(found, kind):
        raise SystemExit(output.FAILED)


def _is_taken(found: Imported, kind: str) -> bool:
    """Whether nothing is amiss: lines of a log are all runs; a tree has files that are no texts."""
    refused = bool(found.refused_count or found.refused)
    return not refused or (kind == "memories" and bool(found.imported or found.unchanged))


def _imported(found: Imported) -> None:
    output.facts(
        [
            ("Imported", found.imported),
            ("Unchanged", found.unchanged or None),
            ("Duplicates", found.duplicates or None),
            ("Removed", found.removed or None),
            ("Refused", found.refused_count or len(found.refused) or None),
        ]
    )
    for one in found.refused:
        warn(f"  {one.path or f'line {one.line}'}: {one.reason}")


def _kind_of(source: Path) -> str:
    """`memories`, `usage` or `policy`."""
    if source.is_dir() or source.name.endswith((".tar.gz", ".tgz")):
        return "memories"
    if source.suffix in (".yaml", ".yml"):
        return "policy"
    with source.open("rb") as file:
        head = file.readline(1 << 20)
    try:
        first = json.loads(head)
    except ValueError:
        return "policy" if source.suffix == ".json" else "memories"
    is_run = isinstance(first, dict) and ("budget_allocated" in first or "tokens_loaded" in first)
    if is_run:
        return "usage"
    return "policy" if source.suffix == ".json" else "memories"


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


def _point_to(one: Elsewhere) -> None:
    """Say what else waits, and the line that sends it."""
    whose = one.url or "a service whose address was not noted"
    runs = "run waits" if one.waiting == 1 else "runs wait"
    warn(f"{one.waiting:,} {runs} for {whose}. To send:")
    warn(f"  MEMBUDGET_SPOOL={quote(one.folder)} membudget --url {one.url or 'URL'} flush")
