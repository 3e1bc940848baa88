"""Reports over HTTP: listed by page, apart by workspace, in the format that is asked for."""

import os
import subprocess
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from app.api.accepting import preferred
from app.core.ids import tag_of
from app.core.report_style import POLICY
from app.core.reports import Report
from app.flows.reports import keep_report
from app.store.agents import register
from tests.core.report_samples import NOON, report
from tests.running import Running, Served

pytestmark = pytest.mark.anyio

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
OFFERS = ("application/json", "text/html", "text/markdown")


async def keep(
    service: Running, number: int = 1, workspace: str = "default", **more: Any
) -> Report:
    id_ = f"rpt_{number}_{tag_of(workspace)}"
    one = report(id=id_, workspace=workspace, **{"period": str(number), **more})
    store = service.house.store
    await store.write_alone(lambda tx: register(tx, workspace, [], now=NOON))
    await keep_report(store, one)
    return one


async def fetch(service: Running, id_: str, accept: str | None = None) -> httpx.Response:
    headers = {} if accept is None else {"accept": accept}
    return await service.client.get(f"/reports/{id_}", headers=headers)


async def test_reports_are_listed_newest_first_page_by_page(service: Running) -> None:
    for number in range(5):
        await keep(service, number, created_at=NOON + number, kind="daily")
    first = (await service.client.get("/reports", params={"limit": 3})).json()
    rest = {"limit": 3, "cursor": first["next_cursor"]}
    second = (await service.client.get("/reports", params=rest)).json()
    assert [one["period"] for one in first["items"]] == ["4", "3", "2"]
    assert [one["period"] for one in second["items"]] == ["1", "0"]
    assert second["next_cursor"] is None
    assert first["items"][0] == {
        "id": f"rpt_4_{tag_of('default')}",
        "workspace": "default",
        "kind": "daily",
        "period": "4",
        "title": "Weekly report, 22 November 2026",
        "created_at": "2026-11-21T12:00:00.000004Z",
    }


async def test_lists_are_filtered_by_kind_and_time(service: Running) -> None:
    await keep(service, 1, kind="daily")
    await keep(service, 2, created_at=NOON + 60_000_000)
    for params, found in (
        ({"kind": "daily"}, ["1"]),
        ({"since": "2026-11-21T12:00:30Z"}, ["2"]),
        ({"until": "2026-11-21T12:00:30Z"}, ["1"]),
        ({"kind": "monthly"}, []),
    ):
        answer = await service.client.get("/reports", params=params)
        assert [one["period"] for one in answer.json()["items"]] == found


@pytest.mark.parametrize(
    "params",
    [
        {"kind": "hourly"},
        {"limit": 0},
        {"cursor": "x"},
        {"status": "open"},
        {"since": "2026"},
        {"until": "1700000000"},
        {"since": "-1.5"},
        {"since": "2026-13-01"},
    ],
)
async def test_a_list_that_means_nothing_is_refused(
    light_client: httpx.AsyncClient, params: dict[str, Any]
) -> None:
    answer = await light_client.get("/reports", params=params)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_report_of_another_workspace_is_not_there(service: Running) -> None:
    own = await keep(service, 1)
    others = await keep(service, 2, workspace="other")
    items = (await service.client.get("/reports")).json()["items"]
    assert [one["id"] for one in items] == [own.id]
    assert (await fetch(service, others.id)).status_code == 200  # the id says where it is
    for params, status in (({"workspace": "other"}, 200), ({"workspace": "default"}, 404)):
        answer = await service.client.get(f"/reports/{others.id}", params=params)
        assert answer.status_code == status
    disguised = others.id.replace(tag_of("other"), tag_of("default"))
    assert (await fetch(service, disguised)).status_code == 404


@pytest.mark.parametrize("id_", ["rpt_1", "rpt_1_00000000", "%00", "x" * 2_000, "a%2Fb"])
async def test_an_unknown_report_is_a_404(light_service: Running, id_: str) -> None:
    answer = await fetch(light_service, id_)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


