"""Say how long rows are kept, table by table."""

from app.core.lifecycle import DAY_MICROS
from app.core.placement import budget_in
from app.core.policybook import PolicyBook
from app.core.retention import WAY_BACK_DAYS
from app.core.usage import day_start
from app.core.values import value
from app.core.windows import MICROS

ALLOCATION_DAYS = 90
"""Closed allocations, and pools from when they closed."""
ANSWER_DAYS = 1
"""Answers to requests with an Idempotency-Key."""
HEALTH_DAYS = 730
RECORD_DAYS = 400
"""Runs of jobs, reports, decided recommendations, feedback, totals and alerts of budgets in USD: a
year and its last month twice."""

OPERATION_DAYS = 30
OPERATIONS_MOST = 200_000
"""Operations of a workspace that are kept one by one; of older ones there are hours and days."""
OPERATION_HOUR_DAYS = 4
OPERATION_DAY_DAYS = 400

LEAST_USAGE_DAYS = 92
"""Usage events outlive the allocations that they end, and the two months that reports compare."""

KEPT = {
    "workspaces": "one row for each workspace seen",
    "agents": "one row for each agent seen",
    "policy_heads": "one row for each workspace",
    "policy_versions": "one row for each change by a person or a file; any can be restored",
    "policy_files": "one row for each watched file",
    "keys": "one row for each key, until it is revoked",
    "key_changes": "one row",
    "usage_cells": "sums, which stay when events go: a row for each hour and combination in use",
    "usage_marks": "one row for each workspace",
    "cost_heads": "one row for each workspace that states costs",
    "cost_prices": "one row for each model that a workspace prices",
    "cost_budgets": "one row for each budget in USD",
    "token_ratios": "one row for each family of models, of which there are few",
    "operation_marks": "one row for each workspace",
    "memories": "the policy of retention rules them, by scope",
    "memory_texts": "they go with the last memory that holds them",
    "memory_counts": "they go with their text",
    "memory_places": "one row for each project that has memories",
    "memory_words": "they go with the last memory that has the word",
}
"""Tables without a rule here, and why they do not need one."""


def sealed_until(usage_days: int, now: int) -> int:
    """The first second of the oldest UTC day whose usage events are kept."""
    return day_start((now - usage_days * DAY_MICROS) // MICROS)


@value
class Keep:
    """Until when rows of a workspace go; moments in microseconds since 1970."""

    allocations_before: int
    allocations_most: int | None
    """How many closed allocations the policy keeps; None: it does not say."""
    answers_before: int
    actions_before: int
    health_before: int
    records_before: int
    operation_hours_before: int
    operation_days_before: int


def keep_in(book: PolicyBook, now: int) -> Keep:
    """What a workspace keeps."""
    kept = [budget_in(book, name).retention for name in (None, *book.projects)]
    way_back = max(WAY_BACK_DAYS, *(one.deleted_days for one in kept))
    stated = book.document.get("performance") or {}
    return Keep(
        allocations_before=now - ALLOCATION_DAYS * DAY_MICROS,
        allocations_most=stated.get("max_history_size"),
        answers_before=now - ANSWER_DAYS * DAY_MICROS,
        actions_before=now - way_back * DAY_MICROS,
        health_before=now - HEALTH_DAYS * DAY_MICROS,
        records_before=now - RECORD_DAYS * DAY_MICROS,
        operation_hours_before=now - OPERATION_HOUR_DAYS * DAY_MICROS,
        operation_days_before=now - OPERATION_DAY_DAYS * DAY_MICROS,
    )
