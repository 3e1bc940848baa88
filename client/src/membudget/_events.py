"""Make usage events of what was not booked as one, and parts of long lists of them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from membudget import _core, results
from membudget._calls import EVENTS

EVENTS_BYTES = 8 * 1024 * 1024
UNNAMED = "unnamed"
"""The agent of usage that names none, which the service's events must have."""


def event_of(allocation: results.Allocation, report: Mapping[str, Any]) -> dict[str, Any]:
    """The usage event of an allocation that was never recorded."""
    loads = report.get("loads") or ()
    scopes = {scope.name: scope.used for scope in allocation.scopes if scope.used}
    for one in loads:
        scopes[one["scope"]] = scopes.get(one["scope"], 0) + one["tokens"]
    agent = allocation.agent
    return {
        "agent": UNNAMED if agent is None else agent.name,
        "workspace": allocation.workspace,
        "project": allocation.project,
        "user": allocation.user,
        "session_id": allocation.session_id,
        "run_id": allocation.run_id,
        "model": allocation.model,
        "complexity": allocation.complexity.tier,
        "budget_tokens": allocation.budget.tokens,
        "used_tokens": sum(scopes.values()),
        "scopes": scopes or None,
        "needed_tokens": report.get("needed_tokens"),
        "input_tokens": report.get("input_tokens"),
        "output_tokens": report.get("output_tokens"),
        "success": report.get("success", "error" not in report),
        "error": report.get("error"),
        "metadata": {"degraded": True},
    }


def line_of(event: Mapping[str, Any]) -> dict[str, Any]:
    """An event as a line of the originals' log, in which what has happened is always booked."""
    named = {
        "budget_tokens": "budget_allocated",
        "used_tokens": "tokens_loaded",
        "scopes": "scope_breakdown",
    }
    said = {key: held for key, held in event.items() if key not in ("workspace", "agent_type")}
    if event.get("agent_type") and "/" not in event["agent"]:
        said["agent"] = f"{event['agent_type']}/{event['agent']}"
    line = {named.get(key, key): held for key, held in said.items() if key != "usage"}
    return {"budget_allocated": None, **_counted(event.get("usage")), **line}


def _counted(usage: Mapping[str, Any] | None) -> dict[str, Any]:
    """What a provider reported, in the counts that a line has."""
    if usage is None:
        return {}
    return _core.raw_usage.read_usage(usage).fields()


def event_id_of(allocation_id: str) -> str:
    """The id of the one event that an allocation ends in."""
    return "use_" + allocation_id.removeprefix("alc_")


def chunks(events: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Events in parts that a request may hold."""
    chunk: list[dict[str, Any]] = []
    size = 0
    for event in events:
        length = len(repr(event))
        if chunk and (len(chunk) == EVENTS or size + length > EVENTS_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(event)
        size += length
    if chunk:
        yield chunk
