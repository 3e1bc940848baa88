"""Importing a log: line by line however it is cut into chunks, in bounded memory."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import InvalidRequest
from app.core.usage import UsageEvent
from app.flows.import_usage import BATCH, MAX_LINE, MAX_NAMED, import_usage, lines
from app.store.database import Store
from app.store.usage import count_all
from tests.core.runs import run


def read(line: bytes) -> UsageEvent:
    """A line is the id of a run; `bad` is refused."""
    if line.strip() == b"bad":
        raise InvalidRequest("is bad")
    return run(line.strip().decode(), fingerprint=b"")


async def chunked(chunks: Sequence[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


@given(text=st.binary(max_size=40).map(lambda raw: raw.replace(b"a", b"\n")), data=st.data())
def test_lines_do_not_depend_on_how_a_log_is_cut(text: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
    chunks = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]

    async def collect() -> list[bytes]:
        return [line async for line in lines(chunked(chunks))]

    *whole, rest = text.split(b"\n")
    assert asyncio.run(collect()) == [*whole, *([rest] if rest else [])]


@pytest.mark.parametrize("size", [1, 3, 1_000])
async def test_every_line_is_booked_once_whatever_the_chunks(store: Store, size: int) -> None:
    log = b"a\n\n  \nbad\r\nb\r\na\nc"
    chunks = [log[first : first + size] for first in range(0, len(log), size)]

    report = await import_usage(store, "default", chunked(chunks), read)

    assert (report.imported, report.duplicates, report.refused_count) == (3, 1, 1)
    assert [(one.line, one.reason) for one in report.refused] == [(4, "is bad")]
    assert store.read_now(count_all) == 3


async def test_a_log_of_many_batches_is_booked_and_booked_again_it_adds_nothing(
    store: Store,
) -> None:
    log = b"".join(b"run-%d\n" % number for number in range(2 * BATCH + 1))

    first = await import_usage(store, "default", chunked([log]), read)
    again = await import_usage(store, "default", chunked([log]), read)

    assert (first.imported, first.duplicates) == (2 * BATCH + 1, 0)
    assert (again.imported, again.duplicates) == (0, 2 * BATCH + 1)
    assert store.read_now(count_all) == 2 * BATCH + 1


async def test_an_endless_line_is_refused_and_the_next_one_is_not(store: Store) -> None:
    chunks = [b"x" * 600_000] * 5 + [b"\nnext\n"]

    report = await import_usage(store, "default", chunked(chunks), read)

    assert (report.imported, report.refused_count) == (1, 1)
    assert report.refused[0].line == 1
    assert f"{MAX_LINE:,}" in report.refused[0].reason


async def test_no_more_refusals_are_named_than_a_person_reads(store: Store) -> None:
    report = await import_usage(store, "default", chunked([b"bad\n" * (MAX_NAMED + 5)]), read)

    assert report.refused_count == MAX_NAMED + 5
    assert len(report.refused) == MAX_NAMED
