"""Back all tables up, list backups, and put one in the place of what is there."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from anyio import to_thread
from prometheus_client import Counter, Gauge

from app.core.backups import Manifest, damaged, to_line
from app.core.errors import BackupUnreadable, DomainError, StorageFull, Unavailable
from app.core.windows import micros, moment
from app.gateways.backups import BackupFolder, Kept
from app.store import dumping
from app.store.database import Store, Tx

ATTEMPTS = 3

LAST = Gauge("membudget_backup_last_seconds", "When the last backup was made (seconds since 1970).")
FAILURES = Counter("membudget_backup_failures", "Backups that could not be made.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """A backup that was made."""

    id: str
    created_at: datetime
    """The moment of the database that it holds."""
    bytes: int
    sha256: str
    """Of the file."""
    tables: Mapping[str, int]
    """Rows of each table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A backup in the folder."""

    id: str
    created_at: datetime | None
    bytes: int
    sha256: str
    tables: Mapping[str, int]
    valid: bool
    """Whether its bytes are those that were written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What came of a restore."""

    id: str
    created_at: datetime
    """The moment to which everything was set back."""
    tables: Mapping[str, int]
    """Rows of each table as they are now (or would be)."""
    dry_run: bool
    safety_backup: str | None
    """The backup of what was there before; None for a dry run."""


class Backups:
    """The backups of a store: made and restored one at a time."""

    def __init__(self, store: Store, folder: BackupFolder, *, keep: int) -> None:
        self.error: str | None = None
        """Why the last backup could not be made."""
        self._store = store
        self._folder = folder
        self._keep = keep
        self._lock = asyncio.Lock()
        self._commits = 0
        """Commits of this process that the last backup holds."""

    async def create(self, id_: str, now: datetime) -> Backup:
        """Back up what is committed. Errors: StorageFull, Unavailable."""
        async with self._lock:
            commits = self._store.commits
            try:
                made = await self._store.read(lambda tx: self._write(tx, id_, now))
                await to_thread.run_sync(self._folder.prune, self._keep)
            except DomainError as error:
                self.note_failure(error.detail)
                raise
            self._commits = commits
            self.error = None
            LAST.set(now.timestamp())
            return made

    async def listed(self) -> Sequence[Listed]:
        """All backups, newest first."""
        return await to_thread.run_sync(self._all)

    async def restore(
        self,
        id_: str,
        *,
        safety_id: str,
        now: datetime,
        dry_run: bool,
        forget: Callable[[], None],
    ) -> Restored:
        """Replace all rows of all workspaces by those of a backup, whole or not at all.

        What was there is backed up first, as `safety_id`. `forget` is called between the commit and
        the next write. Errors: NotFound, BackupDamaged, BackupUnreadable, StorageFull, Unavailable.
        """
        async with self._lock:
            kept, manifest = await to_thread.run_sync(self._checked, id_)
            schema = await self._store.read(dumping.schema_of)
            if manifest.schema != schema:
                raise BackupUnreadable(
                    f"The backup has the tables of revision {manifest.schema:.40}, and here they "
                    f"are of {schema}: restore it with the version that made it, migrate, and "
                    "back up again."
                )
            await to_thread.run_sync(self._read_through, kept, manifest)
            if not dry_run:
                await self._insist(
                    lambda tx: self._replace(tx, kept, manifest, safety_id, now, forget)
                )
                self._commits = self._store.commits
            return Restored(
                id=kept.id,
                created_at=moment(manifest.created_at),
                tables=manifest.tables,
                dry_run=dry_run,
                safety_backup=None if dry_run else safety_id,
            )

    @property
    def has_changes(self) -> bool:
        """Whether this process has committed anything since the last backup."""
        return self._store.commits != self._commits

    async def last_at(self) -> datetime | None:
        """When the newest backup in the folder was made."""
        kept = await to_thread.run_sync(self._folder.newest_first)
        newest = max((one.modified_ns for one in kept), default=None)
        return None if newest is None else moment(newest // 1000)

    async def due_at(self, interval: timedelta, now: datetime) -> datetime:
        """When the next backup of an interval is due: that long after the newest in the folder."""
        newest = await self.last_at()
        return now if newest is None else newest + interval

    def note_failure(self, why: str) -> None:
        """Let readiness and metrics tell that a backup could not be made."""
        self.error = why
        FAILURES.inc()

    async def _insist(self, work: Callable[[Tx], None]) -> None:
        """Replace, again if another replica's write was in the way (a deadlock)."""
        for _ in range(ATTEMPTS - 1):
            try:
                return await self._store.replace(work)
            except StorageFull:
                raise
            except Unavailable:
                continue
        return await self._store.replace(work)

    def _write(self, tx: Tx, id_: str, now: datetime) -> Backup:
        manifest = Manifest(
            id=id_,
            created_at=micros(now),
            schema=dumping.schema_of(tx),
            tables=dumping.count_rows(tx),
        )
        kept = self._folder.write(id_, _lines(tx, manifest))
        return Backup(
            id=id_,
            created_at=now,
            bytes=kept.bytes,
            sha256=kept.sha256,
            tables=manifest.tables,
        )

    def _all(self) -> list[Listed]:
        return [self._describe(kept) for kept in self._folder.newest_first()]

    def _describe(self, kept: Kept) -> Listed:
        is_valid = self._folder.is_intact(kept)
        manifest = None
        if is_valid:
            try:
                manifest = self._folder.manifest(kept)
            except DomainError:
                is_valid = False
        return Listed(
            id=kept.id,
            created_at=None if manifest is None else moment(manifest.created_at),
            bytes=kept.bytes,
            sha256=kept.sha256,
            tables={} if manifest is None else manifest.tables,
            valid=is_valid,
        )

    def _checked(self, id_: str) -> tuple[Kept, Manifest]:
        kept = self._folder.find(id_)
        if not self._folder.verify(kept):
            raise damaged("its bytes are not those that were written")
        return kept, self._folder.manifest(kept)

    def _read_through(self, kept: Kept, manifest: Manifest) -> None:
        found = dict.fromkeys((table.name for table in dumping.CARRIED), 0)
        for table, rows in dumping.read(self._folder.lines(kept)):
            found[table.name] += len(rows)
        _compare(found, manifest)

    def _replace(
        self,
        tx: Tx,
        kept: Kept,
        manifest: Manifest,
        safety_id: str,
        now: datetime,
        forget: Callable[[], None],
    ) -> None:
        dumping.lock(tx)
        self._write(tx, safety_id, now)
        _compare(dumping.replace(tx, self._folder.lines(kept)), manifest)
        tx.on_commit.append(forget)


def _lines(tx: Tx, manifest: Manifest) -> Iterator[bytes]:
    yield to_line(manifest)
    yield from dumping.dump(tx)


def _compare(found: Mapping[str, int], manifest: Manifest) -> None:
    if found != manifest.tables:
        raise damaged("it holds other numbers of rows than it says")
