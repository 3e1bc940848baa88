"""`membudget costs` and `membudget tokens`: the figures of the service, and what is not in them."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from membudget import Client
from membudget.commands import output
from tests.client.faces.typing_in import Shell


@pytest.fixture
def home(request: pytest.FixtureRequest, service: str) -> str:
    """A workspace in which two stages of two agents were spent on, one of them long ago."""
    name = f"spending-{abs(hash(request.node.nodeid)) % 10**12}"
    now = datetime.now(UTC)
    calls = [
        ("writer", "gpt-4o", 1_000_000, "draft", now),
        ("writer", "gpt-4o-mini", 1_000_000, "plan", now),
        ("editor", "gpt-4o", 400_000, None, now - timedelta(days=20)),
        ("editor", "nobody-knows", 5, "draft", now),
    ]
    with Client(service, workspace=name) as client:
        for agent, model, tokens, stage, at in calls:
            client.track(
                agent=agent,
                used_tokens=0,
                model=model,
                input_tokens=tokens,
                output_tokens=0,
                stage=stage,
                timestamp=at,
            )
    return name


def test_costs_are_shown_the_dearest_first(shell: Shell, home: str) -> None:
    said = shell(f"membudget costs -w {home} --by stage")
    assert (said.code, said.err) == (0, "")
    rows = [line.split() for line in said.out.splitlines()]
    assert rows[0] == ["Stage", "USD", "Calls", "Input", "Output"]
    assert [(row[0], row[1], row[2]) for row in rows[1:4]] == [
        ("draft", "2.5", "2"),
        ("(none)", "1", "1"),
        ("plan", "0.15", "1"),
    ]
    assert "3.65 USD in 4 calls" in said.out
    assert "1 of them have no known price" in said.out


def test_costs_are_those_of_the_agent_and_days_asked_for(shell: Shell, home: str) -> None:
    def total(options: str) -> Decimal:
        said = shell(f"membudget costs -w {home} --json {options}")
        assert said.code == 0
        return Decimal(json.loads(said.out)["total_usd"])

    assert total("") == Decimal("3.65")
    assert total("--agent editor") == 1
    assert total("--days 2") == Decimal("2.65")
    assert total("--days 2 --agent editor") == 0


def test_costs_of_nothing_are_told(service: str, shell: Shell) -> None:
    said = shell("membudget costs -w nobody-s")
    assert (said.code, said.out) == (output.FAILED, "")
    assert "No usage is booked" in said.err
    said = shell("membudget costs -w nobody-s --json")
    assert said.code == output.FAILED
    assert json.loads(said.out)["items"] == []
    wrong = shell("membudget costs --by colour")
    assert wrong.code == output.USAGE
    assert "stage, model, agent, user, project, day" in wrong.err


def test_tokens_are_counted_and_their_exactness_said(service: str, shell: Shell) -> None:
    assert shell("membudget tokens 'hello world'").out == "2 tokens (exact, cl100k_base)\n"
    assert "o200k_base" in shell("membudget tokens hi --model gpt-4o").out
    assert shell("membudget tokens", given="hello world\n").out.startswith("3 tokens")
    assert shell("membudget tokens ''").out.startswith("0 tokens")
    assert shell("membudget tokens hello").out.startswith("1 token (")
    guessed = shell("membudget tokens hello --model claude-sonnet-4-5")
    assert "heuristic" in guessed.out
    found = json.loads(shell("membudget tokens 'hello world' --json").out)
    assert (found["total"], found["items"][0]["exactness"]) == (2, "exact")
