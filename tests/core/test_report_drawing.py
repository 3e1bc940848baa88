"""A report is drawn as a page and as Markdown in which data is data, whatever it says."""

import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from app.core.report_data import from_data, to_data
from app.core.report_html import html_of
from app.core.report_markdown import escaped, fenced, markdown_of
from app.core.report_style import POLICY, STYLE
from app.core.report_svg import chart_html
from app.core.report_text import clipped
from app.core.reports import Bar, Chart, Todo
from tests.core.report_samples import HOSTILE, report, section

VOID = {"meta", "link", "br", "img"}
names = st.text(min_size=1, max_size=120) | st.sampled_from(HOSTILE)


class Page(HTMLParser):
    """What a page holds: its elements with their attributes, its text, headings in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.headings: list[int] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> is out of place"

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return "".join(self.words)


@given(names)
def test_a_page_is_whole_and_has_the_same_elements_whatever_the_names_are(name: str) -> None:
    page, plain = Page(html_of(report(name))), Page(html_of(report("plain")))
    assert page.open == []
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in plain.tags]
    allowed = {"class", "id", "aria-label", "role", "tabindex", "scope", "lang", "charset"}
    geometry = {"viewbox", "preserveaspectratio", "x", "y", "x1", "x2", "y1", "y2"}
    size = {"width", "height", "name", "content", "http-equiv", "rel", "href"}
    assert {key for _, attributes in page.tags for key in attributes} <= allowed | geometry | size


@pytest.mark.parametrize("name", HOSTILE)
def test_names_can_be_read_on_the_page(name: str) -> None:
    assert clipped(name) in Page(html_of(report(name))).text


def test_a_page_asks_for_nothing_and_runs_nothing() -> None:
    text = html_of(report())
    page = Page(text)
    addresses = [
        value
        for _, attributes in page.tags
        for key, value in attributes.items()
        if key in ("src", "href", "srcset", "action", "data", "poster")
    ]
    assert addresses == ["data:,"]
    assert {"script", "iframe", "object", "form"}.isdisjoint(tag for tag, _ in page.tags)
    assert "url(" not in STYLE
    assert "@import" not in STYLE
    assert not any(
        key.startswith("on") or key == "style" for _, attributes in page.tags for key in attributes
    )


def test_the_page_states_its_policy_language_and_title() -> None:
    page = Page(html_of(report(workspace="team <b>")))
    metas = [attributes for tag, attributes in page.tags if tag == "meta"]
    assert ("html", {"lang": "en"}) in page.tags
    assert {"http-equiv": "Content-Security-Policy", "content": POLICY} in metas
    assert "Weekly report, 22 November 2026 – team <b>" in page.text


def test_headings_go_down_one_at_a_time() -> None:
    page = Page(html_of(report()))
    assert page.headings[0] == 1
    assert page.headings.count(1) == 1
    steps = zip(page.headings, page.headings[1:], strict=False)
    assert all(after - before <= 1 for before, after in steps)


def test_every_picture_says_what_it_shows() -> None:
    pictures = [attributes for tag, attributes in Page(html_of(report())).tags if tag == "svg"]
    assert len(pictures) == 2
    assert all(one["role"] == "img" and one["aria-label"] for one in pictures)
    assert pictures[0]["aria-label"] == "dbt-expert: 130.0\u00a0% (mark at 100.0\u00a0%)"


def test_nothing_to_do_is_said_and_why_that_is_good() -> None:
    calm = report(todo=(), calm="All is well.")
    assert "Nothing to do" in html_of(calm)
    assert "All is well." in html_of(calm)
    assert "All is well." in markdown_of(calm)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_as_many_things_are_announced_as_there_are(count: int) -> None:
    todo = tuple(Todo(title=str(n), why="w", how="h", weight=1.0) for n in range(count))
    words = {1: "The thing to do first", 2: "The two things", 3: "The three things"}
    assert words[count] in html_of(report(todo=todo))


def widths(svg: str, kind: str) -> list[float]:
    return [float(n) for n in re.findall(rf'class="{kind}" x="[\d.]+" y="0" width="([\d.]+)"', svg)]


def test_a_bar_turns_colour_where_it_passes_its_mark() -> None:
    bars = (Bar(label="a", value=150.0, mark=100.0), Bar(label="b", value=50.0, mark=100.0))
    svg = chart_html(Chart(title="t", unit="percent", bars=bars))
    within, beyond = widths(svg, "fill"), widths(svg, "over")
    assert within[0] == pytest.approx(2 * within[1], rel=0.01)
    assert beyond == [pytest.approx(within[1], rel=0.01)]


@pytest.mark.parametrize("value", [0.0, -5.0, 1e300, 0.001])
def test_bars_of_any_size_stay_inside(value: float) -> None:
    for bars in [(Bar(label="a", value=value),), (Bar(label="a", value=value, mark=0.0),)]:
        svg = chart_html(Chart(title="t", unit="count", bars=bars))
        assert all(0 <= width <= 1000 for width in widths(svg, "fill") + widths(svg, "over"))


def test_a_chart_without_bars_is_drawn() -> None:
    assert "<figcaption>t</figcaption>" in chart_html(Chart(title="t", unit="count", bars=()))


def test_many_days_stand_side_by_side_and_are_a_table_too() -> None:
    days = tuple(Bar(label=f"2026-11-{n:02}", value=float(n)) for n in range(1, 21))
    chart = Chart(title="by day", unit="tokens", bars=days)
    text = html_of(report(sections=(section(charts=(chart,)),)))
    page = Page(text)
    (picture,) = (attributes for tag, attributes in page.tags if tag == "svg")
    assert picture["aria-label"] == (
        "by day: 20 days from 1 Nov 2026 to 20 Nov 2026; most on 20 Nov 2026: 20"
    )
    assert "As a table" in page.text


def rendered(text: str) -> Page:
    return Page(MarkdownIt("commonmark", {"html": True}).enable("table").render(text))


@given(names)
def test_markdown_has_the_same_elements_whatever_the_names_are(name: str) -> None:
    page, plain = rendered(markdown_of(report(name))), rendered(markdown_of(report("plain")))
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in plain.tags]


@given(names)
def test_escaped_text_reads_as_it_was_written(name: str) -> None:
    lines = escaped(name)
    assert "\n" not in lines
    page = rendered(f"{lines}\n")
    assert {tag for tag, _ in page.tags} <= {"p"}


@given(st.text(alphabet="`a\n ", max_size=40))
def test_a_block_of_code_ends_where_it_should(text: str) -> None:
    page = rendered(f"{fenced(text)}\n\nafter\n")
    assert [tag for tag, _ in page.tags] == ["pre", "code", "p"]


def test_markdown_tables_have_numbers_on_the_right() -> None:
    text = markdown_of(report())
    assert "| Agent | Tokens |\n| --- | ---: |\n| dbt-expert | 1,234,567 |\n| – | – |" in text
    assert "… and 2 more" in text


@given(names)
def test_a_report_comes_back_from_json_as_it_was(name: str) -> None:
    name = name.encode("utf-8", "replace").decode()
    one = report(name)
    assert from_data(json.loads(json.dumps(to_data(one)))) == one
