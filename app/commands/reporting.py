"""Show what agents need: in the terminal, or as HTML, Markdown or JSON."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import httpx
from rich.bar import Bar
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.commands.service import ask
from app.core.report_text import shown

Form = Literal["html", "markdown", "json", "table"]

TYPES: Mapping[Form, str] = {
    "html": "text/html",
    "markdown": "text/markdown",
    "json": "application/json",
    "table": "application/json",
}
BAR_WIDTH = 24
WIDE, NARROW = 120, 96
LONGEST_NAME = 28
SHOWN = 20


async def fetch(
    client: httpx.AsyncClient, form: Form, *, workspace: str, days: float | None
) -> bytes:
    """The report as the service writes it."""
    params: dict[str, Any] = {"workspace": workspace} | ({} if days is None else {"days": days})
    response = await ask(
        client, "GET", "/reports/needs", params=params, headers={"Accept": TYPES[form]}
    )
    return response.content


def show(content: bytes, out: Console) -> None:
    """The report, given as JSON, as a table with bars, and what to do first."""
    report: Mapping[str, Any] = json.loads(content)
    glance, about, *_ = report["sections"]
    figures = [
        f"{one['label'].lower()} {shown(one['value'], one['unit'])}" for one in glance["figures"]
    ]
    out.print(Text(f"{report['title']} ({', '.join(figures)})", style="bold"))
    agents = about["data"]["agents"]
    if not agents:
        out.print(Text(about["text"]), soft_wrap=True)
        return
    out.print(_table(agents, out.width))
    if len(agents) > SHOWN:
        out.print(f"… and {len(agents) - SHOWN:,} more agents: --json has all of them")
    for number, todo in enumerate(report["todo"], 1):
        out.print(Text(f"\n{number}. {todo['title']}", style="bold"))
        out.print(Text(todo["why"]))
        out.print(Text(todo["how"]), soft_wrap=True)
    if report["calm"]:
        out.print(Text(report["calm"]))


def _table(agents: Sequence[Mapping[str, Any]], width: int) -> Table:
    """A row for each agent; bars where the terminal has room for them."""
    most = max(one["tokens"]["p95"] for one in agents) or 1
    has_bars = width >= WIDE
    table = Table(box=None, pad_edge=False)
    table.add_column("agent", overflow="ellipsis", no_wrap=True, max_width=LONGEST_NAME)
    quantities = ("median", "p95", "max") if width >= NARROW else ("p95",)
    for heading in ("runs", *quantities):
        table.add_column(heading, justify="right", no_wrap=True)
    if has_bars:
        table.add_column("", width=BAR_WIDTH)
    table.add_column("profile that fits")
    for heading in ("short", "saved"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in agents[:SHOWN]:
        tokens = one["tokens"]
        table.add_row(
            Text(one["agent"] or "(none)"),
            *(shown(one["runs"], "count"), *(shown(tokens[n], "tokens") for n in quantities)),
            *([Bar(most, 0, tokens["p95"], width=BAR_WIDTH)] if has_bars else []),
            Text(_fitting(one)),
            shown(None if one["short"] is None else 100 * one["short_rate"], "percent"),
            shown(one["tokens_saved"], "tokens"),
        )
    return table


def _fitting(one: Mapping[str, Any]) -> str:
    if one["runs_missing"]:
        return f"({one['runs_missing']} more runs to say)"
    if one["profile"] is None:
        return f"none: one of {one['own_base']:,}"
    return f"{one['profile']} ({one['budget']:,})"
