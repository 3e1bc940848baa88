"""Cutting a log into parts loses no line, and files are known by name and content."""

import gzip
import io

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.commands.parts import COMPRESSED, Source, parts
from app.flows.import_usage import MAX_LINE

LINES = st.lists(st.binary(max_size=40).map(lambda raw: raw.replace(b"\n", b" ")), max_size=60)


def source(data: bytes, name: str = "standard input") -> Source:
    return Source(io.BytesIO(data), name=name, size=len(data))


@given(lines=LINES, size=st.integers(1, 200), ended=st.booleans())
def test_parts_hold_every_line_under_its_number(lines: list[bytes], size: int, ended: bool) -> None:
    data = b"\n".join(lines) + (b"\n" if ended else b"")
    assume(not data.startswith(COMPRESSED))

    numbered = {}
    for part in parts(source(data), size):
        for number, line in enumerate(part.data.split(b"\n")[:-1], part.first_line):
            assert number not in numbered
            numbered[number] = line

    expected = dict(enumerate(data.split(b"\n"), 1))
    assert {k: v for k, v in numbered.items() if v} == {k: v for k, v in expected.items() if v}


def test_a_long_log_comes_in_several_parts() -> None:
    data = b"x" * 99 + b"\n"
    found = list(parts(source(data * 100_000), 1 << 20))
    assert len(found) == 5
    assert sum(part.data.count(b"\n") for part in found) == 100_000
    assert found[-1].taken == 10_000_000


def test_an_endless_line_is_still_too_long_and_keeps_its_number() -> None:
    found = b"".join(part.data for part in parts(source(b"a\n" + b"x" * (5 * MAX_LINE) + b"\nb")))
    first, endless, last, _ = found.split(b"\n")
    assert (first, last) == (b"a", b"b")
    assert len(endless) > MAX_LINE


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("x.jsonl", b"", "usage"),
        ("x.yaml", b'{"agent": "a"}', "policy"),
        ("standard input", b'{"agent": "a"}\n{"agent": "b"}', "usage"),
        ("standard input", b'rubbish\n{"agent": "b"}', "usage"),
        ("budget-profiles.json", b'{"profiles": {},\n"version": "1"}', "policy"),
        ("budget-profiles.json", b'{"profiles": {}}', "policy"),
        ("x.jsonl", b'{"id": "a", "agent": "b", "text": "c"}', "memories"),
        ("standard input", b'{\n"results": [{"memory": "c"}]\n}', "memories"),
        ("x.json", b'[{"memory": "c"}]', "memories"),
        ("x.tar.gz", gzip.compress(bytes(257) + b"ustar".ljust(255, b"\0"), mtime=0), "memories"),
        ("standard input", b"default:\n  workspace_id: default\n", "policy"),
    ],
)
def test_a_file_is_known_by_its_name_and_content(name: str, data: bytes, kind: str) -> None:
    assert source(data, name).kind == kind
