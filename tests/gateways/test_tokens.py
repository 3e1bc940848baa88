"""Tokens are counted as tiktoken counts them, without a network."""

import base64
import hashlib
import importlib
import socket
import tarfile
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiktoken import Encoding

from app.core.errors import InvalidRequest
from app.gateways.tokens import (
    RANK_FILES,
    TokenCounter,
    count_tokens,
    encoding_for,
    read_ranks,
    stretches,
)
from tests.data import data_dir, vectors

ORIGINAL_SHA256 = {
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
}


@pytest.fixture(scope="module")
def counter() -> TokenCounter:
    return TokenCounter()


@pytest.mark.parametrize("record", list(vectors("A10.tokens")), ids=lambda record: record["id"])
def test_counts_of_the_conformance_vectors(counter: TokenCounter, record: dict[str, Any]) -> None:
    text = record["in"].get("text") or _text_of(record["in"]["path"])
    assert counter.count(text) == record["out"]["tokens"]


def _text_of(path: str) -> str:
    with tarfile.open(data_dir() / "claude-memory" / "claude-memory.tar.gz") as tree:
        names = [name for name in tree.getnames() if name.endswith(f".claude/memory/{path}")]
        assert len(names) == 1, f"{path} is not once in the tree"
        member = tree.extractfile(names[0])
        assert member is not None
        return member.read().decode()


