"""Prove that an allocation is followed to one end, at a moment that stands still."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from app.core.allocation import Request
from app.core.errors import AlreadyFinished, NotFound
from app.core.ids import event_id_of
from app.core.monitoring import AllocationFinished, Load, Monitor, Report, extend, record, release
from app.flows.allocate import Asked, allocate
from app.flows.follow import change, finish, locate, look_up
from app.gateways.tokens import TokenCounter
from app.presets.loader import shipped
from app.store.database import Store
from app.store.directory import Directory
from app.store.shelf import PolicyShelf
from app.store.textcache import TextCache
from app.store.usage import get_event

ID = "alc_0001_w"


@pytest.fixture
async def opened(store: Store, now: datetime) -> str:
    """An allocation of 20,000 tokens that was made now."""
    asked = Asked(request=Request(agent="dbt-expert", complexity="medium", workspace="w"))
    shelf, tokens = PolicyShelf(shipped()), TokenCounter()
    await allocate(store, shelf, tokens, TextCache(), asked=asked, now=now, new_id=lambda *_: ID)
    return ID


def loads(*tokens: int) -> Callable[[Monitor, datetime], Monitor]:
    """A change that notes loads."""
    given = [Load(scope="global", tokens=n) for n in tokens]
    return lambda monitor, now: record(monitor, given, now)


async def test_what_was_noted_is_found_again(store: Store, now: datetime, opened: str) -> None:
    later = now + timedelta(seconds=30)
    changed = await change(store, "w", opened, loads(15_000, 3_000), now)
    found = await look_up(store, "w", opened, later)

    assert [alert["level"] for alert in changed["alerts"]] == ["info", "warning"]
    assert found["loaded"] == changed["loaded"] == 18_000
    assert (changed["duration_seconds"], found["duration_seconds"]) == (0, 30)


async def test_a_run_is_booked_once(store: Store, now: datetime, opened: str) -> None:
    report = Report(loads=(Load(scope="global", tokens=5),), output_tokens=3)
    later = now + timedelta(seconds=9)

    first = await finish(store, "w", opened, report, now)
    again = await finish(store, "w", opened, report, later)
    with pytest.raises(AlreadyFinished):
        await finish(store, "w", opened, Report(), later)

    kept = store.read_now(lambda tx: get_event(tx, "w", event_id_of(opened)))
    assert first == again == kept
    assert (first.used_tokens, first.duration_seconds) == (5, 0)
    assert (await look_up(store, "w", opened, later))["state"] == "finished"


async def test_what_ended_takes_no_more(store: Store, now: datetime, opened: str) -> None:
    await finish(store, "w", opened, Report(), now)
    for apply in (
        loads(1),
        lambda monitor, now: extend(monitor, 60, now),
        release,
    ):
        with pytest.raises(AllocationFinished):
            await change(store, "w", opened, apply, now)
    assert (await look_up(store, "w", opened, now))["loaded"] == 0


async def test_what_belongs_to_another_workspace_is_not_there(
    store: Store, now: datetime, opened: str
) -> None:
    with pytest.raises(NotFound):
        await look_up(store, "default", opened, now)
    with pytest.raises(NotFound):
        await change(store, "default", opened, loads(1), now)
    with pytest.raises(NotFound):
        await finish(store, "default", opened, Report(), now)


@pytest.mark.parametrize("id_", ["", "x", "alc_1_00000", "alc_\x00_00000", "alc__"])
async def test_an_id_that_nobody_made_has_no_workspace(store: Store, opened: str, id_: str) -> None:
    with pytest.raises(NotFound):
        await locate(store, Directory(), id_)
