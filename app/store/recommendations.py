"""Keep recommendations: one of each agent and period, and what became of it."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Row, and_, or_, select, update

from app.core.errors import NotFound
from app.core.policy_changes import Edit
from app.core.policy_documents import DEFAULT_WORKSPACE, Document, Layer, layers_for
from app.core.recommendation_changes import application, require_open, stated_in, take_back
from app.core.recommendation_data import COLUMNS, to_document, to_recommendation
from app.core.recommendations import Deed, Recommendation
from app.core.values import value
from app.store import policies
from app.store.database import Tx, dumps, in_chunks
from app.store.policy_changes import change
from app.store.tables import recommendations, workspaces

_REPLACE_OPEN = (
    'ON CONFLICT ("workspace", "period", "agent") DO UPDATE SET'
    " window_days = excluded.window_days, created_at = excluded.created_at,"
    " document = excluded.document WHERE recommendations.status = 'open'"
)


@value
class Wanted:
    """Which recommendations to list."""

    workspace: str
    status: str | None = None
    agents: tuple[str, ...] | None = None
    """Full names; None: everybody's."""
    window_days: int | None = None


@value
class Draft:
    """A recommendation, and the row that it is kept as: made before the transaction that others
    wait for."""

    one: Recommendation
    row: tuple[Any, ...]


def draft(one: Recommendation) -> Draft:
    """A recommendation that may be kept."""
    return Draft(one=one, row=_row(one))


def keep(tx: Tx, workspace: str, made: Sequence[Draft]) -> list[Recommendation]:
    """Store recommendations of one run; as they stand then.

    Those of the same period that are open are replaced and keep their ids, those decided stay. Of
    each agent's open ones that whose window ends last stays open; the others are superseded.
    """
    if not made:
        return []
    drafts = sorted(made, key=lambda draft: draft.one.agent)
    _lock(tx, workspace)
    tx.insert_many(recommendations, [draft.row for draft in drafts], tail=_REPLACE_OPEN)
    period = drafts[0].one.period
    places: defaultdict[str, list[tuple[int, int, str]]] = defaultdict(list)
    kept: list[Recommendation] = []
    by_id = {draft.one.id: draft.one for draft in drafts}
    for row in _to_compare(tx, workspace, [draft.one.agent for draft in drafts], period):
        own = by_id.get(row["id"])
        if row["period"] == period:
            kept.append(own or to_recommendation(row, json.loads(row["document"])))
        if row["status"] == "open":
            places[row["agent"]].append((int(row["until"]), row["created_at"], row["id"]))
    late = {id_ for its in places.values() for _, _, id_ in sorted(its)[:-1]}
    _supersede(tx, workspace, late)
    kept = [replace(one, status="superseded") if one.id in late else one for one in kept]
    return sorted(kept, key=lambda one: one.agent)


def _lock(tx: Tx, workspace: str) -> None:
    """Let one run of a workspace be kept at a time, on every replica."""
    if not tx.is_sqlite:
        query = select(workspaces.c.tag).where(workspaces.c.workspace == workspace)
        tx.connection.execute(query.with_for_update())


def _supersede(tx: Tx, workspace: str, ids: Iterable[str]) -> None:
    for chunk in in_chunks(sorted(ids)):
        tx.fetch(
            f"UPDATE recommendations SET status = 'superseded' WHERE workspace = {tx.marks(1)}"
            f" AND id IN ({tx.marks(len(chunk), first=2)}) AND status = 'open'",
            [workspace, *chunk],
            returning="",
        )


def _to_compare(tx: Tx, workspace: str, agents: Iterable[str], period: str) -> list[dict[str, Any]]:
    """What is open of these agents, and all of the period."""
    found: list[tuple[Any, ...]] = []
    until = "json_extract(document, '$.until')" if tx.is_sqlite else "document::json ->> 'until'"
    for chunk in in_chunks(agents):
        here = f"workspace = {tx.marks(1)} AND agent IN ({tx.marks(len(chunk), first=2)})"
        mark = tx.marks(1, first=2 + len(chunk))
        for document, which in (
            ("document", f"period = {mark}"),
            ("NULL", f"period <> {mark} AND status = 'open'"),
        ):
            read = f"{', '.join(COLUMNS)}, {document}, {until}"
            query = f"SELECT {read} FROM recommendations WHERE {here} AND {which}"
            found += tx.fetch(query, [workspace, *chunk, period])
    names = (*COLUMNS, "document", "until")
    return [dict(zip(names, row, strict=True)) for row in found]


