"""Read the originals' `memory-budget.yaml`."""

from importlib import import_module
from pathlib import Path
from typing import Any

from membudget.allocator_types import WorkspaceConfig, as_entry, check, from_entry

BESIDE = ("logging", "performance", "project_overrides")
"""Keys of the file that are no workspaces."""

LOGGING = {
    "enable_allocation_logging": True,
    "log_level": "INFO",
    "export_directory": "./logs/allocations",
}
PERFORMANCE = {"track_history": True, "max_history_size": 1000, "auto_export_interval": 3600}


class MemoryBudgetConfigLoader:
    """Budgets of workspaces from a file; the service takes the same file at `/config/import`."""

    @staticmethod
    def load_from_yaml(filepath: str | Path) -> dict[str, WorkspaceConfig]:
        """The workspaces of a file by their id. Errors: FileNotFoundError, ValueError."""
        return {
            name: MemoryBudgetConfigLoader._parse_workspace_config(name, entry)
            for name, entry in _mapping(filepath).items()
            if name not in BESIDE
        }

    @staticmethod
    def load_workspace_config(filepath: str | Path, workspace_id: str) -> WorkspaceConfig | None:
        """One workspace of a file; None if it has none of this id."""
        return MemoryBudgetConfigLoader.load_from_yaml(filepath).get(workspace_id)

    @staticmethod
    def load_project_overrides(filepath: str | Path) -> dict[str, dict[str, WorkspaceConfig]]:
        """Budgets of projects by workspace; what an override leaves out is its workspace's."""
        data = _mapping(filepath)
        workspaces = MemoryBudgetConfigLoader.load_from_yaml(filepath)
        stated = data.get("project_overrides") or {}
        return {
            workspace: {
                project: MemoryBudgetConfigLoader._parse_workspace_config(
                    workspace,
                    _merged(as_entry(workspaces.get(workspace, WorkspaceConfig(workspace))), entry),
                )
                for project, entry in projects.items()
            }
            for workspace, projects in stated.items()
        }

    @staticmethod
    def get_logging_config(filepath: str | Path) -> dict[str, Any]:
        """What the file says of logging."""
        found: dict[str, Any] = _mapping(filepath).get("logging") or dict(LOGGING)
        return found

    @staticmethod
    def get_performance_config(filepath: str | Path) -> dict[str, Any]:
        """What the file says of the history of allocations."""
        found: dict[str, Any] = _mapping(filepath).get("performance") or dict(PERFORMANCE)
        return found

    @staticmethod
    def _parse_workspace_config(workspace_id: str, data: Any) -> WorkspaceConfig:
        if not isinstance(data, dict):
            raise ValueError(f"workspace '{workspace_id}' must be a mapping")
        config = from_entry(str(data.get("workspace_id") or workspace_id), data)
        MemoryBudgetConfigLoader._validate_config(config)
        return config

    @staticmethod
    def _validate_config(config: WorkspaceConfig) -> None:
        """Refuse a budget that breaks a rule. Errors: ValueError naming workspace and field."""
        check(config)


def _mapping(filepath: str | Path) -> dict[str, Any]:
    path = Path(filepath)
    if not path.exists():
        raise FileNotFoundError(f"Configuration file not found: {filepath}")
    data = _plain(path)
    if not isinstance(data, dict):
        raise ValueError(f"{filepath} must be a mapping of workspaces")
    return data


def _plain(path: Path) -> Any:
    try:
        yaml: Any = import_module("yaml")
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "Reading YAML needs PyYAML: pip install 'membudget[yaml]'"
        ) from None
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is no YAML: {error}") from error


def _merged(usual: dict[str, Any], stated: Any) -> dict[str, Any]:
    if not isinstance(stated, dict):
        return usual
    merged = dict(usual)
    for key, held in stated.items():
        inner = merged.get(key)
        merged[key] = (
            {**inner, **held} if isinstance(inner, dict) and isinstance(held, dict) else held
        )
    return merged
