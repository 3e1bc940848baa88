"""Draw a report as one page of HTML that needs nothing else: no script, no font, no network."""

from collections.abc import Iterator, Sequence
from html import escape

from app.core.report_style import POLICY, STYLE
from app.core.report_svg import chart_html, is_series
from app.core.report_text import NUMBERS, brief, clipped, day, interval, shown, visible
from app.core.reports import Chart, Column, Figure, Report, Section, Shown, Table, Todo

GLANCE = "glance"
"""The key of a section whose figures stand in a row below what to do."""


def html_of(report: Report) -> str:
    """The report as a page. Whatever comes from data is escaped, and keeps its direction."""
    title = escape(f"{clipped(report.title)} – {clipped(report.workspace)}")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(_parts(report))
        + "\n</main>\n</body>\n</html>\n"
    )


def _parts(report: Report) -> Iterator[str]:
    yield (
        f'<header><h1>{_prose(report.title)}</h1><p class="soft">Workspace'
        f" {_text(clipped(report.workspace))} · {escape(day(report.since))} to"
        f" {escape(day(report.until))}</p></header>"
    )
    if report.todo:
        items = "".join(map(_todo, report.todo))
        few = "The thing" if len(report.todo) == 1 else f"The {_WORDS[len(report.todo)]} things"
        yield f'<section><h2>{few} to do first</h2><ol class="todo">{items}</ol></section>'
    elif report.calm:
        yield f"<section><h2>Nothing to do</h2>{_paragraphs(report.calm)}</section>"
    for section in report.sections:
        yield _glance(section) if section.key == GLANCE else _section(section)
    yield f"<footer>Made {escape(day(report.created_at))} by membudget.</footer>"


_WORDS = ("no", "one", "two", "three", "four", "five")


def _todo(one: Todo) -> str:
    how = f"<pre><code>{escape(one.how)}</code></pre>" if one.how else ""
    return f"<li><h3>{_prose(one.title)}</h3>{_paragraphs(one.why)}{how}</li>"


def _glance(section: Section) -> str:
    label = escape(section.title)
    figures = "".join(_figure(one, brief(one.value, one.unit)) for one in section.figures)
    return (
        f'<section class="plain" aria-label="{label}"><dl class="glance">{figures}</dl></section>'
    )


def _section(section: Section) -> str:
    parts = [f"<h2>{_prose(section.title)}</h2>", _paragraphs(section.text)]
    if section.figures:
        parts.append(f'<dl class="figures">{"".join(map(_figure, section.figures))}</dl>')
    for chart in section.charts:
        parts.append(chart_html(chart))
        if is_series(chart):
            table = _table(_series(chart))
            parts.append(f"<details><summary>As a table</summary>{table}</details>")
    parts += map(_table, section.tables)
    return f'<section id="{escape(section.key)}">{"".join(parts)}</section>'


def _figure(figure: Figure, value: str | None = None) -> str:
    notes = [_prose(part) for part in (interval(figure), figure.note) if part]
    aside = f'<dd class="note">{"<br>".join(notes)}</dd>' if notes else ""
    written = _text(value or shown(figure.value, figure.unit))
    return f'<div><dt>{_text(figure.label)}</dt><dd class="value">{written}</dd>{aside}</div>'


def _table(table: Table) -> str:
    head = "".join(
        f'<th scope="col"{_class(column)}>{escape(column.name)}</th>' for column in table.columns
    )
    caption = f"<caption>{_prose(table.title)}</caption>" if table.title else ""
    label = _prose(table.title or " · ".join(column.name for column in table.columns))
    rows = "".join(f"<tr>{''.join(_cells(row, table.columns))}</tr>" for row in table.rows)
    more = f'<p class="legend">… and {table.more:,} more</p>' if table.more else ""
    return (
        f'<div class="wide" role="region" tabindex="0" aria-label="{label}"><table>{caption}'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{more}</div>"
    )


def _cells(row: Sequence[Shown], columns: Sequence[Column]) -> Iterator[str]:
    for number, (value, column) in enumerate(zip(row, columns, strict=True)):
        written = _text(shown(value, column.unit))
        if number == 0:
            yield f'<th scope="row"{_class(column)}>{written}</th>'
        else:
            yield f"<td{_class(column)}>{written}</td>"


def _class(column: Column) -> str:
    if column.unit == "prose":
        return ' class="p"'
    kind = "n" if column.unit in NUMBERS or column.unit == "date" else "t"
    return f' class="{kind}"'


def _series(chart: Chart) -> Table:
    return Table(
        columns=(Column(name="day", unit="date"), Column(name="value", unit=chart.unit)),
        rows=tuple((bar.label, bar.value) for bar in chart.bars),
    )


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{_prose(part)}</p>" for part in text.split("\n\n") if part.strip())


def _prose(text: str) -> str:
    """Sentences of ours, with names in them; a number stays beside its %."""
    return escape(visible(text).replace(" %", "\N{NO-BREAK SPACE}%"))


def _text(text: str) -> str:
    """A name or a value: it has its own direction, and turns no other text around."""
    return f"<bdi>{escape(visible(text))}</bdi>"
