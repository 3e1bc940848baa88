"""Keep reports: one of each kind and period in a workspace."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, Select, and_, cast, func, or_, select
from sqlalchemy.dialects.postgresql import JSON

from app.core.report_data import from_data, to_data
from app.core.reports import Kind, Report
from app.core.values import value
from app.store.database import Tx, dumps
from app.store.tables import reports


@value
class Line:
    """A report in a list, without what it says."""

    id: str
    workspace: str
    kind: Kind
    period: str
    title: str
    created_at: int


@value
class Wanted:
    """Which reports to list; moments in microseconds, of when they were made."""

    workspace: str
    kind: Kind | None = None
    since: int | None = None
    until: int | None = None


@value
class Draft:
    """A report as it is kept: written out before the transaction that others wait for."""

    kind: Kind
    period: str
    row: tuple[Any, ...]


def draft(report: Report) -> Draft:
    """A report that may be kept."""
    return Draft(kind=report.kind, period=report.period, row=_row(report))


def add_reports(tx: Tx, workspace: str, batches: Sequence[Sequence[Draft]]) -> list[list[Line]]:
    """Store reports; where one of the kind and period is there it stays, and nothing is stored.

    The reports that are there now, as lines, in the order given.
    """
    rows = [report.row for batch in batches for report in batch]
    tx.insert_many(reports, rows, tail="ON CONFLICT DO NOTHING")
    return [
        [
            line
            for report in batch
            if (line := _line_of(tx, workspace, report.kind, report.period)) is not None
        ]
        for batch in batches
    ]


def find_report(tx: Tx, workspace: str, kind: Kind, period: str) -> Report | None:
    """The report of a kind and period."""
    sql = f"SELECT document FROM reports WHERE {_of_period(tx)}"
    rows = tx.fetch(sql, [workspace, kind, period])
    return next((from_data(json.loads(document)) for (document,) in rows), None)


def get_report(tx: Tx, workspace: str, id_: str) -> Report | None:
    """One report by its id."""
    table = reports.c
    query = select(reports).where(table.workspace == workspace, table.id == id_)
    row = tx.connection.execute(query).one_or_none()
    return None if row is None else _to_core(row)


def list_reports(
    tx: Tx, wanted: Wanted, *, before: tuple[int, str] | None, limit: int
) -> list[Line]:
    """Reports newest first; `before` is a cursor of creation time and id."""
    table = reports.c
    query = _lines(tx).where(table.workspace == wanted.workspace)
    if wanted.kind is not None:
        query = query.where(table.kind == wanted.kind)
    if wanted.since is not None:
        query = query.where(table.created_at >= wanted.since)
    if wanted.until is not None:
        query = query.where(table.created_at < wanted.until)
    if before is not None:
        at, id_ = before
        query = query.where(
            table.created_at <= at,
            or_(table.created_at < at, and_(table.created_at == at, table.id < id_)),
        )
    query = query.order_by(table.created_at.desc(), table.id.desc()).limit(limit)
    return [Line(**row._mapping) for row in tx.connection.execute(query)]


def _line_of(tx: Tx, workspace: str, kind: Kind, period: str) -> Line | None:
    title = "json_extract(document, '$.title')" if tx.is_sqlite else "document::json ->> 'title'"
    sql = f"SELECT id, {title}, created_at FROM reports WHERE {_of_period(tx)}"
    for id_, said, at in tx.fetch(sql, [workspace, kind, period]):
        return Line(
            id=id_, workspace=workspace, kind=kind, period=period, title=said, created_at=at
        )
    return None


def _of_period(tx: Tx) -> str:
    workspace, kind, period = (tx.marks(1, first=number) for number in range(1, 4))
    return f"workspace = {workspace} AND kind = {kind} AND period = {period}"


def _lines(tx: Tx) -> Select[Any]:
    """What lists show; of the document only the title is taken out of the database."""
    table = reports.c
    title = (
        func.json_extract(table.document, "$.title")
        if tx.is_sqlite
        else cast(table.document, JSON)["title"].astext
    )
    return select(
        table.id, table.workspace, table.kind, table.period, title.label("title"), table.created_at
    )


def _row(report: Report) -> tuple[Any, ...]:
    return (
        report.workspace,
        report.id,
        report.kind,
        report.period,
        report.created_at,
        dumps(to_data(report)),
    )


def _to_core(row: Row[Any]) -> Report:
    return from_data(json.loads(row.document))
