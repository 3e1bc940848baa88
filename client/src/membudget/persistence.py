"""Keep a project's memories: saved as they change, backed up, and there again at the next start."""

import asyncio
import contextlib
import json
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

from anyio import to_thread

from membudget._files import state_folder
from membudget._memory_blocks import MemoryBlock, project_name
from membudget._memory_engine import MemoryEngine
from membudget._memory_files import BackupUnreadable, Line, MemoryFiles, folder_name
from membudget.errors import MembudgetError

__all__ = [
    "BackupUnreadable",
    "MemoryBlock",
    "MemoryEngine",
    "MemoryPersistence",
    "PersistenceStatus",
]

log = logging.getLogger("membudget.persistence")

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
SHUTDOWN_SECONDS = 30.0
SERVICE_BACKUP = "bak_"


@dataclass(frozen=True, slots=True, kw_only=True)
class PersistenceStatus:
    """How a project's memories stand."""

    is_running: bool
    unsaved: int
    """Changes that the service has not got; after `save` they are in a file here."""
    refused: Mapping[str, str]
    """Memories that the service would not take, by id, with its reason."""
    error: str | None
    """Why the last save, load or backup did not go as it should."""


class MemoryPersistence:
    """Loads, saves and backs up the memories of one project of an engine.

    The service is where memories are kept. While it is away nothing is lost and nothing is raised:
    changes are written to a file in `folder` and go to the service later, each once; a start
    without it takes the newest backup and that file.
    """

    def __init__(
        self,
        memory_engine: MemoryEngine,
        project_id: str | None = None,
        auto_save: bool = True,
        backup_interval_seconds: float | None = 3600,
        *,
        folder: str | os.PathLike[str] | None = None,
        keep_backups: int = 14,
    ) -> None:
        """
        project_id: the engine's if None.
        auto_save: save in the background whenever a memory changes.
        backup_interval_seconds: back up so often, if anything changed since; None or 0: never.
        folder: of backups and unsaved changes; in the user's state folder if None.
        keep_backups: how many, the newest.
        """
        self.memory_engine = memory_engine
        if project_id:
            memory_engine.project_id = str(project_id)
        self.auto_save = auto_save
        self.backup_interval_seconds = backup_interval_seconds or None
        base = state_folder() / "membudget" / "memory" if folder is None else Path(folder)
        self.folder = base / (folder_name(self.project_id) + _place_tag(memory_engine))
        """Where backups and unsaved changes are."""
        self._files = MemoryFiles(self.folder, keep_backups=keep_backups)
        self.error: str | None = None
        """Why the last save, load or backup did not go as it should."""
        self._is_loaded = False
        self._changed = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._lock = asyncio.Lock()

    @property
    def project_id(self) -> str:
        """The project whose memories these are."""
        return self.memory_engine.project_id

    @property
    def status(self) -> PersistenceStatus:
        """How the memories stand now."""
        return PersistenceStatus(
            is_running=self._loop is not None,
            unsaved=len(self.memory_engine.pending_lines()),
            refused=dict(self.memory_engine.refused),
            error=self.error,
        )

    async def initialize(self) -> bool:
        """Load the memories and begin to save and back up; false if the service did not answer."""
        if self._loop is not None:
            return self._is_loaded
        unsaved: list[Line] = []
        try:
            unsaved = await to_thread.run_sync(self._files.adopt)
        except OSError as error:
            self._note_error("read unsaved changes", error)
        self.memory_engine.take_pending(unsaved)
        if not await self._try("load", self._load):
            await self._take_newest_backup(unsaved)
        self._loop = asyncio.get_running_loop()
        self.memory_engine.on_change(self._note_change)
        if self.auto_save:
            self._begin(self._save_changes())
        if self.backup_interval_seconds is not None:
            self._begin(self._back_up_regularly(self.backup_interval_seconds))
        if unsaved:
            self._note_change()
        return self._is_loaded

    async def save(self) -> bool:
        """Save every change; false if the service did not take all, which then is in a file."""
        return await self._save_once() and not self.memory_engine.refused

    async def create_backup(
        self, *, of: Literal["project", "service"] = "project"
    ) -> Path | str | None:
        """Back the project's memories up into a file, and answer its path; None if it cannot be
        written. `of="service"`: a backup of everything the service keeps, by its id (`bak_…`),
        which needs an admin's key."""
        if of == "service":
            made = await self.memory_engine.client.backups.create()
            return made.id
        async with self._lock:
            lines = await self._current_lines()
            path: Path | None = None
            try:
                path = await to_thread.run_sync(self._files.write_backup, lines)
            except OSError as error:
                self._note_error("back up", error)
            return path

    async def restore_from_backup(self, backup_path: str | os.PathLike[str] | None = None) -> bool:
        """Make the project's memories those of a backup, the newest if None is named. What is there
        is backed up first. False if the service did not take it yet.

        An id of the service (`bak_…`) restores everything it keeps, all projects.
        Errors: BackupUnreadable, and those of the client for a backup of the service.
        """
        if str(backup_path or "").startswith(SERVICE_BACKUP):
            await self.memory_engine.client.backups.restore(str(backup_path))
            return await self._try("load", partial(self._load, is_afresh=True))
        lines = await to_thread.run_sync(self._files.read_backup, backup_path)
        await self.create_backup()
        async with self._lock:
            restored = await self._try("restore", partial(self._restore, lines))
            if not restored:
                self.memory_engine.replace_all(lines, is_saved=False)
            await self._write_unsaved()
        return restored

    def backups(self) -> list[Path]:
        """The project's backups here, newest first."""
        return self._files.backups()

    async def shutdown(self) -> None:
        """Stop saving and backing up, save and back up once more, and close what the engine has
        open. It ends, whatever happens, and may be called at any time, more than once."""
        tasks, self._tasks = self._tasks, []
        was_running, self._loop = self._loop is not None, None
        self.memory_engine.off_change(self._note_change)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        try:
            if was_running:
                await self._write_unsaved()  # whatever becomes of what follows
                async with asyncio.timeout(SHUTDOWN_SECONDS):
                    await self.save()
                    await self.create_backup()
        except TimeoutError:
            self._note_error("save at the end", "it took too long")
        finally:
            self._files.release()
            await self.memory_engine.close()

    async def __aenter__(self) -> "MemoryPersistence":
        await self.initialize()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.shutdown()

    async def _save_once(self) -> bool:
        async with self._lock:
            done = await self._try("save", self._save)
            await self._write_unsaved()
            return done

    def _begin(self, work: Any) -> None:
        self._tasks.append(asyncio.create_task(work))

    def _note_change(self) -> None:
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._changed.set)

    async def _save_changes(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            await self._changed.wait()
            self._changed.clear()
            if await self._save_once():
                pause = FIRST_PAUSE_SECONDS
                continue
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            self._changed.set()

    async def _back_up_regularly(self, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            await self.create_backup()

    async def _load(self, *, is_afresh: bool = False) -> None:
        if is_afresh:
            self.memory_engine.replace_all((), is_saved=True)
        await self.memory_engine.load_memory_from_store()
        self._is_loaded = True

    async def _save(self) -> None:
        await self.memory_engine.persist_all_memory()
        if not self._is_loaded:
            await self._load()  # it was away at the start

    async def _restore(self, lines: list[Line]) -> None:
        engine = self.memory_engine
        if not engine.is_distributed:
            engine.replace_all(lines, is_saved=False)
            return
        project = project_name(self.project_id)
        if lines:
            data = "\n".join(json.dumps(line) for line in lines).encode()
            done = await engine.client.memories.import_(data, project=project, replace=True)
            if done.refused_count:
                reasons = "; ".join(one.reason for one in done.refused[:3])
                raise MembudgetError(f"{done.refused_count} memories were refused: {reasons}")
        else:
            async for memory in engine.client.memories.list(project=project):
                await engine.client.memories.delete(memory.id)
        engine.replace_all(lines, is_saved=True)
        await self._load()

    async def _try(self, what: str, act: Callable[[], Awaitable[None]]) -> bool:
        try:
            await act()
        except (MembudgetError, OSError) as error:
            self._note_error(what, error)
            return False
        self.error = None
        return True

    def _note_error(self, what: str, error: object) -> None:
        said = f"could not {what}: {error}"
        if said != self.error:
            log.warning("%s (project %s)", said, self.project_id)
        self.error = said

    async def _current_lines(self) -> list[Line]:
        """All memories of the project: the service's own export where nothing waits here."""
        engine = self.memory_engine
        if engine.is_distributed and not engine.has_pending() and self._is_loaded:
            with contextlib.suppress(MembudgetError):
                exported = await engine.client.memories.export(
                    project=project_name(self.project_id)
                )
                return [json.loads(line) for line in exported.splitlines() if line.strip()]
        return engine.lines()

    async def _take_newest_backup(self, unsaved: list[Line]) -> None:
        for path in await to_thread.run_sync(self.backups):
            try:
                lines = await to_thread.run_sync(self._files.read_backup, path)
                self.memory_engine.replace_all(lines, is_saved=True)
            except (BackupUnreadable, KeyError, ValueError) as error:
                self._note_error(f"read {path.name}", error)
                continue
            self.memory_engine.take_pending(unsaved)
            return

    async def _write_unsaved(self) -> None:
        """Keep in a file what the service has not got (all, if there is no service)."""
        engine = self.memory_engine
        lines = engine.pending_lines() if engine.is_distributed else engine.lines()
        try:
            await to_thread.run_sync(self._files.write_unsaved, lines)
        except OSError as error:
            self._note_error("write unsaved changes", error)


def _place_tag(engine: MemoryEngine) -> str:
    """Tells apart projects of one name in different services and workspaces."""
    if not engine.is_distributed:
        return ""
    place = f"{engine.client.url} {engine.client.workspace or 'default'}"
    return f"-{blake2b(place.encode(), digest_size=6).hexdigest()}"
