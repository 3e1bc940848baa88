"""Propose what should become of memories, and do it."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from app.core.duplicates import (
    MOST_SHINGLES,
    exact_duplicates,
    near_duplicates,
    near_groups,
    shingles_of,
)
from app.core.lifecycle import DAY_MICROS, Card, Edit, Kind, Proposal, archival, promotions
from app.core.lifecycle_actions import Deed, do, is_as_seen, steps_of
from app.core.memory import MemoryText, content_of, texts_of
from app.core.placement import REST_MICROS, budget_in, each_place, placements
from app.core.policybook import PolicyBook
from app.core.retention import WAY_BACK_DAYS, lapsed
from app.core.summaries import SUMMARY_MARK, SUMMARY_TOKENS_MARK, summaries, summarise
from app.core.values import value
from app.gateways.tokens import TokenCounter
from app.store.agents import list_workspaces
from app.store.database import Store, Tx
from app.store.lifecycle import (
    PURGED_AT_ONCE,
    Plan,
    Purge,
    cards,
    carry_out,
    list_actions,
    past_keeping,
    purge,
    read_texts,
)
from app.store.memories import get_memories
from app.store.shelf import PolicyShelf

MOST_STEPS = 4_000
"""Memories that one action changes: about a second in which nothing else is written."""

MOST_SUMMARIES = 500
"""Texts that one action cuts, at some milliseconds each."""

MOST_RESTING = 1_000
"""Actions looked at for memories that were moved within the last day."""


@value
class Asked:
    """What is to be proposed, and about which memories."""

    kind: Kind
    workspace: str
    project: str | None
    """None: of all projects and of none."""
    now: int
    near: bool = False
    """Whether near duplicates are looked for."""
    ids: Collection[str] | None = None
    """Memories whose proposals are meant; None: all."""


@value
class Report:
    """What is proposed, the most urgent first."""

    proposals: Sequence[Proposal]
    cards: Mapping[str, Card]
    uncompared: int
    """Texts that were too many to be compared for near duplicates."""


@value
class Applied:
    """What was done, or would be."""

    action_id: str | None
    """None: nothing was."""
    deeds: Sequence[Deed]
    left: int
    """Proposals that were too many for one action, and wait for the next."""
    purged: int = 0
    """Memories that were past keeping, and are removed for good."""


async def propose(store: Store, shelf: PolicyShelf, asked: Asked) -> Report:
    """What should become of the memories of a workspace, or of one project."""
    book = shelf.book(asked.workspace)
    return await store.read(lambda tx: _propose(tx, book, asked))


async def apply(
    store: Store,
    shelf: PolicyShelf,
    tokens: TokenCounter,
    asked: Asked,
    *,
    dry_run: bool,
    new_id: Callable[[str, str], str],
) -> Applied:
    """Do what is proposed, all of it in one transaction, and keep the way back.

    A memory that changes meanwhile is left alone. Retention also removes what nobody may want
    back any more.
    """
    book = shelf.book(asked.workspace)

    def decide(tx: Tx) -> tuple[Plan, int, list[Deed], int]:
        report = _propose(tx, book, asked)
        proposals = report.proposals
        if asked.kind == "summaries":
            proposals = _summarised(tx, asked.workspace, report, tokens)
        steps = steps_of(proposals, report.cards)
        plan = Plan(
            action_id=new_id("act", asked.workspace),
            kind=asked.kind,
            steps=steps[:MOST_STEPS],
            now=asked.now,
            texts=_new_texts(proposals, tokens),
        )
        left = len(steps) - len(plan.steps)
        return plan, left, *_foreseen(tx, book, asked, plan, dry_run=dry_run)

    plan, left, deeds, past = await store.read(decide)
    if dry_run:
        return Applied(action_id=None, deeds=deeds, left=left, purged=past)

    if plan.steps:
        action = await store.write(asked.workspace, carry_out, plan, weight=len(plan.steps))
        deeds = list(action.deeds)
    purged = await _purge(store, book, asked) if asked.kind == "retention" else 0
    action_id = plan.action_id if deeds else None
    return Applied(action_id=action_id, deeds=deeds, left=left, purged=purged)


async def apply_retention(
    store: Store,
    shelf: PolicyShelf,
    tokens: TokenCounter,
    *,
    now: int,
    new_id: Callable[[str, str], str],
) -> dict[str, Applied]:
    """Let every workspace's policy of retention act: what that came to, where it was anything."""
    done: dict[str, Applied] = {}
    for workspace in sorted(await store.read(list_workspaces)):
        asked = Asked(kind="retention", workspace=workspace, project=None, now=now)
        applied = await apply(store, shelf, tokens, asked, dry_run=False, new_id=new_id)
        if applied.deeds or applied.purged:
            done[workspace] = applied
    return done


async def _purge(store: Store, book: PolicyBook, asked: Asked) -> int:
    """Remove what is past keeping, some at a time, so that other writes get their turn."""
    total = 0
    for wanted in _purges(book, asked):
        purged = PURGED_AT_ONCE
        while purged == PURGED_AT_ONCE:
            purged = await store.write(asked.workspace, purge, wanted, weight=PURGED_AT_ONCE)
            total += purged
    return total


