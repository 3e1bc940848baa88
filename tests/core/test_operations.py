"""Laws of operations: cells add up, own time is shared out, and any run has an answer."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.bottlenecks import severity_of
from app.core.operation_figures import (
    bottlenecks,
    by_name,
    by_type,
    own_times,
    regressions,
    total_of,
)
from app.core.operations import (
    OTHER,
    Label,
    Operation,
    OperationCell,
    derived_ids,
    fold_operations,
    label_of,
    told_apart,
)
from app.core.parallelism import parallelism_of
from app.core.usage import DAY, HOUR, day_start

BASE = 1_790_000_000
MICROS = 1_000_000
NAMES = st.sampled_from("abcdef")


def op(name: str, at: float = 0.0, seconds: float = 1.0, **more: object) -> Operation:
    given_ = {"id": f"{name}-{at}", "workspace": "w", "type": "io", **more}
    return Operation(
        name=name,
        at=round((BASE + at) * MICROS),
        duration_us=round(seconds * MICROS),
        **given_,  # type: ignore[arg-type]
    )


OPERATIONS = st.lists(
    st.builds(
        op,
        NAMES,
        st.integers(0, 200_000),
        st.integers(0, 500),
        type=st.sampled_from(["io", "llm_call"]),
        parent=st.none() | NAMES,
        depends_on=st.none() | st.lists(NAMES, max_size=3).map(tuple),
        success=st.sampled_from([None, True, False]),
        id=st.uuids().map(str),
    ),
    min_size=1,
    max_size=25,
)


def labels(operations: list[Operation]) -> dict[int, set[Label]]:
    found: dict[int, set[Label]] = {}
    for one in operations:
        found.setdefault(day_start(one.at // MICROS), set()).add(label_of(one))
    return found


def cells_of(operations: list[Operation], grain: int = DAY) -> dict[Label, OperationCell]:
    found: dict[Label, OperationCell] = {}
    for at, cell in fold_operations(operations, known=labels(operations)).items():
        if at.grain == grain:
            found.setdefault(Label(at.type, at.name, at.parent), OperationCell()).add(cell)
    return found


@given(OPERATIONS, st.integers(0, 25))
def test_cells_are_the_same_however_operations_are_batched(
    operations: list[Operation], cut: int
) -> None:
    known = labels(operations)
    whole = fold_operations(operations, known=known)
    parts = fold_operations(operations[:cut], known=known)
    for at, cell in fold_operations(operations[cut:], known=known).items():
        parts.setdefault(at, OperationCell()).add(cell)
    assert parts == whole


@given(OPERATIONS)
def test_hours_and_days_hold_every_operation_once(operations: list[Operation]) -> None:
    for grain in (HOUR, DAY):
        whole = total_of(cells_of(operations, grain).values())
        assert whole.count == len(operations)
        assert whole.total_us == sum(one.duration_us for one in operations)
        assert whole.failed == sum(one.success is False for one in operations)
        assert sum(whole.sketch.values()) == len(operations)


@given(OPERATIONS)
def test_shares_are_of_own_time_and_add_up(operations: list[Operation]) -> None:
    cells = cells_of(operations)
    own = own_times(cells)
    assert all(own[key] >= 0 for key in own)
    for figures in (by_type(cells), by_name(cells)):
        shares = sum(one.share_pct for one in figures)
        assert shares == pytest.approx(100 if sum(own.values()) else 0)
        assert sum(one.count for one in figures) == len(operations)
    for one in by_name(cells):
        assert one.min_seconds <= one.p50_seconds <= one.p95_seconds <= one.max_seconds
        assert one.own_seconds <= one.total_seconds + 1e-9


@given(OPERATIONS, st.floats(0, 100))
def test_bottlenecks_are_the_names_of_enough_share_worst_first(
    operations: list[Operation], least: float
) -> None:
    cells = cells_of(operations)
    found = bottlenecks(cells, least)
    assert all(a.share_pct >= b.share_pct for a, b in pairwise(found))
    assert {(one.type, one.name) for one in found} == {
        (one.type, one.name)
        for one in by_name(cells)
        if one.own_seconds > 0 and one.share_pct >= least
    }


def test_time_inside_is_not_own_time() -> None:
    cells = cells_of([op("stage", 0, 10, type="stage"), op("call", 1, 8, parent="stage")])
    own = own_times(cells)
    assert own == pytest.approx({("stage", "stage"): 2e6, ("io", "call"): 8e6})
    (worst, other) = bottlenecks(cells, 5)
    assert (worst.name, worst.severity) == ("call", "critical")
    assert worst.share_pct == pytest.approx(80)
    assert (other.name, other.severity) == ("stage", "medium")
    assert worst.advice != other.advice


@pytest.mark.parametrize(
    ("share", "severity"),
    [(100, "critical"), (50, "critical"), (49, "high"), (20, "medium"), (5, "low")],
)
def test_severity_grows_with_the_share(share: float, severity: str) -> None:
    assert severity_of(share) == severity


@given(st.lists(st.tuples(NAMES, NAMES), max_size=40), st.integers(0, 8))
def test_a_day_tells_a_bounded_number_of_names_apart(
    said: list[tuple[str, str]], most: int
) -> None:
    wanted = [Label(kind, name, "") for kind, name in said]
    known = told_apart(wanted[:5], wanted, most)
    assert len(known) <= max(most, len(set(wanted[:5])))
    operations = [op(one.name, type=one.type, id=str(at)) for at, one in enumerate(wanted)]
    folded = fold_operations(operations, known={day_start(BASE): known})
    kept = {Label(at.type, at.name, at.parent) for at in folded}
    assert len(kept) <= 2 * len(known) + 1
    assert sum(cell.count for at, cell in folded.items() if at.grain == DAY) == len(wanted)
    assert all(one in known or one.name == OTHER for one in kept)


@given(st.lists(NAMES, max_size=12))
def test_derived_ids_are_distinct_and_those_of_the_same_list_again(names: list[str]) -> None:
    ids = derived_ids([[name] for name in names])
    assert len(set(ids)) == len(names)
    assert ids == derived_ids([[name] for name in names])


@given(OPERATIONS)
def test_any_run_has_an_answer_without_circles(operations: list[Operation]) -> None:
    found = parallelism_of(operations)
    first = min(one.at for one in operations)
    assert found.elapsed_seconds * MICROS == pytest.approx(
        max(one.ended for one in operations) - first
    )
    assert 0 <= found.saving_seconds <= found.elapsed_seconds + 1e-9
    assert 0 <= found.saving_pct <= 100 + 1e-9
    names = Counter(one.name for one in operations)
    assert found.critical_path
    assert set(found.critical_path) <= names.keys()
    for group in found.groups:
        assert len(group) > 1
    grouped = Counter(name for group in found.groups for name in group)
    assert all(grouped[name] <= names[name] for name in grouped)
    assert parallelism_of(list(reversed(operations))) == found


def test_a_diamond_runs_its_middle_side_by_side() -> None:
    found = parallelism_of(
        [
            op("plan", 0, 1),
            op("search", 1, 4, depends_on=("plan",)),
            op("read", 5, 3, depends_on=("plan",)),
            op("write", 8, 2, depends_on=("search", "read")),
        ]
    )
    assert found.groups == (("search", "read"),)
    assert found.critical_path == ("plan", "search", "write")
    assert (found.elapsed_seconds, found.critical_seconds) == (10, 7)
    assert (found.saving_seconds, found.saving_pct) == (3, 30)
    assert found.is_certain
    assert found.ignored == ()


def test_a_circle_is_cut_where_it_cannot_have_been() -> None:
    found = parallelism_of(
        [op("a", 0, 1, depends_on=("b",)), op("b", 1, 1, depends_on=("a", "ghost"))]
    )
    assert found.critical_path == ("a", "b")
    assert [(one.name, one.depends_on) for one in found.ignored] == [("a", "b"), ("b", "ghost")]
    assert found.saving_pct == 0


def test_operations_of_one_name_are_told_apart_and_waited_for_together() -> None:
    found = parallelism_of(
        [
            op("search", 0, 1),
            op("search", 1, 3),
            op("search", 4, 2),
            op("write", 6, 1, depends_on=("search",)),
        ]
    )
    assert found.groups == (("search", "search", "search"),)
    assert found.critical_path == ("search", "write")
    assert found.saving_seconds == 3


def test_what_depends_on_a_stage_depends_on_all_that_ran_inside_it() -> None:
    found = parallelism_of(
        [
            op("stage", 0, 6),
            op("a", 0, 2, parent="stage"),
            op("b", 2, 2, parent="stage"),
            op("after", 6, 1, depends_on=("stage",)),
        ]
    )
    assert found.groups == (("a", "b"),)
    assert found.critical_path == ("a", "after")
    assert found.saving_seconds == 2  # the stage's own two seconds stay


def test_without_a_word_about_dependencies_nothing_is_certain() -> None:
    found = parallelism_of([op("a", 0, 1), op("b", 1, 1)])
    assert found.groups == (("a", "b"),)
    assert not found.is_certain


def week(seconds: float, many: int, *, spread: float = 0.2) -> dict[Label, OperationCell]:
    return cells_of(
        [op("call", 0, seconds * (1 + spread * (at % 5 - 2) / 2), id=str(at)) for at in range(many)]
    )


def test_what_is_surely_slower_is_named_and_noise_is_not() -> None:
    (found,) = regressions(week(2.0, 100), week(1.0, 100))
    assert (found.type, found.name, found.count, found.count_before) == ("io", "call", 100, 100)
    assert found.slower_pct == pytest.approx(100, abs=5)
    assert regressions(week(1.0, 100), week(1.0, 100)) == []
    assert regressions(week(1.0, 100), week(2.0, 100)) == []
    assert regressions(week(2.0, 19), week(1.0, 100)) == []
    assert regressions(week(1.12, 30, spread=0.6), week(1.0, 30, spread=0.6)) == []


def test_an_answer_of_what_could_run_side_by_side_is_bounded_and_says_of_how_much() -> None:
    missing = [f"missing {number}" for number in range(64)]
    outer = op("outer", 0, 9_000, depends_on=missing)
    inner = [
        op(
            f"inner {number}",
            number,
            1,
            parent="outer",
            depends_on=[f"{number} {one}" for one in missing],
        )
        for number in range(500)
    ]
    found = parallelism_of([outer, *inner, op("last", 9_000, 1, depends_on=["inner 3"])], limit=10)
    assert found.groups == (tuple(f"inner {number}" for number in range(10)),)
    assert (found.groups_total, len(found.ignored)) == (500, 10)
    assert found.ignored_total == 500 * 2 * 64
    assert (found.critical_path, found.critical_total) == (("inner 3", "last"), 2)
    chain = [op(f"{n}", n, 1, depends_on=[f"{n - 1}"] if n else None) for n in range(50)]
    found = parallelism_of(chain, limit=10)
    assert found.critical_path == tuple(map(str, range(10)))
    assert (found.critical_total, found.groups, found.saving_seconds) == (50, (), 0)
