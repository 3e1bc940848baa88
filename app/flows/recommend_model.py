"""Recommend the cheapest model that is good enough, within what a budget has left."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.core.errors import NotFound
from app.core.model_choice import GRADES, Candidate, Choice, Grade, choose
from app.core.pricing import Counts, Service
from app.core.spending import Spender, Standing, binding, covers
from app.store.cost_budgets import read_budgets
from app.store.costshelf import CostShelf
from app.store.database import Store, Tx
from app.store.standings import read_standings


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelQuestion:
    """What is to be called, how good it must be, and what may be spent."""

    workspace: str
    counts: Counts
    service: Service
    quality: Grade
    budget: str | None
    """The name of a budget in USD."""
    limit: int | None
    """Nano-USD for this call."""
    spender: Spender
    at: int


async def recommend_model(
    store: Store, costs: CostShelf, grades: Mapping[str, Grade], question: ModelQuestion
) -> Choice:
    """The model to use, and why the others were not chosen. Errors: NotFound of a budget."""
    standing = None
    if question.budget is not None:
        standing = await store.read(lambda tx: _tightest(tx, question))

    candidates = [
        Candidate(
            model=model,
            grade=grade,
            price=costs.price(question.workspace, model, question.at, question.service),
        )
        for model, grade in _graded(costs, grades, question.workspace).items()
    ]
    left = [question.limit] if question.limit is not None else []
    if standing is not None:
        left.append(standing.remaining)

    return choose(
        candidates,
        question.counts,
        quality=question.quality,
        remaining=min(left, default=None),
        budget=None if standing is None else standing.budget.name,
    )


def _graded(costs: CostShelf, grades: Mapping[str, Grade], workspace: str) -> Mapping[str, Grade]:
    """The models that may be recommended: those that ship, and those that the workspace grades."""
    graded = {model.lower(): (model, grade) for model, grade in grades.items()}
    for name, (_, override) in costs.overrides(workspace).items():
        grade = next((one for one in GRADES if one == override.quality), None)
        if grade is not None:
            graded[name] = (override.model, grade)
    return dict(graded.values())


def _tightest(tx: Tx, question: ModelQuestion) -> Standing:
    """Of the budget that is named and those that apply beside it, the one with the least left."""
    budgets = read_budgets(tx, question.workspace)
    named = [one for one in budgets if one.name == question.budget]
    if not named:
        raise NotFound("No budget in USD of this name in this workspace (GET /costs/budgets).")
    others = [one for one in budgets if one not in named and covers(one, question.spender)]
    return binding(
        read_standings(
            tx,
            question.workspace,
            [*named, *others],
            at=question.at,
            run_id=question.spender.run_id,
        )
    )
