"""Fill a workspace with one of everything, and ask every route of the OpenAPI document about it."""

import gzip
import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import httpx

from app.store import dumping
from app.store.database import Store

ADMIN = "mb_the_key_of_the_environment"
MARKER = "acme-secret-7731"
ACME = f"{MARKER}-house"
METHODS = ("get", "post", "put", "patch", "delete")
OPEN_PATHS = {"/healthz", "/readyz", "/version"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A method and a path of the document."""

    method: str
    path: str
    has_body: bool
    takes_workspace: bool

    @property
    def name(self) -> tuple[str, str]:
        return self.method, self.path


def operations(document: Mapping[str, Any]) -> list[Operation]:
    """All of them, in the document's order."""
    return [
        Operation(
            method=method.upper(),
            path=path,
            has_body="requestBody" in one,
            takes_workspace=any(p["name"] == "workspace" for p in one.get("parameters", ())),
        )
        for path, methods in document["paths"].items()
        for method, one in methods.items()
        if method in METHODS
    ]


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


@dataclass(slots=True, kw_only=True)
class Estate:
    """What there is in a workspace: the value of each path parameter, by the path's beginning."""

    workspace: str
    ids: dict[str, list[str]] = field(default_factory=dict)

    def paths(self, path: str) -> Iterator[str]:
        """A path with its parameters filled in, for each object that fits."""
        if "{" not in path:
            yield path
            return
        beginning = next(one for one in sorted(self.ids, key=len, reverse=True) if _fits(path, one))
        for filling in self.ids[beginning]:
            parts = filling.split("|")
            filled = path
            for part in parts:
                before, _, rest = filled.partition("{")
                filled = before + quote(part, safe="") + rest.partition("}")[2]
            yield filled


def _fits(path: str, beginning: str) -> bool:
    return path == beginning or path.startswith(beginning + "/")


BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/allocate"): {"agent": "dbt-expert", "task": "x", "select": "stored"},
    ("POST", "/allocations/{id}/loads"): {"loads": [{"scope": "global", "tokens": 1}]},
    ("POST", "/allocations/{id}/extend"): {"ttl_seconds": 60},
    ("POST", "/allocations/{id}/finish"): {"success": True},
    ("POST", "/usage"): {"agent": "dbt-expert", "budget_tokens": 10, "used_tokens": 5},
    ("POST", "/usage/import"): b'{"timestamp":"2026-01-01T00:00:00","agent":"a/b",'
    b'"budget_allocated":10,"tokens_loaded":5}\n',
    ("POST", "/complexity"): {"text": "List all models"},
    ("POST", "/complexity/feedback"): {"text": "List all models", "tier": "simple"},
    ("PUT", "/profiles/{name}"): {
        "base_budget": 100,
        "max_budget": 200,
        "scope_weights": {"global": 1.0},
    },
    ("PUT", "/agents/{type}/{name}"): {"profile": "specialist-broad"},
    ("PUT", "/agents/{name}"): {"profile": "specialist-broad"},
    ("PUT", "/users/{user}"): {"profile": "specialist-broad"},
    ("PUT", "/workspaces/{id}"): {"max_total_tokens": 999},
    ("PUT", "/workspaces/{id}/projects/{project}"): {"max_total_tokens": 998},
    (
        "POST",
        "/config/import",
    ): f"{ACME}: {{workspace_id: {ACME}, max_total_tokens: 777}}\n".encode(),
    ("POST", "/simulate"): {"days": 30},
    ("POST", "/recommendations/run"): {"window_days": 30},
    ("POST", "/memories"): {"text": "something to keep"},
    ("PATCH", "/memories/{id}"): {"importance": 0.9},
    ("POST", "/memories/search"): {"query": MARKER},
    ("POST", "/memories/import"): b'{"text": "one more", "created_at": "2026-01-01T00:00:00Z"}\n',
    ("POST", "/memories/lifecycle/{kind}/apply"): {"dry_run": False},
    ("POST", "/backups/{id}/restore"): {"dry_run": False},
    ("POST", "/jobs/{name}/run"): {},
    ("POST", "/costs/estimate"): {"model": "gpt-4o", "input_tokens": 10, "output_tokens": 1},
    ("POST", "/costs/predict"): {"run_id": MARKER},
    ("POST", "/costs/recommend-model"): {
        "input_tokens": 10,
        "output_tokens": 1,
        "quality": "low",
    },
    ("PUT", "/costs/budgets/{name}"): {"usd": 5, "window": "day"},
    ("PUT", "/costs/prices/{model}"): {"input": 1, "output": 2},
    ("POST", "/pools"): {"tokens": 100},
    ("POST", "/pools/{id}/transfer"): {"to": f"pool_{MARKER}", "tokens": 1},
    ("POST", "/operations"): {
        "type": "llm",
        "name": "plan",
        "started_at": "2026-03-14T15:00:00Z",
        "duration_seconds": 1,
    },
    ("POST", "/tokens/count"): {"text": "x"},
    ("POST", "/tokens/reports"): {"model": "claude-3", "reports": [{"text": "x", "tokens": 1}]},
    ("POST", "/minify"): {"context": {"a": "x"}, "max_tokens": 10},
    ("POST", "/keys"): {"name": "x", "scopes": ["admin"]},
    ("POST", "/keys/{id}/rotate"): {"grace_seconds": 0},
}
"""A good body for every operation that takes one."""


