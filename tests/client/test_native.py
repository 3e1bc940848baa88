"""Say what the native clients do while the service is there: both of them, in the same words."""

import json
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from membudget import BudgetExceeded, Client, UnknownAgent, errors
from tests.client.both import face
from tests.running import Served

TASK = "Analyze dbt model performance"


@pytest.fixture
def client(kind: str, shared_service: Served, workspace: str) -> Any:
    with face(kind, shared_service.url, workspace=workspace) as found:
        yield found


def test_a_budget_is_the_services(client: Any) -> None:
    found = client.allocate("dbt-expert", TASK)
    assert (found.tokens, found.complexity.tier) == (30_000, "complex")
    assert (found.agent.name, found.policy.name) == ("specialists/dbt-expert", "specialist-narrow")
    assert found.id.startswith("alc_")
    assert not found.degraded
    assert sum(scope.tokens for scope in found.scopes) == 30_000
    assert client.get_allocation(found.id).state == "open"


def test_memories_that_fit_are_selected_and_written(client: Any) -> None:
    found = client.allocate(
        "dbt-expert",
        TASK,
        memories=[
            {"id": "fits", "text": "dbt models are slow when they are views"},
            {"id": "vast", "text": "x", "tokens": 1_000_000},
        ],
        render="markdown",
    )
    assert [one.id for one in found.selection.selected] == ["fits"]
    assert [(one.id, one.reason) for one in found.selection.dropped] == [("vast", "over_budget")]
    assert "dbt models are slow" in found.context


@pytest.mark.parametrize("name", [".", ".."])
def test_no_name_leads_to_another_place(client: Any, workspace: str, name: str) -> None:
    client.workspaces.put(workspace, {"max_total_tokens": 1_000})
    with pytest.raises(errors.InvalidRequest, match="can be no name"):
        client.workspaces.delete(workspace, project=name)
    assert client.workspaces.get(workspace)["max_total_tokens"] == 1_000


def test_a_block_is_allocated_followed_and_finished(client: Any) -> None:
    with client.allocation("dbt-expert", TASK, run_id="r1") as run:
        status = run.load("agent_patterns", 24_000)
        assert (status.loaded, status.used_pct, status.remaining) == (24_000, 80.0, 6_000)
        assert [alert.level for alert in status.alerts] == ["info"]
        run.load("global", 100, "m1")
        assert run.load("global", 100, "m1").loaded == 24_100
        assert run.status().loaded == 24_100
    event = run.event
    assert (event.used_tokens, event.success, event.run_id) == (24_100, True, "r1")
    assert event.scopes == {"agent_patterns": 24_000, "global": 100}
    assert not event.spooled
    assert [one.id for one in client.usage()] == [event.id]
    assert client.get_allocation(run.id).state == "finished"


def test_a_block_that_raises_finishes_as_a_failure_and_raises(client: Any) -> None:
    found = []

    def work() -> None:
        with client.allocation("dbt-expert", TASK) as run:
            found.append(run)
            run.load("global", 5)
            raise KeyError("lost")

    with pytest.raises(KeyError, match="lost"):
        work()
    (run,) = found
    assert (run.event.success, run.event.error) == (False, "KeyError: 'lost'")


def test_a_block_may_say_more_of_its_end(client: Any) -> None:
    with client.allocation("dbt-expert", TASK) as run:
        first = run.finish(
            needed_tokens=40_000, output_tokens=7, loads=[{"scope": "global", "tokens": 9}]
        )
        assert run.finish(success=False) == first
    assert (first.used_tokens, first.unmet, first.output_tokens) == (9, True, 7)
    assert len(client.usage()) == 1


def test_hard_enforcement_refuses_a_load(client: Any, workspace: str) -> None:
    shipped = client.profiles.get("specialist-narrow")
    client.profiles.put("strict", {**shipped, "enforcement": "hard"})
    client.agents.assign("specialists/strict-expert", "strict")
    assert client.agents.get("specialists/strict-expert")["profile"] == "strict"
    with client.allocation("strict-expert", complexity="medium") as run:
        with pytest.raises(BudgetExceeded) as refused:
            run.load("global", 20_001)
        assert refused.value.remaining == 20_000
        run.load("global", 20_000)
    assert run.event.used_tokens == 20_000
    client.agents.unassign("specialists/strict-expert")
    client.profiles.delete("strict")


