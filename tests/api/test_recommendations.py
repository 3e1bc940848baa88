"""Recommendations over HTTP: made, listed, applied, dismissed, rolled back."""

import asyncio
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.api.test_usage import assert_problem, book
from tests.conftest import NOW
from tests.data import vectors
from tests.running import Running

pytestmark = pytest.mark.anyio

AGENT = "specialists/dbt-expert"
WEIGHED = {"global": 0.2, "agent_recent": 0.3, "agent_patterns": 0.5}


def runs(count: int = 12, **facts: Any) -> list[dict[str, Any]]:
    """Runs of one agent in the hours before `NOW`."""
    agent = facts.get("agent", AGENT)
    return [
        {
            "id": f"{agent}-{facts['used_tokens']}-{number}".replace("/", "-"),
            "agent": agent,
            "budget_tokens": 20_000,
            "complexity": "medium",
            "timestamp": (NOW - timedelta(hours=number + 1)).isoformat(),
            **facts,
        }
        for number in range(count)
    ]


async def run(client: httpx.AsyncClient, **body: Any) -> list[dict[str, Any]]:
    answer = await client.post("/recommendations/run", json=body)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def listed(client: httpx.AsyncClient, **filters: Any) -> list[dict[str, Any]]:
    answer = await client.get("/recommendations", params=filters)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def decide(client: httpx.AsyncClient, id_: str, what: str) -> dict[str, Any]:
    answer = await client.post(f"/recommendations/{id_}/{what}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def budget(client: httpx.AsyncClient, agent: str = AGENT, **more: Any) -> dict[str, Any]:
    """What the agent's next medium run gets."""
    body = {"agent": agent, "complexity": "medium", **more}
    answer = await client.post("/allocate", json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.fixture
def client(service: Running) -> httpx.AsyncClient:
    service.set_clock(NOW)
    return service.client


async def test_a_recommendation_has_all_that_the_contract_says(client: httpx.AsyncClient) -> None:
    used = [{**one, "used_tokens": 26_000, "cost_usd": "0.5"} for one in runs(used_tokens=1)]
    await book(client, *used[:4], *runs(used_tokens=15_000))

    (found,) = await run(client, window_days=7)

    assert found["id"].startswith("rec_")
    proposed = found.pop("proposed")
    assert found | {"id": ""} == {
        "id": "",
        "workspace": "default",
        "agent": AGENT,
        "action": "upgrade",
        "status": "open",
        "recommended": True,
        "confidence": 0.75,
        "current": {
            "profile": "specialist-narrow",
            "base_budget": 20_000,
            "max_budget": 50_000,
            "scope_weights": WEIGHED,
            "own_weights": False,
        },
        "reason": "4 of 16 runs (25 %) exceeded their budget, more than 20 %: the next larger"
        " profile is specialist-broad (35,000 tokens) after specialist-narrow (20,000).",
        "samples": 16,
        "exceedance_interval": [pytest.approx(0.1018, abs=1e-4), pytest.approx(0.4950, abs=1e-4)],
        "evidence": {
            "executions": 16,
            "exceeded": 4,
            "exceedance_rate": 0.25,
            "unmet": 0,
            "avg_used_pct": 88.75,
            "budget_tokens": 320_000,
            "used_tokens": 284_000,
            "scope_share": {},
            "off_scopes": [],
            "replayed": "runs",
        },
        "impact": {
            "tokens_saved": 16 * (20_000 - 35_000),
            "exceedances_avoided": 4,
            "unmet_avoided": 0,
            "used_tokens_saved": 0,
            "usd_saved": "0",
        },
        "window_days": 7,
        "since": "2026-03-07T15:00:00Z",
        "until": "2026-03-14T16:00:00Z",
        "period": "2026-03-14T15:09:26.000000Z",
        "created_at": "2026-03-14T15:09:26Z",
        "decided_at": None,
        "policy_version": None,
    }
    assert (proposed["profile"], proposed["base_budget"]) == ("specialist-broad", 35_000)
    assert await listed(client) == [{**found, "proposed": proposed}]


async def test_the_originals_cases(client: httpx.AsyncClient) -> None:
    records = {
        f"cases/{one['id'].rpartition('/')[2]}": one
        for one in vectors("A12.recommend")
        if one["class"] == "must"
    }
    for agent, record in records.items():
        await client.put(f"/agents/{agent}", json={"profile": record["in"]["profile"]})
        events = [
            {
                "id": f"{agent}-{number}".replace("/", "-"),
                "agent": agent,
                "complexity": one["complexity"],
                "budget_tokens": one["budget"],
                "used_tokens": sum(one["scopes"].values()),
                "scopes": one["scopes"],
                "timestamp": (NOW - timedelta(days=one["age_days"])).isoformat(),
            }
            for number, one in enumerate(record["in"]["events"])
        ]
        await book(client, *events)
    assert {record["in"]["window_days"] for record in records.values()} == {30}

    items = await run(client)

    assert [one["agent"] for one in items] == sorted(records)
    for one in items:
        expected, evidence = records[one["agent"]]["out"], one["evidence"]
        assert one["samples"] == expected["samples"]
        assert evidence["exceedance_rate"] == pytest.approx(expected["exceedance_rate"])
        assert evidence["avg_used_pct"] == pytest.approx(expected["avg_used_pct"], abs=1e-4)
        assert one["recommended"] == (expected["action"] is not None)
        assert (one["action"] == "defer") == (expected["samples"] < 10)
        if one["recommended"]:
            assert one["action"] == expected["action"]
            assert one["confidence"] == pytest.approx(expected["confidence"], abs=1e-9)


async def test_the_next_allocation_has_the_budget_that_was_applied_and_then_the_old_one(
    client: httpx.AsyncClient,
) -> None:
    await book(client, *runs(used_tokens=25_000))
    (one,) = await run(client)
    assert (await budget(client))["budget"]["tokens"] == 20_000
    before = (await client.get("/config/export")).text

    applied = await decide(client, one["id"], "apply")
    assert (applied["status"], applied["policy_version"]) == ("applied", 1)
    assert applied["decided_at"] == "2026-03-14T15:09:26Z"
    assert (await budget(client))["budget"]["tokens"] == 35_000
    assert (await listed(client))[0] == applied

    rolled = await decide(client, one["id"], "rollback")
    assert rolled == {**applied, "status": "rolled_back"}
    assert (await budget(client))["budget"]["tokens"] == 20_000
    assert (await client.get("/config/export")).text == before


async def test_an_agent_nobody_assigned_is_assigned_and_released_again(
    client: httpx.AsyncClient,
) -> None:
    await book(client, *runs(used_tokens=25_000, agent="newcomer"))
    (one,) = await run(client)
    assert one["current"]["profile"] == "specialist-narrow"

    await decide(client, one["id"], "apply")
    assert (await budget(client, "newcomer"))["budget"]["tokens"] == 35_000
    assert (await client.get("/agents/newcomer")).json() == {"profile": "specialist-broad"}

    await decide(client, one["id"], "rollback")
    assert_problem(await client.get("/agents/newcomer"), 404)
    assert (await budget(client, "newcomer"))["budget"]["tokens"] == 20_000


async def test_weights_of_the_agents_own_leave_its_profile_as_it_is(
    client: httpx.AsyncClient,
) -> None:
    scopes = {"global": 3_000, "patterns": 11_000, "intermediate": 1_000}
    await book(client, *runs(used_tokens=15_000, scopes=scopes))
    (one,) = await run(client)
    assert (one["action"], one["confidence"]) == ("adjust_weights", 0.8)
    assert one["evidence"]["off_scopes"] == ["agent_patterns", "agent_recent"]
    assert one["proposed"]["scope_weights"] == {
        "global": 0.2,
        "agent_recent": 0.07,
        "agent_patterns": 0.73,
    }
    before = (await client.get("/profiles/specialist-narrow")).json()

    await decide(client, one["id"], "apply")

    rooms = (await budget(client))["scopes"]
    assert [scope["tokens"] for scope in rooms] == [4_000, 1_400, 14_600]
    others = (await budget(client, "snowflake-expert"))["scopes"]
    assert [scope["tokens"] for scope in others] == [4_000, 6_000, 10_000]
    assert (await client.get("/profiles/specialist-narrow")).json() == before

    await decide(client, one["id"], "rollback")
    assert [scope["tokens"] for scope in (await budget(client))["scopes"]] == [4_000, 6_000, 10_000]


async def test_what_was_dismissed_stays_dismissed(client: httpx.AsyncClient) -> None:
    await book(client, *runs(used_tokens=25_000))
    (one,) = await run(client)

    dismissed = await decide(client, one["id"], "dismiss")

    assert (dismissed["status"], dismissed["decided_at"]) == ("dismissed", "2026-03-14T15:09:26Z")
    assert await run(client) == [dismissed]  # the clock stands: it is the same period
    for what in ("apply", "dismiss"):
        answer = await client.post(f"/recommendations/{one['id']}/{what}")
        problem = assert_problem(answer, 409, "recommendation_not_open")
        assert problem["current_status"] == "dismissed"
    answer = await client.post(f"/recommendations/{one['id']}/rollback")
    assert_problem(answer, 409, "recommendation_not_applied")
    assert (await budget(client))["budget"]["tokens"] == 20_000


async def test_a_later_run_supersedes_what_is_open(service: Running) -> None:
    client, clock = service.client, service.set_clock(NOW)
    await book(client, *runs(used_tokens=25_000))
    (first,) = await run(client)
    clock.pass_(hours=2)

    (second,) = await run(client)

    assert [(one["id"], one["status"]) for one in await listed(client)] == [
        (second["id"], "open"),
        (first["id"], "superseded"),
    ]
    answer = await client.post(f"/recommendations/{first['id']}/apply")
    assert_problem(answer, 409, "recommendation_not_open")


async def test_nothing_proposed_is_nothing_to_apply(client: httpx.AsyncClient) -> None:
    await book(
        client,
        *runs(used_tokens=15_000),
        *runs(3, used_tokens=15_000, agent="newcomer"),
        *runs(used_tokens=1_000, agent="specialists/react-expert"),
    )
    items = await run(client)

    assert [(one["agent"], one["action"], one["proposed"]) for one in items] == [
        ("newcomer", "defer", None),
        (AGENT, "maintain", None),
        ("specialists/react-expert", "downgrade", None),
    ]
    assert items[0]["reason"] == "Deferred, needs 7 more runs."
    assert "no profile has a smaller base" in items[2]["reason"]
    for one in items:
        answer = await client.post(f"/recommendations/{one['id']}/apply")
        assert_problem(answer, 409, "nothing_to_apply")
        assert one["impact"]["tokens_saved"] == 0
    assert (await client.get("/config/versions")).json()["items"] == []


async def test_policy_that_changed_since_outdates_it(client: httpx.AsyncClient) -> None:
    await book(client, *runs(used_tokens=25_000))
    (one,) = await run(client)
    await client.put(f"/agents/{AGENT}", json={"profile": "role-architect"})

    answer = await client.post(f"/recommendations/{one['id']}/apply")

    problem = assert_problem(answer, 409, "recommendation_outdated")
    assert "POST /recommendations/run" in problem["detail"]
    assert (await listed(client))[0]["status"] == "open"
    assert (await budget(client))["budget"]["tokens"] == 75_000


async def test_a_rollback_takes_back_only_what_applying_did(client: httpx.AsyncClient) -> None:
    own = {"profile": "specialist-narrow", "scope_weights": {"global": 0.4, "agent_recent": 0.1}}
    await client.put(f"/agents/{AGENT}", json=own)
    await book(client, *runs(used_tokens=25_000))
    (one,) = await run(client)
    applied = await decide(client, one["id"], "apply")
    assert applied["proposed"]["scope_weights"] == {
        "global": 0.4,
        "agent_recent": 0.1,
        "agent_patterns": 0.5,
    }
    await client.put("/agents/specialists/aws-expert", json={"profile": "role-architect"})

    await decide(client, one["id"], "rollback")

    assert (await client.get(f"/agents/{AGENT}")).json() == own
    other = await client.get("/agents/specialists/aws-expert")
    assert other.json() == {"profile": "role-architect"}


async def test_an_assignment_changed_since_is_not_rolled_back(client: httpx.AsyncClient) -> None:
    await book(client, *runs(used_tokens=25_000))
    (one,) = await run(client)
    await decide(client, one["id"], "apply")
    await client.put(f"/agents/{AGENT}", json={"profile": "role-architect"})

    answer = await client.post(f"/recommendations/{one['id']}/rollback")

    assert_problem(answer, 409, "recommendation_outdated")
    assert (await budget(client))["budget"]["tokens"] == 75_000
    assert (await listed(client))[0]["status"] == "applied"


async def test_of_two_who_apply_at_once_one_is_told_that_it_is_done(
    client: httpx.AsyncClient,
) -> None:
    await book(client, *runs(used_tokens=25_000))
    (one,) = await run(client)

    url = f"/recommendations/{one['id']}/apply"
    answers = await asyncio.gather(*(client.post(url) for _ in range(6)))

    assert sorted(answer.status_code for answer in answers) == [200, *[409] * 5]
    assert len((await client.get("/config/versions")).json()["items"]) == 1


async def test_workspaces_do_not_see_each_others(client: httpx.AsyncClient) -> None:
    theirs = [{**one, "workspace": "team"} for one in runs(used_tokens=25_000)]
    await book(client, *theirs)
    assert await run(client) == []

    (one,) = await run(client, workspace="team")

    assert one["workspace"] == "team"
    assert await listed(client) == []
    assert [found["id"] for found in await listed(client, workspace="team")] == [one["id"]]
    for what in ("apply", "dismiss", "rollback"):
        url = f"/recommendations/{one['id']}/{what}"
        assert_problem(await client.post(url, params={"workspace": "default"}), 404, "not_found")
    await decide(client, one["id"], "apply")
    assert (await budget(client, workspace="team"))["budget"]["tokens"] == 35_000
    assert (await budget(client))["budget"]["tokens"] == 20_000


async def test_lists_are_filtered_and_paged_newest_first(service: Running) -> None:
    client, clock = service.client, service.set_clock(NOW)
    for agent in ("specialists/aws-expert", AGENT, "other/dbt-expert"):
        await book(client, *runs(used_tokens=25_000, agent=agent))
    await run(client, window_days=7)
    clock.pass_(minutes=1)
    await run(client)

    everything = await listed(client)
    assert [one["status"] for one in everything] == ["open"] * 3 + ["superseded"] * 3
    assert len(await listed(client, status="superseded")) == 3
    assert {one["window_days"] for one in await listed(client, window_days=7)} == {7}
    assert {one["agent"] for one in await listed(client, agent="dbt-expert")} == {
        AGENT,
        "other/dbt-expert",
    }
    assert {one["agent"] for one in await listed(client, agent=AGENT)} == {AGENT}
    assert await listed(client, agent="nobody") == []

    paged: list[dict[str, Any]] = []
    cursor: dict[str, Any] = {}
    while True:
        page = (await client.get("/recommendations", params={"limit": 2, **cursor})).json()
        paged += page["items"]
        if page["next_cursor"] is None:
            break
        assert len(page["items"]) == 2
        cursor = {"cursor": page["next_cursor"]}
    assert paged == everything


async def test_only_runs_of_the_window_count(client: httpx.AsyncClient) -> None:
    old = [
        {**one, "id": f"old-{number}", "timestamp": (NOW - timedelta(days=8)).isoformat()}
        for number, one in enumerate(runs(used_tokens=25_000))
    ]
    await book(client, *old, *runs(10, used_tokens=15_000))

    assert [(one["action"], one["samples"]) for one in await run(client, window_days=7)] == [
        ("maintain", 10)
    ]
    assert [(one["action"], one["samples"]) for one in await run(client, window_days=9)] == [
        ("upgrade", 22)
    ]


async def test_an_event_that_was_acknowledged_counts_at_once(client: httpx.AsyncClient) -> None:
    for number, one in enumerate(runs(used_tokens=25_000), start=1):
        await book(client, one)
        (found,) = await run(client)
        assert found["samples"] == number


async def test_absurd_budgets_and_tokens_are_judged_and_bounded(client: httpx.AsyncClient) -> None:
    most = 10_000_000_000
    await book(
        client,
        *runs(budget_tokens=0, used_tokens=0, agent="idle"),
        *runs(budget_tokens=0, used_tokens=5, agent="nothing"),
        *runs(budget_tokens=1, used_tokens=most, agent="much"),
        *runs(budget_tokens=most, used_tokens=1, agent="little", scopes={"global": most}),
        *runs(1, used_tokens=1, agent="once"),
    )

    items = {one["agent"]: one for one in await run(client)}

    assert {agent: one["action"] for agent, one in items.items()} == {
        "idle": "downgrade",
        "nothing": "upgrade",
        "much": "upgrade",
        "little": "downgrade",
        "once": "defer",
    }
    assert items["nothing"]["evidence"]["avg_used_pct"] is None
    assert items["much"]["confidence"] == 1


async def test_the_workspaces_budget_may_decide_for_agents(client: httpx.AsyncClient) -> None:
    await client.put("/workspaces/team", json={"overrides_agents": True})
    theirs = [{**one, "workspace": "team"} for one in runs(used_tokens=25_000)]
    await book(client, *theirs)

    (one,) = await run(client, workspace="team")

    assert (one["action"], one["proposed"], one["current"]["profile"]) == ("upgrade", None, None)
    assert "change the budget of the workspace" in one["reason"]


async def test_money_is_saved_where_runs_are_priced_and_cut_less(client: httpx.AsyncClient) -> None:
    cut = runs(4, used_tokens=20_000, needed_tokens=30_000, cost_usd="0.10")
    over = runs(12, used_tokens=24_000, cost_usd="0.12")
    await book(client, *cut, *over)

    (one,) = await run(client)

    assert one["impact"]["exceedances_avoided"] == 12
    assert one["impact"]["unmet_avoided"] == 4
    assert one["impact"]["used_tokens_saved"] == -4 * 10_000
    assert Decimal(one["impact"]["usd_saved"]) == Decimal("-0.20")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"window_days": 0}, "window_days"),
        ({"window_days": 3_651}, "window_days"),
        ({"window_days": 1.5}, "window_days"),
        ({"window_days": "30"}, "window_days"),
        ({"window_days": None}, "window_days"),
        ({"workspace": "*"}, "workspace"),
        ({"workspace": "a/b"}, "workspace"),
        ({"days": 30}, "days"),
    ],
)
async def test_a_bad_body_is_refused_and_the_field_named(
    light_client: httpx.AsyncClient, body: dict[str, Any], field: str
) -> None:
    answer = await light_client.post("/recommendations/run", json=body)

    problem = assert_problem(answer, 422, "invalid_request")
    assert [error["loc"][-1] for error in problem["errors"]] == [field]


