"""Usage over HTTP: booked once, listed, carried in and out, and refused with what to change."""

import csv
import io
import json
import tarfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from app.core.ids import tag_of
from tests.data import data_dir, vectors
from tests.running import Running

RUN: dict[str, Any] = {
    "agent": "specialists/dbt-expert",
    "budget_tokens": 20_000,
    "used_tokens": 18_000,
    "complexity": "medium",
    "scopes": {"global": 4_000, "agent_recent": 14_000},
}


async def book(client: httpx.AsyncClient, *events: Mapping[str, Any]) -> dict[str, Any]:
    answer = await client.post("/usage", json=list(events))
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def listed(client: httpx.AsyncClient, **filters: Any) -> list[dict[str, Any]]:
    answer = await client.get("/usage", params={"limit": 1000, **filters})
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def analytics(client: httpx.AsyncClient, **asked: Any) -> dict[str, Any]:
    answer = await client.get("/usage/analytics", params=asked)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def assert_problem(answer: httpx.Response, status: int, code: str | None = None) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == status
    assert problem["detail"]
    assert code is None or problem["code"] == code
    return problem


async def test_one_event_is_booked_and_shown_as_it_was_sent(client: httpx.AsyncClient) -> None:
    sent = {
        **RUN,
        "id": "run-1",
        "timestamp": "2026-03-01T12:00:00+05:45",
        "task": "Check the joins – ü",
        "project": "p",
        "user": "u",
        "session_id": "s",
        "run_id": "r",
        "model": "m",
        "stage": "plan",
        "needed_tokens": 21_000,
        "input_tokens": 30_000,
        "output_tokens": 900,
        "cached_tokens": 100,
        "cost_usd": "0.0123",
        "duration_seconds": 1.25,
        "success": False,
        "error": "TimeoutError",
        "metadata": {"any": ["thing", None, 1.5]},
    }

    answer = await client.post("/usage", json=sent)

    assert answer.status_code == 201
    assert answer.json() == {"accepted": 1, "duplicates": 0, "ids": ["run-1"], "alerts": []}
    (shown,) = await listed(client)
    assert datetime.fromisoformat(shown.pop("timestamp")) == datetime(2026, 3, 1, 6, 15, tzinfo=UTC)
    assert {name: shown[name] for name in sent if name != "timestamp"} == {
        name: value for name, value in sent.items() if name != "timestamp"
    }
    assert (shown["used_pct"], shown["exceeded"], shown["unmet"]) == (90.0, False, True)
    assert (shown["workspace"], shown["late"]) == ("default", False)


async def test_events_without_an_id_get_one_with_their_workspaces_tag(
    client: httpx.AsyncClient,
) -> None:
    receipt = await book(client, RUN, RUN, {**RUN, "workspace": "legal"})

    assert receipt["accepted"] == 3
    tags = [id.rpartition("_")[2] for id in receipt["ids"]]
    assert tags == [tag_of("default"), tag_of("default"), tag_of("legal")]
    assert all(id.startswith("use_") for id in receipt["ids"])
    assert len(set(receipt["ids"])) == 3


async def test_the_same_event_again_counts_once(client: httpx.AsyncClient) -> None:
    events = [{**RUN, "id": f"run-{number}"} for number in range(3)]
    await book(client, *events)

    again = await book(client, *reversed(events), {**RUN, "id": "new"}, {**RUN, "id": "new"})

    assert (again["accepted"], again["duplicates"]) == (1, 4)
    assert again["ids"] == ["run-2", "run-1", "run-0", "new", "new"]
    assert len(await listed(client)) == 4
    assert (await analytics(client))["overall"]["executions"] == 4


async def test_a_known_id_with_another_body_refuses_the_whole_list(
    client: httpx.AsyncClient,
) -> None:
    await book(client, {**RUN, "id": "known"})

    answer = await client.post(
        "/usage", json=[RUN, RUN, {**RUN, "id": "known", "used_tokens": 17_999}, RUN]
    )

    problem = assert_problem(answer, 409, "id_mismatch")
    assert problem["errors"][0]["loc"] == ["body", 2, "id"]
    assert len(await listed(client)) == 1


