"""Backups hold everything, come back whole into either database, or are refused whole."""

import asyncio
import gzip
import hashlib
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from anyio import to_thread

from app.flows.audit import audit
from app.gateways.backups import NAME
from app.store import dumping
from app.store.agents import list_agents
from tests.running import Running, Served, running

EVENT = {"agent": "specialists/dbt-expert", "budget_tokens": 100, "used_tokens": 70}
PATIENCE_SECONDS = 30
EXPORTS = (
    "/usage/export",
    "/allocations/export?format=jsonl",
    "/config/export",
    "/memories/export",
)


async def fill(client: httpx.AsyncClient, marks: str = "a") -> None:
    """Something in every corner: usage, an allocation, policy, memories with awkward values."""
    events = [
        {**EVENT, "id": f"{marks}{n}", "cost_usd": "0.1", "scopes": {"g": n}} for n in range(9)
    ]
    texts = ["naïve ☃ tests of dbt", "second memory about dbt", f"only {marks} has this word"]
    memories = [
        {"text": text, "id": f"{marks}-{n}", "importance": 0.1 + n / 7, "embedding": [0.25, -1.5]}
        for n, text in enumerate(texts)
    ]
    for path, body in (
        ("/usage", events),
        ("/allocate", {"agent": "dbt-expert", "task": "Fix it"}),
        ("/memories", memories),
        ("/memories", {"text": "of a project", "project": "p", "workspace": "other"}),
    ):
        response = await client.post(path, json=body)
        assert response.status_code == httpx.codes.CREATED, response.text
    put = await client.put(f"/workspaces/{marks}", json={"max_total_tokens": 12_345})
    assert put.status_code < httpx.codes.BAD_REQUEST, put.text


async def exports(client: httpx.AsyncClient) -> dict[str, bytes]:
    found = {}
    for path in EXPORTS:
        response = await client.get(path)
        assert response.status_code == httpx.codes.OK, (path, response.text)
        found[path] = response.content
    return found


async def back_up(client: httpx.AsyncClient) -> dict[str, Any]:
    response = await client.post("/backups")
    assert response.status_code == httpx.codes.CREATED, response.text
    made: dict[str, Any] = response.json()
    return made


async def restore(client: httpx.AsyncClient, id_: str, **body: object) -> httpx.Response:
    return await client.post(f"/backups/{id_}/restore", json=body)


def file_of(folder: Path, id_: str) -> Path:
    (found,) = folder.glob(f"{id_}.*.jsonl.gz")
    return found


def rows_of(service: Running) -> list[bytes]:
    """Every row, but the count of policy changes, which a restore raises."""
    lines = service.house.store.read_now(lambda tx: list(dumping.dump(tx)))
    return sorted(line for line in lines if not line.startswith(b'["*",'))


