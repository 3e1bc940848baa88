"""Say which rows a list, a summary or a deletion is about."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocationFilter:
    """Which allocations to look at; moments in microseconds since 1970."""

    workspace: str
    project: str | None = None
    agents: tuple[str, ...] = ()
    state: str | None = None
    since: int | None = None
    until: int | None = None
    now: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageFilter:
    """Which usage events to look at; moments in microseconds since 1970."""

    workspace: str
    agent: str | None = None
    project: str | None = None
    user: str | None = None
    model: str | None = None
    session_id: str | None = None
    since: int | None = None
    until: int | None = None
