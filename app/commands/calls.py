"""Book the calls that transcripts and spend logs tell of, file after file, in bounded memory."""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import httpx
from rich.console import Console

from app.api.schemas.usage_lines import write_line
from app.commands.logs import Entry, csv_rows, json_array, json_lines
from app.commands.parts import Source, open_source
from app.commands.progress import progress
from app.commands.service import ask
from app.commands.trouble import Trouble
from app.core.errors import InvalidRequest
from app.core.spendlogs import read_row
from app.core.transcripts import Logged, Transcript

KINDS = ("transcript", "spend")
SUFFIXES = frozenset({".jsonl", ".ndjson", ".json", ".csv", ".log"})
"""Files of a folder that are looked into."""

IDLE_SECONDS = 600
"""A transcript that nothing was added to for so long is taken to be over."""

BATCH = 2_000
NAMED = 100
MAX_SIDECAR = 64 * 1024
SIDE_FOLDER = "subagents"
SIDE_FILE = "agent-"


@dataclass(frozen=True, slots=True)
class File:
    """A log to read."""

    path: Path
    size: int
    modified: float
    """Seconds since 1970."""

    @property
    def is_side(self) -> bool:
        """Whether it is the transcript of a sub-agent, by where it lies."""
        return self.path.name.startswith(SIDE_FILE) or SIDE_FOLDER in self.path.parts


@dataclass(slots=True)
class Tally:
    """What became of the calls of all files."""

    files: int = 0
    passed: int = 0
    """Files of folders that hold no calls."""
    imported: int = 0
    duplicates: int = 0
    waiting: int = 0
    """Calls that are still being written."""
    refused: int = 0
    named: list[str] = field(default_factory=list)
    """Lines that were refused, with the reason: the first hundred."""

    def refuse(self, file: str, line: int | None, reason: str) -> None:
        """Note a line, or a whole file, that was left out."""
        self.refused += 1
        if len(self.named) < NAMED:
            place = file if line is None else f"{file}:{line}"
            self.named.append(f"{place}: {reason}")


class Booking:
    """Collects events and books them through the service; without one it only counts."""

    def __init__(self, client: httpx.AsyncClient | None, workspace: str, tally: Tally) -> None:
        self.workspace = workspace
        self._client = client
        self._tally = tally
        self._waiting: list[tuple[str, Logged]] = []

    async def add(self, file: str, logged: Iterable[Logged]) -> None:
        """Book events of a file, sooner or later."""
        self._waiting += ((file, one) for one in logged)
        if len(self._waiting) >= BATCH:
            await self.flush()

    async def flush(self) -> None:
        """Book what waits. Events that are known already change nothing."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        if self._client is None:
            self._tally.imported += len(waiting)
            return
        lines = (json.dumps(write_line(one.event)) for _, one in waiting)
        response = await ask(
            self._client,
            "POST",
            "/usage/import",
            params={"workspace": self.workspace},
            headers={"Content-Type": "application/x-ndjson"},
            content="\n".join(lines).encode(),
        )
        report = response.json()
        self._tally.imported += report["imported"]
        self._tally.duplicates += report["duplicates"]
        for one in report["refused"]:
            file, logged = waiting[one["line"] - 1]
            self._tally.refuse(file, logged.line, one["reason"])
        self._tally.refused += report["refused_count"] - len(report["refused"])


def is_folder(name: str) -> bool:
    """Whether a name is a folder's."""
    return Path(name).is_dir()


def find(name: str, tally: Tally) -> list[File]:
    """The logs in a folder and all below it; links are not followed."""

    def failed(error: OSError) -> None:
        tally.refuse(str(error.filename), None, error.strerror or "cannot be read")

    files: list[File] = []
    for folder, _, names in os.walk(name, onerror=failed, followlinks=False):
        for each in names:
            path = Path(folder, each)
            if path.suffix.lower() not in SUFFIXES or path.is_symlink() or not path.is_file():
                continue
            with suppress(OSError):
                files.append(measured(path))
    if not files:
        tally.refuse(name, None, "holds no files such as transcripts (*.jsonl)")
    return files


def measured(name: str | Path) -> File:
    """A file with its size and age. Errors: OSError."""
    path = Path(name)
    state = path.stat()
    return File(path, state.st_size, state.st_mtime)


