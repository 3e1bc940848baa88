"""Each migration goes down and up again with everything in it, and loses only what it brought."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

from app.store import migrate
from app.store.engines import make_engine
from app.store.tables import TEXT_INDEX_TABLES
from tests.data import REPOSITORY
from tests.running import running

pytestmark = pytest.mark.anyio

START_SECONDS = 120


def revisions() -> list[str]:
    """All of them, the newest first."""
    script = ScriptDirectory(str(REPOSITORY / "migrations"))
    return [one.revision for one in script.walk_revisions()]


def rows(url: str) -> dict[str, int]:
    """How many rows each table has."""
    engine = make_engine(url)
    try:
        with engine.connect() as connection:
            names = set(inspect(connection).get_table_names()) - TEXT_INDEX_TABLES
            return {
                name: connection.exec_driver_sql(f'SELECT count(*) FROM "{name}"').scalar_one()
                for name in sorted(names)
            }
    finally:
        engine.dispose()


async def fill(url: str) -> None:
    """Something of everything that the service keeps."""
    async with running(url, scheduler="off") as service:
        client = service.client
        events = [
            {"id": f"e{n}", "agent": "a", "budget_tokens": 10, "used_tokens": n, "project": "p"}
            for n in range(20)
        ]
        memories = [{"text": f"Memory {n} of the join", "project": "p"} for n in range(5)]
        for method, path, body in (
            ("POST", "/usage", events),
            ("POST", "/memories", memories),
            ("PUT", "/profiles/mine", PROFILE),
            ("POST", "/allocate", {"agent": "dbt-expert", "task": "join", "select": "stored"}),
            ("POST", "/jobs/daily/run", None),
        ):
            answer = await client.request(method, path, json=body)
            assert answer.is_success, answer.text
        id_ = (await client.get("/allocations")).json()["items"][0]["id"]
        assert (await client.post(f"/allocations/{id_}/finish", json={})).is_success


PROFILE = {"base_budget": 100, "max_budget": 200, "scope_weights": {"global": 1}}


async def assert_it_serves(url: str, kept: Mapping[str, int]) -> None:
    """It serves what is there, and takes more."""
    async with running(url, scheduler="off") as service:
        client = service.client
        assert (await client.get("/readyz")).json()["ready"] is True
        listed = (await client.get("/usage", params={"limit": 100})).json()["items"]
        assert len(listed) == kept.get("usage_events", 0)
        executions = (await client.get("/usage/analytics")).json()["overall"]["executions"]
        assert executions == len(listed)
        found = await client.post("/memories/search", json={"query": "join", "project": "p"})
        assert bool(found.json()["items"]) == bool(kept.get("memories"))
        more = {"agent": "a", "budget_tokens": 10, "used_tokens": 1}
        assert (await client.post("/usage", json=more)).status_code == 201
        audit = (await client.post("/jobs/audit/run")).json()
        assert audit["outcome"]["differences"] == 0, audit["outcome"]["found"]


@pytest.mark.parametrize("down_to", [*revisions()[1:], "base"])
async def test_down_and_up_again_with_everything_in_it(
    bare_database_url: str, down_to: str
) -> None:
    url = bare_database_url
    await fill(url)
    before = rows(url)
    assert {name for name, count in before.items() if count} >= {
        "allocations",
        "usage_events",
        "usage_cells",
        "memories",
        "policy_versions",
        "job_runs",
        "reports",
    }

    migrate.downgrade(url, revision=down_to)
    lower = rows(url)
    migrate.upgrade(url)
    after = rows(url)

    kept = {name: count for name, count in after.items() if name in lower}
    expected = {name: before[name] for name in kept if name != "alembic_version"}
    del kept["alembic_version"]
    if down_to != "base":
        # rows of cells are packed otherwise in other revisions: the audit compares what they say
        for table in (kept, expected):
            table.pop("usage_cells", None)
        assert kept == expected
    await assert_it_serves(url, after)


async def test_four_replicas_start_at_once_on_an_empty_postgresql(
    bare_postgresql_url: str, tmp_path: Path
) -> None:
    replicas = [_start(bare_postgresql_url, tmp_path) for _ in range(4)]
    said = [_first_line(one) for one in replicas]
    ended = [_end(one) for one in replicas]

    assert all("serves http://" in line for line in said), (said, ended)
    assert [code for code, _ in ended] == [0] * 4, ended
    assert rows(bare_postgresql_url)["alembic_version"] == 1


async def test_of_two_that_start_at_once_on_a_sqlite_file_one_serves(
    bare_sqlite_url: str, tmp_path: Path
) -> None:
    both = [_start(bare_sqlite_url, tmp_path) for _ in range(2)]
    said = [_first_line(one) for one in both]
    ended = [_end(one) for one in both]

    assert sum("serves http://" in line for line in said) == 1, (said, ended)
    assert sorted(code for code, _ in ended) == [0, 1]
    assert any("stop it first" in words or "Another command" in words for _, words in ended), ended
    assert rows(bare_sqlite_url)["alembic_version"] == 1


def _start(url: str, folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "app", "serve", "--port", "0", "--database-url", url],
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _first_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def _end(process: "subprocess.Popen[str]") -> tuple[int, str]:
    process.terminate()
    _, complaints = process.communicate(timeout=START_SECONDS)
    return process.returncode, complaints
