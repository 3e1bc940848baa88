"""Build the requests about recommendations, reports, jobs, policy and the service itself."""

from collections.abc import Callable, Mapping
from typing import Any

from membudget import results
from membudget._answers import (
    JSON,
    YAML,
    Answer,
    content,
    document,
    having,
    health,
    many,
    one,
    page_of,
    text,
    thing,
    version,
)
from membudget._calls import (
    LONG_SECONDS,
    PAGE,
    Builder,
    Call,
    Listing,
    deleting,
    getting,
    part,
    posting,
    putting,
)

PROMISED = {"profiles": "base_budget", "agents": "profile", "workspaces": "workspace_id"}
"""What an entry of policy has, by the first part of its path."""


class ServiceRequests(Builder):
    """Requests about what the service works out, and what it goes by."""

    def recommendations(
        self, limit: int | None, wanted: Mapping[str, Any]
    ) -> Listing[results.Recommendation]:
        """GET /recommendations."""
        return self._listing("/recommendations", results.Recommendation, limit, wanted)

    def recommend(
        self, window_days: int, workspace: str | None
    ) -> Call[tuple[results.Recommendation, ...]]:
        """POST /recommendations/run; what was open is superseded, so that again is harmless."""
        body = self._body({"window_days": window_days, "workspace": workspace})
        read_ = many(results.Recommendation)
        return posting("/recommendations/run", body, read_, seconds=LONG_SECONDS)

    def decide(self, id: str, deed: str, workspace: str | None) -> Call[results.Recommendation]:
        """POST /recommendations/{id}/{apply|dismiss|rollback}."""
        return posting(
            f"/recommendations/{part(id)}/{deed}",
            None,
            one(results.Recommendation),
            params=self._params({"workspace": workspace}),
            is_repeatable=False,
        )

    def reports(self, limit: int | None, wanted: Mapping[str, Any]) -> Listing[results.ReportLine]:
        """GET /reports."""
        return self._listing("/reports", results.ReportLine, limit, wanted)

    def report(self, id: str, workspace: str | None) -> Call[results.Report]:
        """GET /reports/{id} as data."""
        params = self._params({"workspace": workspace})
        return getting(f"/reports/{part(id)}", one(results.Report), params, accept=JSON)

    def report_text(self, id: str, format: str, workspace: str | None) -> Call[str]:
        """GET /reports/{id} as `markdown` or `html`."""
        kind = f"text/{format}"
        params = self._params({"workspace": workspace})
        return getting(f"/reports/{part(id)}", text(kind), params, accept=kind)

    def needs(self, days: float | None, workspace: str | None) -> Call[results.Report]:
        """GET /reports/needs."""
        params = self._params({"days": days, "workspace": workspace})
        return getting(
            "/reports/needs", one(results.Report), params, accept=JSON, seconds=LONG_SECONDS
        )

    def jobs(self) -> Call[tuple[results.Job, ...]]:
        """GET /jobs."""
        return getting("/jobs", many(results.Job))

    def run_job(self, name: str) -> Call[results.JobRun]:
        """POST /jobs/{name}/run."""
        return posting(
            f"/jobs/{part(name)}/run",
            None,
            one(results.JobRun),
            is_repeatable=False,
            seconds=LONG_SECONDS,
        )

    def profiles(self, workspace: str | None) -> Call[results.Profiles]:
        """GET /profiles."""
        return getting("/profiles", one(results.Profiles), self._params({"workspace": workspace}))

    def agents(self, limit: int | None, wanted: Mapping[str, Any]) -> Listing[results.ListedAgent]:
        """GET /agents."""
        return self._listing("/agents", results.ListedAgent, limit, wanted)

    def workspaces(self, limit: int | None) -> Listing[Mapping[str, Any]]:
        """GET /workspaces."""
        first = Call(
            method="GET",
            path="/workspaces",
            read=page_of(lambda one_: having(one_, ("workspace_id",))),
            params={"limit": str(PAGE)},
        )
        return Listing(first=first, limit=limit)

    def entry(self, path: str, workspace: str | None) -> Call[Mapping[str, Any]]:
        """GET one entry of policy, in the keys of the originals' files."""
        return getting(path, entry_at(path), self._home(path, workspace))

    def put_entry(
        self, path: str, entry: Mapping[str, Any], workspace: str | None
    ) -> Call[Mapping[str, Any]]:
        """PUT one entry of policy."""
        return putting(path, entry, entry_at(path), self._home(path, workspace))

    def delete_entry(self, path: str, workspace: str | None) -> Call[None]:
        """DELETE one entry of policy."""
        return deleting(path, self._home(path, workspace))

    def _home(self, path: str, workspace: str | None) -> dict[str, str]:
        """Whose policy an entry is of; the path of a workspace says so itself."""
        return {} if path.startswith("/workspaces/") else self._params({"workspace": workspace})

    def config_export(self, format: str, of: str | None, workspace: str | None) -> Call[bytes]:
        """GET /config/export."""
        params = self._params({"format": format, "of": of, "workspace": workspace})
        if format != "json":
            taken = content(YAML)
        elif of == "workspaces":
            taken = document(*([] if workspace else ["default"]))
        else:
            taken = document("profiles")
        return getting("/config/export", taken, params)

    def config_import(
        self, data: bytes, *, dry_run: bool, replace: bool, workspace: str | None
    ) -> Call[Mapping[str, Any]]:
        """POST /config/import, of either original's file."""
        return Call(
            method="POST",
            path="/config/import",
            read=thing("format", "changed"),
            params=self._params(
                {"workspace": workspace, "dry_run": dry_run or None, "replace": replace or None}
            ),
            headers={"Content-Type": JSON if data.lstrip()[:1] == b"{" else "application/yaml"},
            content=data,
        )

    def make_backup(self) -> Call[results.Backup]:
        """POST /backups."""
        return posting(
            "/backups", None, one(results.Backup), is_repeatable=False, seconds=LONG_SECONDS
        )

    def backups(self) -> Call[tuple[results.Backup, ...]]:
        """GET /backups."""
        return getting("/backups", many(results.Backup))

    def restore_backup(self, id: str, *, dry_run: bool) -> Call[results.Restored]:
        """POST /backups/{id}/restore."""
        return posting(
            f"/backups/{part(id)}/restore",
            {"dry_run": dry_run},
            one(results.Restored),
            is_repeatable=False,
            seconds=LONG_SECONDS,
        )

    def ready(self) -> Call[results.Health]:
        """GET /readyz."""
        return getting("/readyz", health)

    def version(self) -> Call[results.Version]:
        """GET /version."""
        return getting("/version", version)


def entry_at(path: str) -> Callable[[Answer], Mapping[str, Any]]:
    """How an entry of policy is read; a project has only what differs from its workspace."""
    parts = path.split("/")
    return thing() if "projects" in parts[3:] else thing(PROMISED[parts[1]])
