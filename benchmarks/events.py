"""Make up usage events: 200 agents with habits of their own, over the last days."""

import json
import random
from datetime import datetime

from load import MOMENT, NUMBER

AGENTS = 200
TIERS = ("simple", "medium", "complex", "multi-system")
PROFILES = ("specialist-narrow", "specialist-broad", "role-coordinator", "role-architect")
BASES = (20_000, 35_000, 50_000, 75_000)
MULTIPLIERS = (50, 100, 150, 200)


def figures(number: int) -> tuple[str, str, str, int, int, dict[str, int]]:
    """Agent, tier, profile, budget, used tokens and scopes of the event of a number."""
    chance = random.Random(number)
    agent = chance.randrange(AGENTS)
    tier = chance.randrange(4)
    budget = BASES[agent % 4] * MULTIPLIERS[tier] // 100
    used = int(budget * min(1.3, abs(chance.gauss(0.4 + agent % 5 * 0.1, 0.15))))
    scopes = {"global": used // 5, "agent_recent": used * 3 // 10}
    scopes["agent_patterns"] = used - sum(scopes.values())
    return f"specialists/agent-{agent:03}", TIERS[tier], PROFILES[agent % 4], budget, used, scopes


def template(number: int, *, at: datetime | None = None) -> str:
    """The JSON of one event of `POST /usage`, with room for its number in the id, and for the
    moment at which it is sent, unless it is given."""
    agent, tier, _, budget, used, scopes = figures(number)
    event = {
        "id": f"bench-{NUMBER.decode()}",
        "timestamp": MOMENT.decode() if at is None else at.isoformat(),
        "agent": agent,
        "task": "Analyze slow queries of the finance marts",
        "complexity": tier,
        "budget_tokens": budget,
        "used_tokens": used,
        "scopes": scopes,
        "duration_seconds": 1.5,
        "success": True,
    }
    return json.dumps(event)


def singles(count: int = 500) -> tuple[str, ...]:
    """Bodies of one event each."""
    return tuple(template(number) for number in range(count))


def batches(size: int, count: int = 8) -> tuple[str, ...]:
    """Bodies of `size` events each."""
    return tuple(
        "[" + ",".join(template(first * size + n) for n in range(size)) + "]"
        for first in range(count)
    )
