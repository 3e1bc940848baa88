"""Make usage events for tests, one by one and by Hypothesis."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from app.core.usage import UsageEvent
from app.core.windows import micros

BASE = micros(datetime(2026, 3, 14, 15, 9, 26, 535897, tzinfo=UTC))
DAY_US = 86_400_000_000


def run(id: str, *, used: int = 50, budget: int | None = 100, **facts: Any) -> UsageEvent:
    """One run of `specialists/dbt-expert`, unless `facts` say otherwise."""
    given: dict[str, Any] = {
        "workspace": "default",
        "at": BASE,
        "agent": "specialists/dbt-expert",
        "fingerprint": id.encode(),
        **facts,
    }
    return UsageEvent(id=id, used_tokens=used, budget_tokens=budget, **given)


tokens = st.one_of(st.integers(0, 200), st.integers(0, 10_000_000_000))
names = st.sampled_from(("a", "b", "ü"))
maybe_names = st.none() | names

runs = st.builds(
    run,
    st.uuids().map(str),
    used=tokens,
    budget=st.none() | tokens,
    needed_tokens=st.none() | tokens,
    at=st.integers(BASE - 70 * DAY_US, BASE),
    agent=st.sampled_from(("t/a", "t/b", "c")),
    complexity=st.sampled_from((None, "simple", "complex")),
    profile=maybe_names,
    project=maybe_names,
    user=maybe_names,
    model=maybe_names,
    stage=maybe_names,
    scopes=st.dictionaries(names, tokens, max_size=3),
    input_tokens=st.none() | tokens,
    output_tokens=st.none() | tokens,
    cached_tokens=st.none() | tokens,
    cost_nano_usd=st.none() | st.integers(0, 10**12),
    duration_seconds=st.none() | st.floats(0, 10_000, allow_nan=False),
    success=st.sampled_from((None, True, False)),
)
"""Runs of the last ten weeks, with everything that a cell counts."""

run_lists = st.lists(runs, max_size=8)