def agents_of(service: Running) -> set[str]:
    """Agents that are registered."""
    return set(service.house.store.read_now(lambda tx: list_agents(tx, "default")))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the backups of a test are."""
    return tmp_path / "kept"


@pytest.fixture
async def service(database_url: str, folder: Path) -> AsyncIterator[Running]:
    """The service with a folder of its own, on both kinds of database."""
    async with running(database_url, backup_dir=folder, backup_interval_seconds=0) as found:
        yield found


@pytest.fixture(params=["sqlite", "postgresql"])
def other_url(request: pytest.FixtureRequest) -> str:
    """Another database, of each kind."""
    url: str = request.getfixturevalue(f"bare_{request.param}_url")
    return url


async def test_what_is_restored_is_what_was_backed_up(
    database_url: str, other_url: str, folder: Path
) -> None:
    async with running(database_url, backup_dir=folder, backup_interval_seconds=0) as first:
        await fill(first.client)
        made = await back_up(first.client)
        clock = first.set_clock()  # an open allocation's duration is exported, too
        before, rows = await exports(first.client), rows_of(first)

    async with running(other_url, backup_dir=folder, backup_interval_seconds=0) as second:
        await fill(second.client, marks="b")
        response = await restore(second.client, made["id"])
        assert response.status_code == httpx.codes.OK, response.text
        assert rows_of(second) == rows
        second.set_clock(clock.at)
        assert await exports(second.client) == before
        found = audit(second.house.store, None, lambda *_: None)
        assert [one.faults for one in found] == [0] * len(found)

        async def ids(query: str, workspace: str = "default") -> set[str]:
            body = {"query": query, "workspace": workspace, "project": "p"}
            response = await second.client.post("/memories/search", json=body)
            return {one["id"] for one in response.json()["items"]}

        assert {"a-0", "a-1"} <= await ids("dbt")
        assert len(await ids("project", "other")) == 1
        assert not {one for one in await ids("dbt") if one.startswith("b-")}
        assert (await second.client.get("/workspaces/b")).status_code == httpx.codes.NOT_FOUND
        assert (await second.client.get("/workspaces/a")).json()["max_total_tokens"] == 12_345

        await fill(second.client, marks="c")  # and it goes on: agents are registered again
        assert "specialists/dbt-expert" in agents_of(second)


async def test_a_restore_can_be_undone(service: Running) -> None:
    await fill(service.client)
    made = await back_up(service.client)
    await fill(service.client, marks="b")
    rows = rows_of(service)

    restored = (await restore(service.client, made["id"])).json()
    assert rows_of(service) != rows
    response = await restore(service.client, restored["safety_backup"])

    assert response.status_code == httpx.codes.OK, response.text
    assert rows_of(service) == rows


async def test_a_dry_run_changes_nothing(service: Running) -> None:
    await fill(service.client)
    made = await back_up(service.client)
    await fill(service.client, marks="b")
    rows = rows_of(service)

    response = await restore(service.client, made["id"], dry_run=True)

    assert response.json()["tables"] == made["tables"]
    assert response.json()["safety_backup"] is None
    assert rows_of(service) == rows
    assert len((await service.client.get("/backups")).json()["items"]) == 1


async def test_a_backup_tells_its_own_checksum_and_rows(service: Running, folder: Path) -> None:
    await fill(service.client)
    made = await back_up(service.client)

    listed = (await service.client.get("/backups")).json()["items"]

    assert listed == [{**made, "valid": True}]
    content = file_of(folder, made["id"]).read_bytes()
    assert hashlib.sha256(content).hexdigest() == made["sha256"]
    assert len(content) == made["bytes"]
    lines = gzip.decompress(content).splitlines()
    assert len(lines) == 1 + len(made["tables"]) + sum(made["tables"].values())
    assert json.loads(lines[0])["tables"] == made["tables"]


def flipped(content: bytes) -> bytes:
    return content[:40] + bytes([content[40] ^ 1]) + content[41:]


def wait_for(happens: Callable[[], object]) -> None:
    """Return once something has happened."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not happens():
        assert time.monotonic() < give_up
        time.sleep(0.01)


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "a bit flipped": flipped,
    "cut off": lambda content: content[:-20],
    "emptied": lambda _: b"",
    "lengthened": lambda content: content + b"\0",
    "another file": lambda _: gzip.compress(b'{"some": "file"}\n'),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
async def test_a_damaged_backup_is_refused_whole(
    database_url: str, folder: Path, damage: Callable[[bytes], bytes]
) -> None:
    async with running(database_url, backup_dir=folder, backup_interval_seconds=0) as service:
        await fill(service.client)
        made = await back_up(service.client)
        path = file_of(folder, made["id"])
        path.write_bytes(damage(path.read_bytes()))
        rows = rows_of(service)

        listed = (await service.client.get("/backups")).json()["items"]
        response = await restore(service.client, made["id"])

        assert [one["valid"] for one in listed] == [False]
        assert response.status_code == httpx.codes.UNPROCESSABLE_ENTITY
        assert response.json()["code"] == "backup_damaged"
        assert rows_of(service) == rows
        assert len((await service.client.get("/backups")).json()["items"]) == 1