def get_recommendation(
    tx: Tx, workspace: str, id_: str, *, lock: bool = False
) -> Recommendation | None:
    """One by its id; `lock`: nobody else decides it until the commit."""
    table = recommendations.c
    query = select(recommendations).where(table.workspace == workspace, table.id == id_)
    if lock and not tx.is_sqlite:
        query = query.with_for_update()
    row = tx.connection.execute(query).one_or_none()
    return None if row is None else _read(row)


def list_recommendations(
    tx: Tx, wanted: Wanted, *, before: tuple[int, str] | None, limit: int
) -> list[Recommendation]:
    """Newest first; `before` is a cursor."""
    table = recommendations.c
    query = select(recommendations).where(table.workspace == wanted.workspace)
    if wanted.agents is not None:
        query = query.where(table.agent.in_(wanted.agents))
    if wanted.status is not None:
        query = query.where(table.status == wanted.status)
    if wanted.window_days is not None:
        query = query.where(table.window_days == wanted.window_days)
    if before is not None:
        at, id_ = before
        query = query.where(
            table.created_at <= at,
            or_(table.created_at < at, and_(table.created_at == at, table.id < id_)),
        )
    query = query.order_by(table.created_at.desc(), table.id.desc()).limit(limit)
    return [_read(row) for row in tx.connection.execute(query)]


def apply_one(
    tx: Tx, workspace: str, id_: str, *, shipped: Mapping[str, Document], now: int
) -> Recommendation:
    """Make the policy version that a recommendation proposes, and note it, together.

    Errors: NotFound, RecommendationNotOpen, RecommendationOutdated, NothingToApply, InvalidPolicy.
    """
    held = _require(tx, workspace, id_)
    require_open(held)
    own, below = _layers(tx, workspace, shipped)
    entry, edit = application(held, own, below)
    was_stated, before = stated_in(own, held.agent)
    version = _change(tx, held, edit, shipped, f"recommendation {id_}", now)
    deed = Deed(version=version, was_stated=was_stated, before=before, after=entry)
    return _decided(tx, replace(held, status="applied", decided_at=now, deed=deed))


def roll_back_one(
    tx: Tx, workspace: str, id_: str, *, shipped: Mapping[str, Document], now: int
) -> Recommendation:
    """Make the agent's assignment what it was before, in a new policy version.

    Errors: NotFound, RecommendationNotApplied, RecommendationOutdated, InvalidPolicy.
    """
    held = _require(tx, workspace, id_)
    own, _ = _layers(tx, workspace, shipped)
    edit = take_back(held, own)
    _change(tx, held, edit, shipped, f"rollback of {id_}", now)
    return _decided(tx, replace(held, status="rolled_back", decided_at=now))


def dismiss_one(tx: Tx, workspace: str, id_: str, *, now: int) -> Recommendation:
    """Note that nobody wants it. Errors: NotFound, RecommendationNotOpen."""
    held = _require(tx, workspace, id_)
    require_open(held)
    return _decided(tx, replace(held, status="dismissed", decided_at=now))


def unknown_recommendation() -> NotFound:
    """No such recommendation, in words."""
    return NotFound("No recommendation of this id; GET /recommendations lists them.")


def _require(tx: Tx, workspace: str, id_: str) -> Recommendation:
    held = get_recommendation(tx, workspace, id_, lock=True)
    if held is None:
        raise unknown_recommendation()
    return held


def _layers(
    tx: Tx, workspace: str, shipped: Mapping[str, Document]
) -> tuple[Document, tuple[Layer, ...]]:
    """What a workspace states itself, and the layers below that; nobody else changes them."""
    policies.lock(tx)
    found = policies.current(tx, {DEFAULT_WORKSPACE, workspace})
    own = found[workspace][1]
    stored = {name: document for name, (_, document) in found.items() if name != workspace}
    return own, layers_for(workspace, shipped=shipped, stored=stored)


def _change(
    tx: Tx,
    held: Recommendation,
    edit: Edit,
    shipped: Mapping[str, Document],
    source: str,
    now: int,
) -> int:
    (changed,) = change(tx, shipped, {held.workspace: edit}, source=source, now=now)
    return changed.version


def _decided(tx: Tx, held: Recommendation) -> Recommendation:
    table = recommendations.c
    tx.connection.execute(
        update(recommendations)
        .where(table.workspace == held.workspace, table.id == held.id)
        .values(status=held.status, decided_at=held.decided_at, document=dumps(to_document(held)))
    )
    return held


def _row(one: Recommendation) -> tuple[Any, ...]:
    return (
        one.workspace,
        one.id,
        one.agent,
        one.window_days,
        one.period,
        one.status,
        one.created_at,
        one.decided_at,
        dumps(to_document(one)),
    )


def _read(row: Row[Any]) -> Recommendation:
    columns = {name: row._mapping[name] for name in COLUMNS}
    return to_recommendation(columns, json.loads(row.document))
