"""Say what operations take, where the time goes, and what could run side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Literal

from app.core.errors import NotFound
from app.core.operation_figures import (
    Bottleneck,
    Figures,
    Regression,
    bottlenecks,
    by_name,
    by_type,
    regressions,
)
from app.core.operation_windows import Stretch, stretch_of, weeks
from app.core.parallelism import Parallelism, parallelism_of
from app.core.windows import MICROS, moment
from app.store.database import Store
from app.store.operation_reading import operations_of_run, read_operation_cells

MOST_IN_RUN = 5_000
"""Operations of one run that are laid side by side: the first of them."""

By = Literal["type", "name"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationWindow:
    """The whole hours or days that an answer is about."""

    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationStatistics:
    """What the operations of a window come to."""

    window: OperationWindow
    count: int
    failed: int
    total_seconds: float
    """Of all operations without what was measured inside them: shares are of this."""
    items: Sequence[Figures]
    """By type, or by type and name; what takes most first."""
    regressions: Sequence[Regression]
    """Names that surely took longer in the last seven days than in the seven before, whatever the
    window is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bottlenecks:
    """Where the time of a window goes, worst first."""

    window: OperationWindow
    items: Sequence[Bottleneck]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which operations a question is about; moments in microseconds."""

    workspace: str
    since: int | None
    until: int | None
    now: int

    @property
    def stretch(self) -> Stretch:
        """The whole hours or days that answer it."""
        return stretch_of(self.since, self.until, self.now)


async def operation_statistics(store: Store, asked: Asked, by: By) -> OperationStatistics:
    """Figures of the operations of a window, and what has become slower."""
    stretch = asked.stretch
    now, before = weeks(asked.now)
    cells, week, week_before = await store.read(
        lambda tx: [
            read_operation_cells(tx, asked.workspace, one.grain, one.since, one.until)
            for one in (stretch, now, before)
        ]
    )

    items = by_type(cells) if by == "type" else by_name(cells)

    return OperationStatistics(
        window=_window(stretch),
        count=sum(one.count for one in items),
        failed=sum(one.failed for one in items),
        total_seconds=sum(one.own_seconds for one in items),
        items=items,
        regressions=regressions(week, week_before),
    )


async def operation_bottlenecks(store: Store, asked: Asked, min_pct: float) -> Bottlenecks:
    """The names that take at least so many per cent of a window's time."""
    stretch = asked.stretch
    cells = await store.read(
        lambda tx: read_operation_cells(
            tx, asked.workspace, stretch.grain, stretch.since, stretch.until
        )
    )
    return Bottlenecks(window=_window(stretch), items=bottlenecks(cells, min_pct))


async def run_parallelism(store: Store, workspace: str, run_id: str, limit: int) -> Parallelism:
    """What of a run could have run side by side. Errors: NotFound for a run without operations."""

    def work() -> Parallelism | None:
        read = partial(operations_of_run, workspace=workspace, run_id=run_id, limit=MOST_IN_RUN)
        found = store.read_now(read)
        return parallelism_of(found, limit) if found else None

    answer = await store.aside(work)
    if answer is None:
        raise NotFound(
            "No operations of this run here: send them with this run_id, or look in another"
            " workspace. They are kept for 30 days."
        )
    return answer


def _window(stretch: Stretch) -> OperationWindow:
    return OperationWindow(
        since=moment(stretch.since * MICROS), until=moment(stretch.until * MICROS)
    )
