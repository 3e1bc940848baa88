"""How an allocation is shown: as it was answered, with what has come since."""

from datetime import UTC, datetime, timedelta
from typing import Any

from app.core.monitoring import Load, Monitor, Report, finish, opened, record
from app.core.standing import describe
from app.core.terms import terms_of
from tests.core.policies import profile_policy

NOW = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)


def room(name: str, tokens: int) -> dict[str, Any]:
    return {"name": name, "weight": 0.5, "tokens": tokens, "used": 0, "remaining": tokens}


ANSWER: dict[str, Any] = {
    "id": "alc_1",
    "budget": {"tokens": 100, "base": 100},
    "scopes": [room("global", 60), room("agent_recent", 40)],
}


def monitor(*loads: tuple[str, int], **changes: Any) -> Monitor:
    terms = terms_of(profile_policy(100, 1_000, **changes), "medium", budget=100)
    fresh = opened(terms, budget=100, now=NOW, ttl_seconds=60)
    return record(fresh, [Load(scope=scope, tokens=tokens) for scope, tokens in loads], NOW)


def scopes(shown: dict[str, Any]) -> dict[str, tuple[int, int]]:
    return {one["name"]: (one["used"], one["remaining"]) for one in shown["scopes"]}


def test_loads_show_in_their_scopes_and_leave_the_rest() -> None:
    shown = describe(ANSWER, monitor(("global", 25), ("agent_recent", 50)), NOW)

    assert scopes(shown) == {"global": (25, 35), "agent_recent": (50, 0)}
    assert (shown["loaded"], shown["remaining"], shown["used_pct"]) == (75, 25, 75.0)
    assert (shown["state"], shown["finished_at"]) == ("open", None)


def test_a_scope_without_a_room_is_shown_with_none() -> None:
    assert scopes(describe(ANSWER, monitor(("notes", 7)), NOW))["notes"] == (7, 0)


def test_another_name_of_a_scope_is_the_scope() -> None:
    assert scopes(describe(ANSWER, monitor(("recent", 7)), NOW)) == {
        "global": (0, 60),
        "agent_recent": (7, 33),
    }


def test_the_answer_itself_is_left_as_it_was() -> None:
    describe(ANSWER, monitor(("global", 25)), NOW)

    assert ANSWER["scopes"][0]["used"] == 0
    assert ANSWER["budget"] == {"tokens": 100, "base": 100}


def test_a_raised_budget_is_shown() -> None:
    raised = monitor(("global", 100), auto_bump=True)

    shown = describe(ANSWER, raised, NOW)

    assert shown["budget"] == {"tokens": raised.budget, "base": 100}
    assert raised.budget > 100


def test_an_allocation_is_open_then_expired_unless_it_was_finished() -> None:
    late = NOW + timedelta(seconds=60)
    done = finish(monitor(), Report(), NOW)

    assert describe(ANSWER, monitor(), late)["state"] == "expired"
    assert describe(ANSWER, done, late)["state"] == "finished"
    assert describe(ANSWER, done, late)["finished_at"] == NOW
