"""Prove that keys let in whom they should, for as long as they should, on every replica."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import make_url

from app.flows.authenticate import note
from app.store.database import Store
from tests.api.doors import bearer
from tests.running import Running, Wire, running

ADMIN = "the-key-of-the-environment"
USAGE = {"agent": "dbt-expert", "budget_tokens": 10, "used_tokens": 5}


@pytest.fixture
async def guarded(database_url: str) -> AsyncIterator[Running]:
    """The service with a key from its environment."""
    async with running(database_url, admin_key=ADMIN) as service:
        yield service


async def make(client: httpx.AsyncClient, secret: str = ADMIN, **fields: Any) -> dict[str, Any]:
    body = {"name": "of a test", "scopes": ["use", "read"], **fields}
    response = await client.post("/keys", headers=bearer(secret), json=body)
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


async def status(client: httpx.AsyncClient, secret: str, path: str = "/usage") -> int:
    return (await client.get(path, headers=bearer(secret))).status_code


async def test_the_first_key_turns_authentication_on(service: Running) -> None:
    client = service.client
    assert (await client.post("/usage", json=USAGE)).status_code == 201
    for body in (
        {"name": "x", "scopes": ["use", "read"]},
        {"name": "x", "scopes": ["admin"], "workspaces": ["default"]},
        {"name": "x", "scopes": ["admin"], "expires_at": "2999-01-01T00:00:00Z"},
    ):
        refused = await client.post("/keys", json=body)
        assert refused.status_code == 422, refused.text
        assert "first key" in refused.json()["detail"]
    assert (await client.get("/usage")).status_code == 200

    made = (await client.post("/keys", json={"name": "first", "scopes": ["admin"]})).json()

    for path in ("/usage", "/metrics", "/docs", "/openapi.json", "/keys"):
        assert (await client.get(path)).status_code == 401
        assert await status(client, made["secret"], path) == 200
    assert (await client.post("/usage", json=USAGE)).status_code == 401
    posted = await client.post("/usage", json=USAGE, headers=bearer(made["secret"]))
    assert posted.status_code == 201
    for path in ("/healthz", "/readyz", "/version"):
        assert (await client.get(path)).status_code == 200


async def test_a_secret_is_shown_once_and_kept_nowhere(guarded: Running) -> None:
    client = guarded.client
    made = await make(client, workspaces=["b", "a", "b"], expires_at="2999-01-01T00:00:00Z")
    listed = await client.get("/keys", headers=bearer(ADMIN))

    assert made["secret"].startswith("mb_")
    assert len(made["secret"]) == 55
    assert made["workspaces"] == ["a", "b"]
    (one,) = listed.json()["items"]
    assert {**one, "secret": made["secret"]} == made
    assert made["secret"][3:] not in listed.text
    assert not held(guarded.house.store, made["secret"])
    assert made["secret"] != (await make(client))["secret"]


def held(store: Store, secret: str) -> bool:
    """Whether any cell of the tables of keys holds the secret."""
    found = store.read_now(
        lambda tx: [tuple(row) for row in tx.connection.exec_driver_sql("SELECT * FROM keys")]
    )
    assert found
    return any(secret.encode() in bytes(str(cell), "utf-8") for row in found for cell in row)


async def test_revoking_takes_effect_at_once(guarded: Running) -> None:
    client = guarded.client
    made = await make(client)
    assert await status(client, made["secret"]) == 200

    gone = await client.delete(f"/keys/{made['id']}", headers=bearer(ADMIN))

    assert gone.status_code == 204
    assert await status(client, made["secret"]) == 401
    again = await client.delete(f"/keys/{made['id']}", headers=bearer(ADMIN))
    assert again.status_code == 404


async def test_a_key_ends_when_it_was_said_to(guarded: Running) -> None:
    client = guarded.client
    clock = guarded.set_clock()
    ends = clock.at + timedelta(hours=1)
    made = await make(client, expires_at=ends.isoformat())
    past = {"name": "x", "scopes": ["use"], "expires_at": clock.at.isoformat()}
    refused = await client.post("/keys", headers=bearer(ADMIN), json=past)
    assert refused.status_code == 422

    clock.pass_(minutes=59, seconds=59)
    assert await status(client, made["secret"]) == 200
    clock.pass_(seconds=1)
    assert await status(client, made["secret"]) == 401
    body = {"grace_seconds": 60}
    renewed = await client.post(f"/keys/{made['id']}/rotate", headers=bearer(ADMIN), json=body)
    assert await status(client, renewed.json()["secret"]) == 401


@pytest.mark.parametrize("grace", [True, "60", 60.0, None, -1])
async def test_the_grace_of_an_old_secret_is_a_whole_number(
    guarded: Running, grace: object
) -> None:
    made = await make(guarded.client)
    path = f"/keys/{made['id']}/rotate"
    answer = await guarded.client.post(path, headers=bearer(ADMIN), json={"grace_seconds": grace})
    assert answer.status_code == 422


async def test_while_a_key_rotates_two_secrets_are_good(guarded: Running) -> None:
    client = guarded.client
    clock = guarded.set_clock()
    made = await make(client)
    path = f"/keys/{made['id']}/rotate"
    new = (await client.post(path, headers=bearer(ADMIN), json={"grace_seconds": 60})).json()

    assert (new["id"], new["name"]) == (made["id"], made["name"])
    assert [await status(client, one["secret"]) for one in (made, new)] == [200, 200]
    clock.pass_(seconds=60)
    assert [await status(client, one["secret"]) for one in (made, new)] == [401, 200]

    newer = (await client.post(path, headers=bearer(ADMIN))).json()
    newest = (await client.post(path, headers=bearer(ADMIN), json={"grace_seconds": 5})).json()
    statuses = [await status(client, one["secret"]) for one in (new, newer, newest)]
    assert statuses == [401, 200, 200], "a third one is not good"
    at_once = await client.post(path, headers=bearer(ADMIN), json={"grace_seconds": 0})
    assert at_once.json()["old_secret_until"] is None
    assert [await status(client, one["secret"]) for one in (newer, newest)] == [401, 401]


async def test_the_last_key_that_makes_keys_stays(service: Running) -> None:
    client = service.client
    first = (await client.post("/keys", json={"name": "a", "scopes": ["admin"]})).json()
    me = bearer(first["secret"])
    await make(client, first["secret"], scopes=["admin"], workspaces=["one"])
    kept = await client.delete(f"/keys/{first['id']}", headers=me)
    assert (kept.status_code, kept.json()["code"]) == (409, "last_admin_key")

    second = await make(client, first["secret"], scopes=["admin"])
    assert (await client.delete(f"/keys/{first['id']}", headers=me)).status_code == 204
    assert await status(client, first["secret"]) == 401
    assert await status(client, second["secret"]) == 200
    assert (await client.get("/usage")).status_code == 401


async def test_replicas_hear_of_keys_within_seconds(postgresql_url: str) -> None:
    async with running(postgresql_url) as one, running(postgresql_url) as other:
        first = (await one.client.post("/keys", json={"name": "a", "scopes": ["admin"]})).json()
        assert await status(other.client, first["secret"]) == 200, "at once: it looks again"
        made = await make(other.client, first["secret"])
        assert await status(one.client, made["secret"]) == 200

        await one.client.delete(f"/keys/{made['id']}", headers=bearer(first["secret"]))

        assert await status(one.client, made["secret"]) == 401
        for _ in range(100):
            if await status(other.client, made["secret"]) == 401:
                break
            await asyncio.sleep(0.1)
        assert await status(other.client, made["secret"]) == 401
        assert (await other.client.get("/usage")).status_code == 401


async def test_when_a_key_was_used_is_noted_aside(guarded: Running) -> None:
    client, house = guarded.client, guarded.house
    clock = guarded.set_clock()
    used, unused = await make(client), await make(client)
    await status(client, used["secret"])
    commits = house.store.commits
    await status(client, used["secret"])
    assert house.store.commits == commits, "no request writes it"

    await note(house.store, house.ring, guarded.house.now_micros())

    listed = (await client.get("/keys", headers=bearer(ADMIN))).json()["items"]
    at = {one["id"]: one["last_used_at"] for one in listed}
    assert at[unused["id"]] is None
    assert at[used["id"]] == clock.at.isoformat().replace("+00:00", "Z")
    commits = house.store.commits
    await note(house.store, house.ring, guarded.house.now_micros())
    assert house.store.commits == commits


async def test_a_restored_backup_revives_no_key(database_url: str, tmp_path: Path) -> None:
    async with running(database_url, admin_key=ADMIN, backup_dir=tmp_path) as service:
        client, admin = service.client, bearer(ADMIN)
        revoked, kept = await make(client), await make(client)
        backup = (await client.post("/backups", headers=admin)).json()
        await client.delete(f"/keys/{revoked['id']}", headers=admin)
        later = await make(client)

        restored = await client.post(f"/backups/{backup['id']}/restore", headers=admin, json={})

        assert restored.status_code == 200, restored.text
        statuses = [await status(client, one["secret"]) for one in (revoked, kept, later)]
        assert statuses == [401, 200, 200]
        assert "keys" not in backup["tables"]


NO_KEYS = [
    "",
    "Bearer",
    "Bearer ",
    f"Basic {ADMIN}",
    ADMIN,
    f"Bearer {ADMIN} x",
    f"Bearer x {ADMIN}",
    f"Bearer {ADMIN[:-1]}",
    f"Bearer {ADMIN.upper()}",
    "Bearer " + "x" * 10_000,
    "Bearer \xff\xfe",
]


async def test_what_is_no_key_of_ours_is_401(sqlite_url: str) -> None:
    async with running(sqlite_url, admin_key=ADMIN) as service:
        for header in NO_KEYS:
            raw = {"authorization": header.encode("latin-1")}
            for method, path in (("GET", "/usage"), ("POST", "/usage"), ("POST", "/allocate")):
                response = await service.client.request(method, path, headers=raw)
                assert response.status_code == 401, header[:40]
                assert response.json()["code"] == "unauthorized"
                assert response.headers["www-authenticate"] == "Bearer"
                assert "xxx" not in response.text
        spelt = {"authorization": f"bEARER  {ADMIN} "}
        assert (await service.client.get("/usage", headers=spelt)).status_code == 200


NONSENSE: list[dict[str, Any]] = [
    {},
    {"name": "x"},
    {"name": "x", "scopes": []},
    {"name": "x", "scopes": ["root"]},
    {"name": "x", "scopes": ["use"] * 4},
    {"name": "", "scopes": ["use"]},
    {"name": "a\nb", "scopes": ["use"]},
    {"name": "x", "scopes": ["use"], "workspaces": []},
    {"name": "x", "scopes": ["use"], "workspaces": ["*"]},
    {"name": "x", "scopes": ["use"], "workspaces": ["a/b"]},
    {"name": "x", "scopes": ["use"], "expires_at": "soon"},
    {"name": "x", "scopes": ["use"], "expires_at": "9999-12-31T23:59:59-14:00"},
    {"name": "x", "scopes": ["use"], "expires_at": "0001-01-01T00:00:00+14:00"},
    {"name": "x", "scopes": ["use"], "secret": "mine"},
    {"name": "x", "scopes": "use"},
]


async def test_a_key_that_makes_no_sense_is_refused(sqlite_url: str) -> None:
    async with running(sqlite_url, admin_key=ADMIN) as service:
        for body in NONSENSE:
            response = await service.client.post("/keys", headers=bearer(ADMIN), json=body)
            assert response.status_code == 422, (body, response.text)


async def test_a_key_sends_so_many_requests_a_minute(database_url: str) -> None:
    async with running(database_url, admin_key=ADMIN, rate_limit=6) as service:
        client = service.client
        made = await make(client)
        answers = [
            await client.post("/usage", headers=bearer(made["secret"]), json=USAGE)
            for _ in range(5)
        ]
        answers += [await client.get("/usage", headers=bearer(made["secret"])) for _ in range(3)]
        other = await client.get("/usage", headers=bearer(ADMIN))
        free = await client.get("/healthz")

    assert [one.status_code for one in answers] == [201] * 5 + [200, 429, 429]
    assert [one.headers["ratelimit"].partition(";t=")[0] for one in answers] == [
        f'"minute";r={left}' for left in (5, 4, 3, 2, 1, 0, 0, 0)
    ]
    assert {one.headers["ratelimit-policy"] for one in answers} == {'"minute";q=6;w=60'}
    refused = answers[-1]
    assert refused.json()["code"] == "rate_limited"
    assert 1 <= int(refused.headers["retry-after"]) <= 10
    assert other.status_code == 200
    assert "ratelimit" not in free.headers


async def test_a_key_is_known_while_the_database_is_away(postgresql_url: str) -> None:
    """Keys in memory go on; of unknown ones nobody can say that they are wrong."""
    there = make_url(postgresql_url)
    wire = Wire(there.host or "127.0.0.1", there.port or 5432)
    await wire.mend()
    url = there.set(port=wire.port).render_as_string(hide_password=False)
    async with running(url, admin_key=ADMIN) as service:
        made = await make(service.client)
        known, unknown = bearer(made["secret"]), bearer("mb_x")
        body = {"max_tokens": 1}
        await wire.cut()
        try:
            served = await service.client.post("/allocate", headers=known, json=body)
            refused = await service.client.post("/allocate", headers=unknown, json=body)
        finally:
            await wire.mend()
        assert (served.status_code, served.json()["degraded"]) == (200, True)
        assert refused.status_code == 503
        assert refused.headers["retry-after"]
        for _ in range(100):
            again = await service.client.post("/allocate", headers=unknown, json=body)
            if again.status_code == 401:
                break
            await asyncio.sleep(0.1)
        assert again.status_code == 401
    await wire.cut()
