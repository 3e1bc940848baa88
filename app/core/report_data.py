"""Write a report as plain data that JSON can keep, and read it back."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from app.core.reports import Bar, Chart, Column, Figure, Report, Section, Table, Todo

Data = Mapping[str, Any]


def to_data(report: Report) -> dict[str, Any]:
    """The report as dicts, lists and plain values."""
    return asdict(report)


def from_data(data: Data) -> Report:
    """The report of what `to_data` wrote, after a way through JSON too."""
    return Report(
        **{name: data[name] for name in _PLAIN},
        todo=tuple(Todo(**one) for one in data["todo"]),
        sections=tuple(map(_section, data["sections"])),
    )


_PLAIN = ("id", "workspace", "kind", "period", "title", "since", "until", "created_at", "calm")


def _section(data: Data) -> Section:
    return Section(
        key=data["key"],
        title=data["title"],
        text=data["text"],
        figures=tuple(Figure(**one) for one in data["figures"]),
        charts=tuple(map(_chart, data["charts"])),
        tables=tuple(map(_table, data["tables"])),
        data=data["data"],
    )


def _chart(data: Data) -> Chart:
    return Chart(
        title=data["title"], unit=data["unit"], bars=tuple(Bar(**one) for one in data["bars"])
    )


def _table(data: Data) -> Table:
    return Table(
        columns=tuple(Column(**one) for one in data["columns"]),
        rows=tuple(tuple(row) for row in data["rows"]),
        more=data["more"],
        title=data["title"],
    )