@pytest.mark.parametrize(
    "params",
    [
        {"status": "new"},
        {"window_days": "0"},
        {"limit": "0"},
        {"cursor": "x"},
        {"days": "30"},
        {"workspace": "*"},
    ],
)
async def test_bad_queries_are_refused(
    light_client: httpx.AsyncClient, params: dict[str, str]
) -> None:
    assert_problem(await light_client.get("/recommendations", params=params), 422)


@pytest.mark.parametrize("id_", ["rec_1", "x", "rec_%00", "rec_01m7ykbg4816ymd7anyv4m_dc0vv2d8"])
async def test_unknown_ids_are_not_found(client: httpx.AsyncClient, id_: str) -> None:
    await book(client, *runs(used_tokens=1))
    for what in ("apply", "dismiss", "rollback"):
        answer = await client.post(f"/recommendations/{id_}/{what}")
        assert_problem(answer, 404, "not_found")


async def test_without_a_body_the_last_thirty_days_are_judged(client: httpx.AsyncClient) -> None:
    await book(client, *runs(used_tokens=25_000))

    answer = await client.post("/recommendations/run")

    (one,) = answer.json()["items"]
    since = datetime.fromisoformat(one["since"])
    assert NOW - since == timedelta(days=30, minutes=9, seconds=26)
