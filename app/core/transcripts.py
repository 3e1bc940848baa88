"""Turn the lines of a Claude Code transcript into usage events: one for each call of a model.

A transcript is JSON Lines. A call's answer is written in several lines, one for each block of
content, which share `message.id` and carry the call's `usage`; the counts of the last one are the
fullest. Resumed and forked sessions copy lines of others, and asides copy their parent's under
another `requestId`, so `message.id` alone tells calls apart, and an event's id is made from it.

Context is all that the model was sent: input, cache writes and cache reads. Sub-agents are lines
marked as a side chain, in their own file or between those of the session. Texts are not kept.
"""

import re
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from app.core.errors import InvalidRequest
from app.core.logged import agent_of, event_id, label_of, moment_of, name_of, nano_usd_of, tokens_of
from app.core.subagents import Links
from app.core.usage import MAX_TOKENS, UsageEvent
from app.core.windows import micros

SOURCE = "claude-code"
MAIN_AGENT = "claude-code"
SIDE_AGENT = "subagent"
"""The name of a sub-agent of which no line says what it is."""

SYNTHETIC = "<synthetic>"
"""The model of answers that Claude Code writes itself: errors, interruptions."""

SURE_ID = 16
"""Ids shorter than this are a gateway's, which may count from one in each session."""

HELD = 512
"""Calls of a file that wait for further lines; those of one call are near each other."""


@dataclass(frozen=True, slots=True)
class Logged:
    """An event, and the line (from 1) that says most of it."""

    line: int
    event: UsageEvent


@dataclass(slots=True)
class Held:
    """A call that may have further lines."""

    line: int
    event: UsageEvent
    is_side: bool
    agent: str | None
    agent_id: str | None
    is_settled: bool

    @property
    def fullness(self) -> tuple[Any, ...]:
        """Of several lines of a call the greatest counts, in whatever order they come."""
        event = self.event
        return (
            not self.is_side,
            event.output_tokens,
            event.used_tokens,
            event.at,
            event.cached_tokens,
            event.session_id or "",
            event.model or "",
            self.agent or "",
        )


class Transcript:
    """Reads one file line by line, in bounded memory."""

    def __init__(
        self,
        *,
        workspace: str,
        now: datetime,
        agents: MutableMapping[str, str] | None = None,
        is_side: bool = False,
        agent: str | None = None,
    ) -> None:
        """`agents`: names of sub-agents by their `agentId`, shared by the files of an import.

        `is_side`: the file is a sub-agent's, whose name is `agent` where something says so.
        """
        self._workspace = workspace
        self._now = now
        self._links = Links({} if agents is None else agents)
        self._is_side = is_side
        self._agent = agent_of(agent)
        self._project: str | None = None
        self._held: dict[str, Held] = {}
        self._open: dict[str, str] = {}

    def take(self, line: Any, number: int) -> Iterator[Logged]:
        """Read a line; yields calls that have no further lines.

        Errors: InvalidRequest if the line has the usage of a call and cannot be booked.
        """
        if not isinstance(line, Mapping):
            raise InvalidRequest("is no JSON object")
        inner = _progress(line)
        line = line if inner is None else inner
        if self._project is None:
            self._project = project_of(line.get("cwd"))
        self._links.learn(line)
        held = self._call(line, number)
        if held is not None:
            self._hold(held, _thread(line))
        while len(self._held) > HELD:
            yield self._finished(self._held.pop(next(iter(self._held))))

    def rest(self, *, is_over: bool) -> tuple[list[Logged], int]:
        """What is left at the end of the file, and how many calls are still being written.

        `is_over`: nothing will be added. Else the last call of each thread waits for the next
        import, unless its answer says why it stopped.
        """
        ready = [held for held in self._held.values() if is_over or held.is_settled]
        waiting = len(self._held) - len(ready)
        self._held.clear()
        return [self._finished(held) for held in ready], waiting

    def _hold(self, held: Held, thread: str) -> None:
        id_ = held.event.id
        before = self._open.get(thread)
        if before != id_:
            if before in self._held:
                self._held[before].is_settled = True
            self._open[thread] = id_
        twin = self._held.get(id_)
        if twin is not None:
            settled = twin.is_settled or held.is_settled
            held = max(twin, held, key=lambda one: one.fullness)
            held.is_settled = settled
        self._held[id_] = held

    def _finished(self, held: Held) -> Logged:
        """The event of a call, under the name of its agent as far as it is known by now."""
        if not held.is_side:
            return Logged(held.line, replace(held.event, project=self._project))
        agent = held.agent or self._links.by_id(held.agent_id) or SIDE_AGENT
        return Logged(held.line, replace(held.event, agent=agent, project=self._project))

    def _call(self, line: Mapping[str, Any], number: int) -> Held | None:
        """The call that a line tells of; None if it tells of none that was sent to a model."""
        message = line.get("message")
        usage = message.get("usage") if isinstance(message, Mapping) else None
        if not isinstance(message, Mapping) or not isinstance(usage, Mapping):
            return None
        if line.get("type", "assistant") != "assistant" or line.get("isApiErrorMessage") is True:
            return None
        if message.get("model") == SYNTHETIC:
            return None
        event = self._event(line, message, usage)
        if event is None:
            return None
        agent_id = label_of(line.get("agentId"))
        named = agent_of(line.get("attributionAgent"))
        is_side = self._is_side or line.get("isSidechain") is True or named is not None
        return Held(
            line=number,
            event=event,
            is_side=is_side,
            agent=named or self._agent or self._links.kind_of(line),
            agent_id=agent_id,
            is_settled=isinstance(message.get("stop_reason"), str),
        )

    def _event(
        self, line: Mapping[str, Any], message: Mapping[str, Any], usage: Mapping[str, Any]
    ) -> UsageEvent | None:
        written = tokens_of(usage.get("cache_creation_input_tokens"), "cache_creation_input_tokens")
        read = tokens_of(usage.get("cache_read_input_tokens"), "cache_read_input_tokens")
        context = tokens_of(usage.get("input_tokens"), "input_tokens") + written + read
        output = tokens_of(usage.get("output_tokens"), "output_tokens")
        if context > MAX_TOKENS:
            raise InvalidRequest(f"the context is more than {MAX_TOKENS:,} tokens")
        if not context and not output:
            return None
        session = label_of(line.get("sessionId"))
        return UsageEvent(
            id=_identity(line, message, session),
            workspace=self._workspace,
            at=micros(moment_of(line.get("timestamp"), "timestamp", self._now)),
            agent=MAIN_AGENT,
            used_tokens=context,
            needed_tokens=context,
            session_id=session,
            run_id=label_of(line.get("agentId")),
            model=label_of(message.get("model")),
            input_tokens=context,
            output_tokens=output,
            cached_tokens=read,
            cache_write_tokens=written,
            cache_write_1h_tokens=_kept_for_an_hour(usage, written),
            cost_nano_usd=nano_usd_of(line.get("costUSD"), "costUSD"),
            metadata={"source": SOURCE},
        )


