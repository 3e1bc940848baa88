"""Say what one run used, and fold runs into cells."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from app.core.statistics import bucket_of, decode, encode, median_and_p95
from app.core.values import value

PERCENT: Final = 1_000_000
"""Used per cent are kept as integers of a millionth of one per cent, so that sums are exact."""

MAX_TOKENS: Final = 10_000_000_000
"""Most tokens of one figure: keeps every sum of a cell inside 64 bits."""

MAX_SUMMED_PERCENT: Final = 1_000_000 * PERCENT
"""An absurd run (used 10,000 × its budget) weighs no more than this in an average."""

HOUR, DAY, MONTH = 1, 2, 3
"""Grains of cells: UTC hours, days and months."""

TOTAL, RUN, SCOPE = "total", "run", "scope"
DIMENSIONS = (SCOPE, "user", "project", "model", "stage")
FAMILIES = (TOTAL, RUN, *DIMENSIONS)
"""What a cell is about: all runs; agent × complexity × profile; agent × one other dimension."""


@value
class UsageEvent:
    """One agent execution as it is booked; tokens are integers, money is nano-USD."""

    id: str
    workspace: str
    at: int
    """When it ended: microseconds since 1970 in UTC."""
    agent: str
    used_tokens: int
    budget_tokens: int | None = None
    """None: known in tokens and cost only (traces, imports), not an execution under a budget."""
    needed_tokens: int | None = None
    complexity: str | None = None
    profile: str | None = None
    project: str | None = None
    user: str | None = None
    session_id: str | None = None
    run_id: str | None = None
    allocation_id: str | None = None
    model: str | None = None
    stage: str | None = None
    task: str | None = None
    scopes: Mapping[str, int] = field(default_factory=dict)
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    cost_nano_usd: int | None = None
    """None: unpriced, never free."""
    price_version: str | None = None
    """The prices that the cost was worked out with; None where the sender said what it cost."""
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    reasoning_tokens: int | None = None
    service: str | None = None
    """How the provider served it, unless the standard way."""
    duration_seconds: float | None = None
    success: bool | None = None
    error: str | None = None
    alerts: tuple[Mapping[str, Any], ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    late: bool = False
    """Booked after its allocation had expired."""
    fingerprint: bytes = b""
    """Digest of what was sent, to tell a repeated delivery from another event of the same id."""

    @property
    def exceeded(self) -> bool:
        """Used more than its budget."""
        return self.budget_tokens is not None and self.used_tokens > self.budget_tokens

    @property
    def unmet(self) -> bool:
        """Needed more than its budget and kept to the budget all the same."""
        budget = self.budget_tokens
        return (
            budget is not None
            and self.used_tokens <= budget
            and self.needed_tokens is not None
            and self.needed_tokens > budget
        )


def used_pct(used: int, budget: int) -> int | None:
    """Used per cent in units of `PERCENT`, rounded half up; None where the budget is zero."""
    if budget == 0:
        return None if used else 0
    return (used * 200 * PERCENT + budget) // (2 * budget)


@dataclass(slots=True)
class Cell:
    """What a set of events comes to; cells of disjoint sets add up."""

    events: int = 0
    executions: int = 0
    rated: int = 0
    """Executions that have a used per cent."""
    pct_sum: int = 0
    pct_min: int | None = None
    pct_max: int | None = None
    exceeded: int = 0
    unmet: int = 0
    budget: int = 0
    used: int = 0
    unbudgeted: int = 0
    """Tokens used by events that have no budget."""
    input: int = 0
    output: int = 0
    cached: int = 0
    cost: int = 0
    priced: int = 0
    failed: int = 0
    duration_ms: int = 0
    timed: int = 0
    sketch: dict[int, int] = field(default_factory=dict)

    def add(self, other: "Cell") -> None:
        """Take in a cell of other events."""
        self.events += other.events
        self.executions += other.executions
        self.rated += other.rated
        self.pct_sum += other.pct_sum
        if other.pct_min is not None and (self.pct_min is None or other.pct_min < self.pct_min):
            self.pct_min = other.pct_min
        if other.pct_max is not None and (self.pct_max is None or other.pct_max > self.pct_max):
            self.pct_max = other.pct_max
        self.exceeded += other.exceeded
        self.unmet += other.unmet
        self.budget += other.budget
        self.used += other.used
        self.unbudgeted += other.unbudgeted
        self.input += other.input
        self.output += other.output
        self.cached += other.cached
        self.cost += other.cost
        self.priced += other.priced
        self.failed += other.failed
        self.duration_ms += other.duration_ms
        self.timed += other.timed
        if other.sketch:
            sketch = self.sketch
            get = sketch.get
            for bucket, count in other.sketch.items():
                sketch[bucket] = get(bucket, 0) + count

    def rate(self, pct: int, bucket: int) -> None:
        """Count a used per cent, which lies in a bucket."""
        self.pct_sum += pct if pct < MAX_SUMMED_PERCENT else MAX_SUMMED_PERCENT
        low, high = self.pct_min, self.pct_max
        if low is None or high is None:
            self.pct_min = self.pct_max = pct
        elif pct < low:
            self.pct_min = pct
        elif pct > high:
            self.pct_max = pct
        self.rated += 1
        sketch = self.sketch
        sketch[bucket] = sketch.get(bucket, 0) + 1

    def row(self) -> tuple[Any, ...]:
        """The cell as stored, in the order of `CELL_COLUMNS`."""
        return (
            self.events,
            self.executions,
            self.rated,
            self.pct_sum,
            self.pct_min,
            self.pct_max,
            self.exceeded,
            self.unmet,
            self.budget,
            self.used,
            self.unbudgeted,
            self.input,
            self.output,
            self.cached,
            self.cost,
            self.priced,
            self.failed,
            self.duration_ms,
            self.timed,
            encode(self.sketch),
        )

    @classmethod
    def of_row(cls, row: tuple[Any, ...]) -> "Cell":
        """The cell of a stored row."""
        cell = cls(*row)
        cell.sketch = decode(row[-1])
        return cell


CELL_COLUMNS = tuple(Cell.__slots__)
"""Names of a cell's measures; all add up but `pct_min` and `pct_max`."""


