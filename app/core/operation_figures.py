"""Turn cells of operations into statistics, bottlenecks, and what has become slower."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Literal

from app.core.bottlenecks import Severity, advice_for, pct, severity_of
from app.core.operations import Label, OperationCell
from app.core.statistics import median_and_p95, quantiles
from app.core.values import value
from app.core.windows import MICROS

Cells = Mapping[Label, OperationCell]

ENOUGH: Mapping[str, int] = {"p50": 20, "p95": 100}
"""Operations of a name in each week from which a measure is compared."""
SLOWER = 1.10
"""How much slower a week must surely be to be named; ours."""
Z = 1.96
"""Of a 95 % interval."""


@value
class Figures:
    """What operations of a type, or of a name, come to; seconds."""

    type: str
    name: str | None
    """None: all names of the type."""
    count: int
    failed: int
    total_seconds: float
    own_seconds: float
    """Without what was measured inside."""
    average_seconds: float
    min_seconds: float
    max_seconds: float
    p50_seconds: float
    p95_seconds: float
    share_pct: float
    """Own time, of all own time, 0–100."""


@value
class Bottleneck:
    """Operations of one name that take much of all time."""

    type: str
    name: str
    share_pct: float
    """Of all own time, 0–100."""
    total_seconds: float
    """Without what was measured inside."""
    count: int
    average_seconds: float
    severity: Severity
    advice: str


@value
class Regression:
    """Operations of one name that surely take longer than a week before."""

    type: str
    name: str
    measure: Literal["p50", "p95"]
    seconds: float
    seconds_before: float
    slower_pct: float
    count: int
    count_before: int


def merged(cells: Cells) -> dict[tuple[str, str], OperationCell]:
    """Cells by type and name, whatever they ran inside."""
    found: defaultdict[tuple[str, str], OperationCell] = defaultdict(OperationCell)
    for label, cell in cells.items():
        found[label.type, label.name].add(cell)
    return dict(found)


def own_times(cells: Cells) -> dict[tuple[str, str], int]:
    """Microseconds of own time by type and name.

    What ran inside operations of a name is taken off it; where several types have the name, off
    each by its share of their time. Parts that ran at the same time may take more: none is own
    then.
    """
    inside: defaultdict[str, int] = defaultdict(int)
    for label, cell in cells.items():
        if label.parent and label.parent != label.name:
            inside[label.parent] += cell.total_us
    by_name = merged(cells)
    totals: defaultdict[str, int] = defaultdict(int)
    for (_, name), cell in by_name.items():
        totals[name] += cell.total_us
    found = {}
    for key, cell in by_name.items():
        name = key[1]
        taken = cell.total_us * inside[name] // totals[name] if totals[name] else 0
        found[key] = max(0, cell.total_us - taken)
    return found


def by_type(cells: Cells) -> list[Figures]:
    """Figures of each type, what takes most first."""
    own = own_times(cells)
    whole = sum(own.values())
    types: defaultdict[str, OperationCell] = defaultdict(OperationCell)
    its_own: defaultdict[str, int] = defaultdict(int)
    for key, cell in merged(cells).items():
        types[key[0]].add(cell)
        its_own[key[0]] += own[key]
    found = [_figures(kind, None, cell, its_own[kind], whole) for kind, cell in types.items()]
    return sorted(found, key=lambda one: (-one.own_seconds, one.type))


def by_name(cells: Cells) -> list[Figures]:
    """Figures of each type and name, what takes most first."""
    own = own_times(cells)
    whole = sum(own.values())
    found = [_figures(*key, cell, own[key], whole) for key, cell in merged(cells).items()]
    return sorted(found, key=lambda one: (-one.own_seconds, one.type, one.name or ""))


def bottlenecks(cells: Cells, min_pct: float) -> list[Bottleneck]:
    """Names that take at least `min_pct` per cent of all own time, worst first."""
    return [
        Bottleneck(
            type=one.type,
            name=one.name or "",
            share_pct=one.share_pct,
            total_seconds=one.own_seconds,
            count=one.count,
            average_seconds=one.own_seconds / one.count,
            severity=severity_of(one.share_pct),
            advice=advice_for(one.type),
        )
        for one in by_name(cells)
        if one.own_seconds > 0 and one.share_pct >= min_pct
    ]


def regressions(now: Cells, before: Cells) -> list[Regression]:
    """Names that are slower than before, the worst first.

    Both weeks have enough of them, and the 95 % intervals of the quantile (by ranks) are apart by
    more than `SLOWER`; of median and p95 the one that has grown most is named.
    """
    held = merged(before)
    found = []
    for (kind, name), cell in merged(now).items():
        old = held.get((kind, name))
        if old is None:
            continue
        slower = []
        measures: tuple[tuple[Literal["p50", "p95"], float], ...] = (("p50", 0.5), ("p95", 0.95))
        for measure, q in measures:
            if min(cell.count, old.count) < ENOUGH[measure]:
                continue
            (low, middle, _), (_, middle_before, high) = _interval(cell, q), _interval(old, q)
            if low > high * SLOWER and middle_before > 0:
                slower.append(
                    Regression(
                        type=kind,
                        name=name,
                        measure=measure,
                        seconds=middle / MICROS,
                        seconds_before=middle_before / MICROS,
                        slower_pct=pct(middle - middle_before, middle_before),
                        count=cell.count,
                        count_before=old.count,
                    )
                )
        found += sorted(slower, key=lambda one: -one.slower_pct)[:1]
    return sorted(found, key=lambda one: (-one.slower_pct, one.type, one.name))


def total_of(cells: Iterable[OperationCell]) -> OperationCell:
    """All of them together."""
    whole = OperationCell()
    for cell in cells:
        whole.add(cell)
    return whole


def _interval(cell: OperationCell, q: float) -> tuple[float, float, float]:
    """A quantile between the ends of its 95 % interval, in microseconds."""
    reach = Z * math.sqrt(cell.count * q * (1 - q))
    at = cell.count * q
    ranks = [
        max(1, math.floor(at - reach)),
        max(1, math.ceil(at)),
        min(cell.count, math.ceil(at + reach) + 1),
    ]
    low, middle, high = quantiles(cell.sketch, ranks, low=cell.least_us, high=cell.most_us)
    return low, middle, high


def _figures(
    kind: str, name: str | None, cell: OperationCell, own_us: int, whole_us: int
) -> Figures:
    median, p95 = median_and_p95(cell.sketch, low=cell.least_us, high=cell.most_us)
    return Figures(
        type=kind,
        name=name,
        count=cell.count,
        failed=cell.failed,
        total_seconds=cell.total_us / MICROS,
        own_seconds=own_us / MICROS,
        average_seconds=cell.total_us / cell.count / MICROS,
        min_seconds=cell.least_us / MICROS,
        max_seconds=cell.most_us / MICROS,
        p50_seconds=median / MICROS,
        p95_seconds=p95 / MICROS,
        share_pct=pct(own_us, whole_us),
    )
