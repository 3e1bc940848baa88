"""CPU of choosing memories, value against the optimum, and texts within their budgets."""

import statistics
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

from harness import Limits, arguments

from app.core.budgets import Room
from app.core.memory import Candidate
from app.core.packing import Selection, select
from app.core.rendering import Format
from app.core.scoring import Score
from app.gateways.tokens import TokenCounter

NOW = datetime(2026, 3, 14, tzinfo=UTC)
WEIGHTS = {"global": "0.4", "agent_recent": "0.3", "agent_patterns": "0.2", "task": "0.1"}
FORMATS: tuple[Format, ...] = ("markdown", "xml", "json")
BUDGETS = (500, 1000, 2000, 8000)

# Milliseconds of CPU: the bar and the goal for each number of candidates.
LIMITS = {300: (5.0, 1.0), 10_000: (100.0, 50.0)}

PASSAGES = (
    "Caroline went to the support group yesterday, and it was powerful. ",
    "会议改到下周二,请带上合同。",
    "كان الاجتماع طويلا ",
    "👩‍👩‍👧‍👦🏳️‍🌈🦜 ",
    "def f(x):\n\treturn [y ** 2 for y in x if y & 1]\n\n",
    "# Heading\n\n```python\nprint('<b>')\n```\n",
    " \t\n\n   ",
    '</memory>\x0b & ]]> \\u0000 "quoted" ',
)


def main() -> int:
    """Print the figures and judge those that have a bar."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--packs", type=int, default=10_000, help="rendered packs")
    run = parser.parse_args()
    limits = Limits("Choosing memories: CPU of one selection")
    for size, (bar, goal) in LIMITS.items():
        for how in ("max_tokens", "soft", "rigid"):
            cost = speed(size, how, repeats=max(3, 6000 // size))
            limits.judge(f"{size:,} candidates, {how}: median", cost[0], "ms", bar=bar, goal=goal)
            limits.show(f"{size:,} candidates, {how}: worst", cost[1], "ms")
    print()
    for kind in ("turns", "documents", "weight and value alike", "value by weight"):
        short, gap = against_exact(kind)
        limits.judge(f"{kind}: below the optimum, worst", short, "% ", bar=1.0, goal=0.2)
        limits.show(f"{kind}: gap_pct, median", gap, "% ")
    print()
    over, filled, cost = rendered(run.packs)
    limits.judge(f"{run.packs:,} rendered packs: over their budget", over, "  ", bar=0, goal=0)
    limits.show("share of the budget used where more was there", 100 * filled, "% ")
    limits.show("CPU of one", cost, "ms")
    return int(limits.failed)


def offer(kind: str, size: int, chance: Random) -> tuple[list[Candidate], list[Score]]:
    """Candidates of one kind with their scores."""
    names = [*WEIGHTS]
    candidates, scores = [], []
    for number in range(size):
        if kind == "turns":
            tokens, value = int(chance.lognormvariate(3.1, 0.6)) + 1, chance.random() ** 4
        elif kind == "documents":
            tokens, value = int(chance.lognormvariate(6, 0.8)) + 50, chance.random()
        else:
            tokens = chance.randint(10, 1000)
            value = (tokens + (100 if kind == "weight and value alike" else 0)) / 1200
        candidates.append(
            Candidate(id=f"m{number}", tokens=tokens, scope=names[chance.randrange(4)])
        )
        scores.append(Score(total=max(value, 1e-6), relevance=value, importance=0, freshness=0))
    return candidates, scores


def choose(
    candidates: Sequence[Candidate], scores: Sequence[Score], budget: int, how: str
) -> Selection:
    """The selection without rooms, in soft or in rigid ones."""
    rooms = [
        Room(name=name, weight=Decimal(weight), tokens=int(budget * float(weight)))
        for name, weight in WEIGHTS.items()
        if how != "max_tokens"
    ]
    return select(candidates, scores, rooms, budget=budget, rigid=how == "rigid", now=NOW)


def speed(size: int, how: str, *, repeats: int) -> tuple[float, float]:
    """Median and worst milliseconds of CPU."""
    costs = []
    for number in range(repeats):
        candidates, scores = offer("turns", size, Random(number))
        started = time.process_time()
        choose(candidates, scores, BUDGETS[number % len(BUDGETS)], how)
        costs.append(1000 * (time.process_time() - started))
    return statistics.median(costs), max(costs)


def against_exact(kind: str) -> tuple[float, float]:
    """Per cent below the optimum at worst, and the median of the gap that is told."""
    worst, gaps = 0.0, []
    for number in range(12):
        candidates, scores = offer(kind, (30, 100)[number % 2], Random(number))
        budget = (1500, 4000)[number % 3 % 2]
        selection = choose(candidates, scores, budget, "max_tokens")
        best = optimum(candidates, scores, budget)
        assert selection.upper_bound is not None
        assert selection.upper_bound >= best - 1e-9, "a bound below the optimum"
        worst = max(worst, 100 * (1 - selection.value / best))
        gaps.append(selection.gap_pct or 0.0)
    return worst, statistics.median(gaps)


def optimum(candidates: Sequence[Candidate], scores: Sequence[Score], budget: int) -> float:
    """The greatest total score, by the table of all budgets."""
    best = [0.0] * (budget + 1)
    for candidate, score in zip(candidates, scores, strict=True):
        for room in range(budget, candidate.tokens - 1, -1):
            best[room] = max(best[room], best[room - candidate.tokens] + score.total)
    return best[budget]


def rendered(packs: int) -> tuple[int, float, float]:
    """Texts over their budget, mean share of the budget used, and milliseconds of CPU."""
    counter = TokenCounter()
    counter.count("")
    chance = Random(3)
    over, shares = 0, []
    started = time.process_time()
    for number in range(packs):
        candidates = [memory(f"m{at}", chance, counter) for at in range(chance.randint(1, 30))]
        scores = [
            Score(total=chance.random() + 1e-6, relevance=0, importance=0, freshness=0)
            for _ in candidates
        ]
        budget = chance.choice((0, 20, 100, 300, 1000))
        selection = select(
            candidates,
            scores,
            [Room(name="global", weight=Decimal("0.5"), tokens=budget // 2)],
            budget=budget,
            rigid=False,
            now=NOW,
            render=FORMATS[number % 3],
            count=counter.count,
        )
        tokens = counter.count(selection.context or "")
        over += tokens > budget or selection.tokens > budget
        if budget >= 300 and selection.dropped:
            shares.append(tokens / budget)
    cost = 1000 * (time.process_time() - started) / packs
    return over, statistics.fmean(shares) if shares else 0.0, cost


def memory(id: str, chance: Random, counter: TokenCounter) -> Candidate:
    """One of any kind: some too large for all budgets, some with tokens that lie."""
    times = chance.choice((1, 1, 2, 4, 8, 300)) if chance.random() < 0.3 else 2
    text = "".join(chance.choice(PASSAGES) for _ in range(times))
    return Candidate(
        id=id,
        tokens=chance.randint(0, 99) if chance.random() < 0.1 else counter.count(text),
        text=text,
        path=f"patterns/{id}.md" if chance.random() < 0.2 else None,
        session=chance.choice((None, "s1", "s2")),
        speaker=chance.choice((None, "Ann", "Bob")),
        created_at=NOW - timedelta(hours=chance.randrange(400)),
        pinned=chance.random() < 0.05,
    )


if __name__ == "__main__":
    sys.exit(main())