def renamed(path: Path, lines: list[Any]) -> None:
    """Put other lines in a backup's place, under a name that fits them."""
    content = gzip.compress(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
    named = NAME.fullmatch(path.name)
    assert named is not None
    path.unlink()
    digest = hashlib.sha256(content).hexdigest()
    path.with_name(f"{named['id']}.{digest}.jsonl.gz").write_bytes(content)


def _set(index: int, column: int, value: object) -> Callable[[list[Any]], None]:
    def change(lines: list[Any]) -> None:
        rows = [line for line in lines if isinstance(line, list)]
        rows[index][column] = value

    return change


FORGERIES: dict[str, Callable[[list[Any]], object]] = {
    "a row fewer": lambda lines: lines.pop(),
    "a row twice": lambda lines: (
        lines[0]["tables"].update(agents=lines[0]["tables"]["agents"] + 1),
        lines.insert(2, lines[2]),
    ),
    "no rows at all": lambda lines: lines.clear(),
    "a part fewer": lambda lines: lines[-1].pop(),
    "a strange table": lambda lines: lines.append({"table": "sqlite_master", "columns": []}),
    "a strange line": lambda lines: lines.append("?"),
    "null for a name": _set(0, 1, None),
    "a list for a number": _set(0, 2, [1]),
    "a number beyond all bounds": _set(0, 2, 2**70),
    "another schema": lambda lines: lines[0].update(schema="9999"),
    "another format": lambda lines: lines[0].update(membudget_backup=2),
    "a manifest of something else": lambda lines: lines[0].update(id="bak_"),
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES.keys())
async def test_a_foreign_backup_is_refused_whole(
    database_url: str, folder: Path, forge: Callable[[list[Any]], object]
) -> None:
    async with running(database_url, backup_dir=folder, backup_interval_seconds=0) as service:
        await fill(service.client)
        made = await back_up(service.client)
        path = file_of(folder, made["id"])
        lines = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
        forge(lines)
        renamed(path, lines)
        rows = rows_of(service)

        response = await restore(service.client, made["id"])

        assert response.status_code == httpx.codes.UNPROCESSABLE_ENTITY, response.text
        assert response.json()["code"] in ("backup_damaged", "backup_unreadable")
        assert rows_of(service) == rows
        await fill(service.client, marks="b")


@pytest.mark.parametrize("id_", ["bak_1", "..", "%2e%2e%2fx", "bak_*", "a" * 3000])
async def test_an_unknown_backup_is_not_found(light_service: Running, id_: str) -> None:
    response = await light_service.client.post(f"/backups/{id_}/restore")
    assert response.status_code == httpx.codes.NOT_FOUND


async def test_only_as_many_as_wanted_are_kept(sqlite_url: str) -> None:
    async with running(sqlite_url, backup_keep=2) as service:
        made = [(await back_up(service.client))["id"] for _ in range(4)]
        listed = (await service.client.get("/backups")).json()["items"]
    assert [one["id"] for one in listed] == [made[3], made[2]]


async def test_a_folder_that_cannot_be_written_is_said_and_hurts_nothing(
    sqlite_url: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    async with running(
        sqlite_url, backup_dir=tmp_path / "file", backup_interval_seconds=0
    ) as service:
        response = await service.client.post("/backups")
        ready = await service.client.get("/readyz")
        assert response.status_code == httpx.codes.SERVICE_UNAVAILABLE
        assert "MEMBUDGET_BACKUP_DIR" in response.json()["detail"]
        assert "MEMBUDGET_BACKUP_DIR" in ready.json()["checks"]["backups"]
        assert ready.status_code == httpx.codes.OK
        await fill(service.client)


async def test_a_restore_under_load_tears_nothing(service: Running) -> None:
    client = service.client
    await fill(client)
    made = await back_up(client)
    acknowledged: list[tuple[str, bool]] = []
    is_restored = asyncio.Event()
    seen = set()

    async def write(name: int) -> None:
        number = 0
        while number < 400 and not (is_restored.is_set() and number % 10 == 9):
            number += 1
            after = is_restored.is_set()
            body = {**EVENT, "id": f"w{name}-{number}", "workspace": f"w{name}"}
            response = await client.post("/usage", json=body)
            assert response.status_code in (201, 503), response.text
            if response.status_code == httpx.codes.CREATED:
                acknowledged.append((body["id"], after))
            else:
                assert response.headers["retry-after"]

    async def read() -> None:
        while not is_restored.is_set():
            response = await client.get("/memories", params={"workspace": "default"})
            assert response.status_code == httpx.codes.OK
            seen.add(len(response.json()["items"]))

    writers = [asyncio.create_task(write(name)) for name in range(4)]
    reader = asyncio.create_task(read())
    response = await restore(client, made["id"])
    assert response.status_code == httpx.codes.OK, response.text
    is_restored.set()
    await asyncio.gather(*writers, reader)

    assert seen <= {3}
    kept = {
        event["id"]
        for name in range(4)
        for event in (
            await client.get("/usage", params={"workspace": f"w{name}", "limit": 1000})
        ).json()["items"]
    }
    assert {id_ for id_, after in acknowledged if after} <= kept
    assert kept <= {id_ for id_, _ in acknowledged}
    found = audit(service.house.store, None, lambda *_: None)
    assert [one.faults for one in found] == [0] * len(found)

    back = await restore(client, response.json()["safety_backup"])
    assert back.status_code == httpx.codes.OK
    listed = [
        event["id"]
        for name in range(4)
        for event in (
            await client.get("/usage", params={"workspace": f"w{name}", "limit": 1000})
        ).json()["items"]
    ]
    before = {id_ for id_, _ in acknowledged} - kept
    assert before <= set(listed)


async def test_replicas_learn_of_a_restore(postgresql_url: str, folder: Path) -> None:
    settings: dict[str, Any] = {
        "backup_dir": folder,
        "backup_interval_seconds": 0,
        "policy_poll_seconds": 0.05,
    }
    async with (
        running(postgresql_url, **settings) as one,
        running(postgresql_url, **settings) as two,
    ):
        made = await back_up(one.client)
        await fill(one.client)
        await fill(two.client, marks="b")
        generation = two.house.shelf.generation
        assert (await restore(one.client, made["id"])).status_code == httpx.codes.OK
        await to_thread.run_sync(wait_for, lambda: two.house.shelf.generation != generation)
        assert (await two.client.get("/workspaces/b")).status_code == httpx.codes.NOT_FOUND

        await fill(two.client, marks="b")
        assert "specialists/dbt-expert" in agents_of(two)


async def test_a_restore_waits_for_replicas_that_write(postgresql_url: str, folder: Path) -> None:
    async with (
        running(postgresql_url, backup_dir=folder, backup_interval_seconds=0) as one,
        running(postgresql_url, backup_dir=folder, backup_interval_seconds=0) as two,
    ):
        made = await back_up(one.client)
        statuses = set()
        is_over = asyncio.Event()

        async def write(name: int) -> None:
            number = 0
            while not is_over.is_set():
                number += 1
                event = {**EVENT, "agent": f"a{number}", "workspace": f"w{name}"}
                memory = {"text": f"memory {number}", "workspace": f"w{name}"}
                statuses.add((await two.client.post("/usage", json=event)).status_code)
                statuses.add((await two.client.post("/memories", json=memory)).status_code)

        writers = [asyncio.create_task(write(name)) for name in range(4)]
        restored = {(await restore(one.client, made["id"])).status_code for _ in range(3)}
        is_over.set()
        await asyncio.gather(*writers)

        assert restored == {httpx.codes.OK}
        assert statuses <= {httpx.codes.CREATED, httpx.codes.SERVICE_UNAVAILABLE}
        found = audit(one.house.store, None, lambda *_: None)
        assert [one.faults for one in found] == [0] * len(found)


def test_backups_are_made_by_themselves_and_at_a_stop(
    serve: Callable[..., Served], sqlite_url: str, folder: Path
) -> None:
    service = serve(sqlite_url, backup_dir=str(folder))
    wait_for(lambda: folder.is_dir() and list(folder.glob("bak_*.gz")))
    httpx.post(f"{service.url}/usage", json=EVENT).raise_for_status()

    service.process.terminate()
    assert service.process.wait(30) == 0

    first, second = sorted(folder.glob("bak_*.gz"))
    assert gzip.decompress(second.read_bytes()).count(b"dbt-expert") > 0
    assert gzip.decompress(first.read_bytes()).count(b"dbt-expert") == 0
    assert not list(folder.glob(".*"))
