"""Read and write the originals' files: budget-profiles.json and memory-budget.yaml."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from app.core.errors import InvalidPolicy
from app.core.policy_documents import BUDGET_NUMBERS, DEFAULT_WORKSPACE
from app.core.policybook import PolicyBook

Format = Literal["profiles", "allocator", "document"]

ABOUT_KEYS = ("version", "description", "last_updated")
PROFILES_FILE_KEYS = (
    "profiles",
    "agent_assignments",
    "complexity_multipliers",
    "alert_thresholds",
    "tuning_parameters",
)
OUR_KEYS = (
    "default_profile",
    "enforcement",
    "aliases",
    "signals",
    "users",
    "memory_lifecycle",
    "detection",
)
"""What our documents state beyond the original's keys; written when it is stated."""
WORKSPACE_MARKS = frozenset(("workspace_id", "max_total_tokens", "tier_allocation"))
BESIDE_WORKSPACES = ("logging", "performance", "project_overrides")
PERFORMANCE_KEYS = ("track_history", "max_history_size", "auto_export_interval")


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocatorFile:
    """What a memory-budget.yaml says."""

    documents: Mapping[str, dict[str, Any]]
    """One document for each workspace: its budget and its projects."""
    settings: Mapping[str, Any]
    """How the history of allocations is kept; also in the document of `default`."""
    ignored: tuple[str, ...]
    """Keys that have no meaning here, dotted."""


def detect_format(data: Any) -> Format:
    """Which of the files this is: profiles, workspaces, or a document of our own."""
    if not isinstance(data, Mapping):
        raise _invalid((), "must be a mapping")
    if "project_overrides" in data or any(_is_workspace(*item) for item in data.items()):
        return "allocator"
    if any(key in data for key in (*PROFILES_FILE_KEYS, *ABOUT_KEYS)) and "about" not in data:
        return "profiles"
    return "document"


def read_profiles_file(data: Any) -> dict[str, Any]:
    """A document from the keys of budget-profiles.json; what describes the file is kept aside."""
    if not isinstance(data, Mapping):
        raise _invalid((), "must be a mapping")
    document = {key: value for key, value in data.items() if key not in ABOUT_KEYS}
    about = {
        key: str(data[key]) if isinstance(data[key], int | float) else data[key]
        for key in ABOUT_KEYS
        if data.get(key) is not None
    }
    return {**document, "about": about} if about else document


def read_allocator_file(data: Any) -> AllocatorFile:
    """Documents of all workspaces in a memory-budget.yaml; values are checked when they are used.

    A workspace is named by its `workspace_id`, else by its key. Overrides may use either.
    """
    if not isinstance(data, Mapping):
        raise _invalid((), "must be a mapping")
    documents: dict[str, dict[str, Any]] = {}
    names: dict[str, str] = {}
    ignored: list[str] = []
    for key, entry in data.items():
        if key in BESIDE_WORKSPACES and not _is_workspace(key, entry):
            continue
        if key in ABOUT_KEYS and not isinstance(entry, Mapping):
            ignored.append(key)
            continue
        if not isinstance(entry, Mapping):
            raise _invalid((key,), "a workspace must be a mapping")
        name = entry.get("workspace_id", key)
        if not isinstance(name, str):
            raise _invalid((key, "workspace_id"), "must be a text")
        if name in documents:
            raise _invalid((key, "workspace_id"), f'"{name[:60]}" stands twice')
        names[key] = name
        documents[name] = {"budget": {**entry, "workspace_id": name}}

    for name, projects in _read_overrides(data, documents, names).items():
        documents.setdefault(name, {})["projects"] = projects
    settings = _read_performance(data, ignored)
    if settings:
        documents.setdefault(DEFAULT_WORKSPACE, {})["performance"] = settings
    return AllocatorFile(documents=documents, settings=settings, ignored=tuple(ignored))


def write_profiles_file(book: PolicyBook) -> dict[str, Any]:
    """What holds in a workspace, in the keys of budget-profiles.json."""
    document = book.document
    return {
        **(document.get("about") or {}),
        **{key: document.get(key, {}) for key in PROFILES_FILE_KEYS},
        **{key: document[key] for key in OUR_KEYS if document.get(key)},
    }


def write_allocator_file(books: Sequence[PolicyBook]) -> dict[str, Any]:
    """The budgets and projects of all workspaces that state any, as a memory-budget.yaml."""
    data: dict[str, Any] = {}
    overrides: dict[str, Any] = {}
    for book in books:
        budget = book.document.get("budget")
        if budget is not None:
            order = ("workspace_id", *BUDGET_NUMBERS)
            rest = tuple(key for key in budget if key not in order)
            stated = {"workspace_id": book.workspace, **budget}
            data[_free_key(book.workspace)] = {key: stated[key] for key in (*order, *rest)}
        if book.document.get("projects"):
            overrides[book.workspace] = dict(book.document["projects"])
    performance = next(
        (book.document.get("performance") for book in books if book.workspace == DEFAULT_WORKSPACE),
        None,
    )
    if performance:
        data["performance"] = dict(performance)
    if overrides:
        data["project_overrides"] = overrides
    return data


def _read_overrides(
    data: Mapping[str, Any], documents: Mapping[str, Any], names: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    overrides = data.get("project_overrides")
    if overrides is None or _is_workspace("project_overrides", overrides):
        return {}
    if not isinstance(overrides, Mapping):
        raise _invalid(("project_overrides",), "must be a mapping")
    read: dict[str, dict[str, Any]] = {}
    for key, projects in overrides.items():
        if not isinstance(projects, Mapping):
            raise _invalid(("project_overrides", key), "must be a mapping")
        name = key if key in documents else names.get(key, key)
        read.setdefault(name, {}).update(projects)
    return read


def _read_performance(data: Mapping[str, Any], ignored: list[str]) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for section in ("logging", "performance"):
        stated = data.get(section)
        if stated is None or _is_workspace(section, stated):
            continue
        if not isinstance(stated, Mapping):
            raise _invalid((section,), "must be a mapping")
        for key, value in stated.items():
            if section == "performance" and key in PERFORMANCE_KEYS:
                settings[key] = value
            else:
                ignored.append(f"{section}.{key}")
    return settings


def _is_workspace(key: str, entry: Any) -> bool:
    """Whether an entry is a workspace, which may have the name of a section."""
    if not isinstance(entry, Mapping) or not WORKSPACE_MARKS & entry.keys():
        return False
    return key not in ("budget", *BESIDE_WORKSPACES) or entry.get("workspace_id") == key


def _free_key(workspace: str) -> str:
    return f"workspace {workspace}" if workspace in BESIDE_WORKSPACES else workspace


def _invalid(loc: tuple[str, ...], message: str) -> InvalidPolicy:
    where = ".".join(loc)
    return InvalidPolicy(
        f"{where}: {message}" if where else message,
        errors=[{"loc": list(loc), "msg": message}],
    )
