"""Memories from files over HTTP: each file once, what is odd is named, what goes out comes in."""

import gzip
import io
import json
import tarfile
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest

from tests.data import data_dir
from tests.running import Running, running

pytestmark = pytest.mark.anyio

MEM0 = {
    "results": [
        {
            "id": "892db2ae-06d9-49e5-8b3e-585ef9b85b8c",
            "memory": "Likes tea in the morning",
            "hash": "f3a2",
            "user_id": "alex",
            "agent_id": "dbt-expert",
            "run_id": "trip-1",
            "categories": ["food"],
            "metadata": {"source": "chat"},
            "score": 0.31,
            "created_at": "2024-07-26T10:29:36.630547-07:00",
            "updated_at": None,
        },
        {"id": 7, "memory": "Lives in Porto", "metadata": None},
    ]
}


def real_tree() -> bytes:
    return (data_dir() / "claude-memory" / "claude-memory.tar.gz").read_bytes()


def tree(files: Mapping[str, str], *, mtime: int = 1_760_000_000) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for path, text in files.items():
            member = tarfile.TarInfo(f".claude/memory/{path}")
            member.size, member.mtime = len(text.encode()), mtime
            archive.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


async def imported(client: httpx.AsyncClient, data: bytes, **params: str) -> dict[str, Any]:
    answer = await client.post("/memories/import", content=data, params=params)
    assert answer.status_code == 200, answer.text
    report: dict[str, Any] = answer.json()
    return report


async def exported(client: httpx.AsyncClient, **params: str) -> bytes:
    return (await client.get("/memories/export", params=params)).content


async def everything(client: httpx.AsyncClient, **params: str) -> list[dict[str, Any]]:
    lines = (await exported(client, **params)).splitlines()
    return [json.loads(line) for line in lines]


def counts(report: Mapping[str, Any]) -> tuple[int, int, int, int]:
    return (
        report["imported"],
        report["unchanged"],
        report["removed"],
        report["refused_count"],
    )


async def test_the_real_tree_is_taken_as_it_is_and_once(client: httpx.AsyncClient) -> None:
    data = real_tree()
    assert counts(await imported(client, data)) == (211, 0, 0, 0)
    assert counts(await imported(client, data)) == (0, 211, 0, 0)

    memories = await everything(client)
    files: Counter[str] = Counter()
    tokens: defaultdict[str, int] = defaultdict(int)
    for memory in memories:
        whose = memory["scope"] if memory["agent"] is None else "agents"
        files[whose] += 1
        tokens[whose] += memory["tokens"]
    assert files == {"global": 19, "agents": 183, "reference": 9}
    assert (tokens["global"], tokens["agents"]) == (49_914, 609_198)
    assert len({memory["text"] for memory in memories}) == 28
    assert len({memory["agent"] for memory in memories} - {None}) == 23
    sure = [memory for memory in memories if memory["confidence"] is not None]
    assert len(sure) == 10


async def test_an_export_is_imported_as_what_it_was(client: httpx.AsyncClient) -> None:
    await imported(client, real_tree(), project="p")
    given = {
        "id": "a",
        "text": "ü\r\n\u2028 漢",
        "embedding": [0.1, -3e38],
        "importance": 0.1,
        "metadata": {"z": 1, "a": [1e300, None, {"é": "\\"}]},
        "created_at": "0001-01-01T00:00:00.000001Z",
        "expires_at": "9999-12-31T23:59:59.999999Z",
        "used_by_agents": ["b", "a"],
        "pinned": True,
    }
    await client.post("/memories", json=given)
    await imported(client, b'{"id": "old", "text": "x", "state": "archived"}')
    out = await exported(client)

    assert counts(await imported(client, out, workspace="w")) == (213, 0, 0, 0)
    assert await exported(client, workspace="w") == out
    assert counts(await imported(client, out, workspace="w", replace="true")) == (0, 213, 0, 0)
    assert counts(await imported(client, out)) == (0, 213, 0, 0)
    assert await exported(client) == out
    assert (await client.get("/memories/export", params={"format": "json"})).json() == [
        json.loads(line) for line in out.splitlines()
    ]


async def test_an_export_is_the_same_from_either_database(
    sqlite_url: str, postgresql_url: str
) -> None:
    same_time = [
        {"id": id_, "text": id_, "created_at": "2026-01-01T00:00:00Z"}
        for id_ in ("a", "B", "ä", "_", "b-1", "b1", "🙂", "\uffee", "Z")
    ]
    async with running(sqlite_url) as one, running(postgresql_url) as other:
        await one.client.post("/memories", json=same_time)
        out = await exported(one.client)
        await imported(other.client, out)

        assert await exported(other.client) == out