def _purges(book: PolicyBook, asked: Asked) -> list[Purge]:
    """What is past keeping, by each budget that says how long."""
    own = [asked.project] if asked.project is not None else sorted(book.projects)
    by_project = [
        Purge(retention=budget_in(book, name).retention, now=asked.now, project=name)
        for name in own
    ]
    if asked.project is not None:
        return by_project
    kept = budget_in(book, None).retention
    days = max(
        WAY_BACK_DAYS, *(one.retention.deleted_days for one in by_project), kept.deleted_days
    )
    rest = Purge(
        retention=kept,
        now=asked.now,
        but=tuple(own),
        actions_before=asked.now - days * DAY_MICROS,
    )
    return [*by_project, rest]


def _propose(tx: Tx, book: PolicyBook, asked: Asked) -> Report:
    workspace, project, now = asked.workspace, asked.project, asked.now
    rules = book.lifecycle
    projects = None if project is None else ("", project)
    found = cards(tx, workspace, projects=projects)
    own = found if project is None else [card for card in found if card.project == project]

    uncompared = 0
    if asked.kind == "promotions":
        proposals = [
            one
            for one in promotions(found, rules, only=asked.ids)
            if project in (None, one.project)
        ]
    elif asked.kind == "archival":
        proposals = archival(own, now, rules)
    elif asked.kind == "summaries":
        proposals = summaries(own, now, rules)
    elif asked.kind == "retention":
        proposals = each_place(book, own, lambda its, budget: lapsed(its, budget.retention, now))
    elif asked.kind == "placements":
        proposals = _placements(tx, book, own, asked)
    else:
        proposals = exact_duplicates(own)
        if asked.near:
            shingles, uncompared = _shingles(tx, workspace, own)
            proposals += near_duplicates(own, near_groups(shingles, near=rules.near_share))
    if asked.ids is not None:
        proposals = [one for one in proposals if one.memory_id in asked.ids]
    by_id = {card.id: card for card in own}
    return Report(proposals=proposals, cards=by_id, uncompared=uncompared)


def _placements(tx: Tx, book: PolicyBook, own: Sequence[Card], asked: Asked) -> list[Proposal]:
    recent = list_actions(
        tx,
        asked.workspace,
        kind="placements",
        since=asked.now - REST_MICROS,
        limit=MOST_RESTING,
    )
    resting = {deed.memory_id for action in recent for deed in action.deeds}
    return each_place(
        book,
        own,
        lambda its, budget: placements(its, budget, now=asked.now, resting=resting),
    )


def _shingles(
    tx: Tx, workspace: str, own: Sequence[Card]
) -> tuple[dict[bytes, frozenset[int]], int]:
    """What texts are compared by, as many as memory allows, and how many are left out."""
    contents = list(dict.fromkeys(card.content for card in own))
    found: dict[bytes, frozenset[int]] = {}
    held = 0
    for content, text in read_texts(tx, workspace, contents):
        shingles = shingles_of(text)
        held += len(shingles)
        if held > MOST_SHINGLES:
            break
        found[content] = shingles
    return found, len(contents) - len(found)


def _summarised(tx: Tx, workspace: str, report: Report, tokens: TokenCounter) -> list[Proposal]:
    """Proposals with the summaries that they are about; without those that cannot be cut."""
    wanted: defaultdict[bytes, list[Proposal]] = defaultdict(list)
    for one in report.proposals:
        wanted[report.cards[one.memory_id].content].append(one)
    done: list[Proposal] = []
    for content, text in read_texts(tx, workspace, wanted):
        if len(done) >= MOST_SUMMARIES:
            break
        summary = summarise(text, tokens.count)
        if summary is None:
            continue
        target = f"{tokens.count(summary)} tokens"
        mark = content_of(summary).hex()
        for one in wanted[content]:
            before = report.cards[one.memory_id].tokens
            fields = {
                "text": summary,
                "metadata": {SUMMARY_MARK: mark, SUMMARY_TOKENS_MARK: before},
            }
            edit = Edit(memory_id=one.memory_id, fields=fields)
            done.append(replace(one, edits=(edit,), target=target))
    return done


def _new_texts(proposals: Sequence[Proposal], tokens: TokenCounter) -> dict[bytes, MemoryText]:
    edits = (edit for one in proposals for edit in one.edits)
    return texts_of((e.fields["text"] for e in edits if "text" in e.fields), tokens.count_many)


def _foreseen(
    tx: Tx, book: PolicyBook, asked: Asked, plan: Plan, *, dry_run: bool
) -> tuple[list[Deed], int]:
    """What a plan would change, and how many memories would be removed for good."""
    if not dry_run:
        return [], 0
    held = get_memories(tx, asked.workspace, [step.edit.memory_id for step in plan.steps])
    deeds = [
        do(held[step.edit.memory_id], step, plan.now)[1]
        for step in plan.steps
        if step.edit.memory_id in held and is_as_seen(held[step.edit.memory_id], step.seen)
    ]
    past = 0
    if asked.kind == "retention":
        past = sum(len(past_keeping(tx, asked.workspace, one)) for one in _purges(book, asked))
    return deeds, past
