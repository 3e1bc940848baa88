"""Jobs are listed, run on demand, and refused in words; they are shown dead when they are."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from app.core.job_runs import LEASE_SECONDS, SECOND_MICROS
from app.core.schedule import Handler, Run
from app.core.windows import micros
from app.store import job_reading, job_runs
from app.store.database import Store
from tests.running import Running, running

NAMES = ["daily", "weekly", "monthly", "retention", "audit", "backup"]
FIELDS = {"name", "schedule", "timezone", "enabled", "last_run", "next_run"}
RUN_FIELDS = {"started_at", "finished_at", "status", "period"}


async def jobs_of(client: httpx.AsyncClient) -> dict[str, dict[str, Any]]:
    response = await client.get("/jobs")
    assert response.status_code == httpx.codes.OK, response.text
    return {one["name"]: one for one in response.json()["items"]}


def set_handler(service: Running, name: str, handler: Handler) -> None:
    jobs = service.house.jobs
    jobs.handlers = {**jobs.handlers, name: handler}


async def test_all_jobs_are_listed(service: Running) -> None:
    service.set_clock(datetime(2026, 11, 21, 8, tzinfo=UTC))
    found = await jobs_of(service.client)
    assert sorted(found) == sorted(NAMES)
    assert all(one.keys() >= FIELDS for one in found.values())
    assert found["retention"]["next_run"] == "2026-11-22T04:00:00Z"
    assert found["retention"]["enabled"] is True
    assert found["retention"]["timezone"] == "UTC"
    assert found["backup"]["enabled"] is False
    assert {one["last_run"] for one in found.values()} == {None}


async def test_times_are_civil_times_of_the_zone(sqlite_url: str) -> None:
    async with running(sqlite_url, timezone="America/New_York") as service:
        service.set_clock(datetime(2026, 10, 31, 12, tzinfo=UTC))
        found = await jobs_of(service.client)
    assert found["retention"]["next_run"] == "2026-11-01T09:00:00Z"
    assert found["retention"]["timezone"] == "America/New_York"


async def test_a_run_takes_no_options(service: Running) -> None:
    refused = await service.client.post("/jobs/retention/run", json={"dry_run": True})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["loc"] == ["body", "dry_run"]
    assert (await jobs_of(service.client))["retention"]["last_run"] is None
    assert (await service.client.post("/jobs/retention/run", json={})).status_code == 200


async def test_a_job_runs_on_demand(service: Running) -> None:
    response = await service.client.post("/jobs/retention/run")
    assert response.status_code == httpx.codes.OK, response.text
    run = response.json()
    assert run["status"] == "done"
    assert run["outcome"]["removed"] == {}
    assert run.keys() >= RUN_FIELDS
    assert run["period"].endswith("Z")
    last = (await jobs_of(service.client))["retention"]["last_run"]
    assert last == run
    assert last["on_demand"] is True


async def test_a_backup_is_a_job_too(database_url: str, tmp_path: Path) -> None:
    before = datetime.now(UTC)
    kept: dict[str, Any] = {"backup_dir": tmp_path / "kept", "backup_interval_seconds": 0}
    async with running(database_url, **kept) as service:
        run = (await service.client.post("/jobs/backup/run")).json()
        listed = (await service.client.get("/backups")).json()["items"]
        last = (await jobs_of(service.client))["backup"]["last_run"]
    assert [one["id"] for one in listed] == [run["outcome"]["id"]]
    assert last["status"] == "done"
    assert datetime.fromisoformat(last["finished_at"]) >= before - timedelta(seconds=1)


async def test_backups_by_themselves_are_listed(sqlite_url: str) -> None:
    async with running(sqlite_url, backup_interval_seconds=7200) as service:
        await service.client.post("/backups")
        found = (await jobs_of(service.client))["backup"]
        assert found["enabled"] is True
        assert "2:00:00" in found["schedule"]
        last = datetime.fromisoformat(found["last_run"]["finished_at"])
        assert datetime.fromisoformat(found["next_run"]) == last + timedelta(hours=2)


async def test_an_unknown_job_is_404_and_names_the_jobs(light_client: httpx.AsyncClient) -> None:
    response = await light_client.post("/jobs/xyzzy/run")
    assert response.status_code == httpx.codes.NOT_FOUND
    detail = response.json()["detail"]
    assert all(name in detail for name in NAMES)
    assert "xyzzy" not in detail


async def test_a_job_that_runs_is_409(service: Running) -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def slow(run: Run) -> Mapping[str, Any]:
        begun.set()
        await may_end.wait()
        return {}

    set_handler(service, "daily", slow)
    first = asyncio.create_task(service.client.post("/jobs/daily/run"))
    await begun.wait()
    shown = (await jobs_of(service.client))["daily"]["last_run"]
    refused = await service.client.post("/jobs/daily/run")
    may_end.set()

    assert (shown["status"], shown["finished_at"]) == ("running", None)
    assert refused.status_code == httpx.codes.CONFLICT
    assert refused.json()["code"] == "job_running"
    assert "GET /jobs" in refused.json()["detail"]
    assert (await first).json()["status"] == "done"


async def test_a_job_that_fails_says_so_without_what_users_wrote(
    service: Running, log: list[Any]
) -> None:
    async def fail(run: Run) -> Mapping[str, Any]:
        raise ValueError("xyzzy, which a user wrote")

    set_handler(service, "daily", fail)
    response = await service.client.post("/jobs/daily/run")
    assert response.status_code == httpx.codes.OK
    assert (response.json()["status"], response.json()["error"]) == ("failed", "ValueError")
    assert "xyzzy" not in response.text
    assert [line["kind"] for line in log if line["event"] == "job_failed"] == ["ValueError"]


async def test_an_owner_that_is_gone_is_not_shown_as_running(service: Running) -> None:
    now = micros(datetime.now(UTC))
    lease = round(LEASE_SECONDS * SECOND_MICROS)
    long_ago = now - 2 * lease
    service.house.store.write_now(
        lambda tx: job_runs.claim(
            tx, ("weekly", "2020-W01"), due_at=long_ago, owner="gone", now=long_ago, lease=lease
        )
    )
    last = (await jobs_of(service.client))["weekly"]["last_run"]
    assert (last["status"], last["error"]) == ("waiting", job_reading.ENDED)


async def test_the_scheduler_can_be_off(sqlite_url: str) -> None:
    async with running(sqlite_url, scheduler="off") as service:
        found = await jobs_of(service.client)
        assert [one["enabled"] for one in found.values()] == [False] * len(NAMES)
        assert [one["next_run"] for one in found.values()] == [None] * len(NAMES)
        assert (await service.client.post("/jobs/retention/run")).json()["status"] == "done"
        ready = (await service.client.get("/readyz")).json()
        assert ready["checks"]["scheduler"] == "off"
        assert service.house.store.read_now(job_reading.first_start) is None


async def test_readiness_tells_that_the_scheduler_is_dead(light_service: Running) -> None:
    ready = await light_service.client.get("/readyz")
    assert ready.json()["checks"]["scheduler"] == "ok"
    (task,) = [one for one in asyncio.all_tasks() if "_keep_time" in repr(one.get_coro())]
    task.cancel()
    await asyncio.wait({task})
    ready = await light_service.client.get("/readyz")
    assert "stopped" in ready.json()["checks"]["scheduler"]


async def test_metrics_count_runs(light_client: httpx.AsyncClient) -> None:
    await light_client.post("/jobs/retention/run")
    text = (await light_client.get("/metrics")).text
    assert 'membudget_job_runs_total{job="retention",status="done"}' in text
    assert 'membudget_job_last_done_seconds{job="retention"}' in text


async def test_what_was_missed_is_run_after_the_start(database_url: str) -> None:
    store = Store(database_url)
    days_ago = micros(datetime.now(UTC) - timedelta(days=3))
    store.write_now(lambda tx: job_runs.note_first_start(tx, days_ago))
    store.close()

    async with running(database_url) as service:
        for _ in range(500):
            last = (await jobs_of(service.client))["retention"]["last_run"]
            if last is not None and last["status"] == "done":
                break
            await asyncio.sleep(0.02)
    assert last["status"] == "done"
    assert last["on_demand"] is False
