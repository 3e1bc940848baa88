"""Reports are kept once for each kind and period, apart by workspace, and listed newest first."""

from dataclasses import replace

from app.core.reports import Report
from app.store.database import Store
from app.store.reports import (
    Line,
    Wanted,
    add_reports,
    draft,
    find_report,
    get_report,
    list_reports,
)
from tests.core.report_samples import HOSTILE, NOON, report


def keep(store: Store, *given: Report) -> list[Line]:
    drafts = [draft(one) for one in given]
    (lines,) = store.write_now(lambda tx: add_reports(tx, given[0].workspace, [drafts]))
    return lines


def listed(store: Store, **wanted: object) -> list[str]:
    asked = Wanted(**{"workspace": "default", **wanted})  # type: ignore[arg-type]
    found = store.read_now(lambda tx: list_reports(tx, asked, before=None, limit=100))
    return [line.id for line in found]


def test_a_report_is_read_as_it_was_written(store: Store) -> None:
    for number, name in enumerate(HOSTILE):
        name = name.replace("\0", "")
        one = report(name, id=f"rpt_{number}", period=str(number))
        keep(store, one)
        assert store.read_now(lambda tx, its=one.id: get_report(tx, "default", its)) == one  # type: ignore[misc]


def test_the_same_kind_and_period_is_kept_once(store: Store) -> None:
    first = report(id="rpt_1")
    (line,) = keep(store, first)
    again = keep(store, replace(first, id="rpt_2", title="Another"))
    assert again == [line]
    assert (line.id, line.title) == ("rpt_1", "Weekly report, 22 November 2026")
    assert listed(store) == ["rpt_1"]
    assert store.read_now(lambda tx: find_report(tx, "default", "weekly", "2026-W47")) == first


def test_other_kinds_periods_and_workspaces_stand_beside_it(store: Store) -> None:
    first = report(id="rpt_1")
    keep(store, first)
    keep(store, replace(first, id="rpt_2", kind="daily"))
    keep(store, replace(first, id="rpt_3", period="2026-W48"))
    keep(store, replace(first, id="rpt_4", workspace="other"))
    assert sorted(listed(store)) == ["rpt_1", "rpt_2", "rpt_3"]
    assert listed(store, workspace="other") == ["rpt_4"]
    assert listed(store, kind="daily") == ["rpt_2"]
    assert store.read_now(lambda tx: get_report(tx, "default", "rpt_4")) is None


def test_pages_go_on_where_the_last_one_ended(store: Store) -> None:
    for number in range(7):  # three moments, some reports of the same one
        moment = NOON + number // 3
        keep(store, report(id=f"rpt_{number}", period=str(number), created_at=moment))
    seen, before = [], None
    while True:
        found = store.read_now(
            lambda tx, at=before: list_reports(  # type: ignore[misc]
                tx, Wanted(workspace="default"), before=at, limit=2
            )
        )
        if not found:
            break
        seen += [line.id for line in found]
        before = (found[-1].created_at, found[-1].id)
    assert seen == [f"rpt_{number}" for number in (6, 5, 4, 3, 2, 1, 0)]


def test_a_stretch_of_time_is_of_when_they_were_made(store: Store) -> None:
    for number in range(4):
        keep(store, report(id=f"rpt_{number}", period=str(number), created_at=NOON + number))
    assert listed(store, since=NOON + 1, until=NOON + 3) == ["rpt_2", "rpt_1"]