async def test_a_file_that_changes_renews_its_memory(client: httpx.AsyncClient) -> None:
    await imported(client, tree({"patterns/a.md": "old", "patterns/b.md": "same"}))
    (old,) = [one for one in await everything(client) if one["path"] == "patterns/a.md"]
    await client.patch(f"/memories/{old['id']}", json={"pinned": True, "access_count": 5})
    changed = {
        "patterns/a.md": "new",
        "patterns/a.metadata.json": '{"use_count": 2, "confidence": 0.9}',
        "patterns/b.md": "same",
    }
    report = await imported(client, tree(changed, mtime=1_770_000_000))
    (new,) = [one for one in await everything(client) if one["path"] == "patterns/a.md"]

    assert counts(report) == (1, 1, 0, 0)
    assert (new["id"], new["text"]) == (old["id"], "new")
    assert (new["pinned"], new["access_count"], new["confidence"]) == (True, 5, 0.9)
    assert new["created_at"] == old["created_at"] < new["modified_at"]


async def test_what_is_deleted_comes_back_with_its_file(client: httpx.AsyncClient) -> None:
    data = tree({"patterns/a.md": "a"})
    await imported(client, data)
    (memory,) = await everything(client)
    await client.delete(f"/memories/{memory['id']}")

    assert counts(await imported(client, data)) == (1, 0, 0, 0)
    assert await everything(client) == [memory]


async def test_projects_and_workspaces_have_their_own_copies(client: httpx.AsyncClient) -> None:
    data = tree({"patterns/a.md": "a"})
    for place in ({}, {"project": "p"}, {"project": "q"}, {"workspace": "w"}):
        assert counts(await imported(client, data, **place)) == (1, 0, 0, 0)

    assert [one["project"] for one in await everything(client, project="p")] == ["p"]
    assert {one["project"] for one in await everything(client)} == {None, "p", "q"}
    assert len({one["id"] for one in await everything(client)}) == 3


async def test_replacing_deletes_what_the_file_does_not_hold_in_its_projects(
    client: httpx.AsyncClient,
) -> None:
    both = tree({"patterns/a.md": "a", "patterns/b.md": "b"})
    one = tree({"patterns/a.md": "a"})
    for place in ({"project": "p"}, {"project": "q"}):
        await imported(client, both, **place)
    merged = await imported(client, one, project="p")
    replaced = await imported(client, one, project="p", replace="true")

    assert counts(merged) == (0, 1, 0, 0)
    assert counts(replaced) == (0, 1, 1, 0)
    assert [memory["path"] for memory in await everything(client, project="p")] == ["patterns/a.md"]
    assert len(await everything(client, project="q")) == 2


async def test_nothing_is_deleted_if_anything_is_refused(client: httpx.AsyncClient) -> None:
    await imported(client, b'{"id": "a", "text": "a"}\n{"id": "b", "text": "b"}')
    report = await imported(client, b'{"id": "a", "text": "a"}\n{"id": "b"}', replace="true")

    assert counts(report) == (0, 1, 0, 1)
    assert len(await everything(client)) == 2


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("is_bare", [True, False])
async def test_results_of_mem0_are_taken(
    light_client: httpx.AsyncClient, indent: int | None, is_bare: bool
) -> None:
    data = json.dumps(MEM0["results"] if is_bare else MEM0, indent=indent).encode()
    assert counts(await imported(light_client, data)) == (2, 0, 0, 0)
    assert counts(await imported(light_client, data)) == (0, 2, 0, 0)
    lines = b"\n".join(json.dumps(one).encode() for one in MEM0["results"])
    assert counts(await imported(light_client, lines)) == (0, 2, 0, 0)

    found = {one["id"]: one for one in await everything(light_client)}
    tea = found["892db2ae-06d9-49e5-8b3e-585ef9b85b8c"]
    assert tea["text"] == "Likes tea in the morning"
    assert tea["agent"] == "specialists/dbt-expert"
    assert tea["session"] == "trip-1"
    assert tea["created_at"] == tea["modified_at"] == "2024-07-26T17:29:36.630547Z"
    assert tea["relevance"] is None
    assert tea["metadata"] == {"source": "chat", "user_id": "alex", "categories": ["food"]}
    assert found["7"]["text"] == "Lives in Porto"


