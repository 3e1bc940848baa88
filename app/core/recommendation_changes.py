"""Say what applying a recommendation changes in a policy document, and how that is taken back."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.core.errors import Conflict
from app.core.grants import Grant, grant_of, ladder_of
from app.core.policy_changes import Edit, put
from app.core.policy_documents import Document, Layer
from app.core.policybook import PolicyBook
from app.core.recommendation_data import grant_data
from app.core.recommendations import Recommendation

SECTION = "agent_assignments"


class RecommendationNotOpen(Conflict):
    """The recommendation was applied, dismissed, rolled back or superseded already."""

    code = "recommendation_not_open"


class RecommendationNotApplied(Conflict):
    """Only what was applied can be rolled back."""

    code = "recommendation_not_applied"


class RecommendationOutdated(Conflict):
    """The policy has changed since: run the recommendations again."""

    code = "recommendation_outdated"


class NothingToApply(Conflict):
    """The recommendation proposes no change."""

    code = "nothing_to_apply"


def require_open(recommendation: Recommendation) -> None:
    """Refuse what was decided already. Errors: RecommendationNotOpen."""
    status = recommendation.status
    if status != "open":
        raise RecommendationNotOpen(
            f"This recommendation is {status}: only an open one can be decided."
            " GET /recommendations?status=open lists those.",
            current_status=status,
        )


def application(
    recommendation: Recommendation, own: Document, below: Sequence[Layer]
) -> tuple[Any, Edit]:
    """The agent's new assignment as plain data, and the edit that states it.

    `own` and `below` are what holds now. Errors: RecommendationNotOpen, NothingToApply;
    RecommendationOutdated where the agent has another policy by now, or the profile proposed is
    another one or gone.
    """
    require_open(recommendation)
    proposed = recommendation.proposed
    if proposed is None:
        raise NothingToApply(
            f"This recommendation ({recommendation.action}) proposes no change,"
            " so there is nothing to apply; it can be dismissed."
        )
    workspace, agent = recommendation.workspace, recommendation.agent
    book = PolicyBook.compile(
        (*below, Layer(workspace=workspace, document=own)), workspace=workspace, version=0
    )
    if not _is_same(grant_of(book, agent), recommendation.current):
        raise RecommendationOutdated(
            "The agent has another policy than the one that this recommendation is about;"
            " POST /recommendations/run makes a new one."
        )
    if not any(_is_same_profile(grant, proposed) for grant in ladder_of(book)):
        raise RecommendationOutdated(
            "The profile proposed has been changed or deleted since;"
            " POST /recommendations/run makes a new recommendation."
        )
    entry = assignment_of(proposed)
    return entry, put(SECTION, agent, entry)


def take_back(recommendation: Recommendation, own: Document) -> Edit:
    """The edit that makes the agent's assignment what it was before, and leaves all else.

    Errors: RecommendationNotApplied; RecommendationOutdated where the assignment has been changed
    since.
    """
    deed, agent = recommendation.deed, recommendation.agent
    if recommendation.status != "applied" or deed is None:
        raise RecommendationNotApplied(
            f"This recommendation is {recommendation.status}: only an applied one can be"
            " rolled back.",
            current_status=recommendation.status,
        )
    stated, entry = stated_in(own, agent)
    if not stated or entry != deed.after:
        raise RecommendationOutdated(
            "The agent's assignment has been changed since this was applied, so it is left as it"
            " is; change it with PUT /agents/{type}/{name}, or DELETE it."
        )
    if deed.was_stated:
        return put(SECTION, agent, deed.before)
    return lambda own, below: _without(own, agent)


def assignment_of(grant: Grant) -> Any:
    """A grant as the assignment of an agent: the profile, and weights of the agent's own."""
    if not grant.is_own:
        return grant.profile
    weights = {name: float(weight) for name, weight in grant.weights.items()}
    return {"profile": grant.profile, "scope_weights": weights}


def stated_in(own: Document, agent: str) -> tuple[bool, Any]:
    """Whether a document states something about an agent (null: it has no profile), and what."""
    section: Mapping[str, Any] = own.get(SECTION) or {}
    return agent in section, section.get(agent)


def _without(own: Document, agent: str) -> Document:
    kept = {name: entry for name, entry in (own.get(SECTION) or {}).items() if name != agent}
    rest = {key: section for key, section in own.items() if key != SECTION}
    return {**own, SECTION: kept} if kept else rest


def _is_same(one: Grant, other: Grant) -> bool:
    return grant_data(one) == grant_data(other)


def _is_same_profile(one: Grant, other: Grant) -> bool:
    return (one.profile, one.base, one.ceiling) == (other.profile, other.base, other.ceiling)
