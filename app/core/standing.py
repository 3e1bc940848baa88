"""Tell how an allocation stands, as JSON would: what was answered, and what has come since."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.core.amounts import split_by_weight
from app.core.memory import scope_in
from app.core.monitoring import Monitor, status


def describe(answer: Mapping[str, Any], monitor: Monitor, now: datetime) -> dict[str, Any]:
    """The allocation with its status; `answer` is the allocation as it was answered."""
    stands = status(monitor, now)
    facts = asdict(stands)
    facts.pop("budget_tokens")
    return {
        **answer,
        **facts,
        "budget": {**answer["budget"], "tokens": stands.budget_tokens},
        "scopes": _scopes(_rooms(answer, stands.budget_tokens), stands.scopes),
        "finished_at": monitor.finished_at,
    }


def _rooms(answer: Mapping[str, Any], tokens: int) -> Iterable[Mapping[str, Any]]:
    """The rooms as they were answered, or in a budget that `auto_bump` has raised since."""
    rooms: list[Mapping[str, Any]] = answer["scopes"]
    weights = [Decimal(str(room["weight"])) for room in rooms]
    if tokens == answer["budget"]["tokens"] or not sum(weights):
        return rooms
    shares = split_by_weight(tokens, weights)
    return [{**room, "tokens": share} for room, share in zip(rooms, shares, strict=True)]


def _scopes(rooms: Iterable[Mapping[str, Any]], loaded: Mapping[str, int]) -> list[dict[str, Any]]:
    """Rooms with what was loaded into them; a scope without a room is added with none."""
    found = {room["name"]: {**room, "used": 0} for room in rooms}
    for name, tokens in loaded.items():
        home = scope_in(found, name) or name
        scope = found.setdefault(
            home, {"name": home, "weight": 0.0, "tokens": 0, "used": 0, "remaining": 0}
        )
        scope["used"] += tokens
    for scope in found.values():
        scope["remaining"] = max(0, scope["tokens"] - scope["used"])
    return list(found.values())
