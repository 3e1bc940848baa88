"""Say in a report which budgets should change, what that would bring, and how it is applied."""

from collections.abc import Iterator, Mapping, Sequence

from app.core.grants import Grant
from app.core.recommendations import Recommendation
from app.core.report_commands import post
from app.core.report_text import clipped, shown
from app.core.reports import Column, Figure, Part, Section, Shown, Table, Todo

MOST_ROWS = 25
WEEK_DAYS = 7
CHANGES = ("upgrade", "downgrade", "adjust_weights")

WORDS: Mapping[str, str] = {
    "upgrade": "upgrade",
    "downgrade": "downgrade",
    "adjust_weights": "adjust weights",
    "maintain": "maintain",
    "defer": "deferred",
}


def advice_part(found: Sequence[Recommendation], *, days: int) -> Part:
    """What the rules of A12 say of every agent, and what applying it would have changed."""
    title = f"Recommendations from {days} days"
    if not found:
        text = "No agent ran under a budget, so that there is nothing to judge budgets by."
        return Part(sections=(Section(key="recommendations", title=title, text=text),))
    changes = [one for one in found if one.action in CHANGES]
    ready = [one for one in changes if is_ready(one)]
    maintained = sum(1 for one in found if one.action == "maintain")
    deferred = sum(1 for one in found if one.action == "defer")
    section = Section(
        key="recommendations",
        title=title,
        text=_text(found, ready),
        figures=(
            Figure(label="To apply", value=len(ready), unit="count"),
            Figure(label="Shown only", value=len(changes) - len(ready), unit="count"),
            Figure(label="Fit as they are", value=maintained, unit="count"),
            Figure(label="Too few runs", value=deferred, unit="count"),
        ),
        tables=tuple(_tables(found)),
        data={"ids": [one.id for one in found]},
    )
    glance = Figure(
        label="Recommendations to apply",
        value=len(ready),
        unit="count",
        note=f"of {len(found):,} agents",
    )
    return Part(sections=(section,), todo=todo_of(found), glance=(glance,))


def is_ready(one: Recommendation) -> bool:
    """Whether it is open, sure enough, and has something to apply."""
    return one.status == "open" and one.is_recommended and one.proposed is not None


def todo_of(found: Sequence[Recommendation]) -> tuple[Todo, ...]:
    """Apply what is sure, weighed by tokens a week; of downgrades only that which frees most."""
    ready = sorted(filter(is_ready, found), key=lambda one: -_weight(one))
    later = {one.id for one in [one for one in ready if one.action == "downgrade"][1:]}
    return tuple(
        Todo(
            title=_what(one),
            why=f"{one.reason} Over the same {one.window_days} days that would have {_effect(one)}",
            how=post(f"/recommendations/{one.id}/apply"),
            weight=_weight(one),
        )
        for one in ready
        if one.id not in later
    )


def _text(found: Sequence[Recommendation], ready: Sequence[Recommendation]) -> str:
    if ready:
        return (
            "Nothing applies itself: apply one by its id, or dismiss it. Applying makes a policy"
            " version, and can be rolled back."
        )
    if all(one.action in ("maintain", "defer") for one in found):
        return "No budget needs a change: those with enough runs are well used and rarely exceeded."
    return (
        "None of the changes is recommended: each is not sure enough, has nothing left to change"
        " to, or counts runs from before the last one. They are shown all the same."
    )


def _tables(found: Sequence[Recommendation]) -> Iterator[Table]:
    order = {action: place for place, action in enumerate(WORDS)}
    rows = sorted(found, key=lambda one: (not is_ready(one), order[one.action], -_weight(one)))
    changes = [one for one in rows if one.action in CHANGES]
    if changes:
        yield Table(
            title="Changes",
            columns=(
                Column(name="Agent"),
                Column(name="Advice"),
                Column(name="Now"),
                Column(name="Proposed"),
                Column(name="Confidence", unit="score"),
                Column(name="Runs", unit="count"),
                Column(name="Budget tokens saved", unit="tokens"),
                Column(name="Exceedances avoided", unit="count"),
                Column(name="Saved", unit="usd"),
            ),
            rows=tuple(map(_change, changes[:MOST_ROWS])),
            more=max(0, len(changes) - MOST_ROWS),
        )
    ready = [one for one in rows if is_ready(one)]
    if ready:
        yield Table(
            title="To apply",
            columns=(Column(name="Agent"), Column(name="Id")),
            rows=tuple((one.agent, one.id) for one in ready[:MOST_ROWS]),
            more=max(0, len(ready) - MOST_ROWS),
        )
    yield Table(
        title="Why",
        columns=(Column(name="Agent"), Column(name="Advice"), Column(name="Because", unit="prose")),
        rows=tuple((one.agent, _advice(one), one.reason) for one in rows[:MOST_ROWS]),
        more=max(0, len(rows) - MOST_ROWS),
    )


def _change(one: Recommendation) -> tuple[Shown, ...]:
    impact = one.impact
    return (
        one.agent,
        _advice(one),
        _granted(one.current, one),
        None if one.proposed is None else _granted(one.proposed, one),
        one.confidence,
        one.samples,
        impact.tokens_saved,
        impact.exceedances_avoided,
        impact.usd_saved,
    )


def _advice(one: Recommendation) -> str:
    if one.status != "open":
        return f"{WORDS[one.action]} ({one.status.replace('_', ' ')})"
    return WORDS[one.action]


def _granted(grant: Grant, one: Recommendation) -> str:
    if one.action == "adjust_weights":
        return " / ".join(f"{name} {weight}" for name, weight in sorted(grant.weights.items()))
    return grant.profile or "the workspace's budget"


def _what(one: Recommendation) -> str:
    name = clipped(one.agent)
    if one.action == "adjust_weights" or one.proposed is None:
        return f"Give {name} weights of its own"
    way = "up" if one.action == "upgrade" else "down"
    return f"Move {name} {way} to {one.proposed.profile}"


def _effect(one: Recommendation) -> str:
    impact = one.impact
    parts = []
    if impact.exceedances_avoided:
        parts.append(_changed(impact.exceedances_avoided, "avoided", "added", "exceedances"))
    if impact.tokens_saved:
        parts.append(_changed(impact.tokens_saved, "saved", "granted", "tokens of budget"))
    if impact.usd_saved is not None and float(impact.usd_saved):
        amount = float(impact.usd_saved)
        verb = "saved" if amount > 0 else "cost"
        parts.append(f"{verb} {shown(impact.usd_saved.lstrip('-'), 'usd')}")
    if not parts:
        return "changed where tokens go, not how many."
    *first, last = parts
    return f"{', '.join(first)} and {last}." if first else f"{last}."


def _changed(number: int, verb: str, opposite: str, what: str) -> str:
    return f"{verb if number > 0 else opposite} {abs(number):,} {what}"


def _weight(one: Recommendation) -> float:
    """Tokens a week that it is about: budget freed, or those of runs that lacked room, whether or
    not the next profile has enough."""
    tokens = float(max(one.impact.tokens_saved, 0))
    if one.action == "upgrade":
        wanted = max(_counted(one, "budget_tokens"), _counted(one, "used_tokens"))
        tokens += _counted(one, "exceeded") * wanted / max(one.samples, 1)
    return WEEK_DAYS * tokens / max(one.window_days, 1)


def _counted(one: Recommendation, name: str) -> int:
    return int(one.evidence.get(name) or 0)
