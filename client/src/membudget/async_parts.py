"""Group the calls of an asynchronous client by what they are about."""

from collections.abc import AsyncIterator, Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

from membudget import results
from membudget._calls import agent_path, part
from membudget._fields import Moment
from membudget.parts import workspace_path

if TYPE_CHECKING:
    from membudget.async_client import AsyncClient


class Part:
    """Calls of a client that are about one thing."""

    def __init__(self, client: "AsyncClient") -> None:
        self._client = client
        self._requests = client._requests


class Recommendations(Part):
    """What the runs of agents speak for."""

    def __call__(
        self,
        *,
        status: str | None = None,
        agent: str | None = None,
        window_days: int | None = None,
        workspace: str | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[results.Recommendation]:
        """What was recommended, newest first, page by page; `limit` in all."""
        wanted = {
            "status": status,
            "agent": agent,
            "window_days": window_days,
            "workspace": workspace,
        }
        return self._client._each(self._requests.recommendations(limit, wanted))

    list = __call__

    async def run(
        self, window_days: int = 30, *, workspace: str | None = None
    ) -> tuple[results.Recommendation, ...]:
        """Judge every agent by its last runs; no policy changes."""
        return await self._client._ask(self._requests.recommend(window_days, workspace))

    async def apply(self, id: str, *, workspace: str | None = None) -> results.Recommendation:
        """Assign what is proposed to the agent."""
        return await self._client._ask(self._requests.decide(id, "apply", workspace))

    async def dismiss(self, id: str, *, workspace: str | None = None) -> results.Recommendation:
        """Set an open recommendation aside."""
        return await self._client._ask(self._requests.decide(id, "dismiss", workspace))

    async def rollback(self, id: str, *, workspace: str | None = None) -> results.Recommendation:
        """Take back what applying it changed."""
        return await self._client._ask(self._requests.decide(id, "rollback", workspace))


class Reports(Part):
    """What jobs wrote about a workspace."""

    def __call__(
        self,
        *,
        kind: str | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
        workspace: str | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[results.ReportLine]:
        """Reports, newest first, page by page; `limit` in all."""
        wanted = {"kind": kind, "since": since, "until": until, "workspace": workspace}
        return self._client._each(self._requests.reports(limit, wanted))

    list = __call__

    async def get(self, id: str, *, workspace: str | None = None) -> results.Report:
        """A report as data."""
        return await self._client._ask(self._requests.report(id, workspace))

    async def markdown(self, id: str, *, workspace: str | None = None) -> str:
        """A report as Markdown."""
        return await self._client._ask(self._requests.report_text(id, "markdown", workspace))

    async def html(self, id: str, *, workspace: str | None = None) -> str:
        """A report as a page that needs nothing else."""
        return await self._client._ask(self._requests.report_text(id, "html", workspace))

    async def needs(
        self, *, days: float | None = None, workspace: str | None = None
    ) -> results.Report:
        """What each agent's runs needed, made now and not kept."""
        return await self._client._ask(self._requests.needs(days, workspace))


class Jobs(Part):
    """Scheduled work."""

    async def __call__(self) -> tuple[results.Job, ...]:
        """The jobs, when they run, how the last run ended and when the next one is."""
        return await self._client._ask(self._requests.jobs())

    list = __call__

    async def run(self, name: str) -> results.JobRun:
        """Run a job (daily, weekly, monthly, backup, retention) now, and wait until it ends.

        It is watched for as long as it runs and the service answers; `timeout` is for asking.
        """
        return await self._client._run(self._client._flows.run_job(name))


class Profiles(Part):
    """Budget profiles."""

    async def __call__(self, *, workspace: str | None = None) -> results.Profiles:
        """All profiles with their agents, and the complexity tiers.

        Without the service those that ship are answered: `raw["degraded"]` is true.
        """
        return await self._client._run(self._client._flows.profiles(workspace))

    list = __call__

    async def get(self, name: str, *, workspace: str | None = None) -> Mapping[str, Any]:
        """A profile in the keys of budget-profiles.json."""
        return await self._client._ask(self._requests.entry(f"/profiles/{part(name)}", workspace))

    async def put(
        self, name: str, profile: Mapping[str, Any], *, workspace: str | None = None
    ) -> Mapping[str, Any]:
        """Make a profile, or put another in its place."""
        call = self._requests.put_entry(f"/profiles/{part(name)}", profile, workspace)
        return await self._client._ask(call)

    async def delete(self, name: str, *, workspace: str | None = None) -> None:
        """Delete a profile that nobody has any more."""
        await self._client._ask(self._requests.delete_entry(f"/profiles/{part(name)}", workspace))


class Agents(Part):
    """Agents, and the profiles that they are assigned to."""

    def __call__(
        self, *, workspace: str | None = None, limit: int | None = None
    ) -> AsyncIterator[results.ListedAgent]:
        """Agents that have a profile, and those only seen (`assigned` is false)."""
        return self._client._each(self._requests.agents(limit, {"workspace": workspace}))

    list = __call__

    async def get(self, agent: str, *, workspace: str | None = None) -> Mapping[str, Any]:
        """The profile that an agent (`type/name`) is assigned to."""
        return await self._client._ask(self._requests.entry(agent_path(agent), workspace))

    async def assign(
        self, agent: str, profile: str, *, workspace: str | None = None
    ) -> Mapping[str, Any]:
        """Assign an agent (`type/name`) to a profile."""
        call = self._requests.put_entry(agent_path(agent), {"profile": profile}, workspace)
        return await self._client._ask(call)

    async def unassign(self, agent: str, *, workspace: str | None = None) -> None:
        """Take an agent's profile away."""
        await self._client._ask(self._requests.delete_entry(agent_path(agent), workspace))


class Workspaces(Part):
    """Budgets of workspaces and their projects, in the keys of memory-budget.yaml."""

    def __call__(self, *, limit: int | None = None) -> AsyncIterator[Mapping[str, Any]]:
        """Workspaces that have a budget of their own."""
        return self._client._each(self._requests.workspaces(limit))

    list = __call__

    async def get(self, id: str, project: str | None = None) -> Mapping[str, Any]:
        """The budget of a workspace, or of a project of it."""
        return await self._client._ask(self._requests.entry(workspace_path(id, project), None))

    async def put(
        self, id: str, budget: Mapping[str, Any], project: str | None = None
    ) -> Mapping[str, Any]:
        """Give a workspace, or a project of it, a budget."""
        call = self._requests.put_entry(workspace_path(id, project), budget, None)
        return await self._client._ask(call)

    async def delete(self, id: str, project: str | None = None) -> None:
        """Take the budget of a workspace, or of a project of it, away."""
        await self._client._ask(self._requests.delete_entry(workspace_path(id, project), None))


class Config(Part):
    """Policy as files of the originals' formats."""

    async def export(
        self,
        format: Literal["json", "yaml"] = "json",
        *,
        of: Literal["profiles", "workspaces"] | None = None,
        workspace: str | None = None,
    ) -> bytes:
        """What holds: `json` is a budget-profiles.json, `yaml` a memory-budget.yaml, whose keys
        `json` has with `of="workspaces"`."""
        return await self._client._ask(self._requests.config_export(format, of, workspace))

    async def import_(
        self,
        source: str | PathLike[str] | bytes,
        *,
        dry_run: bool = False,
        replace: bool = False,
        workspace: str | None = None,
    ) -> Mapping[str, Any]:
        """Take in a budget-profiles.json or a memory-budget.yaml, a file or its bytes."""
        flow = self._client._flows.config_import(
            source, dry_run=dry_run, replace=replace, workspace=workspace
        )
        return await self._client._run(flow)


class Backups(Part):
    """Backups of everything the service keeps."""

    async def __call__(self) -> tuple[results.Backup, ...]:
        """Backups, newest first, and whether their bytes are intact."""
        return await self._client._ask(self._requests.backups())

    list = __call__

    async def create(self) -> results.Backup:
        """Back up all workspaces as they are at this moment."""
        return await self._client._ask(self._requests.make_backup())

    async def restore(self, id: str, *, dry_run: bool = False) -> results.Restored:
        """Replace everything by what a backup holds; what is there is backed up first."""
        return await self._client._ask(self._requests.restore_backup(id, dry_run=dry_run))