QUERIES = {"/operations/parallelism": {"run_id": MARKER}}
"""What a path needs in its query."""


def query_of(operation: Operation, workspace: str | None) -> dict[str, str]:
    """A request's query; naming a workspace where one may be named."""
    named = {"workspace": workspace} if workspace and operation.takes_workspace else {}
    return {**QUERIES.get(operation.path, {}), **named}


def body_of(operation: Operation, workspace: str | None) -> dict[str, Any]:
    """A request's body, as httpx takes it; naming a workspace where one may be named."""
    body = BODIES.get(operation.name)
    if body is None:
        return {}
    if isinstance(body, bytes):
        return {"content": body}
    named = {"/allocate", "/usage", "/complexity", "/simulate", "/recommendations/run"}
    named |= {"/memories", "/memories/search"}
    named |= {"/costs/estimate", "/costs/predict", "/costs/recommend-model"}
    named |= {
        "/pools",
        "/complexity/feedback",
        "/operations",
        "/tokens/count",
        "/tokens/reports",
        "/minify",
    }
    if workspace is not None and operation.path in named:
        body = {**body, "workspace": workspace}
    return {"json": body}


async def furnish(client: httpx.AsyncClient, workspace: str = ACME) -> Estate:
    """One of everything in a workspace, each with the marker in it."""
    estate = Estate(workspace=workspace)

    async def send(method: str, path: str, **more: Any) -> Any:
        response = await client.request(method, path, headers=bearer(ADMIN), **more)
        assert response.status_code < 300, (method, path, response.text)
        return response.json() if response.content else None

    here = {"workspace": workspace}
    profile = {"base_budget": 500, "max_budget": 900, "scope_weights": {MARKER: 1.0}}
    secret = {"base_budget": 500, "profile": MARKER}
    await send("PUT", f"/profiles/{MARKER}", params=here, json=profile)
    await send("PUT", "/profiles/known", params=here, json=profile)
    await send("PUT", f"/agents/{MARKER}/expert", params=here, json={"profile": MARKER})
    await send("PUT", "/agents/known/expert", params=here, json={"profile": MARKER})
    await send("PUT", "/agents/known", params=here, json={"profile": MARKER})
    await send("PUT", "/users/known", params=here, json=secret)
    await send("PUT", f"/workspaces/{workspace}", json={"max_total_tokens": 7731})
    await send("PUT", f"/workspaces/{workspace}/projects/known", json={"max_total_tokens": 7731})
    await send("PUT", f"/workspaces/{workspace}/projects/{MARKER}", json={"max_total_tokens": 731})
    budget = {"usd": "0.000000001", "window": "day", "scope": {"user": MARKER}}
    await send("PUT", "/costs/budgets/known", params=here, json=budget)
    price = {"input": 7731, "output": 7731}
    await send("PUT", "/costs/prices/known", params=here, json=price)
    pool = await send("POST", "/pools", json={"tokens": 7731, "name": MARKER, **here})
    measured = {"type": "llm", "name": MARKER, "run_id": MARKER, "duration_seconds": 1, **here}
    started = datetime.now(UTC).isoformat()
    await send("POST", "/operations", json={**measured, "started_at": started})
    event = {"agent": f"{MARKER}/expert", "budget_tokens": 500, "used_tokens": 490, **here}
    many = [{**event, "task": MARKER, "user": MARKER} for _ in range(20)]
    await send("POST", "/usage", json=[{**one, "used_tokens": 900} for one in many])
    allocations = [
        await send("POST", "/allocate", json={"agent": f"{MARKER}/expert", "task": MARKER, **here})
        for _ in range(2)
    ]
    text = f"{MARKER} is what nobody else may read"
    mine = {"id": "of-its-own", "text": f"{text}, once", **here}
    made = await send("POST", "/memories", json=[{"text": text, **here}, mine])
    old = {"text": f"{text}, long ago", "created_at": "2024-01-01T00:00:00Z", "agent": "a/b"}
    await send("POST", "/memories", json={**old, "modified_at": "2024-01-01T00:00:00Z", **here})
    applied = await send("POST", "/memories/lifecycle/archival/apply", params=here)
    assert applied["action_id"] is not None
    advice = await send("POST", "/recommendations/run", json={"window_days": 30, **here})
    await send("POST", "/jobs/daily/run")
    reports = await send("GET", "/reports", params=here)
    backup = await send("POST", "/backups")
    key = await send("POST", "/keys", json={"name": MARKER, "scopes": ["admin"]})
    estate.ids = {
        "/allocations/{id}": [one["id"] for one in allocations],
        "/pools/{id}": [pool["id"]],
        "/memories/{id}": [one["id"] for one in made["items"]],
        "/memories/lifecycle/{kind}": ["archival", "duplicates", "promotions"],
        "/memories/lifecycle/actions/{id}": [applied["action_id"]],
        "/recommendations/{id}": [advice["items"][0]["id"]],
        "/reports/{id}": [reports["items"][0]["id"]],
        "/backups/{id}": [backup["id"]],
        "/keys/{id}": [key["id"]],
        "/jobs/{name}": ["daily"],
        "/config/versions/{n}": ["1"],
        "/profiles/{name}": ["known"],
        "/agents/{type}/{name}": ["known|expert"],
        "/agents/{name}": ["known"],
        "/users/{user}": ["known"],
        "/costs/budgets/{name}": ["known"],
        "/costs/prices/{model}": ["known"],
        "/workspaces/{id}": [workspace],
        "/workspaces/{id}/projects/{project}": [f"{workspace}|known"],
    }
    return estate


def rows_of(store: Store, *workspaces: str) -> list[str]:
    """Every row of some workspaces, in any table, with the system's own among them."""
    found: list[str] = []
    for line in store.read_now(lambda tx: list(dumping.dump(tx))):
        entry = json.loads(line)
        if isinstance(entry, dict):
            table = entry["table"]
        elif entry[0] in workspaces:
            found.append(f"{table} {line.decode()}")
    return sorted(found)


def tree(name: str) -> bytes:
    """A `.claude/memory` archive with one member of this name."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        text = b"# a text\n"
        member = tarfile.TarInfo(name)
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text))
    return gzip.compress(raw.getvalue())
