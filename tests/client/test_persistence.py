"""Memories of a project: saved, backed up and there again, whether the service is up or not."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from membudget.async_client import AsyncClient
from membudget.persistence import BackupUnreadable, MemoryEngine, MemoryPersistence
from tests.running import Running, running

NOWHERE = "http://127.0.0.1:9"
PATIENCE = 60.0


@pytest.fixture
async def service(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Running]:
    async with running(sqlite_url, backup_dir=str(tmp_path / "service-backups")) as found:
        yield found


class Wire(httpx.AsyncBaseTransport):
    """The way to the service in this process; a test can cut it."""

    def __init__(self, service: Running) -> None:
        self.inner = httpx.ASGITransport(service.app, raise_app_exceptions=False)
        self.is_cut = False
        self.asked: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(f"{request.method} {request.url.path}")
        if self.is_cut:
            raise httpx.ConnectError("cut", request=request)
        return await self.inner.handle_async_request(request)


@pytest.fixture
def wire(service: Running) -> Wire:
    return Wire(service)


Make = Callable[..., MemoryPersistence]


@pytest.fixture
def make(wire: Wire, tmp_path: Path) -> Make:
    """A persistence of a project, with a client of its own."""

    def made(
        project: str = "my_project",
        *,
        auto_save: bool = False,
        transport: httpx.AsyncBaseTransport = wire,
        workspace: str | None = None,
        **how: Any,
    ) -> MemoryPersistence:
        client = AsyncClient(
            "http://membudget", workspace=workspace, transport=transport, retries=0, spool=False
        )
        return MemoryPersistence(
            MemoryEngine(client=client),
            project,
            auto_save,
            how.pop("backup_interval_seconds", None),
            folder=tmp_path / "memory",
            **how,
        )

    return made


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for what is done in the background."""
    async with asyncio.timeout(PATIENCE):
        while not is_so():  # noqa: ASYNC110 (nothing tells when a file is there)
            await asyncio.sleep(0.005)


def texts(engine: MemoryEngine) -> list[str]:
    return [block.text for block in engine.memories()]


async def test_memories_are_there_again_in_their_order_and_kind(make: Make) -> None:
    first = make()
    assert await first.initialize()
    first.memory_engine.add_memory("now", metadata={"a": [1]})
    first.memory_engine.add_memory("lately", "recent", importance=0.9)
    first.memory_engine.add_memory("long ago", "archival")
    assert await first.save()
    await first.shutdown()

    second = make()
    assert await second.initialize()
    engine = second.memory_engine
    assert texts(engine) == ["now", "lately", "long ago"]
    assert [one.text for one in engine.archival_memory] == ["long ago"]
    assert engine.immediate_memory[0].metadata == {"a": [1]}
    assert engine.recent_memory[0].importance == 0.9
    assert second.status.unsaved == 0


async def test_projects_do_not_see_each_other(make: Make) -> None:
    names = ["a", "b", "with/slash", "with*star", "100%"]
    for name in names:
        one = make(name)
        await one.initialize()
        one.memory_engine.add_memory(f"of {name}")
        assert await one.save()
    for name in names:
        one = make(name)
        await one.initialize()
        assert texts(one.memory_engine) == [f"of {name}"]
        assert [hit.text for hit in await one.memory_engine.search("of")] in ([f"of {name}"], [])


async def test_workspaces_do_not_see_each_other_either(make: Make) -> None:
    first, other = make(workspace="one"), make(workspace="two")
    await first.initialize()
    await other.initialize()
    kept = first.memory_engine.add_memory("first")
    gone = first.memory_engine.add_memory("second")
    other.memory_engine.add_memory("other")
    assert await first.save()
    assert await other.save()
    first.memory_engine.update_memory(kept.id, text="changed")
    first.memory_engine.remove_memory(gone.id)
    assert await first.save()
    for engine, expected in ((first.memory_engine, "changed"), (other.memory_engine, "other")):
        await engine.load_memory_from_store()
        assert texts(engine) == [expected]


