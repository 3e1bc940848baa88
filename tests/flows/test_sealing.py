"""Usage events go by whole days; what they came to stays, and nothing is booked there twice."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict, replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from app.core.errors import TooOld
from app.core.questions import Question
from app.core.usage import UsageEvent, day_start
from app.core.windows import DAY_S, HOUR_S, MICROS, micros
from app.flows.analyse import analyse
from app.flows.audit import audit
from app.flows.import_usage import import_usage
from app.flows.retention import delete_past_keeping
from app.presets.loader import shipped
from app.store.booking import Delivery, book
from app.store.cell_reading import read_sealed
from app.store.database import Store
from app.store.groupcache import GroupCache
from app.store.shelf import PolicyShelf
from app.store.usage import list_events
from tests.conftest import NOW
from tests.core.runs import run

NOW_MICROS = micros(NOW)
DAYS = 100
HOURS = 5
"""Hours between two events."""
SEALED = day_start(NOW_MICROS // MICROS - DAYS * DAY_S)


def event(number: int, **facts: Any) -> UsageEvent:
    """One run for each five hours before now, at odd minutes."""
    at = NOW_MICROS - (number * HOURS * HOUR_S + 61 * (number % 60)) * MICROS
    agent = ("t/a", "t/b")[number % 2]
    scopes = {"global": 7 + number % 5}
    return run(f"e{number:04}", used=number % 150, at=at, agent=agent, scopes=scopes, **facts)


EVENTS = [event(number) for number in range(140 * 24 // HOURS)]


@pytest.fixture
def shelf() -> PolicyShelf:
    return PolicyShelf(shipped())


async def put(store: Store, events: list[UsageEvent]) -> int:
    booked = await store.write("default", book, Delivery(events=events), weight=len(events))
    return sum(one.is_new for one in booked)


async def asked(store: Store, **given: Any) -> dict[str, Any]:
    question = {
        "workspace": "default",
        "by": "agent",
        "agent": None,
        "since": None,
        "until": None,
        "now": NOW_MICROS,
        "zone": ZoneInfo("UTC"),
        **given,
    }
    return asdict(await analyse(store, GroupCache(), Question(**question)))


def kept(store: Store) -> list[UsageEvent]:
    return store.read_now(lambda tx: list_events(tx, "default", filters={}, limit=10_000))


async def test_analytics_stay_and_the_audit_passes_when_events_go(
    store: Store, shelf: PolicyShelf
) -> None:
    await put(store, EVENTS)
    questions: list[dict[str, Any]] = [
        {},
        {"by": "scope"},
        {"by": "day"},
        {"by": "hour", "since": (SEALED - 3 * DAY_S) * MICROS, "until": SEALED * MICROS},
        {"agent": "t/a", "since": (SEALED - 20 * DAY_S) * MICROS},
        {"since": (SEALED - 9 * HOUR_S) * MICROS, "until": (SEALED + 9 * HOUR_S) * MICROS},
    ]
    before = [await asked(store, **question) for question in questions]

    removed = await delete_past_keeping(store, shelf, NOW_MICROS, usage_days=DAYS)

    old = [one for one in EVENTS if one.at < SEALED * MICROS]
    assert removed == {"usage_events": len(old)}
    assert min(one.at for one in kept(store)) >= SEALED * MICROS
    assert len(kept(store)) == len(EVENTS) - len(old)
    assert [await asked(store, **question) for question in questions] == before
    (found,) = audit(store, None, lambda *_: None)
    assert (found.faults, found.events) == (0, len(EVENTS) - len(old))
    assert await delete_past_keeping(store, shelf, NOW_MICROS, usage_days=DAYS) == {}


async def test_an_hour_of_a_sealed_day_counts_where_it_begins(
    store: Store, shelf: PolicyShelf
) -> None:
    start = SEALED - 10 * DAY_S + 7 * HOUR_S
    await put(store, [run(f"o{n}", at=(start + n * 600) * MICROS) for n in range(6)])
    await delete_past_keeping(store, shelf, NOW_MICROS, usage_days=DAYS)

    async def counted(since: int, until: int) -> int:
        found = await asked(store, since=since * MICROS, until=until * MICROS)
        executions: int = found["overall"]["executions"]
        return executions

    assert await counted(start, start + 1) == 6
    assert await counted(start - 60, start + 60) == 6
    assert await counted(start + 60, start + HOUR_S + 60) == 0
    half = ZoneInfo("Asia/Kathmandu")  # its days begin at a quarter past a UTC hour
    by_day = await asked(store, by="day", zone=half)
    assert sum(group["executions"] for group in by_day["groups"]) == 6


async def test_nothing_is_booked_in_a_sealed_day(store: Store, shelf: PolicyShelf) -> None:
    await put(store, EVENTS)
    await delete_past_keeping(store, shelf, NOW_MICROS, usage_days=DAYS)
    before = await asked(store)
    gone = next(one for one in EVENTS if one.at < SEALED * MICROS)
    fresh = replace(event(1), id="fresh")

    with pytest.raises(TooOld, match="kept no longer"):
        await put(store, [gone])
    with pytest.raises(TooOld):
        await put(store, [fresh, replace(gone, id="another")])
    assert await asked(store) == before

    beside = await asyncio.gather(put(store, [fresh]), put(store, [gone]), return_exceptions=True)
    assert beside[0] == 1
    assert isinstance(beside[1], TooOld)


async def test_an_import_names_the_lines_that_are_too_old(store: Store, shelf: PolicyShelf) -> None:
    await put(store, EVENTS)
    await delete_past_keeping(store, shelf, NOW_MICROS, usage_days=DAYS)
    events = {b"old": replace(EVENTS[-1], id="x"), b"new": replace(EVENTS[1], id="y")}

    async def chunks() -> AsyncIterator[bytes]:
        yield b"new\nold\n"

    report = await import_usage(store, "default", chunks(), lambda line: events[line])

    assert report.imported == 1
    assert [one.line for one in report.refused] == [2]


async def test_without_a_limit_events_are_kept(store: Store, shelf: PolicyShelf) -> None:
    await put(store, EVENTS)
    assert await delete_past_keeping(store, shelf, NOW_MICROS) == {}
    assert len(kept(store)) == len(EVENTS)
    assert store.read_now(lambda tx: read_sealed(tx, "default")) == 0


async def test_hours_that_were_open_are_rolled_up_first(store: Store, shelf: PolicyShelf) -> None:
    await put(store, [event(number) for number in range(600, 640)])
    before = await asked(store)
    await delete_past_keeping(store, shelf, NOW_MICROS, usage_days=DAYS)
    assert kept(store) == []
    assert await asked(store) == before
    (found,) = audit(store, None, lambda *_: None)
    assert found.faults == 0
    assert await put(store, [event(1)]) == 1