def test_usage_is_booked_once_whoever_repeats_it(client: Any) -> None:
    one = {"agent": "dbt-expert", "budget_tokens": 100, "used_tokens": 80, "id": "mine"}
    first = client.track({**one, "timestamp": "2026-01-02T03:04:05Z"})
    again = client.track({**one, "timestamp": "2026-01-02T03:04:05Z"})
    assert (first.accepted, first.duplicates, first.ids) == (1, 0, ("mine",))
    assert (again.accepted, again.duplicates) == (0, 1)
    with pytest.raises(errors.IdMismatch):
        client.track({**one, "used_tokens": 81, "timestamp": "2026-01-02T03:04:05Z"})
    client.track(agent="dbt-expert", budget_tokens=None, used_tokens=5, cost_usd=Decimal("0.25"))
    events = client.usage()
    assert {event.cost_usd for event in events} == {None, Decimal("0.25")}
    assert client.analytics().overall.executions == 1
    assert client.analytics(by="day").groups[0].key == "2026-01-02"


def test_lists_are_read_to_their_end_page_by_page(client: Any) -> None:
    client.track(
        [{"agent": "a", "budget_tokens": 10, "used_tokens": at % 10} for at in range(2_345)]
    )
    assert len({event.id for event in client.usage()}) == 2_345
    assert len(client.usage(limit=1_001)) == 1_001
    assert client.usage(limit=0) == []
    assert len(client.usage(agent="nobody")) == 0


def test_a_list_longer_than_a_request_is_sent_in_parts(client: Any) -> None:
    receipt = client.track([{"agent": "a", "budget_tokens": 1, "used_tokens": 1}] * 10_001)
    assert (receipt.accepted, len(set(receipt.ids))) == (10_001, 10_001)


def test_memories_are_kept_found_changed_and_deleted(client: Any) -> None:
    (kept,) = client.memories.add("Incremental dbt models save time", scope="agent_patterns")
    assert kept.tokens > 0
    client.memories.add([{"text": "one"}, {"text": "two"}], agent="specialists/dbt-expert")
    assert len(client.memories.list()) == 3
    assert client.memories.search("dbt models")[0].id == kept.id
    changed = client.memories.update(kept.id, importance=0.9, text="Other words")
    assert (changed.importance, changed.text) == (0.9, "Other words")
    assert client.memories.health().total.files == 2
    client.memories.delete(kept.id)
    with pytest.raises(errors.NotFound):
        client.memories.get(kept.id)
    assert client.memories.restore(kept.id).text == "Other words"
    assert len(client.memories.export().splitlines()) == 3


def test_a_tree_is_imported_from_its_folder_and_again_changes_nothing(
    client: Any, tmp_path: Path
) -> None:
    patterns = tmp_path / ".claude" / "memory" / "specialists" / "dbt-expert" / "patterns"
    patterns.mkdir(parents=True)
    (patterns / "views.md").write_text("# Views\n\nThey are slow.")
    (patterns / "broken.md").write_bytes(b"\xff\xfe\x00")
    (patterns / "link.md").symlink_to(patterns / "views.md")
    first = client.memories.import_(tmp_path)
    assert (first.imported, [one.path for one in first.refused]) == (
        1,
        ["specialists/dbt-expert/patterns/broken.md"],
    )
    assert client.memories.import_(tmp_path).unchanged == 1
    assert client.memories.list()[0].agent == "specialists/dbt-expert"


def test_lifecycle_proposals_are_applied_and_undone(client: Any) -> None:
    client.memories.add(
        "used often", agent="specialists/dbt-expert", scope="agent_patterns", access_count=9
    )
    (found,) = client.memories.lifecycle.proposals("promotions")
    assert (found.from_, found.to) == ("specialists/dbt-expert", "global")
    assert client.memories.lifecycle.apply("promotions", dry_run=True).action_id is None
    done = client.memories.lifecycle.apply("promotions")
    assert client.memories.lifecycle.proposals("promotions") == []
    assert client.memories.lifecycle.undo(done.action_id).undone_at is not None