def in_order(files: Iterable[File]) -> list[File]:
    """Sessions before their sub-agents, older files before newer ones.

    A call that several files tell of is booked as the first of them says.
    """
    return sorted(files, key=lambda file: (file.is_side, file.modified, str(file.path)))


async def import_files(
    booking: Booking, files: Iterable[File], tally: Tally, *, now: datetime, screen: Console
) -> None:
    """Book the calls of files."""
    ordered = in_order(files)
    agents: dict[str, str] = {}
    done = 0
    with progress("logs", sum(file.size for file in ordered), screen) as step:
        for file in ordered:

            def seen(taken: int, before: int = done) -> None:
                step(before + taken)

            name = str(file.path)
            try:
                with open_source(name) as source:
                    reader = Transcript(
                        workspace=booking.workspace,
                        now=now,
                        agents=agents,
                        is_side=file.is_side,
                        agent=sidecar_agent(file.path) if file.is_side else None,
                    )
                    is_over = now.timestamp() - file.modified >= IDLE_SECONDS
                    await _import(
                        booking, source, tally, reader, is_over=is_over, now=now, seen=seen
                    )
            except Trouble as trouble:
                tally.refuse(name, None, str(trouble).removeprefix(f"{name}: "))
            done += file.size
            step(done)
        await booking.flush()


async def import_stream(booking: Booking, source: Source, tally: Tally, *, now: datetime) -> None:
    """Book the calls of standard input, which ends where it ends."""
    reader = Transcript(workspace=booking.workspace, now=now)
    await _import(booking, source, tally, reader, is_over=True, now=now, seen=lambda _: None)
    await booking.flush()


async def _import(
    booking: Booking,
    source: Source,
    tally: Tally,
    reader: Transcript,
    *,
    is_over: bool,
    now: datetime,
    seen: Callable[[int], None],
) -> None:
    """Book the calls of one log: of a transcript by its reader, of a spend log row by row."""
    kind = source.seen
    if kind not in KINDS:
        tally.passed += 1
        return
    tally.files += 1
    taken = 0
    for entry in entries(source, is_transcript=kind == "transcript"):
        if entry.taken != taken:
            taken = entry.taken
            seen(taken)
        if entry.is_cut and not is_over:
            tally.waiting += 1
            continue
        try:
            if entry.fault is not None:
                raise InvalidRequest(entry.fault)
            if kind == "transcript":
                logged = list(reader.take(entry.value, entry.number))
            else:
                event = read_row(entry.value, workspace=booking.workspace, now=now)
                logged = [Logged(entry.number, event)]
            await booking.add(source.name, logged)
        except InvalidRequest as error:
            tally.refuse(source.name, entry.number, error.detail)
    ready, waiting = reader.rest(is_over=is_over)
    tally.waiting += waiting
    await booking.add(source.name, ready)


def entries(source: Source, *, is_transcript: bool) -> Iterator[Entry]:
    """The lines, rows or objects of a log."""
    if is_transcript or not (source.is_array or source.is_csv):
        return json_lines(source.chunks())
    return json_array(source.chunks()) if source.is_array else csv_rows(source.chunks())


def sidecar_agent(path: Path) -> str | None:
    """What kind of sub-agent a transcript is of, as the small file beside it says."""
    with suppress(OSError, ValueError, RecursionError):
        with path.with_suffix(".meta.json").open("rb") as file:
            found = json.loads(file.read(MAX_SIDECAR))
        kind = found.get("agentType") if isinstance(found, dict) else None
        return kind if isinstance(kind, str) else None
    return None


def describe(tally: Tally, *, dry_run: bool) -> Iterator[str]:
    """What became of the logs, in lines: the figures, then what was refused."""
    files = f"{tally.files:,} log{'' if tally.files == 1 else 's'}"
    if dry_run:
        yield f"{files}: {tally.imported:,} calls can be read, {tally.refused:,} would be refused"
    else:
        yield (
            f"{files}: {tally.imported:,} calls imported, {tally.duplicates:,} duplicates, "
            f"{tally.refused:,} refused"
        )
    if tally.waiting:
        yield f"{tally.waiting:,} still being written: import them again later"
    yield from tally.named
    if tally.refused > len(tally.named):
        yield f"and {tally.refused - len(tally.named):,} more"
