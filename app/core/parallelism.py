"""Say which operations of a run could run side by side, and what that would save.

Operations are taken in the order in which they began. What one depends on must have begun before
it: a dependency on what began later, or never did, did not hold, and is named instead of obeyed;
so there are no circles. Operations that others ran inside are not laid side by side themselves:
what depends on one depends on all that ran inside it. Time in which nothing was measured but those
stays as it is.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from app.core.bottlenecks import pct
from app.core.operations import Operation
from app.core.values import value
from app.core.windows import MICROS

DEEPEST = 64
"""Operations inside each other that are followed."""
MOST_NEEDS = 64
"""Dependencies that operations inside another one take over."""

MOST_LISTED = 1_000
"""Names that each list of an answer has at most."""


@value
class Unmet:
    """A dependency that did not hold."""

    name: str
    depends_on: str
    why: str


@value
class Parallelism:
    """What the operations of a run could do at the same time."""

    groups: tuple[tuple[str, ...], ...]
    """Names that need nothing of each other, in the order in which their turn comes."""
    critical_path: tuple[str, ...]
    """Names that must follow each other, whatever runs beside them: the slowest such row, from its
    beginning."""
    elapsed_seconds: float
    """From the first one's start to the last one's end, as it was."""
    critical_seconds: float
    """What the critical path takes."""
    saving_seconds: float
    saving_pct: float
    """Of `elapsed_seconds`."""
    is_certain: bool
    """False where no operation said what it depends on: then they may need each other after all."""
    ignored: tuple[Unmet, ...]
    """Dependencies that did not hold."""
    operations: int
    """Those that were looked at."""
    groups_total: int
    """Names of all groups together: `groups` has the first `limit` of them."""
    critical_total: int
    """Names of the whole critical path."""
    ignored_total: int
    """Dependencies that did not hold, listed or not."""


@value
class _Inside:
    """What an operation ran inside, the innermost first, and what all of that depends on."""

    names: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


_NOTHING = _Inside()


@value
class _Done:
    """The moment, counted from the start of all, by which something could be done."""

    at: int
    by: int
    """The operation that ends then."""


def parallelism_of(operations: Iterable[Operation], limit: int = MOST_LISTED) -> Parallelism:
    """What the operations of one run could do at the same time; at least one is given.

    `limit`: names in the groups, on the path and among the ignored that are listed at most.
    """
    ordered = sorted(operations, key=lambda one: (one.at, -one.duration_us, one.name, one.id))
    insides = _insides(ordered)
    holds = {name for inside in insides for name in inside.names}
    leaves = [at for at, one in enumerate(ordered) if one.name not in holds]
    names = {one.name for one in ordered}
    done: dict[str, _Done] = {}
    depth_of: dict[str, int] = {}
    ends: dict[int, int] = {}
    before: dict[int, int | None] = {}
    levels: defaultdict[int, list[str]] = defaultdict(list)
    unmet: set[tuple[str, str]] = set()
    ignored: list[Unmet] = []
    for at in leaves:
        one = ordered[at]
        latest: _Done | None = None
        depth = -1
        for other in dict.fromkeys((*insides[at].needs, *(one.depends_on or ()))):
            if other in insides[at].names:
                continue
            held = done.get(other)
            if held is None:
                if (one.name, other) not in unmet and len(ignored) < limit:
                    why = "it began later" if other in names else "no operation has the name"
                    ignored.append(Unmet(name=one.name, depends_on=other, why=why))
                unmet.add((one.name, other))
                continue
            depth = max(depth, depth_of[other])
            if latest is None or held.at > latest.at:
                latest = held
        ends[at] = one.duration_us + (latest.at if latest else 0)
        before[at] = latest.by if latest else None
        levels[depth + 1].append(one.name)
        for name in (one.name, *insides[at].names):
            if name not in done or ends[at] > done[name].at:
                done[name] = _Done(at=ends[at], by=at)
            depth_of[name] = max(depth_of.get(name, 0), depth + 1)
    last = max(ends, key=lambda at: (ends[at], -at))
    path = [last]
    while (earlier := before[path[-1]]) is not None:
        path.append(earlier)
    side_by_side = [levels[at] for at in sorted(levels) if len(levels[at]) > 1]
    elapsed = max(one.ended for one in ordered) - ordered[0].at
    saving = max(0, _busy(ordered[at] for at in leaves) - ends[last])
    return Parallelism(
        groups=tuple(_first(side_by_side, limit)),
        critical_path=tuple(ordered[at].name for at in reversed(path[-limit:])),
        elapsed_seconds=elapsed / MICROS,
        critical_seconds=ends[last] / MICROS,
        saving_seconds=saving / MICROS,
        saving_pct=pct(saving, elapsed),
        is_certain=any(one.depends_on is not None for one in ordered),
        ignored=tuple(ignored),
        operations=len(ordered),
        groups_total=sum(map(len, side_by_side)),
        critical_total=len(path),
        ignored_total=len(unmet),
    )


def _first(groups: Iterable[Sequence[str]], most: int) -> Iterator[tuple[str, ...]]:
    """The first groups, the last one cut, that have so many names together."""
    for group in groups:
        if most <= 0:
            return
        yield tuple(group[:most])
        most -= len(group)


def _insides(ordered: Sequence[Operation]) -> list[_Inside]:
    """What each operation ran inside: of a name the one that began last before it.

    Where nobody of the name had begun, or it would run inside itself, it ran inside nothing.
    """
    begun: dict[str, _Inside] = {}
    found: list[_Inside] = []
    for one in ordered:
        outer = begun.get(one.parent) if one.parent is not None else None
        inside = _NOTHING
        if outer is not None and one.parent is not None:
            names = (one.parent, *outer.names)[:DEEPEST]
            if one.name not in names:
                inside = _Inside(names=names, needs=outer.needs)
        found.append(inside)
        needs = tuple(dict.fromkeys((*inside.needs, *(one.depends_on or ()))))
        begun[one.name] = _Inside(names=inside.names, needs=needs[:MOST_NEEDS])
    return found


def _busy(operations: Iterable[Operation]) -> int:
    """Microseconds during which at least one of them ran; they come in the order of their start."""
    total, until = 0, 0
    for one in operations:
        total += max(0, one.ended - max(one.at, until))
        until = max(until, one.ended)
    return total