def test_recommendations_are_made_applied_and_rolled_back(client: Any) -> None:
    client.track(
        [
            {
                "agent": "specialists/dbt-expert",
                "budget_tokens": 20_000,
                "used_tokens": 30_000,
                "complexity": "medium",
            }
        ]
        * 12
    )
    (made,) = client.recommendations.run(30)
    assert (made.action, made.samples, made.current.profile) == (
        "upgrade",
        12,
        "specialist-narrow",
    )
    assert [one.id for one in client.recommendations(status="open")] == [made.id]
    assert client.recommendations.apply(made.id).status == "applied"
    assert client.allocate("dbt-expert", complexity="medium").tokens == 35_000
    assert client.recommendations.rollback(made.id).status == "rolled_back"
    with pytest.raises(errors.Conflict):
        client.recommendations.dismiss(made.id)


def test_the_rest_of_the_service_answers_typed_values(client: Any, workspace: str) -> None:
    assert client.health().ready
    assert client.version().name == "membudget"
    assert client.complexity(TASK).tier == "complex"
    assert [one.tier for one in client.complexities(["list all", "Design a platform migration"])]
    assert client.complexity("Hello", kind="query").tier == "simple"
    assert client.signals("task")
    assert {job.name for job in client.jobs()} >= {"daily", "weekly", "monthly"}
    assert client.profiles().items[0].agents
    assert any(one.agent == "specialists/dbt-expert" for one in client.agents())
    assert client.workspaces.get("research")["max_total_tokens"] == 16384
    assert json.loads(client.config.export())["profiles"]
    assert client.config.import_(client.config.export(), dry_run=True)
    assert client.simulate(7).recorded.executions == 0
    assert client.reports() == []
    assert client.reports.needs().title
    assert client.statistics().count == 0
    assert client.allocations() == []


def test_usage_goes_out_and_in_as_lines(client: Any) -> None:
    client.track(agent="dbt-expert", budget_tokens=100, used_tokens=80)
    lines = client.usage_export()
    again = client.usage_import(lines)
    assert (again.imported, again.duplicates) == (0, 1)


PROFILE = {"base_budget": 100, "max_budget": 200, "scope_weights": {"global": 1}}


@pytest.mark.parametrize("strict", [True])
def test_errors_are_typed_and_say_what_to_do(client: Any, strict: bool) -> None:
    with pytest.raises(UnknownAgent) as unknown:
        client.allocate("dbt-exprtise", strict=strict)
    assert unknown.value.candidates[0]["name"] == "specialists/dbt-expert"
    with pytest.raises(errors.InvalidRequest) as invalid:
        client.allocate("dbt-expert", complexity="hard")
    assert invalid.value.status == 422
    assert invalid.value.errors[0]["loc"][-1] == "complexity"
    with pytest.raises(errors.NotAvailable):
        client.profiles.put("p", {**PROFILE, "mode": "adaptive"})
    with pytest.raises(errors.NotFound):
        client.allocate("dbt-expert", pool="p")
    with pytest.raises(errors.NotFound):
        client.get_allocation("alc_nobody")
    with pytest.raises(ValueError, match="JSON"):
        client.track(agent="a", budget_tokens=1, used_tokens=float("nan"))


def test_a_run_ends_once(client: Any) -> None:
    found = client.allocate("dbt-expert", TASK)
    first = client.finish(found, success=True)
    assert client.finish(found.id, success=True).id == first.id
    with pytest.raises(errors.AlreadyFinished):
        client.finish(found.id, success=False)


def test_threads_share_a_client(shared_service: Served, workspace: str) -> None:
    with (
        Client(shared_service.url, workspace=workspace) as client,
        ThreadPoolExecutor(8) as threads,
    ):

        def work(at: int) -> str:
            with client.allocation("dbt-expert", run_id=f"r{at}") as run:
                run.load("global", at)
            assert run.event is not None
            return run.event.id

        ids = set(threads.map(work, range(40)))
        events = list(client.usage())
    assert {event.id for event in events} == ids
    assert sorted(event.used_tokens for event in events) == list(range(40))
