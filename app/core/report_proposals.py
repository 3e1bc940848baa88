"""Say in a report what could be done for the memories: promotions, duplicates, the archive."""

from collections.abc import Mapping, Sequence

from app.core.lifecycle import Card, Kind, Proposal, age_days
from app.core.report_commands import of_workspace, post
from app.core.reports import Column, Figure, Part, Section, Table, Todo
from app.core.values import value

MOST_ROWS = 10
"""Proposals that are shown; `/memories/lifecycle/…` has all."""


@value
class Found:
    """What could be done for the memories of a workspace, of one kind."""

    kind: Kind
    proposals: Sequence[Proposal]
    cards: Mapping[str, Card]
    uncompared: int = 0


_TITLES: Mapping[str, tuple[str, str]] = {
    "promotions": (
        "Promotions",
        "Agents' memories that others need too: used often, sure, or used by several agents.",
    ),
    "duplicates": (
        "Duplicates",
        "Equal and nearly equal texts that are kept more than once; of each set the first stays.",
    ),
    "archival": (
        "Ripe for the archive",
        "Memories that nobody has used for half a year, and few ever did.",
    ),
}

_NONE: Mapping[str, str] = {
    "promotions": "No agent's memory is used so often, so sure or by so many that all need it.",
    "duplicates": "No text is kept twice.",
    "archival": "No memory is old and unused enough for the archive.",
}


def proposals_part(found: Found, *, now: int, workspace: str) -> Part:
    """What is proposed of one kind: how much, and the most urgent."""
    title, text = _TITLES[found.kind]
    freed = freed_by(found.proposals, found.cards)
    at_once = found.proposals if found.kind != "duplicates" else equal_only(found)
    applicable = len({edit.memory_id for one in at_once for edit in one.edits})
    figures = [Figure(label="Proposals", value=len(found.proposals), unit="count")]
    if found.kind != "promotions":
        figures.append(Figure(label="Tokens that would be freed", value=freed, unit="tokens"))
    if found.uncompared:
        figures.append(
            Figure(
                label="Texts not compared", value=found.uncompared, unit="count", note="too many"
            )
        )
    section = Section(
        key=found.kind,
        title=title,
        text=text if found.proposals else _NONE[found.kind],
        figures=tuple(figures) if found.proposals or found.uncompared else (),
        tables=(_proposals(found, now),) if found.proposals else (),
        data={"count": len(found.proposals), "applicable": applicable, "freed_tokens": freed},
    )
    todo = _proposals_todo(found.kind, at_once, found.cards, workspace=workspace)
    return Part(sections=(section,), todo=todo)


def freed_by(proposals: Sequence[Proposal], cards: Mapping[str, Card]) -> int:
    """Tokens of the memories that applying would take away."""
    return sum(cards[id_].tokens for id_ in _gone(proposals) if id_ in cards)


def equal_only(found: Found) -> list[Proposal]:
    """The sets of equal texts: what is applied unless near duplicates are asked for too."""
    return [
        one
        for one in found.proposals
        if len({found.cards[id_].content for id_ in one.ids if id_ in found.cards}) == 1
    ]


def _gone(proposals: Sequence[Proposal]) -> set[str]:
    return {
        edit.memory_id
        for one in proposals
        for edit in one.edits
        if edit.fields.get("state") in ("archived", "deleted")
    }


def _proposals(found: Found, now: int) -> Table:
    rows = []
    for one in found.proposals[:MOST_ROWS]:
        card = found.cards[one.memory_id]
        rows.append(
            (
                one.path or one.memory_id,
                one.agent,
                one.score,
                card.tokens,
                age_days(card, now),
                one.reason,
            )
        )
    return Table(
        title="The first ten" if len(found.proposals) > MOST_ROWS else "",
        columns=(
            Column(name="Memory"),
            Column(name="Agent"),
            Column(name="Score", unit="score"),
            Column(name="Tokens", unit="tokens"),
            Column(name="Days unused", unit="count"),
            Column(name="Why", unit="prose"),
        ),
        rows=tuple(rows),
        more=max(0, len(found.proposals) - MOST_ROWS),
    )


def _proposals_todo(
    kind: Kind, proposals: Sequence[Proposal], cards: Mapping[str, Card], *, workspace: str
) -> tuple[Todo, ...]:
    """Applying what can be taken back, where that is worth it."""
    freed, gone = freed_by(proposals, cards), len(_gone(proposals))
    how = post(f"/memories/lifecycle/{kind}/apply", workspace=of_workspace(workspace))
    undo = "It can be taken back by the action_id of the answer."
    if kind == "promotions":
        edits = sum(1 for one in proposals if one.edits)
        if not edits:
            return ()
        best = proposals[0]
        why = (
            "They are used so often, so sure or by so many that the other agents should have"
            f" them, first of all {best.path or best.memory_id} ({best.reason}). {undo}"
        )
        title = f"Make {memories(edits)} of agents everybody's"
        return (Todo(title=title, why=why, how=how, weight=float(edits)),)
    if not freed:
        return ()
    if kind == "duplicates":
        title = f"Keep one of each text: {gone:,} {'copy' if gone == 1 else 'copies'} can go"
        why = f"The same texts are kept more than once: {freed:,} tokens that say nothing new."
    else:
        title = f"Archive {memories(gone)}"
        why = f"Nobody has used them for half a year; {freed:,} tokens would be out of the way."
    return (Todo(title=title, why=f"{why} {undo}", how=how, weight=float(freed)),)


def memories(number: int) -> str:
    """A number of memories in words."""
    return f"{number:,} {'memory' if number == 1 else 'memories'}"
