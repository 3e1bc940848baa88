"""Say that no answer but a membudget service's is taken for one."""

import json
from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any

import pytest

from membudget import errors, results
from membudget._reading import Result
from tests.client.both import face
from tests.client.proxy import Proxy
from tests.client.stranger import STRANGERS, Stranger, stranger
from tests.data import REPOSITORY

OPERATION = {
    "type": "model",
    "name": "m",
    "started_at": "2026-01-01T00:00:00Z",
    "duration_seconds": 1,
}

EVENT = {"agent": "dbt-expert", "budget_tokens": 100, "used_tokens": 80}
CALLS: dict[str, Callable[[Any], Any]] = {
    "allocate": lambda c: c.allocate("dbt-expert"),
    "get_allocation": lambda c: c.get_allocation("a"),
    "allocations": lambda c: c.allocations(),
    "statistics": lambda c: c.statistics(),
    "load": lambda c: c.load("a", [{"scope": "global", "tokens": 1}]),
    "extend": lambda c: c.extend("a", 5),
    "release": lambda c: c.release("a"),
    "finish": lambda c: c.finish("a"),
    "track": lambda c: c.track(**EVENT),
    "usage": lambda c: c.usage(),
    "usage_export": lambda c: c.usage_export(),
    "usage_export csv": lambda c: c.usage_export("csv"),
    "usage_import": lambda c: c.usage_import(b"{}"),
    "analytics": lambda c: c.analytics(),
    "simulate": lambda c: c.simulate(),
    "complexity": lambda c: c.complexity("x"),
    "complexities": lambda c: c.complexities(["x"]),
    "signals": lambda c: c.signals(),
    "version": lambda c: c.version(),
    "memories.add": lambda c: c.memories.add("x"),
    "memories.get": lambda c: c.memories.get("m"),
    "memories.update": lambda c: c.memories.update("m", importance=0.4),
    "memories.delete": lambda c: c.memories.delete("m"),
    "memories.list": lambda c: c.memories.list(),
    "memories.search": lambda c: c.memories.search("x"),
    "memories.import_": lambda c: c.memories.import_(b"{}"),
    "memories.export": lambda c: c.memories.export(),
    "memories.export json": lambda c: c.memories.export("json"),
    "memories.health": lambda c: c.memories.health(),
    "recommendations": lambda c: c.recommendations(),
    "recommendations.run": lambda c: c.recommendations.run(),
    "recommendations.apply": lambda c: c.recommendations.apply("r"),
    "reports": lambda c: c.reports(),
    "reports.get": lambda c: c.reports.get("r"),
    "reports.markdown": lambda c: c.reports.markdown("r"),
    "reports.needs": lambda c: c.reports.needs(),
    "jobs": lambda c: c.jobs(),
    "jobs.run": lambda c: c.jobs.run("daily"),
    "profiles": lambda c: c.profiles(),
    "profiles.get": lambda c: c.profiles.get("p"),
    "profiles.delete": lambda c: c.profiles.delete("p"),
    "agents": lambda c: c.agents(),
    "agents.get": lambda c: c.agents.get("a"),
    "agents.assign": lambda c: c.agents.assign("a", "p"),
    "workspaces": lambda c: c.workspaces(),
    "workspaces.get": lambda c: c.workspaces.get("w"),
    "config.export": lambda c: c.config.export(),
    "config.export yaml": lambda c: c.config.export("yaml"),
    "config.export workspaces": lambda c: c.config.export("json", of="workspaces"),
    "config.import_": lambda c: c.config.import_(b"{}"),
    "backups": lambda c: c.backups(),
    "backups.create": lambda c: c.backups.create(),
    "backups.restore": lambda c: c.backups.restore("b"),
    "costs.estimate": lambda c: c.costs.estimate("gpt-4o", 1),
    "costs.predict": lambda c: c.costs.predict(run_id="r"),
    "costs.recommend_model": lambda c: c.costs.recommend_model(1, 1),
    "costs.breakdown": lambda c: c.costs.breakdown(),
    "costs.alerts": lambda c: c.costs.alerts(),
    "costs.budgets": lambda c: c.costs.budgets(),
    "costs.budgets.get": lambda c: c.costs.budgets.get("b"),
    "costs.budgets.put": lambda c: c.costs.budgets.put("b", 1, "day"),
    "costs.budgets.delete": lambda c: c.costs.budgets.delete("b"),
    "costs.budgets.check": lambda c: c.costs.budgets.check("b"),
    "costs.prices": lambda c: c.costs.prices(),
    "costs.prices.put": lambda c: c.costs.prices.put("m", {"input": 1}),
    "costs.prices.delete": lambda c: c.costs.prices.delete("m"),
    "operations.record": lambda c: c.operations.record([OPERATION]),
    "operations.statistics": lambda c: c.operations.statistics(),
    "operations.bottlenecks": lambda c: c.operations.bottlenecks(),
    "operations.parallelism": lambda c: c.operations.parallelism("r"),
    "tokens.count": lambda c: c.tokens.count("x"),
    "tokens.report": lambda c: c.tokens.report("m", []),
    "tokens.minify": lambda c: c.tokens.minify({"a": "x"}, 1),
}


