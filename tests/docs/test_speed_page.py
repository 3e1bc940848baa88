"""The page on speed and context says what the code does, and its examples work as typed."""

import json
import re
from datetime import UTC, datetime

from app.core.bottlenecks import SEVERITIES
from app.core.counting import ENOUGH_PAIRS, LEAST_TOKENS, MOST_PAIRS, SHIPPED
from app.core.keeping import (
    OPERATION_DAY_DAYS,
    OPERATION_DAYS,
    OPERATION_HOUR_DAYS,
    OPERATIONS_MOST,
)
from app.core.operation_figures import ENOUGH
from app.core.operations import MOST_NAMES
from app.flows.operation_reports import MOST_IN_RUN
from tests.data import REPOSITORY
from tests.running import running

PAGE = (REPOSITORY / "docs" / "speed-and-context.md").read_text(encoding="utf-8")


def test_the_ratios_are_those_that_ship() -> None:
    shown = {name: float(ratio) for name, ratio in re.findall(r"`([\w-]+)` \| ([\d.]+)", PAGE)}
    assert shown == SHIPPED


def test_the_numbers_are_those_of_the_code() -> None:
    for said in (
        f"after {ENOUGH_PAIRS} reports",
        f"less than {LEAST_TOKENS} tokens",
        f"Beyond {MOST_PAIRS:,} reports",
        f"one by one for {OPERATION_DAYS} days, at most the newest {OPERATIONS_MOST:,}",
        f"hours for {OPERATION_HOUR_DAYS} days, days for {OPERATION_DAY_DAYS}",
        f"{MOST_NAMES:,} combinations",
        f"first {MOST_IN_RUN:,} operations",
        f"({ENOUGH['p50']} operations in each week)",
        f"95th percentile ({ENOUGH['p95']})",
    ):
        assert said in PAGE, said
    for least, severity in SEVERITIES:
        assert (f"`{severity}` from {least:.0f} %" if least else f"else `{severity}`") in PAGE


async def test_the_examples_work_as_typed(sqlite_url: str) -> None:
    typed = re.findall(r"curl -s localhost:8000(/\S+) .*?-d '(.*?)'\n", PAGE, re.DOTALL)
    assert [path for path, _ in typed] == [
        "/tokens/count",
        "/tokens/reports",
        "/minify",
        "/operations",
    ]
    async with running(sqlite_url) as service:
        service.set_clock(datetime(2026, 3, 14, 12, 30, tzinfo=UTC))
        answers = {}
        for path, body in typed:
            answer = await service.client.post(path, json=json.loads(body))
            assert answer.is_success, answer.text
            answers[path] = answer.json()
        assert "cellar holds wine" in answers["/minify"]["context"]["notes"]
        assert "roses" not in answers["/minify"]["context"]["notes"]
        asked = re.findall(r"`GET (/operations\S+)`", PAGE)
        assert len(asked) == 3
        for path in asked:
            found = await service.client.get(path)
            assert found.status_code == 200, found.text
        assert found.json()["groups"] == [["search", "read"]]
