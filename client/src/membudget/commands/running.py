"""Answer how the service and its memories are, run its jobs, and show what they wrote."""

from datetime import UTC, datetime
from typing import Any

from membudget import results
from membudget._say import RULE, headline, say, warn
from membudget._service import shared_client
from membudget.commands import output
from membudget.errors import MembudgetError

PERIODIC = ("daily", "weekly", "monthly")


def health(*, workspace: str | None, as_json: bool) -> None:
    """Whether the service is ready, and how full memories are; 3 if it is not up, 1 not ready."""
    client = shared_client()
    found = client.health()
    memories = client.memories.health(workspace=workspace) if found.up and found.ready else None
    if as_json:
        output.emit(
            {
                "url": client.url,
                "up": found.up,
                "ready": found.ready,
                "checks": found.checks,
                "reason": found.reason,
                "memories": None if memories is None else memories.raw,
            }
        )
    else:
        state = "ready" if found.ready else "up, not ready" if found.up else "down"
        output.heading(f"{client.url}: {state}")
        output.facts((name, _short(check)) for name, check in found.checks.items())
        if found.reason:
            say(found.reason)
        if memories is not None:
            _memories(memories)
    if not found.up:
        raise SystemExit(output.UNAVAILABLE)
    if not found.ready:
        raise SystemExit(output.FAILED)


def _memories(found: results.MemoryHealth) -> None:
    limit = max(found.thresholds.values(), default=0)
    say(f"\nMemories: {found.status}")
    rows = [
        ("global", found.global_.tokens, found.global_.files),
        ("agents", found.agents.tokens, found.agents.files),
        ("total", found.total.tokens, found.total.files),
        ("archive", found.archive.tokens, found.archive.files),
    ]
    output.table(("Where", "Tokens", "Files"), rows)
    if limit:
        share = found.global_.tokens / limit
        output.bars([("global", share, f"of the {limit:,} tokens that every agent loads at most")])
    for advice in found.advice:
        say(advice)


def jobs_status(*, as_json: bool) -> None:
    """The jobs, their last runs and their next ones."""
    found = shared_client().jobs()
    if as_json:
        output.emit({"items": [job.raw for job in found]})
        return
    output.table(
        ("Job", "Schedule", "On", "Last run", "How", "Next run"),
        [
            (
                job.name,
                f"{job.schedule} ({job.timezone})" if job.schedule else None,
                job.enabled,
                None if job.last_run is None else _time(job.last_run.started_at),
                None if job.last_run is None else job.last_run.status,
                _time(job.next_run),
            )
            for job in found
        ],
    )


def jobs_run(name: str, *, as_json: bool) -> None:
    """Run a job now, wait until it has ended, and show the report that it wrote."""
    client = shared_client()
    with output.working(f"Running {name}"):
        run = client.jobs.run(name)
    if as_json:
        output.emit(run)
    else:
        took = ""
        if run.started_at and run.finished_at:
            took = f" in {(run.finished_at - run.started_at).total_seconds():.1f} s"
        output.heading(f"{run.job or name}: {run.status}{took}")
        if run.error:
            say(run.error)
        if name in PERIODIC and run.status == "done":
            try:
                _report(client, run, name)
            except MembudgetError as error:
                warn(f"membudget: the report cannot be shown now: {error}")
    if run.status != "done":
        raise SystemExit(output.FAILED)


def _report(client: Any, run: results.JobRun, kind: str) -> None:
    outcome = run.outcome or {}
    named = outcome.get("report_id") or outcome.get("report")
    line = named or next((one.id for one in client.reports(kind=kind, limit=1)), None)
    if line is None:
        return
    with output.working("Reading the report"):
        text = client.reports.markdown(str(line))
    if output.is_terminal():
        output.drawing().markdown(text)
    else:
        say(text)


def status_report(*, workspace: str | None, as_json: bool) -> None:
    """What the originals' `report` showed: memories, and what could be done for them."""
    client = shared_client()
    found = client.memories.health(workspace=workspace)
    proposals = {
        kind: list(client.memories.lifecycle.proposals(kind, workspace=workspace))
        for kind in ("promotions", "archival", "duplicates")
    }
    if as_json:
        output.emit(
            {
                "health": found.raw,
                **{kind: [one.raw for one in many] for kind, many in proposals.items()},
            }
        )
        return
    headline("PHASE 5 AUTOMATION STATUS")
    _memories(found)
    for kind, many in proposals.items():
        say(f"\n{kind.capitalize()}: {len(many)}")
        shown = [(one.path or one.memory_id, one.score, one.reason) for one in many[:10]]
        if shown:
            output.table(("Memory", "Score", "Why"), shown)
        if len(many) > len(shown):
            say(f"… and {len(many) - len(shown)} more")
    say("=" * RULE)


def schedule(deed: str, *, as_json: bool) -> None:
    """What the originals' cron script did, and what the service's schedule does instead."""
    found = shared_client().jobs()
    runs = [job for job in found if job.name in PERIODIC]
    is_on = any(job.enabled for job in runs)
    if as_json:
        output.emit({"action": deed, "enabled": is_on, "items": [job.raw for job in runs]})
        return
    if deed == "install":
        say("Nothing to install: the service runs this by its own schedule.")
        if not is_on:
            say("It is switched off: start the service with MEMBUDGET_SCHEDULER=on.")
        say("Lines of the originals in your crontab can go: crontab -e")
    elif deed == "uninstall":
        say("Nothing to uninstall: no cron jobs belong to the service.")
        say("To switch its schedule off, start it with MEMBUDGET_SCHEDULER=off.")
    else:
        say(f"The service's schedule is {'on' if is_on else 'off'}.")
    jobs_status(as_json=False)


def version(*, as_json: bool) -> None:
    """Versions of the client and of the service."""
    own = str(__import__("membudget").__version__)
    client = shared_client()
    health_ = client.health()
    there = client.version() if health_.up else None
    if as_json:
        output.emit(
            {
                "client": own,
                "service": None if there is None else there.raw,
                "reason": health_.reason,
            }
        )
    else:
        said = "does not answer" if there is None else f"{there.version} at {client.url}"
        output.facts([("Client", own), ("Service", said)])
    if there is None:
        output.stop(f"membudget: {health_.reason}", output.UNAVAILABLE)


def _short(check: Any) -> str:
    return check if isinstance(check, str) else str(check)


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