@pytest.fixture(scope="module")
def other() -> Iterator[Stranger]:
    """Something that answers, and is no membudget service."""
    with stranger() as found:
        yield found


@pytest.mark.parametrize("name", STRANGERS)
def test_what_no_membudget_service_answers_is_refused(
    kind: str, name: str, other: Stranger
) -> None:
    other.answer = STRANGERS[name]
    taken, refused = {}, {}
    with face(kind, other.url, retries=0, fallback=False, spool=False) as client:
        for call, ask in CALLS.items():
            try:
                taken[call] = ask(client)
            except errors.UnexpectedAnswer as error:
                refused[call] = error
        assert taken == {}
        assert refused.keys() == CALLS.keys()
        assert all("MEMBUDGET_URL" in str(error) for error in refused.values())
        assert {error.status for error in refused.values()} == {other.answer[0]}
        assert not client.health().up


def test_without_the_fallback_being_silent(kind: str, other: Stranger) -> None:
    other.answer = STRANGERS["a page"]
    with face(kind, other.url, retries=0) as client:
        for found in (client.allocate("dbt-expert"), client.complexity("Analyze dbt models")):
            assert found.degraded
            assert "it is text/html, not application/json" in found.degraded_reason
        assert "text/html" in client.profiles().raw["degraded_reason"]
        assert client.track(**EVENT).spooled == 1


def test_an_older_service_is_named_by_what_it_lacks(
    kind: str, proxy: Proxy, workspace: str
) -> None:
    proxy.change = lambda data: {key: held for key, held in data.items() if key != "budget"}
    with face(kind, proxy.url, workspace=workspace) as client:
        found = client.allocate("dbt-expert")
        assert found.degraded
        assert "`budget` of Allocation is missing" in found.degraded_reason
        assert "of like versions" in found.degraded_reason


def test_a_newer_service_that_means_something_else_is_named(
    kind: str, proxy: Proxy, workspace: str
) -> None:
    proxy.change = lambda data: {**data, "accepted": {"events": 1}}
    with (
        face(kind, proxy.url, workspace=workspace, spool=False) as client,
        pytest.raises(errors.UnexpectedAnswer, match="`accepted` of Receipt is no whole"),
    ):
        client.track(**EVENT)


SCHEMAS: dict[str, dict[str, Any]] = json.loads(
    (REPOSITORY / "docs" / "openapi.json").read_text(encoding="utf-8")
)["components"]["schemas"]
NAMED = {
    "AgentAmounts": "AgentsOut",
    "AllocationStatus": "AllocationOut",
    "Amount": "AmountOut",
    "Applied": "AppliedOut",
    "ApplyingBudget": "Applying",
    "Backup": "Listed",
    "Budget": "Grant",
    "CostAlertRaised": "CostAlertOut",
    "CostBreakdown": "Breakdown",
    "CostBudget": "CostBudgetOut",
    "CostBudgetStatus": "BudgetStatus",
    "CostCheck": "BudgetCheck",
    "CostEstimate": "Estimate",
    "CostPrediction": "Prediction",
    "Grant": "GrantOut",
    "Health": "Readiness",
    "HealthDay": "HistoryOut",
    "IgnoredDependency": "Unmet",
    "Impact": "ImpactOut",
    "Imported": "ImportReport",
    "Job": "JobOut",
    "JobRun": "JobRunOut",
    "Memory": "MemoryOut",
    "MemoryHealth": "HealthOut",
    "Minified": "Fitted",
    "ModelChoice": "Choice",
    "ModelRatio": "Known",
    "OperationFigures": "app__core__operation_figures__Figures",
    "Policy": "app__core__allocation__Policy",
    "Profiles": "ProfileList",
    "Proposal": "ProposalOut",
    "Recommendation": "RecommendationOut",
    "Refused": "app__core__memory_tree__Refused",
    "RejectedModel": "Rejected",
    "Report": "ReportFull",
    "Restored": "app__flows__backup__Restored",
    "ServiceBottleneck": "Bottleneck",
    "StatedPrice": "ModelPrice",
    "TokenCount": "Count",
    "TokenCounts": "Counted",
    "TokenSums": "Tokens",
    "UsageEvent": "UsageEventOut",
}
"""Schemas of another name than the result."""
SHAPED_BY_POLICY = {"Profile", "Tier", "Flushed", "Elsewhere"}
"""Results without a schema: in the originals' keys, or the client's own."""


@pytest.mark.parametrize("name", sorted(set(vars(results)) - SHAPED_BY_POLICY))
def test_an_answer_is_asked_for_what_is_promised_and_all_of_it_has_its_field(name: str) -> None:
    result = getattr(results, name)
    if not (isinstance(result, type) and issubclass(result, Result)):
        return
    schema = SCHEMAS[NAMED.get(name, name)]
    assert set(result.promised) <= set(schema["required"])
    assert set(schema["properties"]) <= set(read_as(result)) | NOT_PAGED.get(name, set())


NOT_PAGED = {"Profiles": {"next_cursor"}}


def read_as(result: type[Result]) -> Iterator[str]:
    """The names under which a result's fields are answered."""
    for one in fields(result):
        yield one.metadata.get("key", one.name)
