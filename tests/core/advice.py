"""Make the evidence, grants and policy that tests of recommendations need."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from app.core.grants import Grant, ladder_of
from app.core.policy_documents import layers_for
from app.core.policybook import PolicyBook
from app.core.profiles import Tuning
from app.core.recommending import Evidence, Ruling, evidence_of, rule
from app.core.usage import Cell, UsageEvent, fold_hours
from app.presets.loader import shipped
from tests.core.runs import run

SHIPPED = shipped()
AGENT = "specialists/dbt-expert"


def book(workspace: str = "default", **stored: Mapping[str, Any]) -> PolicyBook:
    """What ships, with documents over it."""
    layers = layers_for(workspace, shipped=SHIPPED, stored=stored)
    return PolicyBook.compile(layers, workspace=workspace, version=1)


BOOK = book()
LADDER = ladder_of(BOOK)
TUNING: Tuning = BOOK.tuning


def grant(profile: str = "specialist-broad", **changes: Any) -> Grant:
    """What an agent of a shipped profile gets, with changes."""
    found = next(one for one in LADDER if one.profile == profile)
    return Grant(
        **{
            "profile": found.profile,
            "base": found.base,
            "ceiling": found.ceiling,
            "weights": found.weights,
            **changes,
        }
    )


def weights(**shares: str) -> dict[str, Decimal]:
    """Weights by scope."""
    return {name: Decimal(share) for name, share in shares.items()}


def evidence_from(events: list[UsageEvent]) -> Evidence:
    """The evidence of the runs of one agent, by way of cells as the service keeps them."""
    cell, scopes = Cell(), dict[str, int]()
    for (family, _, _, _, key, _), found in fold_hours(events).items():
        if family == "run":
            cell.add(found)
        elif family == "scope":
            scopes[key] = scopes.get(key, 0) + found.used + found.unbudgeted
    return evidence_of(cell, scopes)


def used(*tokens: int, budget: int = 1_000, scopes: Mapping[str, int] | None = None) -> Evidence:
    """The evidence of runs that used so many tokens, and of scopes over all of them."""
    events = [run(str(number), used=one, budget=budget) for number, one in enumerate(tokens)]
    found = evidence_from(events)
    return Evidence(
        **{name: getattr(found, name) for name in Evidence.__slots__ if name != "scopes"},
        scopes=dict(scopes or {}),
    )


def ruled(evidence: Evidence, current: Grant | None = None) -> Ruling:
    """What the rules say of an agent of `specialist-broad`, under the shipped profiles."""
    return rule(evidence, current or grant(), LADDER, TUNING)