CellId = tuple[str, int, int, str, str, str]
"""Which events a cell holds: family, grain, start (second since 1970), agent, key, key2."""


def measure(event: UsageEvent) -> Cell:
    """The cell of one event."""
    cell = Cell()
    _count(cell, event, _pct_of(event))
    return cell


def _pct_of(event: UsageEvent) -> tuple[int, int] | None:
    """The used per cent of an event and its bucket, where it has one."""
    budget = event.budget_tokens
    pct = None if budget is None else used_pct(event.used_tokens, budget)
    return None if pct is None else (pct, bucket_of(pct))


def _count(cell: Cell, event: UsageEvent, pct: tuple[int, int] | None) -> None:
    """Count an event in a cell."""
    used, budget, cost = event.used_tokens, event.budget_tokens, event.cost_nano_usd
    cell.events += 1
    if budget is None:
        cell.unbudgeted += used
    else:
        cell.executions += 1
        cell.budget += budget
        cell.used += used
        if used > budget:
            cell.exceeded += 1
        elif event.needed_tokens is not None and event.needed_tokens > budget:
            cell.unmet += 1
        if pct is not None:
            cell.rate(*pct)
    if event.input_tokens is not None:
        cell.input += event.input_tokens
    if event.output_tokens is not None:
        cell.output += event.output_tokens
    if event.cached_tokens is not None:
        cell.cached += event.cached_tokens
    if cost is not None:
        cell.cost += cost
        cell.priced += 1
    if event.success is False:
        cell.failed += 1
    if event.duration_seconds is not None:
        cell.duration_ms += round(event.duration_seconds * 1000)
        cell.timed += 1


def _count_scopes(scopes: defaultdict[str, Cell], event: UsageEvent) -> None:
    """Count the scopes of an event: their tokens, and their shares of the run's budget."""
    budget = event.budget_tokens
    is_failed, is_exceeded, is_unmet = event.success is False, event.exceeded, event.unmet
    for scope, tokens in event.scopes.items():
        cell = scopes[scope]
        cell.events += 1
        if is_failed:
            cell.failed += 1
        if budget is None:
            cell.unbudgeted += tokens
            continue
        cell.executions += 1
        cell.budget += budget
        cell.used += tokens
        if is_exceeded:
            cell.exceeded += 1
        elif is_unmet:
            cell.unmet += 1
        pct = used_pct(tokens, budget)
        if pct is not None:
            cell.rate(pct, bucket_of(pct))


