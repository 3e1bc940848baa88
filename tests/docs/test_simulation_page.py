"""The page on simulation says what a replay does."""

import re
from typing import get_args

from app.commands.simulating import WHY_KEPT
from app.core.replaying import Reason
from app.core.simulation import Runs, replay, total
from tests.data import REPOSITORY

PAGE = (REPOSITORY / "docs" / "simulation.md").read_text(encoding="utf-8")


def test_the_examples_of_the_page_come_out_as_it_says() -> None:
    row = r"(?m)^\| (\d+) \| (\d+) \| (\d+|–) \| (\d+) \| (\d+) \| (.+) \|$"
    examples = re.findall(row, PAGE)
    assert len(examples) == 5
    for budget, used, needed, tried, uses, outcome in examples:
        demand = None if needed == "–" else int(needed)
        run = Runs(agent="a", budget=int(budget), used=int(used), needed=demand)
        cell = total(replay([run], lambda _, tried=int(tried): tried).simulated)  # type: ignore[misc]
        assert cell.used == int(uses)
        assert bool(cell.exceeded) == outcome.startswith("exceeded")
        assert bool(cell.unmet) == outcome.startswith("unmet")


def test_every_reason_to_keep_a_budget_is_explained_on_the_page_and_by_the_command() -> None:
    reasons = re.findall(r"(?m)^\| `(\w+)` \| ", PAGE.partition("`kept` counts")[2])
    assert tuple(reasons) == get_args(Reason)
    assert set(WHY_KEPT) == set(reasons)
