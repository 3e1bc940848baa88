"""A report as values: what to do first, then sections of text, figures, tables and bars.

It knows nothing of jobs or of how it is shown: it is kept as JSON, and drawn as Markdown or HTML.
"""

from collections.abc import Mapping
from typing import Any, Literal

from app.core.values import value

Kind = Literal["daily", "weekly", "monthly", "comprehensive", "needs"]

Shown = str | int | float | None
"""A value of a table; how it is written is the column's unit."""

Unit = Literal[
    "text", "count", "tokens", "percent", "usd", "seconds", "score", "date", "figure", "prose"
]
"""`percent` is 0-100, `usd` a decimal string, `date` RFC 3339, `figure` a number that is written
already, with its unit, `prose` a text that is not cut; null where there is nothing."""


@value
class Todo:
    """One thing to do."""

    title: str
    why: str
    how: str
    """A command that can be typed, or what to send where."""
    weight: float
    """What it is worth beside others: tokens a week, or what stands for them."""


@value
class Figure:
    """One number that matters."""

    label: str
    value: Shown
    unit: Unit
    low: float | None = None
    """The interval that holds it with 95 % confidence, where one is known."""
    high: float | None = None
    note: str = ""


@value
class Column:
    """A column of a table."""

    name: str
    unit: Unit = "text"


@value
class Table:
    """Rows under columns."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Shown, ...], ...]
    more: int = 0
    """Rows left out."""
    title: str = ""


@value
class Bar:
    """One bar: a value, and perhaps a mark to compare it with (a budget, a limit)."""

    label: str
    value: float
    mark: float | None = None


@value
class Chart:
    """Bars of one unit."""

    title: str
    unit: Unit
    bars: tuple[Bar, ...]


@value
class Section:
    """A part of a report."""

    key: str
    title: str
    text: str = ""
    figures: tuple[Figure, ...] = ()
    charts: tuple[Chart, ...] = ()
    tables: tuple[Table, ...] = ()
    data: Mapping[str, Any] | None = None
    """The same for programs, where tables would lose something; plain JSON."""


@value
class Part:
    """What one piece of work adds to a report."""

    sections: tuple[Section, ...] = ()
    todo: tuple[Todo, ...] = ()
    """Things that could be done; the report takes the most worthwhile."""
    glance: tuple[Figure, ...] = ()
    """Figures for the row that is read first."""


@value
class Report:
    """What a job, or someone who asked, found out about a workspace."""

    id: str
    workspace: str
    kind: Kind
    period: str
    """The day (2026-11-21), ISO week (2026-W47) or month (2026-11) it was due in; a moment if
    somebody asked for it."""
    title: str
    since: int
    """Microseconds since 1970; it is about `since` ≤ t < `until`."""
    until: int
    created_at: int
    todo: tuple[Todo, ...]
    """What to do first, the most worthwhile before the others; at most three."""
    sections: tuple[Section, ...]
    calm: str = ""
    """Why there is nothing to do, where there is nothing."""
