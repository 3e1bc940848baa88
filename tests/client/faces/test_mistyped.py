"""Commands that are given something broken or misspelt: what is good counts, the rest is said."""

import json
from pathlib import Path

import pytest

from membudget import Client
from membudget.commands import output
from tests.client.faces.typing_in import Shell


def test_lines_that_are_no_loads_are_named_and_the_others_booked(
    service: str, shell: Shell
) -> None:
    said = shell(
        "membudget monitor typist 1000 -w typing --json", "global 500\nglob 3x\n\nown: 30\n"
    )
    assert said.code == output.FAILED
    found = json.loads(said.out)
    assert found["loaded"] == 530
    assert [(one["line"], one["text"]) for one in found["skipped"]] == [(2, "glob 3x")]
    assert "Left out line 2 ('glob 3x'): a load is written scope=tokens" in said.err
    with Client(service) as client:
        (event,) = client.usage(workspace="typing")
    assert event.used_tokens == 530
    said = shell("membudget monitor typist 1000 -w typing", "nothing of this\nis a load")
    assert (said.code, "nothing is booked" in said.err) == (output.FAILED, True)
    with Client(service) as client:
        assert len([*client.usage(workspace="typing")]) == 1


@pytest.mark.parametrize("broken", ["{broken", "", '{"some": "thing"}'])
def test_a_log_is_known_though_its_first_lines_are_broken(
    service: str, tree: Path, shell: Shell, broken: str
) -> None:
    whole = (tree.parent / "cache" / "budget-usage.jsonl").read_text()
    Path("log.txt").write_text(f"{broken}\n{broken}\n{whole}")
    said = shell(f"membudget import log.txt -w first-{len(broken)} --json")
    found = json.loads(said.out)
    assert found["imported"] == 3
    assert [one["line"] for one in found["refused"]] == ([1, 2] if broken else [])
    assert said.code == (output.FAILED if broken else 0)


def test_memories_and_policy_are_known_by_their_names(
    service: str, desk: Path, shell: Shell
) -> None:
    Path("notes").write_text('{oops\n{"text": "Nightly runs start at two."}\n')
    said = shell("membudget import notes -w named --json")
    assert (json.loads(said.out)["imported"], said.code) == (1, 0)
    for name, line in (
        ("memories.json", "export memories -w named"),
        ("workspaces.json", "export workspaces"),
        ("profiles.json", "export profiles"),
    ):
        assert shell(f"membudget {line} --json -o {name}").code == 0
        said = shell(f"membudget import {name} -w named")
        assert said.code == 0, (name, said.err)
        assert "true" not in said.out


def test_a_misspelt_agent_is_said(service: str, tree: Path, shell: Shell) -> None:
    said = shell("membudget load --agent dbt-exprt --task 'Analyze dbt model performance'")
    assert said.code == 0
    assert "loading for specialists/dbt-expert; nobody is called 'dbt-exprt'" in said.err
    assert "Profile: specialist-narrow | Complexity: complex | Budget: 30,000" in said.out
    said = shell("membudget load --agent depeteh --json")
    assert said.code == 0
    assert "Agent 'depeteh' not found" in said.err
    assert "Loading as for an agent that is new" in said.err


@pytest.mark.parametrize("word", ["quit", "exit", "Q", " q "])
def test_questions_end_with_a_word_or_with_the_input(service: str, shell: Shell, word: str) -> None:
    said = shell(
        "membudget detect --interactive", f"List all dbt models\n{word}\nList all dbt models"
    )
    assert (said.code, said.out.count("confidence,")) == (0, 1)
    said = shell("membudget detect --interactive", "List all dbt models\nquit the service\n")
    assert (said.code, said.out.count("confidence,")) == (0, 2)


def test_the_version_says_when_nobody_answers(away: str, shell: Shell) -> None:
    said = shell("membudget version")
    assert said.code == output.UNAVAILABLE
    assert said.out.startswith("Client")
    assert "MEMBUDGET_URL" in said.err
    said = shell("membudget version --json")
    assert (said.code, json.loads(said.out)["service"]) == (output.UNAVAILABLE, None)
