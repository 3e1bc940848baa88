"""Learn from the lines of transcripts which sub-agent wrote a line, and what kind it is.

A session starts a sub-agent by a tool call that names its kind and gives it a prompt. How that is
linked to the sub-agent's lines has changed: by `agentId` in the call's result, by the call's id in
lines of progress, or by lines that begin with the prompt and name the line they follow.
"""

import hashlib
from collections.abc import Mapping, MutableMapping
from typing import Any, TypeVar

from app.core.logged import agent_of

SPAWNERS = frozenset({"Task", "Agent"})
"""Tools that start sub-agents; the second since 2026."""

REMEMBERED = 20_000
"""Links that are kept in memory, of each kind; the oldest are forgotten."""

Line = Mapping[str, Any]
K = TypeVar("K")
V = TypeVar("V")


class Links:
    """What the lines read so far say of sub-agents, in bounded memory."""

    def __init__(self, agents: MutableMapping[str, str]) -> None:
        """`agents`: kinds by `agentId`, shared by the files of an import."""
        self._agents = agents
        self._tasks: dict[str, str] = {}
        self._prompts: dict[bytes, str] = {}
        self._kinds: dict[str, str] = {}

    def by_id(self, agent_id: str | None) -> str | None:
        """The kind of the sub-agent that has an `agentId`."""
        return None if agent_id is None else self._agents.get(agent_id)

    def kind_of(self, line: Line) -> str | None:
        """What kind of sub-agent wrote a line, by the tool call or the line it answers."""
        started = self._tasks.get(str(line.get("parentToolUseID")))
        return started or self._kinds.get(str(line.get("parentUuid")))

    def learn(self, line: Line) -> None:
        """Note which sub-agents a line starts, ends or belongs to."""
        blocks = _blocks(line)
        for block in blocks:
            self._learn_start(block)
        result = line.get("toolUseResult")
        if isinstance(result, Mapping) and isinstance(result.get("agentId"), str):
            kind = agent_of(result.get("agentType"))
            for block in blocks:
                kind = kind or self._tasks.get(str(block.get("tool_use_id")))
            if kind is not None:
                _remember(self._agents, result["agentId"], kind)
        if line.get("isSidechain") is True:
            self._learn_side(line)

    def _learn_start(self, block: Line) -> None:
        given = block.get("input")
        if block.get("type") != "tool_use" or not isinstance(given, Mapping):
            return
        kind = agent_of(given.get("subagent_type")) if block.get("name") in SPAWNERS else None
        if kind is None:
            return
        if isinstance(block.get("id"), str):
            _remember(self._tasks, block["id"], kind)
        if isinstance(given.get("prompt"), str):
            _remember(self._prompts, _digest(given["prompt"]), kind)

    def _learn_side(self, line: Line) -> None:
        kind = self.kind_of(line)
        if kind is None and line.get("parentUuid") is None:
            prompt = _prompt(line)
            kind = None if prompt is None else self._prompts.get(_digest(prompt))
        if kind is None:
            return
        if isinstance(line.get("uuid"), str):
            _remember(self._kinds, line["uuid"], kind)
        if isinstance(line.get("agentId"), str):
            _remember(self._agents, line["agentId"], kind)


def _blocks(line: Line) -> list[Line]:
    message = line.get("message")
    content = message.get("content") if isinstance(message, Mapping) else None
    if not isinstance(content, list):
        return []
    return [block for block in content if isinstance(block, Mapping)]


def _prompt(line: Line) -> str | None:
    message = line.get("message")
    content = message.get("content") if isinstance(message, Mapping) else None
    if isinstance(content, list) and content and isinstance(content[0], Mapping):
        content = content[0].get("text")
    return content if isinstance(content, str) else None


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _remember(known: MutableMapping[K, V], key: K, value: V) -> None:
    known[key] = value
    if len(known) > REMEMBERED:
        del known[next(iter(known))]