async def test_a_list_over_several_workspaces_is_whole_or_nothing_too(
    client: httpx.AsyncClient,
) -> None:
    await book(client, {**RUN, "id": "known", "workspace": "b"})
    other = {**RUN, "id": "known", "workspace": "b", "used_tokens": 1}

    answer = await client.post(
        "/usage", json=[{**RUN, "workspace": "a"}, {**RUN, "workspace": "c"}, RUN, other]
    )

    problem = assert_problem(answer, 409, "id_mismatch")
    assert problem["errors"][0]["loc"] == ["body", 3, "id"]
    for workspace in ("default", "a", "c"):
        assert await listed(client, workspace=workspace) == []
    receipt = await book(
        client, {**RUN, "id": "1", "workspace": "a"}, {**RUN, "id": "2"}, {**other, "id": "3"}
    )
    assert receipt == {
        "accepted": 3,
        "duplicates": 0,
        "ids": ["1", "2", "3"],
        "alerts": [],
    }


@pytest.mark.parametrize(
    ("change", "field"),
    [({"used_tokens": -1}, "used_tokens"), ({"timestamp": "2999-01-01T00:00:00Z"}, "timestamp")],
)
async def test_one_bad_event_refuses_the_list_and_is_named_by_its_index(
    light_client: httpx.AsyncClient, change: dict[str, Any], field: str
) -> None:
    answer = await light_client.post("/usage", json=[RUN, RUN, {**RUN, **change}, RUN])

    problem = assert_problem(answer, 422)
    assert problem["errors"][0]["loc"] == ["body", 2, field]
    assert await listed(light_client) == []


async def test_workspaces_see_nothing_of_each_other(client: httpx.AsyncClient) -> None:
    await book(client, {**RUN, "id": "1", "workspace": "a", "model": "secret"})
    await client.post("/allocate", json={"agent": "dbt-expert", "workspace": "a"})

    for workspace in ("b", "default", "A", "a_", "%"):
        asked = {"workspace": workspace}
        assert await listed(client, **asked) == []
        for by in ("agent", "model", "day"):
            found = await analytics(client, **asked, by=by)
            assert found["overall"]["events"] == 0
            assert found["groups"] == []
        assert (await client.get("/usage/export", params=asked)).text == ""
        assert (await client.get("/allocations", params=asked)).json()["items"] == []
    receipt = await book(client, {**RUN, "id": "1", "workspace": "b", "used_tokens": 5})
    assert receipt["accepted"] == 1  # ids are unique in their workspace only


async def test_filters_choose_events(client: httpx.AsyncClient) -> None:
    base = datetime(2026, 3, 1, tzinfo=UTC)
    for number in range(8):
        facts = {
            "id": str(number),
            "agent": ("t/x", "u/x", "x", "t/y")[number % 4],
            "project": f"p{number % 2}",
            "user": f"u{number % 3}",
            "model": f"m{number % 4}",
            "session_id": f"s{number}",
            "timestamp": (base + timedelta(hours=number)).isoformat(),
        }
        await book(client, {**RUN, **facts})

    async def ids(**filters: Any) -> str:
        return "".join(sorted(item["id"] for item in await listed(client, **filters)))

    assert await ids(agent="x") == "012456"
    assert await ids(agent="t/x") == "04"
    assert await ids(agent="X") == ""
    assert await ids(project="p1") == "1357"
    assert await ids(user="u0") == "036"
    assert await ids(model="m3") == "37"
    assert await ids(session_id="s5") == "5"
    assert await ids(since="2026-03-01T05:00:00Z") == "567"
    assert await ids(until="2026-03-01T02:00:00Z") == "01"
    assert await ids(since="2026-03-01T02:00:00+01:00", until="2026-03-01T03:00:00") == "12"
    assert await ids(project="p1", user="u0") == "3"


async def test_a_runs_events_are_found_by_its_id_alone(client: httpx.AsyncClient) -> None:
    base = datetime(2026, 3, 1, tzinfo=UTC)
    runs = ["a", "b", None, "a ü/%", "A", ""]
    for number in range(18):
        named = runs[number % 6]
        facts = {
            "id": f"{number:02}",
            "agent": f"t/{number % 4}",
            "timestamp": (base + timedelta(hours=number)).isoformat(),
            **({"run_id": named} if named else {}),
        }
        await book(client, {**RUN, **facts})
    await book(client, {**RUN, "id": "x", "run_id": "a", "workspace": "legal"})

    async def ids(**filters: Any) -> list[str]:
        found = await listed(client, **filters)
        assert {one["run_id"] for one in found} <= {filters["run_id"]}
        return [one["id"] for one in found]

    assert await ids(run_id="a") == ["12", "06", "00"]  # the newest first
    assert await ids(run_id="b") == ["13", "07", "01"]
    assert await ids(run_id="a ü/%") == ["15", "09", "03"]
    assert await ids(run_id="A") == ["16", "10", "04"]
    assert await ids(run_id="nobody's") == []
    assert await ids(run_id="a", workspace="legal") == ["x"]
    assert await ids(run_id="a", agent="t/2") == ["06"]
    assert await ids(run_id="a", since="2026-03-01T06:00:00Z", until="2026-03-01T12:00:00Z") == [
        "06"
    ]
    walked: list[str] = []
    asked: dict[str, Any] = {"run_id": "a", "limit": 1}
    while True:
        page = (await client.get("/usage", params=asked)).json()
        walked += [one["id"] for one in page["items"]]
        if page["next_cursor"] is None:
            break
        asked["cursor"] = page["next_cursor"]
    assert walked == ["12", "06", "00"]


