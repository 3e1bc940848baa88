"""Score files of a memory tree for an agent as the original loader did (spec A10)."""

from collections.abc import Collection
from math import log10

RECENCY_SHARE = 0.3
USAGE_SHARE = 0.3
CONTEXT_SHARE = 0.4
OWN_BONUS = 0.3
"""For files of the agent itself."""

UNKNOWN_RECENCY = 0.5
STALE_DAYS = 30
OLD_DAYS = 90

CONTEXT_BASE = 0.5
AGENT_MATCH = 0.3
TECHNOLOGY_MATCH = 0.05
MOST_FOR_TECHNOLOGIES = 0.2
TASK_TYPE_MATCH = 0.2
KEYWORD_MATCH = 0.05
MOST_FOR_KEYWORDS = 0.15


def original_score(
    *,
    path: str,
    text: str,
    agent: str,
    own: bool,
    technologies: Collection[str] = (),
    task_type: str | None = None,
    keywords: Collection[str] = (),
    age_days: float | None = None,
    access_count: int = 0,
) -> float:
    """The original's score, 0–1: recency, usage and context, more for the agent's own files.

    `agent` is the name without its type; `age_days` are days since last use, None if unknown.
    Technologies, task type and keywords count where they stand in the text, whatever their case.
    """
    context = context_match(
        path=path,
        text=text,
        agent=agent,
        technologies=technologies,
        task_type=task_type,
        keywords=keywords,
    )
    score = (
        RECENCY_SHARE * recency(age_days)
        + USAGE_SHARE * usage(access_count)
        + CONTEXT_SHARE * context
        + (OWN_BONUS if own else 0.0)
    )
    return min(1.0, score)


def recency(age_days: float | None) -> float:
    """1 today, falling to 0.5 at 30 days and to 0.1 at 90; 0.5 where it is unknown."""
    if age_days is None:
        return UNKNOWN_RECENCY
    days = max(0.0, age_days)
    if days <= STALE_DAYS:
        return 1.0 - 0.5 * days / STALE_DAYS
    return max(0.1, 0.5 - 0.4 * (days - STALE_DAYS) / (OLD_DAYS - STALE_DAYS))


def usage(access_count: int) -> float:
    """0.3 for what was never used, then 0.5 and more, at most 1."""
    if access_count <= 0:
        return 0.3
    return min(1.0, 0.5 + log10(access_count) / 4)


def context_match(
    *,
    path: str,
    text: str,
    agent: str,
    technologies: Collection[str] = (),
    task_type: str | None = None,
    keywords: Collection[str] = (),
) -> float:
    """How well a file goes with an agent and its task, 0.5–1."""
    lowered = text.lower()
    match = CONTEXT_BASE
    if agent and agent.lower() in path.lower():
        match += AGENT_MATCH
    match += min(MOST_FOR_TECHNOLOGIES, TECHNOLOGY_MATCH * _standing(technologies, lowered))
    if task_type and task_type.lower() in lowered:
        match += TASK_TYPE_MATCH
    match += min(MOST_FOR_KEYWORDS, KEYWORD_MATCH * _standing(keywords, lowered))
    return min(1.0, match)


def _standing(words: Collection[str], lowered: str) -> int:
    return sum(word.lower() in lowered for word in words)
