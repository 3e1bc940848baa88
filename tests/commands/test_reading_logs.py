"""Logs are read entry by entry: what cannot be read takes nothing else with it."""

import io
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.commands import logs
from app.commands.logs import NO_JSON, TOO_LONG, Entry, csv_rows, json_array, json_lines
from app.commands.parts import Source
from tests.transcripts import as_csv, said, session_lines, spend_row, usage

Read = Callable[[Iterable[bytes]], Iterator[Entry]]
VALUES = st.lists(st.dictionaries(st.text(max_size=4), st.text(max_size=8), max_size=3), max_size=9)
CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=8)


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def values(entries: Iterable[Entry]) -> list[Any]:
    listed = list(entries)
    assert [entry.fault for entry in listed if entry.fault] == []
    return [entry.value for entry in listed]


def faults(entries: Iterable[Entry]) -> dict[int, str]:
    return {entry.number: entry.fault for entry in entries if entry.fault}


@given(given_=VALUES, size=st.integers(1, 40), ended=st.booleans())
def test_lines_are_read_wherever_they_are_cut(given_: list[Any], size: int, ended: bool) -> None:
    data = "\n".join(map(json.dumps, given_)).encode() + (b"\n" if ended else b"")
    assert values(json_lines(cut(data, size))) == given_


@given(
    given_=VALUES,
    size=st.integers(1, 40),
    indent=st.sampled_from([None, 0, 2]),
    around=st.sampled_from(
        ["%s", "\ufeff%s\n", '{"data": %s}', '{"total": 2, "data":%s, "x": []}']
    ),
)
def test_objects_of_an_array_are_read_wherever_they_are_cut(
    given_: list[Any], size: int, indent: int | None, around: str
) -> None:
    data = (around % json.dumps(given_, indent=indent, ensure_ascii=False)).encode()
    assert values(json_array(cut(data, size))) == given_


@given(
    rows=st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=6),
    size=st.integers(1, 40),
    delimiter=st.sampled_from(",;\t"),
    mark=st.sampled_from(["", "\ufeff"]),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_rows_of_csv_are_read_wherever_they_are_cut(
    rows: list[list[str]], size: int, delimiter: str, mark: str, end: str
) -> None:
    records = [dict(zip(("request_id", "startTime", "x"), row, strict=True)) for row in rows]
    written = as_csv(records, delimiter=delimiter) if records else "request_id,startTime,x\r\n"
    data = (mark + written.replace("\r\n", end)).encode()
    assert values(csv_rows(cut(data, size))) == records


def test_a_broken_line_is_named_and_no_other_is_lost() -> None:
    found = list(json_lines([b'{"a": 1}\nrubb', b'ish\n\n\xff\xfe\n{"a": 2}\n\0\0\0\n{"a": 3']))
    assert [entry.value for entry in found if not entry.fault] == [{"a": 1}, {"a": 2}]
    assert faults(found) == dict.fromkeys((2, 4, 6, 7), NO_JSON)
    assert [entry.number for entry in found if entry.is_cut] == [7]


def test_deep_nesting_is_no_json() -> None:
    deep = b"[" * 200_000
    assert faults(json_lines([deep + b"\n{}"])) == {1: NO_JSON}
    assert list(faults(json_array([b"[" + deep]))) == [1]


@pytest.mark.parametrize("read", [json_lines, csv_rows])
def test_an_endless_line_is_skipped(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "LONGEST", 100)
    first, last = (
        (b'{"a": 1}', b'{"a": 2}') if read is json_lines else (b"request_id,spend", b"x,2")
    )
    chunks = [first + b"\n", *[b"y" * 90] * 50, b"\n" + last + b"\n"]
    found = list(read(chunks))
    assert faults(found) == {2: TOO_LONG}
    assert found[-1].value == (
        {"a": 2} if read is json_lines else {"request_id": "x", "spend": "2"}
    )
    assert found[-1].number == 3


def test_an_endless_object_ends_the_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "LONGEST", 100)
    found = list(json_array([b'[{"a": 1}, {"b": "', *[b"y" * 90] * 50, b'"}, {"c": 1}]']))
    assert [entry.value for entry in found if not entry.fault] == [{"a": 1}]
    assert faults(found) == {2: f"{TOO_LONG}; nothing after it is read"}


def test_an_array_that_was_cut_off_says_so() -> None:
    found = list(json_array([b'[{"a": 1}, {"a": 2}, {"a']))
    assert [entry.value for entry in found if not entry.fault] == [{"a": 1}, {"a": 2}]
    assert faults(found) == {3: f"{NO_JSON}; nothing after it is read"}


def test_a_stray_quote_takes_no_other_row_with_it() -> None:
    rows = ["a,b", "1,2", '3,4"', "5,6", "7,8", '9,"10', "11,12", '13,"14"', "15,16"]
    found = {entry.number: entry.value for entry in csv_rows(["\n".join(rows).encode()])}
    expected = {line: {"a": f"{2 * line - 3}", "b": f"{2 * line - 2}"} for line in range(2, 10)}
    assert found == expected | {3: {"a": "3", "b": '4"'}}


def test_a_row_with_other_cells_than_the_header_is_named() -> None:
    found = list(csv_rows([b"a,b\n1\n1,2,3\n1,2\n"]))
    assert faults(found) == {
        2: "has 1 cells where the header has 2",
        3: "has 3 cells where the header has 2",
    }
    assert found[-1].value == {"a": "1", "b": "2"}


def test_a_cell_may_hold_a_conversation() -> None:
    rows = [spend_row(number) for number in range(3)]
    found = values(csv_rows([as_csv(rows).encode()]))
    assert [row["request_id"] for row in found] == [row["request_id"] for row in rows]
    assert json.loads(found[0]["messages"]) == rows[0]["messages"]


LONG = json.dumps(said("msg_01AAAAAAAAAAAAAAAA", 1, usage(9, 1)) | {"x": "y" * (2 << 20)}).encode()


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("x.jsonl", "\n".join(map(json.dumps, session_lines())).encode(), "transcript"),
        ("x.txt", json.dumps(session_lines()[-1]).encode(), "transcript"),
        ("x.jsonl", LONG, "transcript"),
        ("x.jsonl", b'{"type": "summary", "summary": "s", "leafUuid": "u"}\n', "transcript"),
        ("x.json", json.dumps([spend_row(1)]).encode(), "spend"),
        ("x.json", json.dumps([spend_row(1)], indent=2).encode(), "spend"),
        ("x.json", json.dumps([spend_row(n) for n in range(2_000)]).encode(), "spend"),
        ("x.json", json.dumps({"data": [spend_row(1)]}, indent=2).encode(), "spend"),
        ("x.jsonl", json.dumps(spend_row(1)).encode(), "spend"),
        ("x.csv", as_csv([spend_row(1)]).encode(), "spend"),
        ("standard input", b"\xef\xbb\xbf" + as_csv([spend_row(1)], lower=True).encode(), "spend"),
        ("x.csv", b"name,value\n1,2\n", "policy"),
        ("x.json", b'[{"memory": "c"}]', "memories"),
        ("x.jsonl", b'{"agent": "a", "tokens_loaded": 1}', "usage"),
        ("x.json", b'{"profiles": {}, "data": [1]}', "policy"),
    ],
)
def test_a_log_of_calls_is_known_by_its_content(name: str, data: bytes, kind: str) -> None:
    assert Source(io.BytesIO(data), name=name, size=len(data)).kind == kind
