"""Group the calls of a client by what they are about."""

from collections.abc import Iterator, Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

from membudget import results
from membudget._calls import agent_path, part
from membudget._fields import Moment

if TYPE_CHECKING:
    from membudget.client import Client


class Part:
    """Calls of a client that are about one thing."""

    def __init__(self, client: "Client") -> None:
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
    ) -> Iterator[results.Recommendation]:
        """What was recommended, newest first, page by page; `limit` in all."""
        wanted = {
            "status": status,
            "agent": agent,
            "window_days": window_days,
            "workspace": workspace,
        }
        return self._client._each(self._requests.recommendations(limit, wanted))

    list = __call__

    def run(
        self, window_days: int = 30, *, workspace: str | None = None
    ) -> tuple[results.Recommendation, ...]:
        """Judge every agent by its last runs; no policy changes."""
        return self._client._ask(self._requests.recommend(window_days, workspace))

    def apply(self, id: str, *, workspace: str | None = None) -> results.Recommendation:
        """Assign what is proposed to the agent."""
        return self._client._ask(self._requests.decide(id, "apply", workspace))

    def dismiss(self, id: str, *, workspace: str | None = None) -> results.Recommendation:
        """Set an open recommendation aside."""
        return self._client._ask(self._requests.decide(id, "dismiss", workspace))

    def rollback(self, id: str, *, workspace: str | None = None) -> results.Recommendation:
        """Take back what applying it changed."""
        return self._client._ask(self._requests.decide(id, "rollback", workspace))


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
    ) -> Iterator[results.ReportLine]:
        """Reports, newest first, page by page; `limit` in all."""
        wanted = {"kind": kind, "since": since, "until": until, "workspace": workspace}
        return self._client._each(self._requests.reports(limit, wanted))

    list = __call__

    def get(self, id: str, *, workspace: str | None = None) -> results.Report:
        """A report as data."""
        return self._client._ask(self._requests.report(id, workspace))

    def markdown(self, id: str, *, workspace: str | None = None) -> str:
        """A report as Markdown."""
        return self._client._ask(self._requests.report_text(id, "markdown", workspace))

    def html(self, id: str, *, workspace: str | None = None) -> str:
        """A report as a page that needs nothing else."""
        return self._client._ask(self._requests.report_text(id, "html", workspace))

    def needs(self, *, days: float | None = None, workspace: str | None = None) -> results.Report:
        """What each agent's runs needed, made now and not kept."""
        return self._client._ask(self._requests.needs(days, workspace))


class Jobs(Part):
    """Scheduled work."""

    def __call__(self) -> tuple[results.Job, ...]:
        """The jobs, when they run, how the last run ended and when the next one is."""
        return self._client._ask(self._requests.jobs())

    list = __call__

    def run(self, name: str) -> results.JobRun:
        """Run a job (daily, weekly, monthly, backup, retention) now, and wait until it ends.

        It is watched for as long as it runs and the service answers; `timeout` is for asking.
        """
        return self._client._run(self._client._flows.run_job(name))


class Profiles(Part):
    """Budget profiles."""

    def __call__(self, *, workspace: str | None = None) -> results.Profiles:
        """All profiles with their agents, and the complexity tiers.

        Without the service those that ship are answered: `raw["degraded"]` is true.
        """
        return self._client._run(self._client._flows.profiles(workspace))

    list = __call__

    def get(self, name: str, *, workspace: str | None = None) -> Mapping[str, Any]:
        """A profile in the keys of budget-profiles.json."""
        return self._client._ask(self._requests.entry(f"/profiles/{part(name)}", workspace))

    def put(
        self, name: str, profile: Mapping[str, Any], *, workspace: str | None = None
    ) -> Mapping[str, Any]:
        """Make a profile, or put another in its place."""
        call = self._requests.put_entry(f"/profiles/{part(name)}", profile, workspace)
        return self._client._ask(call)

    def delete(self, name: str, *, workspace: str | None = None) -> None:
        """Delete a profile that nobody has any more."""
        self._client._ask(self._requests.delete_entry(f"/profiles/{part(name)}", workspace))


class Agents(Part):
    """Agents, and the profiles that they are assigned to."""

    def __call__(
        self, *, workspace: str | None = None, limit: int | None = None
    ) -> Iterator[results.ListedAgent]:
        """Agents that have a profile, and those only seen (`assigned` is false)."""
        return self._client._each(self._requests.agents(limit, {"workspace": workspace}))

    list = __call__

    def get(self, agent: str, *, workspace: str | None = None) -> Mapping[str, Any]:
        """The profile that an agent (`type/name`) is assigned to."""
        return self._client._ask(self._requests.entry(agent_path(agent), workspace))

    def assign(
        self, agent: str, profile: str, *, workspace: str | None = None
    ) -> Mapping[str, Any]:
        """Assign an agent (`type/name`) to a profile."""
        call = self._requests.put_entry(agent_path(agent), {"profile": profile}, workspace)
        return self._client._ask(call)

    def unassign(self, agent: str, *, workspace: str | None = None) -> None:
        """Take an agent's profile away."""
        self._client._ask(self._requests.delete_entry(agent_path(agent), workspace))


class Workspaces(Part):
    """Budgets of workspaces and their projects, in the keys of memory-budget.yaml."""

    def __call__(self, *, limit: int | None = None) -> Iterator[Mapping[str, Any]]:
        """Workspaces that have a budget of their own."""
        return self._client._each(self._requests.workspaces(limit))

    list = __call__

    def get(self, id: str, project: str | None = None) -> Mapping[str, Any]:
        """The budget of a workspace, or of a project of it."""
        return self._client._ask(self._requests.entry(workspace_path(id, project), None))

    def put(
        self, id: str, budget: Mapping[str, Any], project: str | None = None
    ) -> Mapping[str, Any]:
        """Give a workspace, or a project of it, a budget."""
        call = self._requests.put_entry(workspace_path(id, project), budget, None)
        return self._client._ask(call)

    def delete(self, id: str, project: str | None = None) -> None:
        """Take the budget of a workspace, or of a project of it, away."""
        self._client._ask(self._requests.delete_entry(workspace_path(id, project), None))


class Config(Part):
    """Policy as files of the originals' formats."""

    def export(
        self,
        format: Literal["json", "yaml"] = "json",
        *,
        of: Literal["profiles", "workspaces"] | None = None,
        workspace: str | None = None,
    ) -> bytes:
        """What holds: `json` is a budget-profiles.json, `yaml` a memory-budget.yaml, whose keys
        `json` has with `of="workspaces"`."""
        return self._client._ask(self._requests.config_export(format, of, workspace))

    def import_(
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
        return self._client._run(flow)


class Backups(Part):
    """Backups of everything the service keeps."""

    def __call__(self) -> tuple[results.Backup, ...]:
        """Backups, newest first, and whether their bytes are intact."""
        return self._client._ask(self._requests.backups())

    list = __call__

    def create(self) -> results.Backup:
        """Back up all workspaces as they are at this moment."""
        return self._client._ask(self._requests.make_backup())

    def restore(self, id: str, *, dry_run: bool = False) -> results.Restored:
        """Replace everything by what a backup holds; what is there is backed up first."""
        return self._client._ask(self._requests.restore_backup(id, dry_run=dry_run))


def workspace_path(id: str, project: str | None) -> str:
    """The path of a workspace, or of a project of it."""
    path = f"/workspaces/{part(id)}"
    return path if project is None else f"{path}/projects/{part(project)}"
