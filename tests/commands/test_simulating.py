"""`membudget-server simulate` asks the service, shows a bar, and prints what it was told."""

import json
from pathlib import Path

import httpx
import pytest

from app.commands.simulating import read_multipliers, read_policy_file
from app.commands.trouble import MISUSED, Trouble
from tests.api.test_usage import RUN
from tests.commands.running import run
from tests.running import served


def fill(url: str, count: int) -> None:
    body = [{**RUN, "used_tokens": 12_000} for _ in range(count)] + [{**RUN, "budget_tokens": None}]
    assert httpx.post(f"{url}/usage", json=body).status_code == 201


def test_figures_and_agents_are_shown_through_the_service_or_without_it(
    database_url: str, tmp_path: Path
) -> None:
    asked = ("simulate", "--days", "2", "--multiplier", "medium=0.5")
    with served(database_url, tmp_path) as service:
        fill(service.url, 30)
        beside = run(*asked, database_url=database_url)
    alone = run(*asked, "--agent", "dbt-expert", database_url=database_url)
    for done in (beside, alone):
        assert done.returncode == 0, done.stderr
        assert "30 runs of " in done.stdout
        assert "1 without a budget are left out" in done.stdout
        assert "specialists/dbt-expert" in done.stdout
        assert done.stderr == ""
        assert "-300,000" in done.stdout  # 30 budgets of 20,000 become 10,000
        assert "100.0 %" in done.stdout
    whole = run(*asked, "--json", database_url=database_url)
    found = json.loads(whole.stdout)
    assert found["difference"]["exceeded"] == 30
    assert found["simulated"]["tokens"]["budget"] == 300_000


def test_a_policy_file_of_either_kind_is_tried_and_not_kept(
    sqlite_url: str, tmp_path: Path
) -> None:
    as_yaml, as_json = tmp_path / "p.yaml", tmp_path / "p.json"
    as_yaml.write_text("agent_assignments:\n  specialists/dbt-expert: role-architect\n")
    as_json.write_text('{"agent_assignments": {"specialists/dbt-expert": "role-architect"}}')
    with served(sqlite_url, tmp_path) as service:
        fill(service.url, 3)
        for file in (as_yaml, as_json):
            done = run(
                "simulate", "--policy", str(file), "--hard", "--json", database_url=sqlite_url
            )
            assert json.loads(done.stdout)["simulated"]["tokens"]["budget"] == 3 * 75_000
        agents = httpx.get(f"{service.url}/agents/specialists/dbt-expert").json()
        assert agents["profile"] == "specialist-narrow"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--profile", "specialist-brod"), "specialist-broad"),
        (("--multiplier", "hard=1"), "multipliers"),
        (("--profile", "role-architect", "--multiplier", "simple=1"), "only one of"),
        (("--workspace", "a/b"), "workspace"),
    ],
)
def test_what_the_service_refuses_is_told_in_a_line(
    sqlite_url: str, words: tuple[str, ...], said: str
) -> None:
    done = run("simulate", *words, database_url=sqlite_url)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("typed", ["complex", "complex=", "complex=much", "=", ""])
def test_a_multiplier_that_is_none_is_refused(typed: str) -> None:
    with pytest.raises(Trouble) as trouble:
        read_multipliers([typed])
    assert trouble.value.code == MISUSED


def test_multipliers_are_read_and_none_are_none() -> None:
    assert read_multipliers(["complex=1.25", "simple = 0"]) == {"complex": 1.25, "simple": 0.0}
    assert read_multipliers([]) is None


@pytest.mark.parametrize("content", [b"\xff\xfe", b"{", b"a: [", b"a: 1\na: 2", b"a: &x 1"])
def test_a_policy_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "policy.yaml"
    file.write_bytes(content)
    with pytest.raises(Trouble, match=r"policy\.yaml"):
        read_policy_file(file)
    with pytest.raises(Trouble, match="absent"):
        read_policy_file(tmp_path / "absent.yaml")
