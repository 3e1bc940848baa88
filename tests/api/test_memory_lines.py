"""Laws of lines: whatever a file holds, it is read or named, and what is written is read again."""

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from app.api.schemas.memory_lines import read_lines, write_line
from app.core.memory import Memory
from app.core.memory_tree import Refused
from tests.core.memories import memory_fields, names

NOW = 1_700_000_000_000_000


def read(data: bytes, project: str | None = None) -> tuple[list[Memory], list[Refused]]:
    return read_lines(
        data, workspace="w", project=project, identify=lambda _, name: (name, None), now=NOW
    )


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(), part, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(
    "id text memory content project agent agent_id scope tier path created_at updated_at"
    " access_count importance used_by_agents session run_id position pinned expires_at embedding"
    " metadata state categories user_id results".split()
)
odd_values = anything | st.sampled_from(["a", "2026-01-01", "2026-01-01T00:00:00Z", 0.5, 3])
odd_records = st.dictionaries(fields, odd_values, max_size=5).map(lambda one: {"text": "a"} | one)


@given(data=st.binary(max_size=200))
def test_any_bytes_are_read_or_named(data: bytes) -> None:
    read(data)


@given(records=st.lists(odd_records, max_size=4), indent=st.none() | st.just(1))
def test_every_record_is_read_or_named(records: list[dict[str, Any]], indent: int | None) -> None:
    if indent is None:
        data = "\n".join(map(json.dumps, records))
    else:
        data = json.dumps(records, indent=indent)
    memories, refused = read(data.encode())

    assert len(memories) + len(refused) == len(records)
    for memory in memories:
        assert memory.id
        assert "/" not in memory.id
        assert "\0" not in memory.text
        json.dumps(dict(memory.metadata), allow_nan=False)


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1).filter(str.strip)
moments = st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999)
memories = st.builds(
    Memory,
    id=names,
    workspace=st.just("w"),
    text=texts,
    **memory_fields(moments),
    metadata=st.dictionaries(names, texts | st.floats(allow_nan=False, allow_infinity=False)),
    state=st.sampled_from(["active", "archived"]),
)


def line_of(memory: Memory) -> bytes:
    return json.dumps(write_line(memory), default=lambda at: at.isoformat()).encode()


@given(memory=memories)
@example(memory=Memory(id="a", workspace="w", text="x", created_at=0, modified_at=0))
def test_what_is_written_is_read_again(memory: Memory) -> None:
    (again,), refused = read(line_of(memory))

    assert refused == []
    assert write_line(again) == write_line(memory)


@given(first=texts, second=texts, project=st.none() | st.just("p"))
def test_a_record_without_an_id_is_known_by_what_it_says(
    first: str, second: str, project: str | None
) -> None:
    (one,), _ = read(json.dumps({"text": first, "importance": 0.5}).encode())
    (other,), _ = read(json.dumps({"importance": 0.5, "text": second}).encode(), project)

    assert (one.id == other.id) == ((first, None) == (second, project))
    assert (one.fingerprint == other.fingerprint) == (one.id == other.id)


def test_what_a_search_says_of_a_memory_makes_no_other_memory() -> None:
    found = [read(b'{"id": "a", "memory": "x", "score": %d}' % score)[0][0] for score in (1, 2)]
    assert found[0].fingerprint == found[1].fingerprint


def test_what_a_line_adds_to_its_metadata_counts_against_their_limit() -> None:
    line = {"text": "a", "metadata": {"x": "y" * 65_500}, "categories": ["z" * 100]}
    memories, refused = read(json.dumps(line).encode())

    assert memories == []
    assert "65,536 characters" in refused[0].reason