@pytest.mark.parametrize("name", sorted(RANK_FILES))
def test_rank_files_hold_what_tiktoken_would_fetch(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    public = importlib.import_module("tiktoken_ext.openai_public")
    expected: list[str | None] = []

    def note_hash(_url: str, expected_hash: str | None = None) -> dict[bytes, int]:
        expected.append(expected_hash)
        return {}

    monkeypatch.setattr(public, "load_tiktoken_bpe", note_hash)
    published = public.ENCODING_CONSTRUCTORS[name]()
    ranks = read_ranks(name)
    original = b"".join(b"%s %d\n" % (base64.b64encode(t), rank) for t, rank in ranks.items())

    assert hashlib.sha256(original).hexdigest() == ORIGINAL_SHA256[name]
    assert expected == [ORIGINAL_SHA256[name]]
    assert published["pat_str"] == RANK_FILES[name].pattern


def test_a_damaged_rank_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    sound, other = RANK_FILES["cl100k_base"], RANK_FILES["o200k_base"]
    monkeypatch.setitem(RANK_FILES, "cl100k_base", other)
    with pytest.raises(RuntimeError, match="damaged"):
        TokenCounter().count("text")
    monkeypatch.setitem(RANK_FILES, "cl100k_base", sound)
    assert TokenCounter().count("text") == 1


def test_the_first_count_opens_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_kwargs: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    fresh = TokenCounter()
    assert fresh.count("hello world") == 2
    assert fresh.count("hello world", "o200k_base") == 2


def test_threads_that_come_together_build_an_encoding_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    built: list[str] = []

    def build(name: str, **parts: object) -> Encoding:
        built.append(name)
        return Encoding(name, **parts)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr("app.gateways.tokens.Encoding", build)
    fresh = TokenCounter()
    with ThreadPoolExecutor(8) as threads:
        counts = list(threads.map(fresh.count, ["one two three"] * 64))
    assert counts == [3] * 64
    assert built == ["cl100k_base"]


def test_nothing_is_loaded_before_the_first_count() -> None:
    tracemalloc.start()
    try:
        fresh = TokenCounter()
        assert fresh.count_many([]) == []
        assert fresh.encoding_for("gpt-4o") == "o200k_base"
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 100_000


@pytest.mark.parametrize(
    ("model", "encoding"),
    [
        (None, "cl100k_base"),
        ("", "cl100k_base"),
        ("claude-sonnet-4-5", "cl100k_base"),
        ("gpt-4", "cl100k_base"),
        ("gpt-4-0613", "cl100k_base"),
        ("gpt-4o", "o200k_base"),
        ("gpt-4o-mini-2024-07-18", "o200k_base"),
        ("openai/gpt-4o", "o200k_base"),
        ("openrouter/openai/GPT-4o", "o200k_base"),
        ("openai/gpt-4o:extended", "o200k_base"),
        ("openai:gpt-4.1-mini", "o200k_base"),
        ("ft:gpt-4o:acme::id", "o200k_base"),
        ("ft:gpt-3.5-turbo:acme", "cl100k_base"),
        ("gpt-oss-20b", "o200k_base"),
        ("o3", "o200k_base"),
        ("text-embedding-3-small", "cl100k_base"),
        ("davinci", "cl100k_base"),
        ("anthropic/claude:beta", "cl100k_base"),
    ],
)
def test_encoding_of_a_model(model: str | None, encoding: str) -> None:
    assert encoding_for(model) == encoding


def test_an_unknown_encoding_is_refused_with_the_known_ones(counter: TokenCounter) -> None:
    with pytest.raises(InvalidRequest, match="cl100k_base, o200k_base"):
        counter.count("text", "klingon")


@pytest.mark.parametrize("encoding", sorted(RANK_FILES))
def test_special_tokens_in_a_text_are_plain_text(counter: TokenCounter, encoding: str) -> None:
    assert counter.count("<|endoftext|>", encoding) > 1


@pytest.mark.parametrize("encoding", sorted(RANK_FILES))
def test_a_lone_surrogate_counts_as_the_replacement_character(
    counter: TokenCounter, encoding: str
) -> None:
    assert counter.count("a\ud800b", encoding) == counter.count("a\ufffdb", encoding)


def test_count_many_is_count_of_each(counter: TokenCounter) -> None:
    texts = ["", "one", "one two", "مرحبا"]
    assert counter.count_many(texts, "o200k_base") == [
        counter.count(t, "o200k_base") for t in texts
    ]


BLANK_TEXTS = st.lists(
    st.sampled_from(["a", " b", "!", "\n", "\r\n", "\u2028", "\x1c", "漢", "9"])
    | st.integers(1, 9).map(lambda n: " " * n)
    | st.integers(3, 6).map(lambda n: " \t\xa0" * n),
    max_size=12,
).map("".join)


@pytest.mark.parametrize("encoding", sorted(RANK_FILES))
@given(text=BLANK_TEXTS, long_run=st.integers(1, 6))
@settings(max_examples=150, deadline=None)
def test_cutting_long_runs_of_blanks_never_changes_a_count(
    counter: TokenCounter, encoding: str, text: str, long_run: int
) -> None:
    built = counter._encoding(encoding)
    assert count_tokens(built, text, long_run=long_run) == len(built.encode_ordinary(text))


@pytest.mark.parametrize(
    ("encoding", "tail"),
    [("cl100k_base", "x"), ("o200k_base", "x"), ("o200k_base", ""), ("o200k_base", "\nx")],
)
def test_more_blanks_than_tiktoken_bears_are_counted(
    counter: TokenCounter, encoding: str, tail: str
) -> None:
    longest_token = " " * 128  # the longest token of both encodings
    assert counter.count(longest_token, encoding) == 1
    tokens = counter.count("x" + longest_token * 8000 + tail, encoding)
    assert 8000 <= tokens <= 8003


@pytest.mark.parametrize("encoding", sorted(RANK_FILES))
@pytest.mark.parametrize(("unit", "per_token"), [("a", 8), ("0", 3)])
def test_a_long_run_of_one_character_is_counted_exactly(
    counter: TokenCounter, encoding: str, unit: str, per_token: int
) -> None:
    assert counter.count(unit * 120_000, encoding) == 120_000 // per_token


def test_many_runs_just_short_of_long_are_quick(counter: TokenCounter) -> None:
    text = (" " * 90_000 + "x") * 4
    started = time.process_time()
    tokens = counter.count(text)
    assert time.process_time() - started < 5
    assert tokens == 4 * counter.count(" " * 89_999) + 4


PARTS = st.lists(
    st.sampled_from(
        ["\n", "\r\n", "a", "B", " ", "  ", "1", "22", "'s", "\t", ".", "//", "é", "会议", "\u2028"]
    ),
    max_size=40,
).map("".join)


@pytest.mark.parametrize("name", sorted(RANK_FILES))
@given(text=PARTS, most=st.integers(2, 20))
def test_the_parts_of_a_long_text_have_its_tokens(
    counter: TokenCounter, name: str, text: str, most: int
) -> None:
    parts = list(stretches(text, most))
    assert "".join(parts) == text
    assert sum(counter.count_many(parts, name)) == counter.count(text, name)
