"""Cover a window of whole hours by the fewest cells: what reaches beyond it is taken away again."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from app.core.usage import DAY, HOUR, MONTH, month_start
from app.core.values import value
from app.core.windows import DAY_S, HOUR_S, MICROS, Piece

GRAINS = (MONTH, DAY, HOUR)
NEVER = 2**62


@value
class Patch:
    """Cells of a grain that start in `since` ≤ t < `until` (seconds), added or taken away."""

    sign: int
    grain: int
    since: int
    until: int

    @property
    def piece(self) -> Piece:
        """Where its cells are."""
        return Piece(self.grain, self.since * MICROS, self.until * MICROS)


def cover(since: int, until: int, *, is_last: bool = False) -> list[Patch]:
    """Patches that come to `since` ≤ t < `until` (microseconds, whole hours); for sums only.

    `is_last`: nothing is booked at or after `until`, so that what lies there costs nothing.
    """
    first, end = since // MICROS, until // MICROS
    if not is_last or end <= first:
        return _joined(_cover(first, end, GRAINS, NEVER))
    found = _cover(first, _row(MONTH, end - 1)[1], GRAINS, end)
    return _joined(patch for patch in found if patch.since < end)


def _cover(since: int, until: int, grains: Sequence[int], last: int) -> list[Patch]:
    """The same in seconds; there are no rows from `last` on."""
    grain, *finer = grains
    if not finer:
        return [Patch(sign=1, grain=grain, since=since, until=until)] if since < until else []
    found: list[Patch] = []
    while since < until:
        start, end = _row(grain, since)
        to = min(end, until)
        rest = _cover(start, since, finer, last) + _cover(to, end, finer, last)
        whole = [
            Patch(sign=1, grain=grain, since=start, until=end),
            *(replace(patch, sign=-patch.sign) for patch in rest),
        ]
        parts = _cover(since, to, finer, last)
        found += whole if _rows(whole, last) < _rows(parts, last) else parts
        since = to
    return found


def _row(grain: int, second: int) -> tuple[int, int]:
    """When the row begins and ends that holds a second."""
    if grain == MONTH:
        start = month_start(second)
        return start, month_start(start + 32 * DAY_S)
    step = _STEPS[grain]
    start = second // step * step
    return start, start + step


_STEPS = {HOUR: HOUR_S, DAY: DAY_S}


def _rows(patches: Iterable[Patch], last: int) -> int:
    """How many rows there are to read for each name."""
    return sum(_rows_of(patch, last) for patch in patches)


def _rows_of(patch: Patch, last: int) -> int:
    if patch.grain == MONTH:
        return int(patch.since < last)
    return max(0, -(-(min(patch.until, last) - patch.since) // _STEPS[patch.grain]))


def _joined(patches: Iterable[Patch]) -> list[Patch]:
    """Neighbours of one grain and sign as one."""
    found: list[Patch] = []
    for patch in patches:
        held = found[-1] if found else None
        if held and (held.sign, held.grain, held.until) == (patch.sign, patch.grain, patch.since):
            found[-1] = replace(held, until=patch.until)
        else:
            found.append(patch)
    return found