def fold_hours(events: Iterable[UsageEvent]) -> dict[CellId, Cell]:
    """The cells of UTC hours that events come to, in all families."""
    cells: defaultdict[CellId, Cell] = defaultdict(Cell)
    runs: defaultdict[CellId, Cell] = defaultdict(Cell)
    scopes: defaultdict[tuple[int, str], defaultdict[str, Cell]] = defaultdict(_cells_by_name)
    for event in events:
        start = event.at // 3_600_000_000 * 3600
        agent, pct = event.agent, _pct_of(event)
        run = runs[RUN, HOUR, start, agent, event.complexity or "", event.profile or ""]
        _count(run, event, pct)
        if event.user is not None:
            _count(cells["user", HOUR, start, agent, event.user, ""], event, pct)
        if event.project is not None:
            _count(cells["project", HOUR, start, agent, event.project, ""], event, pct)
        if event.model is not None:
            _count(cells["model", HOUR, start, agent, event.model, ""], event, pct)
        if event.stage is not None:
            _count(cells["stage", HOUR, start, agent, event.stage, ""], event, pct)
        if event.scopes:
            _count_scopes(scopes[start, agent], event)
    for (_, _, start, *_), run in runs.items():  # each event is in one of them
        cells[TOTAL, HOUR, start, "", "", ""].add(run)
    for (start, agent), its in scopes.items():
        for scope, cell in its.items():
            cells[SCOPE, HOUR, start, agent, scope, ""] = cell
    return {**cells, **runs}


def _cells_by_name() -> defaultdict[str, Cell]:
    return defaultdict(Cell)


def fold(events: Iterable[UsageEvent], *, rolled: int | None = None) -> dict[CellId, Cell]:
    """All cells that events come to: hours, days and months of every family.

    `rolled`: only hours that start before this second are counted in days and months too.
    Cells of one hour's events stand for their day and month too: treat all as finished values.
    """
    hours = fold_hours(events)
    return {**hours, **roll_up(hours if rolled is None else _before(hours, rolled))}


def roll_up(hours: Mapping[CellId, Cell]) -> dict[CellId, Cell]:
    """The cells of days and months that cells of hours come to; they may be the same objects."""
    parts: defaultdict[CellId, list[Cell]] = defaultdict(list)
    for (family, _, start, agent, key, key2), cell in hours.items():
        parts[family, DAY, day_start(start), agent, key, key2].append(cell)
        parts[family, MONTH, month_start(start), agent, key, key2].append(cell)
    return {name: _sum(cells) for name, cells in parts.items()}


def _before(hours: Mapping[CellId, Cell], second: int) -> dict[CellId, Cell]:
    return {at: cell for at, cell in hours.items() if at[2] < second}


def _sum(cells: list[Cell]) -> Cell:
    if len(cells) == 1:
        return cells[0]
    total = Cell()
    for cell in cells:
        total.add(cell)
    return total


def hour_start(second: int) -> int:
    """First second of the UTC hour of a second."""
    return second // 3_600 * 3_600


def day_start(second: int) -> int:
    """First second of the UTC day of a second."""
    return second // 86_400 * 86_400


def month_start(second: int) -> int:
    """First second of the UTC month of a second."""
    return _month_of_day(second // 86_400)


@lru_cache(maxsize=4096)
def _month_of_day(day: int) -> int:
    moment = datetime.fromtimestamp(day * 86_400, UTC)
    return int(datetime(moment.year, moment.month, 1, tzinfo=UTC).timestamp())


def rated_statistics(cell: Cell) -> tuple[float, float, float, float, float] | None:
    """Average, median, min, max and p95 of used per cent, or None where nothing is rated."""
    if not cell.rated or cell.pct_min is None or cell.pct_max is None:
        return None
    low, high = cell.pct_min, cell.pct_max
    median, p95 = median_and_p95(cell.sketch, low=low, high=high)
    average = cell.pct_sum / cell.rated
    return (
        average / PERCENT,
        median / PERCENT,
        low / PERCENT,
        high / PERCENT,
        p95 / PERCENT,
    )
