"""The hourly audit finds what was changed behind the service's back, and changes nothing itself."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.core.audit_pace import from_data
from app.core.schedule import hourly_slot
from app.core.usage import HOUR, MONTH
from app.core.windows import micros
from app.jobs.auditing import auditing
from app.store import job_reading
from tests.running import Running, running

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 3, 14, 15, 30, tzinfo=UTC)
DAYS = 14


@pytest.fixture
async def service(database_url: str) -> AsyncIterator[Running]:
    async with running(database_url, scheduler="off") as found:
        found.set_clock(NOW)
        yield found


async def fill(service: Running) -> str:
    """Events of six weeks held against budgets in USD, and a run that went over its budget; the id
    of its allocation."""
    for name, window in (("months", "month"), ("runs", "run")):
        money = {"usd": "0.0000001", "window": window, "timezone": "Asia/Kolkata"}
        assert (await service.client.put(f"/costs/budgets/{name}", json=money)).is_success
    events = [
        {
            "id": f"e{number}",
            "agent": "helpers/a",
            "timestamp": (NOW - timedelta(days=3 * number, minutes=5)).isoformat(),
            "budget_tokens": 100,
            "used_tokens": number,
            "scopes": {"global": number},
            "run_id": f"r{number % 5}",
            "cost_usd": "0.00000003",
        }
        for number in range(DAYS)
    ]
    assert (await service.client.post("/usage", json=events)).is_success
    opened = await service.client.post("/allocate", json={"max_tokens": 100})
    id_: str = opened.json()["id"]
    ended = {"loads": [{"scope": "global", "tokens": 130}]}
    assert (await service.client.post(f"/allocations/{id_}/finish", json=ended)).is_success
    return id_


def change(service: Running, statement: str) -> None:
    service.house.store.write_now(lambda tx: tx.connection.exec_driver_sql(statement))


async def run_hourly(service: Running, *, hours: int = 0, rows: int = 10**6) -> dict[str, Any]:
    """Run the hourly job as it is due some hours later; its outcome."""
    jobs = service.house.jobs
    jobs.handlers = {**jobs.handlers, "audit": auditing(service.house.store, rows=rows)}
    store = service.house.store
    if store.read_now(job_reading.first_start) is None:
        service.set_clock(NOW - timedelta(hours=2))
        await jobs.run_hourly(service.house.now_micros)
    service.set_clock(NOW + timedelta(hours=hours))
    assert await jobs.run_hourly(service.house.now_micros) == 1
    assert await jobs.run_hourly(service.house.now_micros) == 0, "an hour is done once"
    outcome = store.read_now(lambda tx: job_reading.last_outcome(tx, "audit"))
    assert outcome is not None
    return outcome


async def readiness(service: Running) -> tuple[int, dict[str, str]]:
    ready = await service.client.get("/readyz")
    return ready.status_code, ready.json()["checks"]


async def test_books_that_are_right_are_said_to_be(service: Running) -> None:
    await fill(service)

    outcome = await run_hourly(service)

    assert (outcome["differences"], outcome["found"]) == (0, [])
    assert (outcome["events"], outcome["allocations"]) == (DAYS + 1, 1)
    assert outcome["totals"] == 2 + 5
    assert outcome["swept_at"] == micros(NOW)
    status, checks = await readiness(service)
    assert status == 200
    assert "books" not in checks


CORRUPTIONS = [
    "UPDATE usage_cells SET used = used + 1 WHERE family = 'total' AND grain = {hour}"
    " AND start < {old}",
    "UPDATE usage_cells SET events = events + 1 WHERE family = 'run' AND grain = {month}"
    " AND start < {old}",
    "DELETE FROM usage_cells WHERE family = 'total' AND grain = {month} AND start < {old}",
    "UPDATE usage_events SET used_tokens = 99 WHERE id = 'e9'",
    "DELETE FROM usage_events WHERE id = 'e9'",
    "INSERT INTO usage_events (workspace, id, at, agent, used_tokens, late, fingerprint)"
    " SELECT workspace, 'planted', at, agent, used_tokens, late, fingerprint FROM usage_events"
    " WHERE id = 'e9'",
    "UPDATE allocations SET event_id = 'e9'",
    "UPDATE allocations SET finished_at = NULL",
    "UPDATE allocations SET monitor = replace(monitor, '\"global\":130', '\"global\":131')",
    "UPDATE allocations SET monitor = replace(monitor, '\"reached\"', '\"unreached\"')",
    "UPDATE allocations SET monitor = '{{'",
    "UPDATE cost_totals SET used = used + 1 WHERE budget = 'months'",
    "UPDATE cost_totals SET used = used - 1 WHERE key = 'r3'",
    "UPDATE cost_totals SET start = start + 1000000 WHERE budget = 'months'",
    "INSERT INTO cost_totals (workspace, budget, start, key, used, at)"
    " VALUES ('default', 'runs', 0, 'nobody', 1, 1)",
    "DELETE FROM cost_alerts WHERE level = 'warning'",
    "UPDATE cost_alerts SET used = used + 1000 WHERE level = 'info'",
    "UPDATE cost_alerts SET used = 1 WHERE level = 'info'",
    "DELETE FROM cost_budgets WHERE name = 'runs'",
]


@pytest.mark.parametrize("statement", CORRUPTIONS)
async def test_what_was_changed_is_found_told_and_left_alone(
    service: Running, statement: str
) -> None:
    await fill(service)
    old = int((NOW - timedelta(days=10)).timestamp())
    change(service, statement.format(hour=HOUR, month=MONTH, old=old))
    before = everything(service)

    outcome = await run_hourly(service)

    assert outcome["differences"] > 0
    assert outcome["found"]
    assert everything(service) == before, "the audit repairs nothing"
    status, checks = await readiness(service)
    assert status == 200, "it serves on"
    assert checks["books"].startswith(f"{outcome['differences']} differences")
    metrics = (await service.client.get("/metrics")).text
    assert f"membudget_audit_differences {float(outcome['differences'])}" in metrics


def everything(service: Running) -> list[Any]:
    tables = ("usage_cells", "usage_events", "allocations")
    tables += ("cost_budgets", "cost_totals", "cost_alerts")
    return service.house.store.read_now(
        lambda tx: [
            sorted(map(repr, tx.connection.exec_driver_sql(f"SELECT * FROM {table}")))
            for table in tables
        ]
    )


async def test_what_was_put_right_is_no_longer_told(service: Running) -> None:
    await fill(service)
    change(service, "UPDATE usage_events SET used_tokens = used_tokens + 5 WHERE id = 'e9'")
    assert (await run_hourly(service))["differences"] > 0
    change(service, "UPDATE usage_events SET used_tokens = used_tokens - 5 WHERE id = 'e9'")

    assert (await run_hourly(service, hours=1, rows=1))["differences"] == 0
    assert "books" not in (await readiness(service))[1]


async def test_totals_of_money_are_looked_at_some_each_hour_and_all_in_the_end(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.jobs.auditing.TOTALS_A_RUN", 3)
    await fill(service)
    change(service, "UPDATE cost_totals SET used = used + 1 WHERE key = 'r4'")  # the last one

    outcomes = [await run_hourly(service, hours=hour) for hour in range(4)]

    assert [one["totals"] for one in outcomes] == [3, 3, 1, 1 + 3]
    assert [one["differences"] for one in outcomes] == [0, 0, 1, 1]
    change(service, "UPDATE cost_totals SET used = used - 1 WHERE key = 'r4'")
    assert (await run_hourly(service, hours=4))["differences"] == 0


async def test_old_days_are_looked_at_some_each_hour_and_all_in_the_end(service: Running) -> None:
    await fill(service)
    change(service, "UPDATE usage_events SET used_tokens = 99 WHERE id = 'e2'")
    outcomes = []
    for hour in range(20):
        outcomes.append(await run_hourly(service, hours=hour, rows=5))
        if outcomes[-1]["swept_at"] is not None:
            break

    assert 1 < len(outcomes) < 8, "a sweep takes several runs, and ends"
    assert all(one["days"] <= 9 for one in outcomes)
    assert outcomes[0]["differences"] == 0
    assert outcomes[-1]["differences"] > 0
    assert outcomes[-1]["swept_at"] == micros(NOW)


async def test_a_run_on_demand_looks_at_everything(service: Running) -> None:
    await fill(service)
    change(service, "UPDATE usage_events SET used_tokens = 99 WHERE id = 'e9'")

    run = (await service.client.post("/jobs/audit/run")).json()

    assert run["status"] == "done"
    assert run["outcome"]["differences"] > 0
    assert from_data(run["outcome"]).swept_at is not None
    assert "books" in (await readiness(service))[1]


def test_an_hour_is_due_twenty_minutes_after_it_began() -> None:
    at = micros(datetime(2026, 11, 1, 1, 20, tzinfo=UTC))
    assert hourly_slot("audit", at).period == "2026-11-01 01h"
    assert hourly_slot("audit", at - 1).period == "2026-11-01 00h"
    assert hourly_slot("audit", at).due_at == at
