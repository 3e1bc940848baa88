"""Turn measured operations into statistics, bottlenecks, advice and what could run side by side."""

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal

from membudget._core import bottlenecks
from membudget._graph import TaskGraphError, dependents_of, distances

Severity = Literal["low", "medium", "high", "critical"]
severity_of, advice_for, pct = bottlenecks.severity_of, bottlenecks.advice_for, bottlenecks.pct

Key = tuple[str, str]
"""Type and name."""

TOP = 5
SLOW = 2.0
"""An operation is slow from so many times the median of its name."""
ENOUGH = 5
"""Operations from which a median says something."""
WORTH = 1.0
"""Per cent of the time, below which nothing is suggested."""
SAME_MOMENT = 1e-6


@dataclass(slots=True)
class Spent:
    """Sums over all operations of one name."""

    count: int = 0
    failed: int = 0
    total: float = 0.0
    own: float = 0.0
    """Without what was measured inside."""
    least: float = math.inf
    most: float = 0.0

    def add(self, seconds: float, own: float, *, failed: bool) -> None:
        """Count one more."""
        self.count += 1
        self.failed += failed
        self.total += seconds
        self.own += own
        self.least = min(self.least, seconds)
        self.most = max(self.most, seconds)

    def merge(self, other: "Spent") -> None:
        """Count those of another."""
        self.count += other.count
        self.failed += other.failed
        self.total += other.total
        self.own += other.own
        self.least = min(self.least, other.least)
        self.most = max(self.most, other.most)

    def copy(self) -> "Spent":
        """The sums as they are now."""
        return replace(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """An operation that has ended."""

    kind: str
    name: str
    began: float
    seconds: float
    failed: bool
    run_id: str | None
    depends_on: tuple[str, ...] | None
    parent: int | None
    """Which operation it was measured inside."""
    number: int = 0
    """Which operation it is."""
    inside: str | None = None
    """The name of what it was measured inside."""
    part_of: str | None = None
    """Its run, or that of what it was measured inside."""

    @property
    def ended(self) -> float:
        """Seconds on the profiler's clock."""
        return self.began + self.seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Bottleneck:
    """Operations of one name that take much of all time."""

    type: str
    name: str
    share_pct: float
    """Of all measured time, 0–100, without what was measured inside."""
    total_seconds: float
    """Without what was measured inside."""
    count: int
    average_seconds: float
    severity: Severity
    advice: str

    @property
    def percentage(self) -> float:
        """Another name of `share_pct`."""
        return self.share_pct

    @property
    def recommendation(self) -> str:
        """Another name of `advice`."""
        return self.advice


@dataclass(frozen=True, slots=True, kw_only=True)
class Opportunity:
    """Operations that ran one after another and could have run side by side."""

    run_id: str | None
    groups: tuple[tuple[str, ...], ...]
    """Names that could run at the same time."""
    critical_path: tuple[str, ...]
    """Names that must follow each other, whatever else runs beside them."""
    saving_seconds: float
    saving_pct: float
    """Of the time from the first one's start to the last one's end."""
    is_certain: bool
    """False: only if they do not need each other's results."""
    advice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """Something to change, and what it would save."""

    type: str
    name: str
    change: Literal["side_by_side", "slow_ones", "failures", "shorten"]
    advice: str
    saving_seconds: float
    saving_pct: float
    """Of all measured time."""
    severity: Severity
    is_certain: bool


def statistics_of(spent: Mapping[Key, Spent], finished: Iterable[Finished]) -> dict[str, Any]:
    """Figures of everything, by type and by name."""
    own = sum(one.own for one in spent.values())
    durations: dict[Key, list[float]] = defaultdict(list)
    for one in finished:
        durations[one.kind, one.name].append(one.seconds)
    types: dict[str, Spent] = {}
    by_type: dict[str, list[float]] = defaultdict(list)
    for (kind, name), sums in spent.items():
        types.setdefault(kind, Spent()).merge(sums)
        by_type[kind] += durations[kind, name]
    return {
        "total_operations": sum(one.count for one in spent.values()),
        "failed_operations": sum(one.failed for one in spent.values()),
        "total_seconds": own,
        "by_type": {kind: _figures(one, by_type[kind], own) for kind, one in types.items()},
        "by_name": {
            f"{kind}/{name}": _figures(one, durations[kind, name], own)
            for (kind, name), one in spent.items()
        },
        "top_bottlenecks": bottlenecks_of(spent, finished, 0.0)[:TOP],
    }


def _figures(spent: Spent, durations: Sequence[float], own: float) -> dict[str, Any]:
    ordered = sorted(durations)
    return {
        "count": spent.count,
        "failed": spent.failed,
        "total_seconds": spent.total,
        "own_seconds": spent.own,
        "average_seconds": spent.total / spent.count,
        "min_seconds": spent.least,
        "max_seconds": spent.most,
        "median_seconds": statistics.median(ordered) if ordered else None,
        "p95_seconds": ordered[math.ceil(0.95 * len(ordered)) - 1] if ordered else None,
        "share_pct": pct(spent.own, own),
    }


def bottlenecks_of(
    spent: Mapping[Key, Spent], finished: Iterable[Finished], min_pct: float
) -> list[Bottleneck]:
    """Names that take at least `min_pct` per cent of all own time, worst first."""
    own = sum(one.own for one in spent.values())
    found = []
    for (kind, name), one in spent.items():
        share = pct(one.own, own)
        if one.own > 0 and share >= min_pct:
            found.append(
                Bottleneck(
                    type=kind,
                    name=name,
                    share_pct=share,
                    total_seconds=one.own,
                    count=one.count,
                    average_seconds=one.own / one.count,
                    severity=severity_of(share),
                    advice=advice_for(kind),
                )
            )
    return sorted(found, key=lambda one: (-one.share_pct, one.type, one.name))


def recommendations_of(
    spent: Mapping[Key, Spent], finished: Sequence[Finished], min_pct: float
) -> list[Recommendation]:
    """What to change about the names that take at least `min_pct` per cent, and about what ran one
    after another; what saves most first."""
    own = sum(one.own for one in spent.values())
    by_name: dict[Key, list[Finished]] = defaultdict(list)
    for one in finished:
        by_name[one.kind, one.name].append(one)
    found: list[tuple[Key, str, str, float, bool]] = []
    for slow in bottlenecks_of(spent, finished, min_pct):
        key = slow.type, slow.name
        half = slow.total_seconds / 2
        found.append((key, "shorten", f"{slow.advice}: half as long saves this", half, False))
        wasted = sum(one.seconds for one in by_name[key] if one.failed)
        advice = "attempts that failed took this: fail sooner, or mend what makes them fail"
        found.append((key, "failures", advice, wasted, True))
        seconds = [one.seconds for one in by_name[key] if not one.failed]
        middle = statistics.median(seconds) if len(seconds) >= ENOUGH else math.inf
        tail = sum(one - middle for one in seconds if one > SLOW * middle)
        advice = (
            f"some take more than {SLOW:g} times the median: with a time-out and another attempt,"
            " or as fast as the median, this is saved"
        )
        found.append((key, "slow_ones", advice, tail, False))
    for chance in opportunities_of(finished):
        key = "several", ", ".join(dict.fromkeys(name for group in chance.groups for name in group))
        found.append((key, "side_by_side", chance.advice, chance.saving_seconds, chance.is_certain))
    made = [
        Recommendation(
            type=kind,
            name=name,
            change=change,  # type: ignore[arg-type]
            advice=advice,
            saving_seconds=saving,
            saving_pct=pct(saving, own),
            severity=severity_of(pct(saving, own)),
            is_certain=is_certain,
        )
        for (kind, name), change, advice, saving, is_certain in found
        if pct(saving, own) >= WORTH
    ]
    return sorted(made, key=lambda one: (-one.saving_seconds, one.change, one.name))


def opportunities_of(finished: Iterable[Finished]) -> list[Opportunity]:
    """What could have run side by side, what saves most first."""
    said: dict[str | None, list[Finished]] = defaultdict(list)
    unsaid: dict[tuple[str | None, int | None, str, str], list[Finished]] = defaultdict(list)
    for one in finished:
        if one.depends_on is not None:
            said[one.run_id].append(one)
        else:
            unsaid[one.run_id, one.parent, one.kind, one.name].append(one)
    found = [_by_dependencies(run, ones) for run, ones in said.items()]
    found += [_in_a_row(ones) for ones in unsaid.values()]
    worth = [one for one in found if one is not None and one.saving_pct >= WORTH]
    return sorted(worth, key=lambda one: -one.saving_seconds)


def _by_dependencies(run_id: str | None, ones: Sequence[Finished]) -> Opportunity | None:
    seconds: dict[str, float] = defaultdict(float)
    needed: dict[str, set[str]] = defaultdict(set)
    for one in ones:
        seconds[one.name] += one.seconds
        needed[one.name].update(one.depends_on or ())
    before = {name: sorted(needed[name] & seconds.keys()) for name in seconds}
    try:
        dependents = dependents_of(before)
        order = sorted(seconds, key=distances(before, dependents).__getitem__, reverse=True)
    except TaskGraphError:
        return None
    ends: dict[str, float] = {}
    last: dict[str, str | None] = {}
    depth: dict[str, int] = {}
    for name in order:
        last[name] = max(before[name], key=ends.__getitem__, default=None)
        ends[name] = seconds[name] + max((ends[other] for other in before[name]), default=0.0)
        depth[name] = 1 + max((depth[other] for other in before[name]), default=-1)
    path = [max(ends, key=ends.__getitem__)]
    while (earlier := last[path[-1]]) is not None:
        path.append(earlier)
    levels: dict[int, list[str]] = defaultdict(list)
    for name in seconds:
        levels[depth[name]].append(name)
    groups = tuple(tuple(levels[at]) for at in sorted(levels) if len(levels[at]) > 1)
    elapsed = max(one.ended for one in ones) - min(one.began for one in ones)
    saving = max(0.0, elapsed - max(ends.values()))
    return Opportunity(
        run_id=run_id,
        groups=groups,
        critical_path=tuple(reversed(path)),
        saving_seconds=saving,
        saving_pct=pct(saving, elapsed),
        is_certain=True,
        advice="run each as soon as what it depends on is done"
        " (ParallelExecutor, DEPENDENCY_AWARE)",
    )


def _in_a_row(ones: Sequence[Finished]) -> Opportunity | None:
    ordered = sorted(ones, key=lambda one: one.began)
    if len(ordered) < 2 or any(b.began < a.ended - SAME_MOMENT for a, b in pairwise(ordered)):
        return None
    elapsed = ordered[-1].ended - ordered[0].began
    total, longest = sum(o.seconds for o in ordered), max(o.seconds for o in ordered)
    name = ordered[0].name
    return Opportunity(
        run_id=ordered[0].run_id,
        groups=((name,),),
        critical_path=(name,),
        saving_seconds=total - longest,
        saving_pct=pct(total - longest, elapsed),
        is_certain=False,
        advice=f"{len(ordered)} calls ran one after another: if they do not need each other, run"
        " them side by side (ParallelExecutor)",
    )
