"""Audit the books every hour: what is new, what was wrong, and a further piece of the rest."""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import structlog

from app.core.audit_pace import SHOWN, Place, Sweep, from_data, to_data, with_counted
from app.core.auditing import Audited, Difference
from app.core.auditing_money import TotalAt
from app.core.schedule import Handler, Run
from app.core.windows import MICROS
from app.flows.audit import check_day, check_totals, days_since, next_place, next_totals
from app.flows.readiness import show
from app.store import job_reading
from app.store.database import Store

log = structlog.get_logger("membudget")

ROWS_A_RUN = 300_000
"""Events and allocations of older days that one run looks at; a day is never cut in two."""

RECENT_MICROS = 2 * 3_600 * MICROS
"""What was booked so long before the last run may have been under way then."""

TOTALS_A_RUN = 2_000
"""Totals of budgets in USD that one run compares with their events, beside those known wrong."""

LONGEST_REST_SECONDS = 2.0


def auditing(store: Store, *, rows: int = ROWS_A_RUN) -> Handler:
    """The handler of the job `audit`; a run on demand looks at everything."""

    async def work(run: Run) -> Mapping[str, Any]:
        before = from_data(await store.read(partial(job_reading.last_outcome, job="audit")))
        patrol = _Patrol(store, before, run.started_at)
        if run.is_on_demand:
            patrol.sweep = replace(
                patrol.sweep,
                after=None,
                began_at=None,
                wrong={},
                after_total=None,
                wrong_totals={},
            )
        else:
            since = (before.looked_at or run.started_at) - RECENT_MICROS
            await patrol.look_at(await store.read(partial(days_since, since=since // MICROS)))
            await patrol.look_at(sorted(patrol.sweep.wrong))
        await patrol.go_on(None if run.is_on_demand else rows)
        await patrol.look_at_totals(sorted(patrol.sweep.wrong_totals))
        await patrol.go_on_with_totals(None if run.is_on_demand else TOTALS_A_RUN)
        show(patrol.sweep)
        if patrol.sweep.differences:
            log.error("books_differ", differences=patrol.sweep.differences)
        return patrol.outcome()

    return work


class _Patrol:
    """One run of the audit: what it has looked at so far."""

    def __init__(self, store: Store, before: Sweep, now: int) -> None:
        self.sweep = replace(before, looked_at=now)
        self._store = store
        self._now = now
        self._days = self._events = self._cells = self._allocations = self._totals = 0
        self._found: list[Difference] = []
        self._seen: set[Place] = set()

    async def look_at(self, places: Iterable[Place]) -> None:
        """Audit places that this run has not looked at yet."""
        for place in places:
            if place not in self._seen:
                await self._look_at(place)

    async def go_on(self, most: int | None) -> None:
        """Go on with the sweep till its end, or till so many rows were read."""
        if self.sweep.began_at is None:
            self.sweep = replace(self.sweep, began_at=self._now)
        left = most
        while left is None or left > 0:
            place = await self._store.read(partial(next_place, after=self.sweep.after))
            if place is None:
                began = self.sweep.began_at
                self.sweep = replace(self.sweep, after=None, began_at=None, swept_at=began)
                return
            if place not in self._seen:
                read = await self._look_at(place)
                left = None if left is None else left - read
            self.sweep = replace(self.sweep, after=place)

    async def go_on_with_totals(self, most: int | None) -> None:
        """Go on with totals of budgets in USD till the last one, or till so many were looked at."""
        left = TOTALS_A_RUN if most is None else most
        while left > 0:
            after = self.sweep.after_total
            places = await self._store.read(partial(next_totals, after=after, most=left))
            await self.look_at_totals(places)
            self.sweep = replace(self.sweep, after_total=places[-1] if places else None)
            if not places:
                return
            left -= 0 if most is None else len(places)

    async def look_at_totals(self, places: Sequence[TotalAt]) -> None:
        """Audit totals of budgets in USD; one that is gone is no longer wrong."""
        if not places:
            return
        began = time.perf_counter()
        checked = dict(await self._store.read(partial(check_totals, places=places)))
        for place in places:
            found = checked.get(place, Audited(workspace=place[0]))
            self._totals += found.totals
            self._found += found.differences[: SHOWN - len(self._found)]
            wrong = with_counted(self.sweep.wrong_totals, place, found.faults)
            self.sweep = replace(self.sweep, wrong_totals=wrong)
        await self._rest(began)

    async def _rest(self, began: float) -> None:
        rest = time.perf_counter() - began  # as long as it took: half a processor at most
        await asyncio.sleep(min(rest, LONGEST_REST_SECONDS))

    async def _look_at(self, place: Place) -> int:
        began = time.perf_counter()
        found = await self._store.read(partial(check_day, place=place))
        self._note(place, found)
        await self._rest(began)
        return found.events + found.allocations

    def _note(self, place: Place, found: Audited) -> None:
        self._seen.add(place)
        self._days += 1
        self._events += found.events
        self._cells += found.cells
        self._allocations += found.allocations
        self._found += found.differences[: SHOWN - len(self._found)]
        wrong = with_counted(self.sweep.wrong, place, found.faults)
        self.sweep = replace(self.sweep, wrong=wrong)

    def outcome(self) -> Mapping[str, Any]:
        """What the run came to, and how far the sweep has come."""
        return {
            "days": self._days,
            "events": self._events,
            "cells": self._cells,
            "allocations": self._allocations,
            "totals": self._totals,
            "found": [asdict(one) for one in self._found],
            **to_data(self.sweep),
        }