async def test_many_and_large_memories_are_saved_in_lots(
    make: Make, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("membudget._memory_engine.MOST_LINES", 3)
    monkeypatch.setattr("membudget._memory_engine.MOST_CHARACTERS", 1000)
    one = make()
    await one.initialize()
    for size in (1, 2, 3, 4, 900, 901, 2000, 5):
        one.memory_engine.add_memory("x" * size)
    assert await one.save()
    assert wire.asked.count("POST /memories/import") == 5
    fresh = make()
    await fresh.initialize()
    assert [len(text) for text in texts(fresh.memory_engine)] == [1, 2, 3, 4, 900, 901, 2000, 5]


async def test_what_changes_is_saved_without_asking(make: Make) -> None:
    first = make(auto_save=True)
    await first.initialize()
    engine = first.memory_engine
    kept = engine.add_memory("first")
    gone = engine.add_memory("second")
    await until(lambda: not engine.has_pending())
    engine.update_memory(kept.id, text="changed", kind="archival")
    engine.remove_memory(gone.id)
    await until(lambda: not engine.has_pending())

    second = make()
    await second.initialize()
    assert texts(second.memory_engine) == ["changed"]
    assert second.memory_engine.archival_memory
    await first.shutdown()


async def test_without_the_service_nothing_is_lost_or_raised(make: Make, wire: Wire) -> None:
    first = make()
    assert await first.initialize()
    old = first.memory_engine.add_memory("known before")
    assert await first.save()
    wire.is_cut = True
    first.memory_engine.add_memory("while it is away")
    first.memory_engine.update_memory(old.id, text="changed while it is away")
    assert not await first.save()
    assert "could not save" in (first.status.error or "")
    await first.shutdown()

    second = make()
    assert not await second.initialize()
    assert sorted(texts(second.memory_engine)) == ["changed while it is away", "while it is away"]
    second.memory_engine.add_memory("still away")
    await second.shutdown()

    wire.is_cut = False
    third = make()
    assert await third.initialize()
    assert third.status.unsaved == 3
    assert await third.save()
    assert await third.save()
    fresh = make()
    await fresh.initialize()
    assert sorted(texts(fresh.memory_engine)) == [
        "changed while it is away", "still away", "while it is away",
    ]  # fmt: skip
    assert fresh.status.unsaved == 0
    assert not list(third.folder.glob("unsaved-*.jsonl"))


async def test_a_service_that_comes_back_is_loaded_and_told(
    make: Make, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("membudget.persistence.FIRST_PAUSE_SECONDS", 0.01)
    other = make()
    await other.initialize()
    other.memory_engine.add_memory("already there")
    await other.save()
    wire.is_cut = True
    late = make(auto_save=True)
    assert not await late.initialize()
    late.memory_engine.add_memory("new here")
    await until(lambda: late.error is not None)
    wire.is_cut = False
    await until(lambda: len(late.memory_engine.memories()) == 2)
    await late.shutdown()
    await other.memory_engine.load_memory_from_store()
    assert sorted(texts(other.memory_engine)) == ["already there", "new here"]


async def test_two_processes_leave_each_other_s_unsaved_changes_alone(
    make: Make, wire: Wire
) -> None:
    wire.is_cut = True
    first, second = make(), make()
    await first.initialize()
    first.memory_engine.add_memory("of the first")
    await first.save()
    await second.initialize()
    assert texts(second.memory_engine) == []
    second.memory_engine.add_memory("of the second")
    await second.save()
    await first.shutdown()
    await second.shutdown()
    third = make()
    await third.initialize()
    assert sorted(texts(third.memory_engine)) == ["of the first", "of the second"]


async def test_a_damaged_line_is_named_and_the_rest_is_taken(make: Make, wire: Wire) -> None:
    wire.is_cut = True
    first = make()
    first.folder.mkdir(parents=True)
    lines = [
        b'{"id": "a", "text": "good"}',
        b'{"id": "b", "te',
        b"[]",
        b'{"deleted": true}',
        b"\xff",
    ]
    (first.folder / "unsaved-1-x.jsonl").write_bytes(b"\n".join(lines))
    await first.initialize()
    assert texts(first.memory_engine) == ["good"]
    assert lines[1] in (first.folder / "damaged-unsaved-1-x.jsonl").read_bytes()


async def test_a_backup_brings_back_what_was_there_and_keeps_what_is(make: Make) -> None:
    one = make()
    await one.initialize()
    engine = one.memory_engine
    kept = engine.add_memory("first", metadata={"of": "me"})
    await one.save()
    before = [(block.id, block.text) for block in engine.memories()]
    backup = await one.create_backup()
    assert isinstance(backup, Path)
    assert backup == await one.create_backup(), "nothing changed since"
    engine.update_memory(kept.id, text="spoilt")
    engine.add_memory("added")
    await one.save()

    assert await one.restore_from_backup(backup)
    assert [(block.id, block.text) for block in engine.memories()] == before
    fresh = make()
    await fresh.initialize()
    assert texts(fresh.memory_engine) == ["first"]
    assert fresh.memory_engine.memories()[0].metadata == {"of": "me"}
    safety = one.backups()[0]
    assert "spoilt" in safety.read_text()
    assert await one.restore_from_backup(safety)
    assert sorted(texts(engine)) == ["added", "spoilt"]


def test_folders_lead_nowhere_else_and_belong_to_one_service(tmp_path: Path) -> None:
    def folder(project: str, url: str, **config: str) -> Path:
        engine = MemoryEngine({"url": url, **config})
        return MemoryPersistence(engine, project, folder=tmp_path).folder

    names = ["..", ".", "a/b", "../a", "a", "", "100%"]
    assert all(folder(name, NOWHERE).parent == tmp_path for name in names)
    assert all(folder(name, NOWHERE).resolve().parent == tmp_path.resolve() for name in names)
    places = {
        folder("a", NOWHERE),
        folder("a", "http://127.0.0.1:10"),
        folder("a", NOWHERE, workspace="w"),
    }
    assert len(places) == 3


async def test_an_empty_backup_restores_to_nothing(make: Make) -> None:
    one = make()
    await one.initialize()
    backup = await one.create_backup()
    one.memory_engine.add_memory("later")
    await one.save()
    assert await one.restore_from_backup(backup)  # type: ignore[arg-type]
    fresh = make()
    await fresh.initialize()
    assert texts(fresh.memory_engine) == []


async def test_a_restore_without_the_service_reaches_it_later(make: Make, wire: Wire) -> None:
    one = make()
    await one.initialize()
    one.memory_engine.add_memory("first")
    await one.save()
    await one.create_backup()
    one.memory_engine.add_memory("second")
    await one.save()
    wire.is_cut = True
    first = one.backups()[-1]
    assert not await one.restore_from_backup(first)
    assert texts(one.memory_engine) == ["first"]
    wire.is_cut = False
    assert await one.save()
    fresh = make()
    await fresh.initialize()
    assert texts(fresh.memory_engine) == ["first"]


async def test_a_damaged_or_missing_backup_is_refused_and_changes_nothing(make: Make) -> None:
    one = make()
    with pytest.raises(BackupUnreadable, match="no backup"):
        await one.restore_from_backup()
    await one.initialize()
    one.memory_engine.add_memory("first")
    backup = await one.create_backup()
    assert isinstance(backup, Path)
    backup.write_bytes(backup.read_bytes().replace(b"first", b"other"))
    with pytest.raises(BackupUnreadable, match="other bytes"):
        await one.restore_from_backup(backup)
    with pytest.raises(BackupUnreadable, match="cannot be read"):
        await one.restore_from_backup(backup.with_name("none.jsonl"))
    assert texts(one.memory_engine) == ["first"]


async def test_the_service_s_own_backups_can_be_asked_for(make: Make) -> None:
    one = make()
    await one.initialize()
    one.memory_engine.add_memory("first")
    await one.save()
    made = await one.create_backup(of="service")
    assert str(made).startswith("bak_")
    one.memory_engine.add_memory("second")
    await one.save()
    assert await one.restore_from_backup(str(made))
    assert texts(one.memory_engine) == ["first"]


async def test_backups_are_made_on_the_interval_and_the_newest_are_kept(make: Make) -> None:
    one = make(backup_interval_seconds=0.01, keep_backups=2)
    await one.initialize()
    for number in range(4):
        made = len(one.backups())
        newest = one.backups()[:1]
        one.memory_engine.add_memory(f"number {number}")
        await until(lambda made=made, newest=newest: one.backups()[:1] != newest)  # type: ignore[misc]
    await one.shutdown()
    assert len(one.backups()) == 2
    assert len(one.backups()[0].read_text().splitlines()) == 4


async def test_what_the_service_refuses_is_named_kept_and_in_nobody_s_way(make: Make) -> None:
    one = make()
    await one.initialize()
    bad = one.memory_engine.add_memory(" ")
    one.memory_engine.add_memory("good")
    assert not await one.save()
    assert bad.id in one.status.refused
    assert one.status.unsaved == 1
    assert "blanks" in one.status.refused[bad.id]
    fresh = make("my_project")
    await fresh.initialize()
    assert texts(fresh.memory_engine) == ["good"]
    one.memory_engine.update_memory(bad.id, text="better")
    assert await one.save()
    await fresh.memory_engine.load_memory_from_store()
    assert sorted(texts(fresh.memory_engine)) == ["better", "good"]


async def test_a_change_during_a_save_is_saved_next(make: Make, wire: Wire) -> None:
    class Meddling(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if request.url.path == "/memories/import" and texts(engine) == ["first"]:
                engine.update_memory(block.id, text="second")
            return await wire.handle_async_request(request)

    one = make(transport=Meddling())
    await one.initialize()
    engine = one.memory_engine
    block = engine.add_memory("first")
    assert await one.save()
    assert engine.has_pending()
    assert await one.save()
    assert not engine.has_pending()
    assert wire.asked[-1] == f"PATCH /memories/{block.id}", "the service's own figures stay"
    fresh = make()
    await fresh.initialize()
    assert texts(fresh.memory_engine) == ["second"]


async def test_an_unwritable_folder_stops_nothing(make: Make, tmp_path: Path) -> None:
    (tmp_path / "memory").write_text("a file is in the way")
    one = make()
    assert await one.initialize()
    one.memory_engine.add_memory("first")
    assert await one.save()
    assert await one.create_backup() is None
    await one.shutdown()
    assert texts(one.memory_engine) == ["first"]


async def test_without_a_distributed_store_memories_are_kept_on_disk(tmp_path: Path) -> None:
    def made() -> MemoryPersistence:
        engine = MemoryEngine(config={"use_distributed_store": False, "url": NOWHERE})
        return MemoryPersistence(engine, "local", True, None, folder=tmp_path)

    first = made()
    assert await first.initialize()
    first.memory_engine.add_memory("here")
    await first.shutdown()
    second = made()
    await second.initialize()
    assert texts(second.memory_engine) == ["here"]
    await second.shutdown()


async def test_it_may_be_stopped_at_any_time(make: Make) -> None:
    never = make()
    await never.shutdown()
    twice = make(auto_save=True, backup_interval_seconds=100)
    await twice.initialize()
    await twice.initialize()
    twice.memory_engine.add_memory("last words")
    await twice.shutdown()
    await twice.shutdown()
    assert not twice.status.is_running
    fresh = make()
    await fresh.initialize()
    assert texts(fresh.memory_engine) == ["last words"]
    assert json.loads(twice.backups()[0].read_text())["text"] == "last words"


async def test_the_snippet_of_the_originals_runs(
    service: Running, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("MEMBUDGET_URL", NOWHERE)
    # 004, "Memory Persistence Usage"
    # Initialize memory engine
    memory_engine = MemoryEngine(config={"use_distributed_store": True})

    # Create persistence layer
    persistence = MemoryPersistence(
        memory_engine=memory_engine,
        project_id="my_project",
        auto_save=True,
        backup_interval_seconds=3600
    )  # fmt: skip

    # Initialize (loads memory from Redis)
    await persistence.initialize()

    # Memory is automatically saved when added
    # Manual save:
    await persistence.save()

    # Create backup
    backup_path = await persistence.create_backup()

    # Shutdown (saves final state)
    await persistence.shutdown()

    assert backup_path in persistence.backups()
    assert memory_engine.project_id == "my_project"
    await memory_engine.close()
