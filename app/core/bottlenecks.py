"""Say how bad a share of all time is, and what makes operations of a type faster."""

from collections.abc import Mapping
from typing import Literal

Severity = Literal["low", "medium", "high", "critical"]

SEVERITIES: tuple[tuple[float, Severity], ...] = (
    (50.0, "critical"),
    (30.0, "high"),
    (15.0, "medium"),
    (0.0, "low"),
)
"""From how many per cent of all measured time; chosen by us."""

ADVICE: Mapping[str, str] = {
    "llm_call": "send less context (ContextMinifier), take a faster model, or keep the answers",
    "stage": "look at what is measured inside it, and let its parts run side by side",
    "memory": "load several memories with one call, or keep them in this process",
    "retrieval": "ask for fewer results, keep those of equal questions, or search an index",
    "embedding": "embed several texts with one call, and keep the vectors of equal texts",
    "tool_call": "keep results that do not change, and give it a time-out",
    "io": "let it wait beside other work (asynchronously or in a thread)",
    "computation": "profile it line by line, or let processes share it",
}
ANY_ADVICE = "measure what is inside it to see where its time goes"


def severity_of(share_pct: float) -> Severity:
    """How bad a share of all time is."""
    return next(severity for least, severity in SEVERITIES if share_pct >= least)


def advice_for(kind: str) -> str:
    """What usually makes operations of a type faster."""
    return ADVICE.get(kind, ANY_ADVICE)


def pct(part: float, whole: float) -> float:
    """Per cent of a whole, 0 of nothing."""
    return 100.0 * part / whole if whole > 0 else 0.0