async def test_lines_that_cannot_be_read_are_named_by_number(client: httpx.AsyncClient) -> None:
    lines = [
        b'{"text": "fine"}',
        b"",
        b"{",
        b'{"text": ""}',
        b'{"text": "a", "id": "a/b"}',
        b'{"text": "\\ud800"}',
        b'{"text": "\\u0000"}',
        b'{"text": "a", "metadata": {"x": NaN}}',
        b'{"text": "a", "metadata": {"x": 1e999}}',
        b'{"text": "a", "state": "deleted"}',
        b'{"text": "a", "scope": "a", "tier": "b"}',
        b'{"text": "a", "importance": 7}',
        b'{"metadata": {}}',
        b"3",
        b"null",
        b'[{"text": "also fine"}, {"text": 1}]',
        b"\xff\xfe",
        b"[" * 5_000,
    ]
    report = await imported(client, b"\n".join(lines))
    again = await imported(client, b"\n".join(lines))

    assert counts(report) == (2, 0, 0, 16)
    assert [one["line"] for one in report["refused"]] == [*range(3, 19)]
    assert counts(again) == (0, 2, 0, 16)
    assert report["refused"][0]["path"] == "line 3"
    assert "line 16, item 2" in [one["path"] for one in report["refused"]]
    assert all(one["reason"] for one in report["refused"])


async def test_lines_say_their_project_unless_the_request_does(client: httpx.AsyncClient) -> None:
    lines = b'{"text": "a", "project": "p", "workspace": "elsewhere"}\n{"text": "b"}'
    await imported(client, lines)
    assert {one["text"]: one["project"] for one in await everything(client)} == {
        "a": "p",
        "b": None,
    }
    await imported(client, lines, workspace="w", project="q")
    assert {one["project"] for one in await everything(client, workspace="w")} == {"q"}


async def test_the_multipart_field_is_taken_too(light_client: httpx.AsyncClient) -> None:
    files = {"file": ("memory.tar.gz", tree({"patterns/a.md": "a"}))}
    answer = await light_client.post("/memories/import", files=files)
    odd = await light_client.post("/memories/import", files={"other": ("x", b"x")})

    assert counts(answer.json()) == (1, 0, 0, 0)
    assert odd.status_code == 422


HOSTILE: dict[str, Callable[[], bytes]] = {
    "cut off": lambda: real_tree()[:-5_000],
    "only a beginning": lambda: b"\x1f\x8b",
    "compressed, no archive": lambda: gzip.compress(b'{"text": "a"}'),
    "zip": lambda: b"PK\x03\x04" + bytes(100),
    "bomb": lambda: gzip.compress(bytes(300_000_000), compresslevel=1),
    "more files than a tree has": lambda: gzip.compress(_header() * 20_001, compresslevel=1),
    "too many lines": lambda: b"{}\n" * 200_001,
}


def _header() -> bytes:
    return gzip.decompress(tree({"patterns/a.md": ""}))[:512]


@pytest.mark.parametrize("what", HOSTILE)
async def test_a_hostile_file_is_refused_and_nothing_is_stored(
    light_client: httpx.AsyncClient, what: str
) -> None:
    refused = await light_client.post("/memories/import", content=HOSTILE[what]())

    assert refused.status_code == 422, refused.text
    assert refused.headers["content-type"] == "application/problem+json"
    assert await everything(light_client) == []


async def test_what_is_called_an_archive_and_is_none_is_refused(
    light_client: httpx.AsyncClient,
) -> None:
    answer = await light_client.post(
        "/memories/import",
        content=b'{"text": "a line"}',
        headers={"Content-Type": "application/gzip"},
    )

    assert answer.status_code == 422
    assert "no archive" in answer.json()["detail"]
    assert (await light_client.get("/memories")).json()["items"] == []


async def test_paths_that_lead_away_are_named(light_client: httpx.AsyncClient) -> None:
    files = {"../../../etc/a.md": "x", "patterns/../../a.md": "x", "patterns/good.md": "x"}
    report = await imported(light_client, tree(files))

    assert counts(report) == (1, 0, 0, 2)
    assert {one["reason"] for one in report["refused"]} == {"leads out of the archive"}


async def test_bad_metadata_is_named_and_its_text_taken(light_client: httpx.AsyncClient) -> None:
    files = {"patterns/a.md": "text", "patterns/a.metadata.json": "{not json"}
    report = await imported(light_client, tree(files))

    assert counts(report) == (1, 0, 0, 1)
    assert report["refused"][0]["path"] == "patterns/a.metadata.json"
    assert [one["metadata"] for one in await everything(light_client)] == [{}]


async def test_an_import_larger_than_the_limit_is_refused(sqlite_url: str) -> None:
    async with running(sqlite_url, upload_limit_bytes=2_000) as service:
        refused = await service.client.post("/memories/import", content=b"x" * 2_001)
        assert refused.status_code == 413


@pytest.mark.parametrize("params", [{"workspace": "*"}, {"project": "a/b"}, {"replace": "x"}])
async def test_an_import_that_asks_for_something_odd_is_refused(
    light_service: Running, params: dict[str, str]
) -> None:
    answer = await light_service.client.post("/memories/import", content=b"", params=params)
    assert answer.status_code == 422