async def test_a_walk_returns_each_event_once_while_new_ones_arrive(
    client: httpx.AsyncClient,
) -> None:
    base = datetime(2026, 3, 1, tzinfo=UTC)
    await book(
        client,
        *(
            {**RUN, "id": f"{n:02}", "timestamp": (base + timedelta(seconds=n // 4)).isoformat()}
            for n in range(50)
        ),
    )
    seen: list[str] = []
    cursor: str | None = None

    for step in range(30):
        asked = {"limit": 7, **({"cursor": cursor} if cursor else {})}
        page = (await client.get("/usage", params=asked)).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        await book(client, {**RUN, "id": f"new-{step}"})

    assert seen == [f"{n:02}" for n in reversed(range(50))]


@pytest.mark.parametrize("cursor", ["x", "ü", "YWJj", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTphYg=="])
async def test_a_foreign_cursor_is_refused(light_client: httpx.AsyncClient, cursor: str) -> None:
    assert_problem(await light_client.get("/usage", params={"cursor": cursor}), 422)


def envelope(**changes: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "type": "com.example.run.finished",
        "source": "/agents/1",
        "id": "e-1",
        "datacontenttype": "application/json",
        "data": RUN,
        **changes,
    }


async def test_cloudevents_are_booked_once_by_source_and_id(client: httpx.AsyncClient) -> None:
    async def post(body: Any, kind: str) -> dict[str, Any]:
        headers = {"content-type": f"application/cloudevents{kind}+json; charset=utf-8"}
        answer = await client.post("/usage", content=json.dumps(body), headers=headers)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    assert (await post(envelope(), ""))["accepted"] == 1
    assert (await post(envelope(), ""))["duplicates"] == 1
    batch = [envelope(), envelope(source="/agents/2"), envelope(id="e-2"), envelope(id="e-2")]
    receipt = await post(batch, "-batch")

    assert (receipt["accepted"], receipt["duplicates"]) == (2, 2)
    assert len(await listed(client)) == 3


async def test_a_cloudevent_happened_when_its_envelope_says_unless_its_data_does(
    light_client: httpx.AsyncClient,
) -> None:
    headers = {"content-type": "application/cloudevents-batch+json"}
    stamped = {**RUN, "timestamp": "2026-02-02T00:00:00Z"}
    body = [
        envelope(id="1", time="2026-01-01T00:00:00Z"),
        envelope(id="2", time="2026-01-01T00:00:00Z", data=stamped),
    ]

    await light_client.post("/usage", content=json.dumps(body), headers=headers)

    days = [item["timestamp"][:10] for item in await listed(light_client)]
    assert days == ["2026-02-02", "2026-01-01"]


async def test_a_broken_cloudevent_is_refused(light_client: httpx.AsyncClient) -> None:
    headers = {"content-type": "application/cloudevents+json"}
    broken = [{"data": RUN}, envelope(data=None), envelope(data={}), envelope(id=""), []]
    for body in broken:
        answer = await light_client.post("/usage", content=json.dumps(body), headers=headers)
        assert_problem(answer, 422)
    endless = json.dumps(envelope(extension="x")).replace('"x"', "1e400")
    assert_problem(await light_client.post("/usage", content=endless, headers=headers), 422)
    assert await listed(light_client) == []


def real_log() -> bytes:
    with tarfile.open(data_dir() / "claude-memory" / "claude-memory.tar.gz") as tree:
        file = tree.extractfile(".claude/cache/budget-usage.jsonl")
        assert file is not None
        return file.read()


async def imported(client: httpx.AsyncClient, log: bytes, **asked: Any) -> dict[str, Any]:
    headers = {"content-type": "application/x-ndjson"}
    answer = await client.post("/usage/import", content=log, params=asked, headers=headers)
    assert answer.status_code == 200, answer.text
    report: dict[str, Any] = answer.json()
    return report


async def test_the_originals_log_comes_to_what_its_owners_saw(client: httpx.AsyncClient) -> None:
    report = await imported(client, real_log())

    assert (report["imported"], report["duplicates"], report["refused"]) == (3, 0, [])
    found = await analytics(client)
    groups = {group["key"]: group for group in found["groups"]}
    expert = groups.pop("specialists/dbt-expert")
    architect = groups.pop("roles/data-architect-role")
    assert groups == {}
    assert expert["executions"] == 2
    assert expert["used_pct"]["avg"] == pytest.approx(94.06)
    assert expert["used_pct"]["max"] == pytest.approx(98.12)
    assert architect["executions"] == 1
    assert architect["used_pct"]["avg"] == pytest.approx(40.94)
    assert found["overall"]["exceeded"] == 0

    again = await imported(client, real_log())
    assert (again["imported"], again["duplicates"]) == (0, 3)
    assert (await analytics(client)) == found


async def test_the_log_comes_as_a_form_field_too(light_client: httpx.AsyncClient) -> None:
    answer = await light_client.post("/usage/import", files={"file": ("log.jsonl", real_log())})

    assert answer.json()["imported"] == 3


LINE: dict[str, Any] = {
    "timestamp": "2026-01-05T10:00:00",
    "agent": "specialists/dbt-expert",
    "complexity": "medium",
    "budget_allocated": 100,
    "tokens_loaded": 50,
    "scope_breakdown": {"global": 50},
}


async def test_broken_lines_are_named_by_number_and_the_others_are_booked(
    client: httpx.AsyncClient,
) -> None:
    good = [json.dumps({**LINE, "tokens_loaded": number}) for number in range(4)]
    lines = [
        good[0],
        "{not json",
        "",
        json.dumps({**LINE, "tokens_loaded": -1}),
        good[1] + "\r",
        json.dumps({**LINE, "timestamp": "yesterday"}),
        '{"timestamp": "2026-01-05T10:00:00", "agent": "x", "tokens_loaded": NaN}',
        "[1]",
        good[2],
        json.dumps({**LINE, "agent": "a\0b"}),
        json.dumps({**LINE, "task": "a\0b"}),
        '{"task": "\\ud800"}',
        "[" * 10_000,
        json.dumps({**LINE, "task": "x" * 1_100_000}),
        good[3],
    ]

    report = await imported(client, "\n".join(lines).encode())

    assert (report["imported"], report["duplicates"]) == (4, 0)
    assert [one["line"] for one in report["refused"]] == [2, 4, 6, 7, 8, 10, 11, 12, 13, 14]
    assert report["refused_count"] == 10
    assert all(one["reason"] for one in report["refused"])
    assert len(await listed(client)) == 4


async def test_a_line_that_is_no_utf_8_is_refused_alone(client: httpx.AsyncClient) -> None:
    report = await imported(client, b'\xff\xfe{"a"\n' + json.dumps(LINE).encode())

    assert (report["imported"], [one["line"] for one in report["refused"]]) == (1, [1])


@pytest.mark.parametrize("record", list(vectors("A9.log")), ids=lambda record: record["id"])
async def test_lines_of_the_original_are_kept(
    light_client: httpx.AsyncClient, record: dict[str, Any]
) -> None:
    given, out = record["in"], record["out"]
    raw = given["raw"] if "raw" in given else json.dumps(given["line"], ensure_ascii=False)

    report = await imported(light_client, raw.encode())
    again = await imported(light_client, raw.encode())

    if "kept" in out:
        assert (report["imported"] == 1) is out["kept"]
    if given.get("again"):
        assert again["imported"] == out["added"]
    assert again["imported"] == 0


async def test_an_export_imported_elsewhere_comes_to_the_same(client: httpx.AsyncClient) -> None:
    await imported(client, real_log())
    now = datetime.now(UTC) - timedelta(days=1)
    more = [
        {
            **RUN,
            "id": f"r{number}",
            "timestamp": (now - timedelta(hours=7 * number)).isoformat(),
            "used_tokens": 1_000 * number,
            "needed_tokens": 1_500 * number,
            "budget_tokens": (0, 9_000, None)[number % 3],
            "model": "m",
            "user": "u",
            "project": "p",
            "stage": "s",
            "input_tokens": number,
            "cost_usd": "0.000000001",
            "duration_seconds": 0.1 * number,
            "success": number % 2 == 0,
            "metadata": {"number": number},
        }
        for number in range(12)
    ]
    await book(client, *more)
    alone = await client.post("/allocate", json={"workspace": "default", "task": "x"})
    await client.post(f"/allocations/{alone.json()['id']}/finish", json={})

    export = await client.get("/usage/export")
    report = await imported(client, export.content, workspace="elsewhere")

    assert (report["imported"], report["refused"]) == (16, [])
    for by in ("agent", "profile", "complexity", "scope", "user", "model", "stage", "day", "hour"):
        ours = await analytics(client, by=by)
        assert await analytics(client, by=by, workspace="elsewhere") == ours, by
        assert ours["groups"]
    again = await imported(client, export.content)
    assert (again["imported"], again["duplicates"]) == (0, 16)


async def test_an_export_as_csv_has_a_row_for_each_event(light_client: httpx.AsyncClient) -> None:
    await book(light_client, {**RUN, "id": "1", "task": "=1+1"}, {**RUN, "id": "2"})

    answer = await light_client.get("/usage/export", params={"format": "csv"})

    assert answer.headers["content-type"].startswith("text/csv")
    rows = {row["id"]: row for row in csv.DictReader(io.StringIO(answer.text))}
    assert set(rows) == {"1", "2"}
    assert rows["1"]["used_tokens"] == "18000"
    assert rows["1"]["task"] == "'=1+1"  # a spreadsheet must not run it


async def test_an_event_that_names_an_allocation_finishes_it_once(
    client: httpx.AsyncClient,
) -> None:
    allocation = (await client.post("/allocate", json={"agent": "dbt-expert"})).json()["id"]
    event = {**RUN, "allocation_id": allocation, "id": "mine"}

    first = await book(client, event)
    again = await book(client, event)
    other = await book(client, {**event, "id": "another"})

    assert [first["accepted"], again["accepted"], other["accepted"]] == [1, 0, 0]
    assert other["ids"] == ["mine"]
    shown = (await client.get(f"/allocations/{allocation}")).json()
    assert shown["state"] == "finished"
    assert len(await listed(client)) == 1


async def test_an_event_of_an_unknown_allocation_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/usage", json=[RUN, {**RUN, "allocation_id": "alc_nothing"}])

    problem = assert_problem(answer, 404, "not_found")
    assert problem["errors"][0]["loc"] == ["body", 1, "allocation_id"]
    assert await listed(client) == []


def with_raw(field: str, raw: str) -> str:
    """The run as JSON with a field whose value no JSON writer of ours would write."""
    return json.dumps({**RUN, field: "@"}).replace('"@"', raw)


BAD_BODIES = {
    "negative": with_raw("used_tokens", "-1"),
    "2^63": with_raw("used_tokens", str(2**63)),
    "beyond the most": with_raw("budget_tokens", "10000000001"),
    "huge integer": with_raw("used_tokens", "9" * 5_000),
    "fraction": with_raw("used_tokens", "1.5"),
    "text for a number": with_raw("used_tokens", '"5"'),
    "boolean for a number": with_raw("used_tokens", "true"),
    "null": with_raw("used_tokens", "null"),
    "NaN": with_raw("duration_seconds", "NaN"),
    "infinity": with_raw("cost_usd", "Infinity"),
    "NaN as text": with_raw("cost_usd", '"NaN"'),
    "negative cost": with_raw("cost_usd", "-0.01"),
    "1e400 in metadata": with_raw("metadata", '{"a": 1e400}'),
    "NaN in metadata": with_raw("metadata", '{"a": NaN}'),
    "lone surrogate": with_raw("task", r'"secret \ud800"'),
    "lone surrogate in a key": with_raw("metadata", r'{"\udfff": 1}'),
    "NUL in a task": with_raw("task", r'"secret \u0000"'),
    "NUL in metadata": with_raw("metadata", r'{"a": ["secret\u0000"]}'),
    "NUL in an id": with_raw("id", r'"a\u0000"'),
    "control in a user": with_raw("user", r'"a\u001f"'),
    "slash in an id": with_raw("id", '"secret/1"'),
    "empty id": with_raw("id", '""'),
    "long id": with_raw("id", '"' + "x" * 201 + '"'),
    "unknown tier": with_raw("complexity", '"secret"'),
    "unknown field": with_raw("secret", "1"),
    "empty agent": with_raw("agent", '""'),
    "bad workspace": with_raw("workspace", '"*"'),
    "scopes as a list": with_raw("scopes", "[1]"),
    "scopes negative": with_raw("scopes", '{"global": -5}'),
    "65 scopes": with_raw("scopes", json.dumps({f"s{n}": 1 for n in range(65)})),
    "metadata too large": with_raw("metadata", json.dumps({"secret": "x" * 70_000})),
    "future": with_raw("timestamp", '"2999-01-01T00:00:00Z"'),
    "before 1970": with_raw("timestamp", '"1969-12-31T23:59:59Z"'),
    "the first of all days": with_raw("timestamp", '"0001-01-01T00:00:00+14:00"'),
    "the last of all days": with_raw("timestamp", '"9999-12-31T23:59:59-14:00"'),
    "no time": with_raw("timestamp", '"secret"'),
    "empty list": "[]",
    "list of nothing": "[null]",
    "empty": "",
    "text": '"secret"',
    "broken": '{"agent": "secret"',
    "two values": "{} {}",
    "depth 10,000": with_raw("metadata", '{"a":' * 10_000 + "1" + "}" * 10_000),
    "list of depth 10,000": "[" * 10_000 + "]" * 10_000,
    "no UTF-8": b'{"agent": "\xff"}',
}


async def test_bad_input_is_refused_with_what_to_change_and_nothing_is_stored(
    client: httpx.AsyncClient,
) -> None:
    headers = {"content-type": "application/json"}
    for name, body in BAD_BODIES.items():
        answer = await client.post("/usage", content=body, headers=headers)
        assert answer.status_code in (400, 413, 422), (name, answer.status_code, answer.text)
        assert answer.headers["content-type"] == "application/problem+json", name
        if name not in ("unknown field",):  # a field's name says where, it is not a value
            assert "secret" not in answer.text, name
        assert len(answer.content) < 10_000, name
    assert await listed(client) == []
    assert (await analytics(client))["overall"]["events"] == 0


async def test_ten_thousand_events_are_taken_and_one_more_is_not(
    light_client: httpx.AsyncClient,
) -> None:
    small = {"agent": "x", "budget_tokens": 10, "used_tokens": 1}

    assert_problem(await light_client.post("/usage", json=[small] * 10_001), 422)
    assert (await book(light_client, *[small] * 10_000))["accepted"] == 10_000


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=x",
        "since=yesterday",
        "workspace=",
        "workspace=a%00b",
        "agent=%00",
        "user=%0a",
    ],
)
async def test_bad_queries_are_refused(light_client: httpx.AsyncClient, query: str) -> None:
    assert_problem(await light_client.get(f"/usage?{query}"), 422)


@pytest.mark.parametrize(
    "path", ["/usage", "/usage/analytics", "/usage/export", "/usage/analytics?by=day"]
)
@pytest.mark.parametrize(
    "window",
    [
        {"since": "0001-01-01T00:00:00Z", "until": "9999-12-31T23:59:59Z"},
        {"since": "0001-01-01T00:00:00+14:00"},
        {"until": "9999-12-31T23:59:59-14:00"},
        {"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"},
    ],
    ids=str,
)
async def test_windows_at_the_edge_of_time_are_answered_or_refused(
    light_service: Running, path: str, window: dict[str, str]
) -> None:
    await book(light_service.client, {**RUN, "timestamp": "2026-02-01T00:00:00Z"})

    answer = await light_service.client.get(path, params=window)

    assert answer.status_code in (200, 422), answer.text


async def test_a_csv_of_usage_reads_back_as_it_was(client: httpx.AsyncClient) -> None:
    event = {"id": "e", "agent": "=x", "budget_tokens": 10, "used_tokens": 5, "task": 'a "b", c'}
    await client.post("/usage", json=event)
    text = (await client.get("/usage/export?format=csv")).text
    [row] = csv.DictReader(io.StringIO(text))

    assert datetime.fromisoformat(row["timestamp"]).tzinfo is not None
    assert (row["id"], row["task"], row["agent"]) == ("e", 'a "b", c', "'=x")


async def test_a_sum_of_floats_is_a_cost(client: httpx.AsyncClient) -> None:
    event = {"agent": "x", "budget_tokens": 10, "used_tokens": 5, "cost_usd": 0.1 + 0.2}
    assert (await client.post("/usage", json=event)).status_code == 201

    assert (await client.get("/usage")).json()["items"][0]["cost_usd"] == "0.3"
