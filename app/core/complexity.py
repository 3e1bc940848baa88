"""Judge how hard a task or a query is, and say why."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from app.core.errors import InvalidRequest
from app.core.signals import GROUPS, QUERY_TABLE, TOOL_OF, Found, SignalTable
from app.core.values import value

Kind = Literal["task", "query"]
TASK_TIERS = ("simple", "medium", "complex", "multi-system")
QUERY_TIERS = ("simple", "medium", "complex", "expert")
MEDIUM = 1

_RUNGS: Mapping[str, int] = {**dict(zip(TASK_TIERS, range(4), strict=True)), "expert": 3}

TIER_WEIGHTS = {"simple": 2.0, "complex": 1.0, "multi-system": 1.5}  # spec A7, split over the group
BOOSTS = {"simplicity": 1.0, "complexity": 0.5}  # spec A7
BOOSTED = {"simplicity": ("simple",), "complexity": ("complex", "multi-system")}  # spec A7
SEVERAL_AGENTS = 1.0  # spec A7
HARD_PREVIOUS_TASK = 0.5  # spec A7
CONFIDENCE_PER_LEAD = 0.2  # spec A7

SURE = 0.6  # spec A7: below it the answer carries advice
LONG_TEXT_WORDS = 60  # ours: what A7 calls a long text
LENGTH_POINTS = ((50, 3), (20, 2), (10, 1))  # spec B1: more words than, points
FLOORS = (0, 2, 5, 8)  # spec B1: the fewest points of each query tier


@value
class Signal:
    """One reason for a verdict."""

    tier: str
    """The tier it speaks for; `simplicity` or `complexity` for a booster, `context`, `query`."""
    name: str
    matched: str
    """What was found in the text, or in the context."""
    weight: float
    """What it added, all its occurrences together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What is known about a request besides its text."""

    agent_count: int = 1
    previous_complexity: str | None = None
    history_length: int = 0
    turn_count: int = 0
    requires_retrieval: bool = False


@value
class Verdict:
    """How hard a text is taken to be."""

    tier: str
    confidence: float
    """Up to 1. By rules, from 0.5, a guess; learned, how likely the tier is taken to be."""
    source: Literal["detected", "given", "default"]
    kind: Kind = "task"
    nearness: tuple[float, ...] = (0.0,) * 4
    """How near the text came to each rung of the ladder."""
    signals: tuple[Signal, ...] = ()
    advice: str | None = None

    @property
    def probabilities(self) -> dict[str, float]:
        """The confidence for the tier; the other tiers share the rest by how near they came."""
        place = rung(self.tier)
        whole = sum(self.nearness) - self.nearness[place]
        rest = 1 - self.confidence
        return {
            tier_at(other, self.kind): self.confidence
            if other == place
            else rest * (near / whole if whole else 1 / 3)
            for other, near in enumerate(self.nearness)
        }


def rung(tier: str) -> int:
    """Place a tier on the ladder of four; `multi-system` and `expert` are the same rung."""
    try:
        return _RUNGS[tier]
    except KeyError:
        raise InvalidRequest(
            "Complexity must be simple, medium, complex, or multi-system (tasks) or expert"
            " (queries)."
        ) from None


def tier_at(rung: int, kind: Kind) -> str:
    """Name a rung as this kind of text calls it."""
    return (QUERY_TIERS if kind == "query" else TASK_TIERS)[rung]


def given(tier: str, kind: Kind) -> Verdict:
    """Take the caller's word; either name of the fourth tier will do."""
    return _verdict(rung(tier), kind, confidence=1.0, nearness=(0.0,) * 4, source="given")


def default(kind: Kind) -> Verdict:
    """Assume medium, where nothing says anything."""
    return _verdict(MEDIUM, kind, confidence=0.5, nearness=(0.0,) * 4, source="default")


def detect(text: str, kind: Kind, context: Context, signals: SignalTable) -> Verdict:
    """Judge a text by rules: those of A7 for tasks, the points of B1 for queries.

    A task has the tier with the highest score, and of equal scores the lower tier, so that doubt
    costs less budget; its confidence grows with the lead over the next score. Without any
    evidence, and for a blank task, it is medium. A query has the tier of its points; its
    confidence is 1 - 0.5 / d, d being the points that it would take to fall into another tier.
    """
    if kind == "query":
        return _judge_query(text, context)
    if not text.strip():
        return default(kind)
    return _judge_task(text, context, signals)