async def test_the_format_is_the_one_asked_for(service: Running) -> None:
    one = await keep(service)
    page = await fetch(service, one.id, BROWSER)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"] == POLICY
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.text.startswith("<!doctype html>")
    text = await fetch(service, one.id, "text/markdown")
    assert text.headers["content-type"] == "text/markdown; charset=utf-8"
    assert text.text.startswith("# Weekly report")
    for accept in (None, "*/*", "application/json"):
        data = await fetch(service, one.id, accept)
        assert data.headers["content-type"] == "application/json"
        assert data.headers["vary"] == "Accept"
    found = data.json()
    assert found["since"] == "2026-11-14T12:00:00Z"
    assert found["todo"][0]["title"] == "Give dbt-expert more room"
    assert found["sections"][1]["tables"][0]["rows"] == [["dbt-expert", 1234567], [None, None]]


async def test_a_format_there_is_not_is_a_406(service: Running) -> None:
    one = await keep(service)
    answer = await fetch(service, one.id, "application/pdf")
    assert answer.status_code == 406
    assert answer.json()["code"] == "not_acceptable"
    assert "text/markdown" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, "application/json"),
        ("", "application/json"),
        ("text/html", "text/html"),
        (BROWSER, "text/html"),
        ("text/*", "text/html"),
        ("text/*;q=0.5, text/markdown", "text/markdown"),
        ("text/html;q=0.3, text/markdown;q=0.7", "text/markdown"),
        ("*/*;q=0.1, application/json;q=0", "text/html"),
        ("text/html;q=0, */*", "application/json"),
        ("TEXT/HTML; Q=0.9, application/json;q=0.8", "text/html"),
        ("text/html;level=1;q=0.9, application/json;q=0.95", "application/json"),
        ("nonsense, text/markdown", "text/markdown"),
        ("text/html;q=x, text/markdown;q=0.1", "text/markdown"),
        ("text/html;q=1e9, text/markdown;q=0.1", "text/markdown"),
        ("application/pdf", None),
        ("text/html;q=0", None),
    ],
)
def test_the_best_offer_has_the_highest_quality(accept: str | None, chosen: str | None) -> None:
    if chosen is None:
        with pytest.raises(Exception, match="accept one of them"):
            preferred(accept, OFFERS)
    else:
        assert preferred(accept, OFFERS) == chosen


async def test_on_demand_a_report_is_made_and_can_be_read(service: Running) -> None:
    run = {"agent": "t/a", "budget_tokens": 100, "used_tokens": 150, "complexity": "simple"}
    await service.client.post("/usage", json=[run] * 20)
    done = (await service.client.post("/jobs/weekly/run")).json()
    assert done["status"] == "done", done
    (id_,) = done["outcome"]["newest"]
    found = (await fetch(service, id_)).json()
    assert (found["kind"], found["period"]) == ("weekly", done["period"])
    assert found["todo"][0]["title"] == "Give t/a more room"


def test_what_a_report_advises_works_as_it_is_typed(
    sqlite_url: str, serve: Callable[..., Served]
) -> None:
    served = serve(sqlite_url)
    text = {"text": "the same words in two memories"}
    run = {"agent": "t/a b", "budget_tokens": 100, "used_tokens": 150, "success": False}
    with httpx.Client(base_url=served.url) as client:
        client.post("/usage", json=[{**run, "complexity": "simple"}] * 30)
        client.post("/memories", json=[{**text, "agent": "a/b"}, {**text, "agent": "c/d"}])
        done = client.post("/jobs/monthly/run", timeout=60).json()
        todo = [
            one
            for id_ in done["outcome"]["newest"]
            for one in client.get(f"/reports/{id_}").json()["todo"]
        ]
        commands = sorted({one["how"] for one in todo})
        assert len(commands) >= 3, todo
        for command in commands:
            typed = command.replace("curl ", "curl --silent --show-error --fail-with-body ", 1)
            ended = subprocess.run(
                ["sh", "-c", typed],
                env={"PATH": os.environ["PATH"], "MEMBUDGET_URL": served.url},
                capture_output=True,
                check=False,
            )
            assert ended.returncode == 0, (command, ended.stdout, ended.stderr)
        applied = client.get("/recommendations", params={"status": "applied"}).json()["items"]
        assert [one["agent"] for one in applied] == ["t/a b"]
        assert client.get("/memories", params={"agent": "a/b"}).json()["items"] == []
