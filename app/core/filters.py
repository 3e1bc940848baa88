"""Say which rows a list, a summary or a deletion is about."""

from dataclasses import dataclass

from app.core.memory import State


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
    run_id: str | None = None
    since: int | None = None
    until: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryFilter:
    """Which memories to look at; moments in microseconds since 1970."""

    workspace: str
    project: str | None = None
    agent: str | None = None
    scope: str | None = None
    is_default_scope: bool = False
    """Whether memories without a scope count as of this one."""
    state: State | None = None
    """None: active and archived."""
    since: int | None = None
    until: int | None = None
