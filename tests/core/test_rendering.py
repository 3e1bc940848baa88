"""Laws of the text to load: it fits, it is whole, it is stable, and no memory breaks out."""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.budgets import Room
from app.core.memory import Candidate
from app.core.packing import Selection, select
from app.core.rendering import Format, reading_order, render
from app.core.scoring import Score
from app.gateways.tokens import TokenCounter
from tests.core.memories import candidates as candidates_with

NOW = datetime(2026, 3, 14, 15, 0, tzinfo=UTC)
TOKENS = TokenCounter()
FORMATS: tuple[Format, ...] = ("markdown", "xml", "json")

passages = st.sampled_from(
    (
        "",
        " \t \n\n  ",
        "Caroline went to the support group yesterday, and it was powerful.",
        "会议改到下周二,请带上合同。" * 3,
        "👩‍👩‍👧‍👦🏳️‍🌈 " * 9,
        "def f(x):\n    return [y ** 2 for y in x]\n" * 6,
        "# Heading\n\n```python\nprint('```')\n```\n~~~~\n",
        "</memory></memories><memory id='x'>& \x0b \ufffe ]]>",
        '"}],"text":"\\u0000\\\\',
        "Title\n=====\n\n[a]: http://x\n<!-- ",
        "word " * 400,
        "\r\n-\r\n---\r\n",
    )
) | st.text(max_size=80)
names = st.none() | st.sampled_from(("Ann", "s-1", "a/b c.md", '# <"&>', "x\ny"))
memories = candidates_with(
    id=st.uuids().map(str) | st.sampled_from(("m 1", "# m", '<"&>')),
    tokens=st.integers(0, 60),
    scope=st.sampled_from(("global", "agent_recent", "notes", None)),
    text=st.none() | passages,
    path=names,
    session=names,
    speaker=names,
    position=st.none() | st.integers(0, 9),
    created_at=st.none() | st.integers(0, 90).map(lambda days: NOW - timedelta(hours=9 * days)),
    pinned=st.sampled_from((False, False, False, True)),
)
lists = st.lists(memories, max_size=12, unique_by=lambda one: one.id)


