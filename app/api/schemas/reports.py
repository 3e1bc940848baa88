"""Say how reports are listed and answered."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from app.core.report_data import to_data
from app.core.reports import Chart, Figure, Kind, Report, Table, Todo
from app.core.windows import moment
from app.flows.reports import Line


class ReportLine(BaseModel):
    """A report in a list."""

    id: str
    workspace: str
    kind: Kind
    period: str = Field(
        description="The day (2026-11-21), ISO week (2026-W47) or month (2026-11) it was due in;"
        " a moment if somebody asked for it."
    )
    title: str
    created_at: datetime


class SectionOut(BaseModel):
    """A part of a report."""

    key: str = Field(description="Such as `usage`, `health`, `outcomes`.")
    title: str
    text: str
    figures: list[Figure]
    charts: list[Chart]
    tables: list[Table]
    data: dict[str, Any] | None = Field(description="The same for programs, where there is more.")


class ReportFull(ReportLine):
    """A report: what to do first, then sections of text, figures, charts and tables."""

    since: datetime
    until: datetime
    todo: list[Todo] = Field(description="At most three, the most worthwhile first.")
    calm: str = Field(description="Why there is nothing to do, where there is nothing.")
    sections: list[SectionOut]


def line_out(line: Line) -> dict[str, Any]:
    """A line of the list as it is answered."""
    return {
        "id": line.id,
        "workspace": line.workspace,
        "kind": line.kind,
        "period": line.period,
        "title": line.title,
        "created_at": moment(line.created_at),
    }


def report_out(report: Report) -> Mapping[str, Any]:
    """A report as it is answered: its moments as times."""
    data = to_data(report)
    for name in ("since", "until", "created_at"):
        data[name] = moment(data[name])
    return data
