"""Carry usage logs, policy files and memories into the service, and its books out of it."""

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import httpx
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.api.schemas.usage_lines import read_line
from app.commands import calls, memories
from app.commands.parts import Part, Source, open_source, parts
from app.commands.progress import progress
from app.commands.service import ask, refuse
from app.commands.sink import sink
from app.commands.trouble import MISUSED, Trouble
from app.core.errors import DomainError
from app.core.windows import micros

NAMED_LINES = 100
MAX_POLICY = 4 * 1024 * 1024

What = Literal["usage", "config", "allocations", "memories"]
Format = Literal["json", "jsonl", "csv", "yaml"]

Reach = Callable[[], AbstractAsyncContextManager[httpx.AsyncClient]]

FORMATS: dict[What, tuple[Format, ...]] = {
    "usage": ("jsonl", "csv"),
    "config": ("json", "yaml"),
    "allocations": ("json", "jsonl", "csv"),
    "memories": ("jsonl", "json"),
}
"""What each export can be written as; the first unless asked otherwise."""


@dataclass(slots=True)
class Tally:
    """What became of a usage log."""

    imported: int = 0
    duplicates: int = 0
    refused: int = 0
    named: list[tuple[int, str]] = field(default_factory=list)
    """Lines that were refused, with the reason: the first hundred."""

    def add(self, part: Part, report: dict[str, Any]) -> None:
        """Take in the report on a part."""
        self.imported += report["imported"]
        self.duplicates += report["duplicates"]
        self.refused += report["refused_count"]
        for one in report["refused"][: NAMED_LINES - len(self.named)]:
            self.named.append((part.first_line - 1 + one["line"], one["reason"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How to import."""

    workspace: str
    replace: bool
    dry_run: bool
    now: datetime
    project: str | None = None
    """Of memories."""


async def import_all(
    reach: Reach, names: Sequence[str], wanted: Wanted, *, out: Console, screen: Console
) -> bool:
    """Import files in their order and report on each; whether nothing was refused.

    Logs of calls come last and together: policy, and links between them, are known by then.
    """
    logs: list[calls.File] = []
    called = calls.Tally()
    complete = True
    async with AsyncExitStack() as stack:
        opened: list[httpx.AsyncClient] = []

        async def client() -> httpx.AsyncClient:
            if not opened:
                opened.append(await stack.enter_async_context(reach()))
            return opened[0]

        for name in names:
            if calls.is_folder(name):
                logs += calls.find(name, called)
                continue
            with open_source(name) as source:
                if source.is_empty:
                    _say(out, f"{source.name} is empty")
                    complete = False
                    continue
                if wanted.replace and source.kind not in ("policy", "memories"):
                    raise Trouble(
                        f"{name}: --replace is for policy files and memories.", code=MISUSED
                    )
                if source.kind not in calls.KINDS:
                    complete = await _import_one(client, source, wanted, out, screen) and complete
                elif name == "-":
                    booking = await _booking(client, wanted, called)
                    await calls.import_stream(booking, source, called, now=wanted.now)
                else:
                    logs.append(calls.measured(name))
        if logs:
            booking = await _booking(client, wanted, called)
            await calls.import_files(booking, logs, called, now=wanted.now, screen=screen)
        if logs or called.files or called.refused:
            for line in calls.describe(called, dry_run=wanted.dry_run):
                _say(out, line)
    return complete and not called.refused


Client = Callable[[], Awaitable[httpx.AsyncClient]]
"""Reaches the service when something needs it."""


async def _booking(client: Client, wanted: Wanted, tally: calls.Tally) -> calls.Booking:
    return calls.Booking(None if wanted.dry_run else await client(), wanted.workspace, tally)


async def _import_one(
    client: Client, source: Source, wanted: Wanted, out: Console, screen: Console
) -> bool:
    """Import a file that is not a log of calls; whether nothing was refused."""
    if source.kind == "policy":
        report = await import_policy(await client(), source, wanted)
        _say(out, source.name)
        out.print(policy_table(report))
        return True
    if source.kind == "memories":
        asked = None if wanted.dry_run else await client()
        kept = await import_memories(asked, source, wanted, screen)
        for line in memories.describe(kept, source.name, dry_run=wanted.dry_run):
            _say(out, line)
        return not kept.refused
    if wanted.dry_run:
        tally = check_log(source, wanted, screen)
    else:
        tally = await import_log(await client(), source, wanted, screen)
    for line in describe(tally, source.name, dry_run=wanted.dry_run):
        _say(out, line)
    return not tally.refused


def _say(out: Console, line: str) -> None:
    out.print(line, markup=False, highlight=False, soft_wrap=True)


async def import_log(
    client: httpx.AsyncClient, source: Source, wanted: Wanted, screen: Console
) -> Tally:
    """Book a usage log part by part; a part that was cut off may be sent again."""
    tally = Tally()
    with progress(source.name, source.size, screen) as step:
        for part in parts(source):
            response = await ask(
                client,
                "POST",
                "/usage/import",
                params={"workspace": wanted.workspace},
                headers={"Content-Type": "application/x-ndjson"},
                content=part.data,
            )
            tally.add(part, response.json())
            step(part.taken)
    return tally


async def import_memories(
    client: httpx.AsyncClient | None, source: Source, wanted: Wanted, screen: Console
) -> memories.MemoryTally:
    """Keep a file's memories, or with `dry_run`, which needs no client, only read it."""
    with progress(source.name, source.size, screen) as step:
        if wanted.dry_run or client is None:
            return memories.check(
                source,
                workspace=wanted.workspace,
                project=wanted.project,
                now=micros(wanted.now),
                step=lambda part: step(part.taken),
            )
        return await memories.send(
            client,
            source,
            workspace=wanted.workspace,
            project=wanted.project,
            replace=wanted.replace,
            step=lambda part: step(part.taken),
        )


def check_log(source: Source, wanted: Wanted, screen: Console) -> Tally:
    """Read a usage log as an import would, and book nothing."""
    tally = Tally()
    with progress(source.name, source.size, screen) as step:
        for part in parts(source):
            for number, line in enumerate(part.data.split(b"\n"), part.first_line):
                if not line.strip():
                    continue
                try:
                    read_line(line, workspace=wanted.workspace, identify=_as_named, now=wanted.now)
                    tally.imported += 1
                except DomainError as error:
                    tally.refused += 1
                    if len(tally.named) < NAMED_LINES:
                        tally.named.append((number, error.detail))
            step(part.taken)
    return tally


async def import_policy(
    client: httpx.AsyncClient, source: Source, wanted: Wanted
) -> dict[str, Any]:
    """Put a policy file in force (or only check it), and tell what it changes."""
    data = source.read(MAX_POLICY)
    is_json = data.lstrip().startswith(b"{")
    response = await ask(
        client,
        "POST",
        "/config/import",
        params={
            "workspace": wanted.workspace,
            "replace": wanted.replace,
            "dry_run": wanted.dry_run,
        },
        headers={"Content-Type": "application/json" if is_json else "application/yaml"},
        content=data,
    )
    report = response.json()
    return report if isinstance(report, dict) else {"changes": report}


async def export(
    client: httpx.AsyncClient,
    what: What,
    *,
    workspace: str | None,
    project: str | None = None,
    format: Format | None,
    output: str,
) -> None:
    """Write an export to a file, which appears when it is complete, or to standard output."""
    chosen = format or FORMATS[what][0]
    if chosen not in FORMATS[what]:
        raise Trouble(f"{what} is written as {' or '.join(FORMATS[what])}.", code=MISUSED)
    params = {"format": chosen} | ({} if workspace is None else {"workspace": workspace})
    params |= {} if project is None else {"project": project}
    with sink(output) as file:
        async with client.stream("GET", f"/{what}/export", params=params) as response:
            if response.status_code >= 400:
                await response.aread()
            refuse(response)
            async for chunk in response.aiter_bytes():
                file.write(chunk)


def describe(tally: Tally, name: str, *, dry_run: bool) -> Iterator[str]:
    """What became of a log, in lines: the figures, then the lines that were refused."""
    if dry_run:
        yield f"{name}: {tally.imported:,} can be read, {tally.refused:,} would be refused"
    else:
        yield (
            f"{name}: {tally.imported:,} imported, {tally.duplicates:,} duplicates, "
            f"{tally.refused:,} refused"
        )
    for line, reason in tally.named:
        yield f"{name}:{line}: {reason}"
    if tally.refused > len(tally.named):
        yield f"{name}: and {tally.refused - len(tally.named):,} more lines"


def policy_table(report: Mapping[str, Any]) -> Table:
    """What became of a policy file."""
    table = Table(show_header=False)
    for key, value in report.items():
        listed = value if isinstance(value, list) else [value]
        table.add_row(key, Text("\n".join(map(_plain, listed)) or "–"))
    return table


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _as_named(_: str, agent: str) -> tuple[str, str | None]:
    return agent, None
