"""Change memories so that the change can be taken back, and take it back."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from app.core.lifecycle import Card, Edit, Kind, Proposal
from app.core.memory import Memory, content_of
from app.core.values import value


@value
class Step:
    """One edit to be made, and the memory as it was when that was decided."""

    seen: Card
    edit: Edit
    proposal: Proposal


@value
class Deed:
    """What one memory was and became, as plain data by field."""

    memory_id: str
    reason: str
    path: str | None
    agent: str | None
    source: str | None
    target: str | None
    before: Mapping[str, Any]
    after: Mapping[str, Any]


@value
class Action:
    """A set of changes that were made together, and are taken back together."""

    id: str
    kind: Kind
    created_at: int
    deeds: Sequence[Deed]
    undone_at: int | None = None


def steps_of(proposals: Sequence[Proposal], cards: Mapping[str, Card]) -> list[Step]:
    """The edits of proposals, the first where several are about one memory."""
    steps: dict[str, Step] = {}
    for proposal in proposals:
        for edit in proposal.edits:
            step = Step(seen=cards[edit.memory_id], edit=edit, proposal=proposal)
            steps.setdefault(edit.memory_id, step)
    return list(steps.values())


def is_as_seen(memory: Memory, card: Card) -> bool:
    """Whether a memory still is what a decision was made about."""
    return (
        memory.state == "active"
        and (memory.project, memory.agent, memory.scope, memory.path)
        == (card.project, card.agent, card.scope, card.path)
        and content_of(memory.text) == card.content
    )


def do(memory: Memory, step: Step, now: int) -> tuple[Memory, Deed]:
    """The memory as a step makes it, and what that changes. New metadata joins what there is."""
    fields = dict(step.edit.fields)
    if "metadata" in fields:
        fields["metadata"] = {**memory.metadata, **fields["metadata"]}
    if "state" in fields:
        fields["state_at"] = now
    after = replace(memory, **fields)
    deed = Deed(
        memory_id=memory.id,
        reason=step.proposal.reason,
        path=memory.path,
        agent=memory.agent,
        source=_source(step, memory),
        target=_target(step, after),
        before=_data(memory, fields),
        after=_data(after, fields),
    )
    return after, deed


def undo(memory: Memory | None, deed: Deed) -> Memory | None:
    """The memory as it was before; None if it is not any more what the deed made of it."""
    if memory is None or _data(memory, deed.after) != dict(deed.after):
        return None
    fields = dict(deed.before)
    if "used_by_agents" in fields:
        fields["used_by_agents"] = tuple(fields["used_by_agents"])
    return replace(memory, **fields)


def _data(memory: Memory, names: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a memory as JSON has them."""
    data = {name: getattr(memory, name) for name in names}
    return {name: list(one) if isinstance(one, tuple) else one for name, one in data.items()}


def _source(step: Step, memory: Memory) -> str | None:
    return memory.state if "state" in step.edit.fields else step.proposal.source


def _target(step: Step, after: Memory) -> str | None:
    return after.state if "state" in step.edit.fields else step.proposal.target
