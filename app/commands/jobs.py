"""Run jobs through the service, and show how they stand."""

from collections.abc import Iterator, Mapping
from typing import Any

import httpx

from app.commands.service import ask, refuse


async def run(client: httpx.AsyncClient, name: str) -> Mapping[str, Any]:
    """Run a job; the run as it ended."""
    response = await client.post(f"/jobs/{name}/run")
    refuse(response)
    ended: Mapping[str, Any] = response.json()
    return ended


def told(ended: Mapping[str, Any]) -> str:
    """How a run ended, in a line."""
    if ended["status"] != "done":
        return f"{ended['job']} failed: {ended['error']}; the log has more"
    return f"{ended['job']} done: {_outcome(ended['outcome'])}"


async def status(client: httpx.AsyncClient) -> Iterator[str]:
    """Every job in two lines: when it runs, and how it ran last."""
    response = await ask(client, "GET", "/jobs")
    return (line for one in response.json()["items"] for line in _lines(one))


def _lines(one: Mapping[str, Any]) -> Iterator[str]:
    coming = f"next {one['next_run']}" if one["enabled"] else "not by itself"
    yield f"{one['name']}: {one['schedule']} ({one['timezone']}), {coming}"
    last = one["last_run"]
    if last is None:
        yield "  never run"
        return
    ended = last["finished_at"] or last["started_at"]
    more = f": {last['error']}" if last["error"] else ""
    again = f", again at {last['retry_at']}" if last["retry_at"] else ""
    yield f"  {last['period']} {last['status']}{more}, {ended}{again}"


def _outcome(outcome: Mapping[str, Any] | None) -> str:
    parts = []
    for name, value in (outcome or {}).items():
        if isinstance(value, Mapping):
            value = " ".join(f"{part} {count}" for part, count in value.items()) or "nothing"
        elif isinstance(value, list):
            value = " ".join(map(str, value)) or "none"
        parts.append(f"{name} {value}")
    return ", ".join(parts) or "nothing to say"
