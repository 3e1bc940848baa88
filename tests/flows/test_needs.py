"""Needs of many runs are read page by page, and each run once."""

import itertools

import pytest

from app.core.policy_documents import layers_for
from app.core.policybook import PolicyBook
from app.core.usage import UsageEvent
from app.core.windows import MICROS
from app.flows import needs
from app.flows.needs import NeedsQuestion, report_needs
from app.presets.loader import shipped
from app.store.booking import Delivery, book
from app.store.cells import seal
from app.store.database import Store

DAY = 86_400_000_000
NOW = 20_000 * DAY
BOOK = PolicyBook.compile(
    layers_for("default", shipped=shipped(), stored={}), workspace="default", version=0
)


def events(count: int) -> list[UsageEvent]:
    """Runs of three agents, several of them at the same moment."""
    return [
        UsageEvent(
            id=f"e{number:05d}",
            workspace="default",
            at=NOW - DAY + number // 7 * 1_000,
            agent=f"agent-{number % 3}",
            used_tokens=1 + number,
        )
        for number in range(count)
    ]


@pytest.mark.anyio
@pytest.mark.parametrize("page", [1, 7, 10, 100, 1_000])
async def test_every_run_is_counted_once_whatever_the_page(
    store: Store, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(needs, "PAGE", page)
    booked = events(100)
    await store.write("default", book, Delivery(events=booked))
    numbers = itertools.count()
    report = await report_needs(
        store,
        BOOK,
        NeedsQuestion(workspace="default", days=2, now=NOW),
        new_id=lambda prefix, _: f"{prefix}_{next(numbers)}",
    )
    section = next(one for one in report.sections if one.key == "agents")
    assert section.data is not None
    for one in section.data["agents"]:
        mine = [event.used_tokens for event in booked if event.agent == one["agent"]]
        assert (one["runs"], one["tokens"]["total"]) == (len(mine), sum(mine))
        assert one["tokens"]["max"] == max(mine)


@pytest.mark.anyio
@pytest.mark.parametrize("days", [None, 30.0])
async def test_it_begins_where_events_are_still_kept(store: Store, days: float | None) -> None:
    booked = [
        UsageEvent(id=f"e{ago}", workspace="default", at=NOW - ago * DAY, agent="a", used_tokens=1)
        for ago in range(1, 21)
    ]
    await store.write("default", book, Delivery(events=booked))
    await store.write("default", seal, (NOW - 5 * DAY) // MICROS)
    report = await report_needs(
        store,
        BOOK,
        NeedsQuestion(workspace="default", days=days, now=NOW),
        new_id=lambda prefix, _: f"{prefix}_1",
    )
    assert report.since == NOW - 5 * DAY
