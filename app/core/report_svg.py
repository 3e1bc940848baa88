"""Draw the bars of a report as SVG inside HTML: labels and values stay text that can be read."""

from collections.abc import Iterator, Sequence
from datetime import date
from html import escape

from app.core.report_text import axis, clipped, shown
from app.core.reports import Bar, Chart, Unit

MOST_LISTED = 10
"""Days up to which each has a line of its own; more stand side by side."""

_WIDTH, _HEIGHT = 1000, 20
_STEP, _TALL = 10, 100


def chart_html(chart: Chart) -> str:
    """A chart as a `figure`: a bar a line, or columns where the bars are many days."""
    drawn = _columns(chart) if is_series(chart) else _list(chart)
    caption = f"<figcaption>{escape(chart.title)}</figcaption>"
    return f"<figure>{caption}{drawn}</figure>"


def is_series(chart: Chart) -> bool:
    """Whether the bars are so many days that they stand side by side."""
    return len(chart.bars) > MOST_LISTED and all(_is_day(bar.label) for bar in chart.bars)


def described(bar: Bar, unit: Unit) -> str:
    """A bar in words, for those who do not see it."""
    mark = "" if bar.mark is None else f" (mark at {axis(bar.mark, unit)})"
    return f"{_name(bar)}: {axis(bar.value, unit)}{mark}"


def _list(chart: Chart) -> str:
    return f'<ul class="bars">{"".join(_rows(chart))}</ul>{_legend(chart)}'


def _rows(chart: Chart) -> Iterator[str]:
    most = _most(chart.bars)
    differ = len({bar.mark for bar in chart.bars}) > 1
    for bar in chart.bars:
        mark = (
            ""
            if bar.mark is None or not differ
            else f"<small>of {escape(axis(bar.mark, chart.unit))}</small>"
        )
        svg = (
            f'<svg class="bar" viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none"'
            f' role="img" aria-label="{escape(described(bar, chart.unit))}">{_shapes(bar, most)}'
            "</svg>"
        )
        yield (
            f"<li><bdi>{escape(_name(bar))}</bdi>{svg}"
            f'<span class="value">{escape(axis(bar.value, chart.unit))}{mark}</span></li>'
        )


def _shapes(bar: Bar, most: float) -> str:
    """The track, the bar as far as its mark, what goes beyond it, and the mark."""
    value = max(bar.value, 0.0)
    within = value if bar.mark is None else min(value, max(bar.mark, 0.0))
    parts = [_rect("track", 0, _WIDTH), _rect("fill", 0, _at(within, most))]
    if value > within:
        parts.append(_rect("over", _at(within, most), _at(value, most)))
    if bar.mark is not None:
        x = _at(max(bar.mark, 0.0), most)
        parts.append(f'<line class="mark" x1="{x}" x2="{x}" y1="0" y2="{_HEIGHT}"/>')
    return "".join(parts)


def _rect(kind: str, left: float, right: float) -> str:
    width = max(right - left, 0)
    return f'<rect class="{kind}" x="{left}" y="0" width="{width:g}" height="{_HEIGHT}"/>'


def _at(value: float, most: float) -> float:
    return round(_WIDTH * value / most, 1)


def _columns(chart: Chart) -> str:
    most = _most(chart.bars)
    wide = _STEP * len(chart.bars)
    first, last = chart.bars[0], chart.bars[-1]
    highest = max(chart.bars, key=lambda bar: bar.value)
    label = (
        f"{chart.title}: {len(chart.bars)} days from {_name(first)} to {_name(last)};"
        f" most on {described(highest, chart.unit)}"
    )
    parts = []
    for number, bar in enumerate(chart.bars):
        tall = round(_TALL * max(bar.value, 0.0) / most, 1)
        kind = "over" if bar.mark is not None and bar.value > bar.mark else "fill"
        parts.append(
            f'<rect class="{kind}" x="{_STEP * number + 1}" y="{round(_TALL - tall, 1)}"'
            f' width="{_STEP - 2}" height="{tall}">'
            f"<title>{escape(described(bar, chart.unit))}</title></rect>"
        )
    return (
        f'<svg class="days" viewBox="0 0 {wide} {_TALL}" preserveAspectRatio="none" role="img"'
        f' aria-label="{escape(label)}">{"".join(parts)}</svg>'
        f'<div class="ends"><span>{escape(_name(first))}</span>'
        f"<span>most: {escape(axis(highest.value, chart.unit))} on {escape(_name(highest))}</span>"
        f"<span>{escape(_name(last))}</span></div>"
    )


def _legend(chart: Chart) -> str:
    marks = {bar.mark for bar in chart.bars if bar.mark is not None}
    if not marks:
        return ""
    what = axis(marks.pop(), chart.unit) if len(marks) == 1 else "what the bar is compared with"
    return f'<p class="legend">The line marks {escape(what)}.</p>'


def _most(bars: Sequence[Bar]) -> float:
    """What the whole width stands for."""
    most = max((max(bar.value, bar.mark or 0.0) for bar in bars), default=0.0)
    return most * 1.02 if most > 0 else 1.0


def _name(bar: Bar) -> str:
    return shown(bar.label, "date") if _is_day(bar.label) else clipped(bar.label) or "–"


def _is_day(label: str) -> bool:
    try:
        return len(label) == len("2026-11-21") and bool(date.fromisoformat(label))
    except ValueError:
        return False