def _judge_task(text: str, context: Context, table: SignalTable) -> Verdict:
    scores = dict.fromkeys(TASK_TIERS, 0.0)
    reasons = []
    for signal, tiers in (*_heard(table.find(text)), *known(context)):
        reasons.append(signal)
        for tier in tiers:
            scores[tier] += signal.weight

    nearness = tuple([round(score, 9) for score in scores.values()])
    second, best = sorted(nearness)[2:]
    winner = nearness.index(best) if best > 0 else MEDIUM
    return _verdict(
        winner,
        "task",
        confidence=min(1.0, 0.5 + CONFIDENCE_PER_LEAD * (best - second)),
        nearness=nearness,
        signals=tuple(reasons),
        words=len(text.split()),
    )


def _heard(found: Iterable[Found]) -> Iterable[tuple[Signal, tuple[str, ...]]]:
    """Weigh what was found, with the tiers that each signal speaks for."""
    for hit in found:
        spec, count, matched = hit.spec, hit.count, hit.matched
        if spec.distinct:
            tools = {TOOL_OF.get(" ".join(word.lower().split()), word): word for word in hit.words}
            if len(tools) < 2:
                continue
            count, matched = 1, ", ".join(list(tools.values())[:2])
        if spec.tier in BOOSTED:
            weight = BOOSTS[spec.tier] if spec.weight is None else float(spec.weight)
            tiers = BOOSTED[spec.tier]
        else:
            share = TIER_WEIGHTS[spec.tier] / GROUPS[spec.tier]
            weight = count * (share if spec.weight is None else float(spec.weight))
            tiers = (spec.tier,)
        yield Signal(tier=spec.tier, name=spec.name, matched=matched, weight=weight), tiers


def known(context: Context) -> Iterable[tuple[Signal, tuple[str, ...]]]:
    """Weigh what the context says of a task."""
    if context.agent_count > 1:
        tier = TASK_TIERS[3]
        yield _fact(f"toward {tier}", f"{context.agent_count} agents", SEVERAL_AGENTS), (tier,)
    place = _RUNGS.get(context.previous_complexity or "", 0)
    if place > MEDIUM:
        tier = TASK_TIERS[place]
        yield _fact(f"toward {tier}", f"{tier} before", HARD_PREVIOUS_TASK), (tier,)


def _fact(name: str, matched: str, weight: float) -> Signal:
    return Signal(tier="context", name=name, matched=matched, weight=weight)


def _judge_query(text: str, context: Context) -> Verdict:
    words = len(text.split())
    signals = [
        Signal(tier="query", name=f"over {least} words", matched=f"{words} words", weight=points)
        for least, points in LENGTH_POINTS
        if words > least
    ][:1]
    signals.extend(
        Signal(tier="query", name=hit.spec.name, matched=hit.matched, weight=float(hit.spec.weight))
        for hit in QUERY_TABLE.find(text)
        if hit.spec.weight is not None
    )
    if context.history_length > 5:
        signals.append(_fact("long history", f"{context.history_length} turns", 1.0))
    if context.turn_count > 3:
        signals.append(_fact("long conversation", f"{context.turn_count} turns", 1.0))
    if context.requires_retrieval:
        signals.append(_fact("retrieval", "requires_retrieval", 2.0))

    points = round(sum(signal.weight for signal in signals))
    place = max(place for place, floor in enumerate(FLOORS) if points >= floor)
    gaps = [_gap(points, other) for other in range(4)]
    nearest = min(gap for other, gap in enumerate(gaps) if other != place)
    return _verdict(
        place,
        "query",
        confidence=1 - 0.5 / nearest,
        nearness=tuple(1 / gap if gap else 0.0 for gap in gaps),
        source="detected" if words else "default",
        signals=tuple(signals),
        words=words,
    )


def _gap(points: int, place: int) -> int:
    """Count the points between these and the nearest of a tier's; 0 inside it."""
    if points < FLOORS[place]:
        return FLOORS[place] - points
    return max(0, points - (FLOORS[place + 1] - 1)) if place < 3 else 0


def _verdict(
    place: int,
    kind: Kind,
    *,
    confidence: float,
    nearness: tuple[float, ...],
    source: Literal["detected", "given", "default"] = "detected",
    signals: tuple[Signal, ...] = (),
    words: int = 0,
) -> Verdict:
    return Verdict(
        tier=tier_at(place, kind),
        confidence=confidence,
        source=source,
        kind=kind,
        nearness=nearness,
        signals=signals,
        advice=advise(place, confidence=confidence, words=words, heard=bool(signals)),
    )


def advise(place: int, *, confidence: float, words: int, heard: bool) -> str | None:
    """A sentence beside a verdict that is not sure, or unlikely."""
    if confidence < SURE and not heard:
        return "Nothing here says how hard this is; give `complexity` if you know."
    if confidence < SURE:
        return "The signals are weak or contradict each other; give `complexity` if you know."
    if place == 0 and words > LONG_TEXT_WORDS:
        return f"A text of {words} words came out simple; give `complexity` if it is not."
    return None