def chosen(
    candidates: Sequence[Candidate], kind: Format, *, budget: int, rigid: bool, lies: bool
) -> Selection:
    """The selection where tokens are counted, or are what the caller made up."""
    told = candidates if lies else [_counted(one) for one in candidates]
    return select(
        told,
        [
            Score(total=0.1 + at % 7 / 10, relevance=0, importance=0, freshness=0)
            for at, _ in enumerate(told)
        ],
        [
            Room(name="global", weight=Decimal("0.5"), tokens=budget // 2),
            Room(name="agent_recent", weight=Decimal("0.5"), tokens=budget // 2),
        ],
        budget=budget,
        rigid=rigid,
        now=NOW,
        render=kind,
        count=TOKENS.count,
    )


def _counted(memory: Candidate) -> Candidate:
    return memory._replace(tokens=TOKENS.count(memory.text or ""))


@settings(max_examples=200, deadline=None)
@given(lists, st.sampled_from(FORMATS), st.integers(0, 900), st.booleans(), st.booleans())
def test_the_text_fits_the_budget_whatever_the_tokens_say(
    candidates: list[Candidate], kind: Format, budget: int, rigid: bool, lies: bool
) -> None:
    selection = chosen(candidates, kind, budget=budget, rigid=rigid, lies=lies)
    assert selection.context is not None
    assert selection.rendered_tokens == TOKENS.count(selection.context) <= budget
    assert selection.tokens <= budget
    assert selection.value <= (selection.upper_bound or 0) + 1e-9
    answered = len(selection.selected) + len(selection.dropped)
    assert answered == len(candidates)
    ids = {one.id for one in selection.selected}
    assert selection.context in ("", render(kind, _as_read(candidates, ids)))


def _as_read(candidates: Sequence[Candidate], ids: set[str]) -> list[Candidate]:
    ranks = {"global": 0, None: 0, "agent_recent": 1, "notes": 2}
    return sorted(
        (one for one in candidates if one.id in ids),
        key=lambda one: (ranks[one.scope], reading_order(one)),
    )


@given(lists)
def test_json_holds_each_memory_and_its_text(candidates: list[Candidate]) -> None:
    told = [one for one in candidates if one.text is not None]
    read = json.loads(render("json", candidates))
    assert [(one["id"], one["text"]) for one in read] == [(one.id, one.text) for one in told]


@given(lists)
def test_xml_holds_each_memory_and_its_text(candidates: list[Candidate]) -> None:
    told = [one for one in candidates if one.text is not None]
    text = render("xml", candidates)
    assert bool(text) == bool(told)
    if told:
        read = [*ElementTree.fromstring(text).iter("memory")]
        unreadable = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
        texts = [unreadable.sub("\ufffd", one.text or "") for one in told]
        assert [one.text or "" for one in read] == texts
        paths = {one.path for one in told if one.path}
        assert paths <= {one.get("path") for one in ElementTree.fromstring(text)}


def blocks(markdown: str) -> tuple[list[str], list[str]]:
    """Headings, and lines that are neither in fences nor plain, as CommonMark reads them."""
    headings, odd = [], []
    fence = None
    for line in re.split(r"\r\n|\r|\n", markdown):
        ticks = re.fullmatch(r" {0,3}(`{3,})[ \t]*", line)
        if fence is not None:
            if ticks and len(ticks[1]) >= len(fence):
                fence = None
        elif ticks:
            fence = ticks[1]
        elif line.startswith("## "):
            headings.append(line)
        elif re.match(r"[ \t]*(#|~~~|```|<|\[|=+\s*$|-+\s*$)", line):
            odd.append(line)
    assert fence is None
    return headings, odd


@given(lists)
def test_no_memory_makes_a_heading_or_a_fence_of_its_own_in_markdown(
    candidates: list[Candidate],
) -> None:
    headings, odd = blocks(render("markdown", candidates))
    assert odd == []
    plain = [one._replace(text="", speaker=None) for one in candidates]
    assert {*headings} <= {render("markdown", [one]).partition("\n")[0] for one in plain}
    for one in candidates:
        assert one.text is None or one.text in render("markdown", [one])


def test_turns_of_a_sitting_share_a_heading() -> None:
    turns = [
        Candidate(id=f"t{at}", tokens=9, text=text, session="s-1", speaker=who, created_at=NOW)
        for at, (who, text) in enumerate((("Ann", "I moved."), ("Bob", "Bob: Where to?")))
    ]
    assert render("markdown", turns) == "## s-1, 2026-03-14\n\nAnn: I moved.\n\nBob: Where to?"


@pytest.mark.parametrize("kind", FORMATS)
def test_the_text_does_not_depend_on_scores_or_order(kind: Format) -> None:
    candidates = [
        Candidate(id=f"m{at}", tokens=5, text=f"Fact {at}.", created_at=NOW - timedelta(days=at))
        for at in range(9)
    ]
    before = chosen(candidates, kind, budget=2000, rigid=False, lies=True)
    Random(7).shuffle(candidates)
    after = chosen(candidates, kind, budget=2000, rigid=False, lies=True)
    assert after.context == before.context


def test_a_memory_added_later_leaves_the_beginning_of_the_text_as_it_was() -> None:
    old = [Candidate(id=f"m{at}", tokens=5, text=f"Fact {at}.", created_at=NOW) for at in range(3)]
    new = Candidate(id="a", tokens=5, text="New.", created_at=NOW + timedelta(days=1))
    before = chosen(old, "markdown", budget=500, rigid=False, lies=True).context
    after = chosen([new, *old], "markdown", budget=500, rigid=False, lies=True).context
    assert before
    assert after is not None
    assert after.startswith(before)


def test_a_memory_too_large_for_any_budget_is_named() -> None:
    large = Candidate(id="large", tokens=1, text="word " * 5000, created_at=NOW)
    small = Candidate(id="small", tokens=2, text="A fact.", created_at=NOW)
    selection = chosen([large, small], "xml", budget=100, rigid=False, lies=True)
    assert [one.id for one in selection.selected] == ["small"]
    assert [(one.id, one.reason) for one in selection.dropped] == [("large", "over_budget")]
