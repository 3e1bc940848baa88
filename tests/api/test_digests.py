"""A digest says what was sent: however it was written, and as earlier versions took it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from app.api.schemas.cloudevents import read_cloudevents
from app.api.schemas.usage import UsageEventIn, read_events, to_event
from app.core.usage import UsageEvent

SENT = b"""{"used_tokens": 7, "budget_tokens": null,
 "metadata": {"z": [1, 1.0, null], "a": "\\u00fc"}, "cost_usd": 0.1,
 "scopes": {"b": 1, "a": 2}, "timestamp": "2026-01-01T00:00:00.120+05:45",
 "duration_seconds": 1, "task": null, "agent": "dbt-expert", "id": "run-1"}"""
REORDERED = b"""{"id":"run-1","agent":"dbt-expert","task":null,"duration_seconds":1.0,
 "timestamp":"2026-01-01T00:00:00.12+05:45","scopes":{"b":1,"a":2},"cost_usd":"0.10",
 "metadata":{"z":[1,1.0,null],"a":"\xc3\xbc"},"budget_tokens":null,"used_tokens":7}"""
CLOUD = b"""{"specversion": "1.0", "id": "1", "source": "/ci", "type": "run",
 "time": "2026-02-02T00:00:00Z",
 "data": {"used_tokens": 7, "agent": "dbt-expert", "budget_tokens": 9, "id": null}}"""

OF_SENT = "7fb4bc6e038c4727acfdf77cbd9b54e4"
"""As version 0.1 stored it: an event of then that comes again must not look like another."""
OF_CLOUD = "587110db1cc799d64eb0bb4c7a81db33"


def booked(given: UsageEventIn) -> UsageEvent:
    def identify(workspace: str, agent: str, agent_type: str | None) -> tuple[str, str | None]:
        return agent, None

    now = datetime(2026, 5, 5, tzinfo=UTC)
    return to_event(given, index=0, identify=identify, new_id=lambda kind, home: kind, now=now)


@pytest.mark.parametrize("raw", [SENT, b"[" + SENT + b"]", REORDERED])
def test_the_same_event_has_the_same_digest_however_it_is_written(raw: bytes) -> None:
    event = booked(read_events(raw)[0])

    assert (event.id, event.at, event.fingerprint.hex()) == ("run-1", 1767204900120000, OF_SENT)


@pytest.mark.parametrize(
    "change",
    [{"task": ""}, {"used_tokens": 8}, {"scopes": {"a": 2, "b": 2}}, {"cost_usd": None}],
)
def test_another_body_has_another_digest(change: dict[str, Any]) -> None:
    given = read_events(SENT)[0]

    assert booked({**given, **change}).fingerprint.hex() != OF_SENT  # type: ignore[typeddict-item]


def test_null_and_left_out_are_two_bodies() -> None:
    given = read_events(SENT)[0]
    del given["task"]

    assert booked(given).fingerprint.hex() != OF_SENT


def test_an_event_in_an_envelope_is_digested_with_the_name_and_time_of_the_envelope() -> None:
    event = booked(read_cloudevents(CLOUD)[0])

    assert event.id == "ce_va1j978r5scmv47nk578q6an"
    assert (event.at, event.fingerprint.hex()) == (1769990400000000, OF_CLOUD)
