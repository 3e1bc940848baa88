"""Carry memories into the service: memory trees and lines."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from app.api.schemas.memory_lines import read_lines
from app.commands.parts import Part, Source, parts
from app.commands.service import ask
from app.core.memory_tree import Refused, read_tree
from app.gateways.archives import is_archive, unpack

MAX_FILE = 64 * 1024 * 1024
LONGEST_LINE = 16 * 1024 * 1024
NAMED = 100

Step = Callable[[Part], None]


@dataclass(slots=True)
class MemoryTally:
    """What became of a file of memories."""

    imported: int = 0
    unchanged: int = 0
    removed: int = 0
    refused: int = 0
    named: list[str] = field(default_factory=list)
    """What was refused, with the reason: the first hundred."""

    def add(self, report: Mapping[str, Any], first_line: int = 1) -> None:
        """Take in the report on the file, or on the part of it that begins with a line."""
        self.imported += report["imported"]
        self.unchanged += report["unchanged"]
        self.removed += report["removed"]
        self.refused += report["refused_count"]
        for one in report["refused"][: NAMED - len(self.named)]:
            line = one["line"]
            place = one["path"] if line is None else str(first_line - 1 + line)
            self.named.append(f"{place}: {one['reason']}")


async def send(
    client: httpx.AsyncClient,
    source: Source,
    *,
    workspace: str,
    project: str | None,
    replace: bool,
    step: Step,
) -> MemoryTally:
    """Import a file: one of lines part by part, unless it replaces; others whole."""
    tally = MemoryTally()
    params = {"workspace": workspace, "replace": replace}
    params |= {} if project is None else {"project": project}
    for part in _parts(source, is_whole=replace):
        answer = await ask(
            client,
            "POST",
            "/memories/import",
            params=params,
            headers={"Content-Type": "application/octet-stream"},
            content=part.data,
        )
        tally.add(answer.json(), part.first_line)
        step(part)
    return tally


def check(
    source: Source, *, workspace: str, project: str | None, now: int, step: Step
) -> MemoryTally:
    """Read a file as an import would, and keep nothing."""
    tally = MemoryTally()
    for part in _parts(source, is_whole=False):
        if is_archive(part.data):
            files, refused = unpack(part.data, now=now)
            memories, unfit = read_tree(files, workspace=workspace, project=project, now=now)
            refused += unfit
        else:
            memories, refused = read_lines(
                part.data, workspace=workspace, project=project, identify=_as_named, now=now
            )
        tally.add(_report(len(memories), refused), part.first_line)
        step(part)
    return tally


def describe(tally: MemoryTally, name: str, *, dry_run: bool) -> Iterator[str]:
    """What became of a file, in lines: the figures, then what was refused."""
    if dry_run:
        yield f"{name}: {tally.imported:,} can be read, {tally.refused:,} would be refused"
    else:
        removed = f", {tally.removed:,} removed" if tally.removed else ""
        yield (
            f"{name}: {tally.imported:,} imported, {tally.unchanged:,} unchanged{removed}, "
            f"{tally.refused:,} refused"
        )
    for one in tally.named:
        yield f"{name}:{one}"
    if tally.refused > len(tally.named):
        yield f"{name}: and {tally.refused - len(tally.named):,} more"


def _parts(source: Source, *, is_whole: bool) -> Iterator[Part]:
    if source.has_lines and not is_whole:
        return parts(source, longest=LONGEST_LINE)
    data = source.read(MAX_FILE)
    return iter([Part(1, len(data), data)])


def _report(imported: int, refused: list[Refused]) -> dict[str, Any]:
    named = [{"path": one.path, "line": one.line, "reason": one.reason} for one in refused]
    return {
        "imported": imported,
        "unchanged": 0,
        "removed": 0,
        "refused_count": len(refused),
        "refused": named,
    }


def _as_named(_: str, agent: str) -> tuple[str, str | None]:
    return agent, None