def _kept_for_an_hour(usage: Mapping[str, Any], written: int) -> int | None:
    """Of the tokens written to a cache those that are kept for an hour, and cost more."""
    kinds = usage.get("cache_creation")
    if not isinstance(kinds, Mapping):
        return None
    name = "ephemeral_1h_input_tokens"
    return min(written, tokens_of(kinds.get(name), name))


def is_line(line: Mapping[str, Any]) -> bool:
    """Whether something is a line of a transcript."""
    if not isinstance(line.get("type"), str):
        return False
    return bool(line.keys() & {"sessionId", "leafUuid", "parentUuid", "isSnapshotUpdate"})


def project_of(cwd: Any) -> str | None:
    """The name of the folder that a session works in, never its path."""
    return name_of(re.split(r"[/\\]", cwd.rstrip("/\\"))[-1]) if isinstance(cwd, str) else None


def _identity(line: Mapping[str, Any], message: Mapping[str, Any], session: str | None) -> str:
    given = message.get("id")
    if isinstance(given, str) and given:
        return event_id(SOURCE, given, *([] if len(given) >= SURE_ID else [session or ""]))
    for name in ("requestId", "uuid"):
        given = line.get(name)
        if isinstance(given, str) and given:
            return event_id(SOURCE, given, name)
    raise InvalidRequest("has neither message.id nor requestId nor uuid to be told apart by")


def _thread(line: Mapping[str, Any]) -> str:
    """Whose lines follow each other: the session's, or one sub-agent's."""
    if isinstance(line.get("agentId"), str):
        return f"agent {line['agentId']}"
    return "side" if line.get("isSidechain") is True else "main"


def _progress(line: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The sub-agent's line that a line of progress carries, with what surrounds it."""
    data = line.get("data")
    if not isinstance(data, Mapping) or data.get("type") != "agent_progress":
        return None
    inner = data.get("message")
    if not isinstance(inner, Mapping) or not isinstance(inner.get("message"), Mapping):
        return None
    outer = {name: line.get(name) for name in ("sessionId", "cwd", "timestamp", "parentToolUseID")}
    return {**outer, **inner, "isSidechain": True, "agentId": data.get("agentId")}
