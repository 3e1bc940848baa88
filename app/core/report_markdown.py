"""Draw a report as Markdown: GitHub's tables, everything that comes from data escaped."""

import re
from collections.abc import Iterator

from app.core.report_text import NUMBERS, axis, clipped, day, interval, shown, visible
from app.core.reports import Chart, Figure, Report, Section, Table

_SPECIAL = re.compile(r"([\\`*_\[\]<>|~&#])")
_BLOCK_MARK = re.compile(r"^([-+=]|\d+(?=[.)]))(?=[.)]?(?:\s|$)|[-=]+$)")
"""What at the start of a line begins a list, a rule or an underlined heading."""
_BAR_CELLS = 20


def markdown_of(report: Report) -> str:
    """The report as a Markdown document."""
    return "\n".join(_lines(report)).rstrip() + "\n"


def escaped(text: str) -> str:
    """A text that means nothing to Markdown but itself, on one line."""
    line = " ".join(visible(text).split())
    return _BLOCK_MARK.sub(_as_text, _SPECIAL.sub(r"\\\1", line))


def _as_text(mark: re.Match[str]) -> str:
    """A mark of a list that is none: `1\\.` and `\\-`."""
    return f"{mark[0]}\\" if mark[0].isdigit() else f"\\{mark[0]}"


def fenced(text: str, language: str = "sh") -> str:
    """A text as a block of code that nothing in it can end."""
    runs = [len(run) for run in re.findall(r"`+", text)]
    fence = "`" * max(3, 1 + max(runs, default=0))
    return f"{fence}{language}\n{text}\n{fence}"


def _lines(report: Report) -> Iterator[str]:
    yield f"# {escaped(report.title)}"
    yield ""
    where = escaped(clipped(report.workspace))
    yield (
        f"Workspace {where} · {day(report.since)} to {day(report.until)}"
        f" · made {day(report.created_at)}"
    )
    yield ""
    yield from _todo(report)
    for section in report.sections:
        yield from _section(section)


def _todo(report: Report) -> Iterator[str]:
    if report.todo or report.calm:
        yield from ("## To do first", "")
    if not report.todo:
        yield from _paragraphs(report.calm)
    for number, one in enumerate(report.todo, 1):
        yield f"### {number}. {escaped(one.title)}"
        yield ""
        yield from _paragraphs(one.why)
        if one.how:
            yield from (fenced(one.how), "")


def _section(section: Section) -> Iterator[str]:
    yield f"## {escaped(section.title)}"
    yield ""
    yield from _paragraphs(section.text)
    if section.figures:
        yield from (_figure(one) for one in section.figures)
        yield ""
    for chart in section.charts:
        yield from _chart(chart)
    for table in section.tables:
        yield from _table(table)


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in text.split("\n\n"):
        if paragraph.strip():
            yield from (escaped(paragraph), "")


def _figure(figure: Figure) -> str:
    asides = [part for part in (interval(figure), escaped(figure.note)) if part]
    aside = f" ({'; '.join(asides)})" if asides else ""
    return f"- {escaped(figure.label)}: **{escaped(shown(figure.value, figure.unit))}**{aside}"


def _chart(chart: Chart) -> Iterator[str]:
    yield f"**{escaped(chart.title)}**"
    yield ""
    has_marks = any(bar.mark is not None for bar in chart.bars)
    most = max((abs(bar.value) for bar in chart.bars), default=0.0) or 1.0
    yield "| | | | |" if has_marks else "| | | |"
    yield "| --- | ---: | :--- | ---: |" if has_marks else "| --- | ---: | :--- |"
    for bar in chart.bars:
        drawn = "█" * round(_BAR_CELLS * abs(bar.value) / most)
        row = [escaped(clipped(bar.label)), axis(bar.value, chart.unit), drawn]
        if has_marks:
            row.append("" if bar.mark is None else f"of {axis(bar.mark, chart.unit)}")
        yield f"| {' | '.join(row)} |"
    yield ""


def _table(table: Table) -> Iterator[str]:
    columns = table.columns
    if table.title:
        yield from (f"**{escaped(table.title)}**", "")
    yield f"| {' | '.join(escaped(column.name) for column in columns)} |"
    yield "|" + "|".join(" ---: " if one.unit in NUMBERS else " --- " for one in columns) + "|"
    for row in table.rows:
        pairs = zip(row, columns, strict=True)
        yield f"| {' | '.join(escaped(shown(value, column.unit)) for value, column in pairs)} |"
    if table.more:
        yield from ("", f"… and {table.more:,} more")
    yield ""
