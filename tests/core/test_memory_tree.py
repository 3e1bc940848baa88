"""Laws of memory trees: where a file stands says whose it is, and nothing that is odd gets in."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.memory import Memory
from app.core.memory_tree import Refused, TreeFile, id_of, read_tree, renew
from app.core.windows import micros

NOW = micros(datetime(2026, 3, 14, tzinfo=UTC))
MODIFIED = micros(datetime(2025, 10, 14, tzinfo=UTC))


def file(path: str, data: str | bytes = "some text") -> TreeFile:
    content = data.encode() if isinstance(data, str) else data
    return TreeFile(path=path, data=content, modified_at=MODIFIED)


def read(*files: TreeFile) -> tuple[list[Memory], list[Refused]]:
    return read_tree(files, workspace="w", project=None, now=NOW)


def one(path: str, **metadata: Any) -> Memory:
    said = file(path.rpartition(".")[0] + ".metadata.json", json.dumps(metadata))
    (memory,), refused = read(file(path), said)
    assert refused == []
    return memory


@pytest.mark.parametrize(
    ("path", "agent", "scope", "state"),
    [
        ("patterns/a.md", None, "global", "active"),
        ("patterns/sub/a.md", None, "global", "active"),
        ("recent/a.md", None, "global", "active"),
        ("intermediate/a.md", None, "global", "active"),
        ("specialists/dbt-expert/patterns/a.md", "specialists/dbt-expert", "agent_patterns", ""),
        ("specialists/dbt-expert/recent/a.md", "specialists/dbt-expert", "agent_recent", ""),
        ("roles/x/intermediate/sub/a.md", "roles/x", "agent_recent", ""),
        ("teams/x/patterns/a.md", "teams/x", "agent_patterns", ""),
        ("roles/x/notes.md", "roles/x", "agent_patterns", ""),
        ("README.md", None, "reference", ""),
        ("research/a.md", None, "reference", ""),
        ("research/sub/a.md", None, "reference", ""),
        ("quick-reference/a.md", None, "reference", ""),
        ("archive/patterns/a.md", None, "global", "archived"),
        ("archive/roles/x/recent/a.md", "roles/x", "agent_recent", "archived"),
        ("archive/a.md", None, "reference", "archived"),
    ],
)
@pytest.mark.parametrize("root", [".claude/memory/", "./.claude/memory/", "here/.claude/memory/"])
def test_where_a_file_stands_says_whose_it_is(
    root: str, path: str, agent: str | None, scope: str, state: str
) -> None:
    (memory,), refused = read(file(root + path), file(".claude/cache/other.md"))

    assert refused == []
    assert (memory.agent, memory.scope, memory.path) == (agent, scope, path)
    assert memory.state == (state or "active")
    assert memory.created_at == memory.modified_at == MODIFIED


@pytest.mark.parametrize("root", ["memory/", "./memory/", "./", ""])
def test_a_tree_may_be_packed_from_further_down(root: str) -> None:
    memories, _ = read(file(root + "patterns/a.md"), file(root + "README.md"))

    assert {memory.path for memory in memories} == {"patterns/a.md", "README.md"}


def test_what_the_metadata_says_is_taken() -> None:
    said = {
        "use_count": 4,
        "last_used": "2025-12-01T10:00:00",
        "created_at": "2025-10-07T10:08:42.641466",
        "modified_at": "2025-10-08T10:08:42+02:00",
        "confidence": 0.92,
        "used_by_agents": ["roles/x"],
        "token_count": 1,
        "tags": ["a"],
    }
    memory = one("patterns/a.md", **said)

    assert memory.access_count == 4
    assert memory.last_accessed_at == micros(datetime(2025, 12, 1, 10, tzinfo=UTC))
    assert memory.created_at == micros(datetime(2025, 10, 7, 10, 8, 42, 641466, tzinfo=UTC))
    assert memory.modified_at == max(MODIFIED, micros(datetime(2025, 10, 8, 8, 8, 42, tzinfo=UTC)))
    assert memory.confidence == 0.92
    assert memory.used_by_agents == ("roles/x",)
    assert memory.metadata == said


def test_the_later_of_file_and_metadata_says_when_it_was_modified() -> None:
    later = datetime.fromtimestamp(MODIFIED / 1e6 + 60, UTC)

    assert one("patterns/a.md", modified_at=later.isoformat()).modified_at == micros(later)
    assert one("patterns/a.md", modified_at="1999-01-01T00:00:00Z").modified_at == MODIFIED


@pytest.mark.parametrize(
    "said",
    [
        b"{",
        b"[]",
        b'"text"',
        b'{"confidence": 2}',
        b'{"confidence": true}',
        b'{"confidence": NaN}',
        b'{"x": 1e999}',
        b'{"x": "\\ud800"}',
        b'{"x": "\\u0000"}',
        b'{"\\u0000": 1}',
        b'{"use_count": -1}',
        b'{"use_count": "many"}',
        b'{"use_count": 1e3}',
        b'{"last_used": "yesterday"}',
        b'{"last_used": 1e300}',
        b'{"modified_at": []}',
        b'{"used_by_agents": "roles/x"}',
        b'{"used_by_agents": [""]}',
        b'{"x": ' + b"[" * 60 + b"]" * 60 + b"}",
        b"[" * 60_000,
        b'{"x": ' + b"9" * 5_000 + b"}",
        b'{"x": "' + b"y" * 65_536 + b'"}',
        ('{"x": "' + "漢" * 12_000 + '"}').encode(),
        b"\xff",
    ],
)
def test_metadata_that_cannot_be_believed_is_named_and_left_out(said: bytes) -> None:
    plain, _ = read(file("patterns/a.md"))
    memories, refused = read(file("patterns/a.md"), file("patterns/a.metadata.json", said))

    assert [one.path for one in refused] == ["patterns/a.metadata.json"]
    assert refused[0].reason.endswith("; left out")
    assert [memory.metadata for memory in memories] == [{}]
    assert memories[0].modified_at == plain[0].modified_at


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("../a.md", b"x"),
        ("patterns/../../a.md", b"x"),
        ("/etc/a.md", b"x"),
        ("patterns/a\n.md", b"x"),
        ("patterns/a\udc80.md", b"x"),
        ("patterns/" + "a" * 1000 + ".md", b"x"),
        ("specialists/" + "a" * 190 + "/patterns/a.md", b"x"),
        ("patterns/a.png", b"x"),
        ("patterns/a.md", b""),
        ("patterns/a.md", b" \n\t"),
        ("patterns/a.md", b"\xff\xfe"),
        ("patterns/a.md", b"a\0b"),
        ("patterns/a.md", b"a" * 1_000_001),
    ],
)
def test_what_cannot_be_a_memory_is_named(path: str, data: bytes) -> None:
    memories, refused = read(file(path, data), file("patterns/good.md"))

    assert [memory.path for memory in memories] == ["patterns/good.md"]
    assert len(refused) == 1
    assert refused[0].reason
    assert refused[0].path.isprintable()


def test_what_is_no_memory_is_left_alone() -> None:
    names = (".gitkeep", "patterns/.gitkeep", "budget-profiles.json", "patterns/._a.md")
    assert read(*map(file, names), file("patterns/gone.metadata.json", "{}")) == ([], [])


def test_of_two_files_of_one_path_the_first_counts() -> None:
    memories, refused = read(file("patterns/a.md", "first"), file("./patterns//a.md", "second"))

    assert [memory.text for memory in memories] == ["first"]
    assert [one.path for one in refused] == ["patterns/a.md"]


paths = st.text("ab/.-é ", min_size=1, max_size=12).map(lambda name: f"patterns/{name}x.md")


@given(
    first=st.tuples(st.sampled_from(["v", "w"]), st.none() | st.sampled_from(["p", "q"]), paths),
    second=st.tuples(st.sampled_from(["v", "w"]), st.none() | st.sampled_from(["p", "q"]), paths),
)
def test_an_id_stands_for_workspace_project_and_path(
    first: tuple[str, str | None, str], second: tuple[str, str | None, str]
) -> None:
    assert (id_of(*first) == id_of(*second)) == (first == second)
    assert "/" not in id_of(*first)


@given(
    text=st.sampled_from(["a", "b"]),
    other=st.sampled_from(["a", "b"]),
    said=st.sampled_from(["{}", '{"use_count": 1}']),
    later=st.sampled_from(["{}", '{"use_count": 1}']),
)
def test_a_file_is_the_same_if_its_text_and_metadata_are(
    text: str, other: str, said: str, later: str
) -> None:
    def fingerprint(text: str, said: str, at: int) -> bytes:
        files = file("patterns/a.md", text), file("patterns/a.metadata.json", said)
        moved = [TreeFile(path=one.path, data=one.data, modified_at=at) for one in files]
        return read(*moved)[0][0].fingerprint

    same = fingerprint(text, said, 1) == fingerprint(other, later, 2)
    assert same == ((text, said) == (other, later))


def test_a_renewed_memory_forgets_nothing_that_only_the_service_knows() -> None:
    (old,), _ = read(file("patterns/a.md", "old"))
    old = replace(
        old,
        access_count=9,
        last_accessed_at=NOW,
        importance=0.9,
        pinned=True,
        embedding=(1.0,),
    )
    (new,), _ = read(file("patterns/a.md", "new"), file("patterns/a.metadata.json", "{}"))
    after = renew(old, new)

    assert (after.text, after.fingerprint) == ("new", new.fingerprint)
    assert (after.access_count, after.last_accessed_at) == (9, NOW)
    assert (after.importance, after.pinned) == (0.9, True)
    assert after.embedding is None
