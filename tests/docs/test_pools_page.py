"""The page on pools: its example works as typed and answers what it says."""

import json
import re

from app.core.keeping import ALLOCATION_DAYS
from app.core.pools import MOST_HELD, MOST_POOLS
from tests.data import REPOSITORY
from tests.running import running

PAGE = (REPOSITORY / "docs" / "pools.md").read_text(encoding="utf-8")


async def test_the_example_works_as_typed(sqlite_url: str) -> None:
    body = re.findall(r"-d '(.*?)'", PAGE)[0]
    shown = json.loads(re.findall(r"(?s)```json\n(.*?)```", PAGE)[0])
    async with running(sqlite_url) as service:
        answer = await service.client.post("/pools", content=body)
    assert answer.status_code == 201, answer.text
    changing = ("id", "created_at", "expires_at")
    assert {**answer.json(), **{name: shown[name] for name in changing}} == shown


def test_the_numbers_are_those_of_the_code() -> None:
    assert f"{MOST_POOLS} pools and {MOST_HELD:,} open reservations" in PAGE
    assert f"{ALLOCATION_DAYS} days after it closed" in PAGE
