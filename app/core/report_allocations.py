"""Say in a report what allocations came to (B6): how many, how large, and how full their parts."""

from collections.abc import Mapping

from app.core.reports import Bar, Chart, Column, Figure, Part, Section, Table
from app.core.values import value

MOST_SCOPES = 12


@value
class Allocated:
    """Statistics of allocations over a window."""

    count: int
    averages: Mapping[str, float]
    """`tokens_allocated` (of selected memories), `memories_selected`, `processing_ms`,
    `budget_tokens`."""
    complexity: Mapping[str, int]
    """Allocations by tier."""
    scopes: Mapping[str, Mapping[str, float]]
    """By scope or tier: `avg_utilization_pct`, `avg_selected`, `avg_tokens`."""


def allocations_part(found: Allocated, *, days: int) -> Part:
    """The section of allocations; short where there were none."""
    title = f"Allocations of the last {days} days"
    if not found.count:
        text = "No budget was asked for: POST /allocate gives one, and selects what fits into it."
        return Part(sections=(Section(key="allocations", title=title, text=text),))
    averages = found.averages
    tiers = sorted(found.complexity.items(), key=lambda item: (-item[1], item[0]))
    scopes = sorted(found.scopes.items(), key=lambda item: (-item[1]["avg_tokens"], item[0]))
    section = Section(
        key="allocations",
        title=title,
        figures=(
            Figure(label="Allocations", value=found.count, unit="count"),
            Figure(label="Budget, average", value=averages["budget_tokens"], unit="tokens"),
            Figure(
                label="Tokens of selected memories, average",
                value=averages["tokens_allocated"],
                unit="tokens",
            ),
            Figure(
                label="Memories selected, average",
                value=averages["memories_selected"],
                unit="score",
            ),
            Figure(
                label="Time to decide, average",
                value=f"{averages['processing_ms']:.1f} ms",
                unit="figure",
            ),
        ),
        charts=(
            Chart(
                title="Allocations by complexity",
                unit="count",
                bars=tuple(Bar(label=tier or "unknown", value=count) for tier, count in tiers),
            ),
        ),
        tables=(
            Table(
                title="How full scopes and tiers were",
                columns=(
                    Column(name="Scope or tier"),
                    Column(name="Filled, average", unit="percent"),
                    Column(name="Memories, average", unit="score"),
                    Column(name="Tokens, average", unit="tokens"),
                ),
                rows=tuple(
                    (
                        name,
                        one["avg_utilization_pct"],
                        one["avg_selected"],
                        one["avg_tokens"],
                    )
                    for name, one in scopes[:MOST_SCOPES]
                ),
                more=max(0, len(scopes) - MOST_SCOPES),
            ),
        )
        if scopes
        else (),
        data={"count": found.count, "complexity": dict(tiers)},
    )
    return Part(sections=(section,))
