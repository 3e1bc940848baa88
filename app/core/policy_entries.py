"""Find single entries of a workspace's policy, and say what may be done with them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rapidfuzz import process

from app.core.errors import Conflict, InvalidRequest, NotFound
from app.core.policy_documents import DEFAULT_WORKSPACE, Document
from app.core.policy_faults import Faults

MAX_NEAREST = 3
LEAST_LIKENESS = 50  # ours: of 100; names less alike help nobody
MAX_NAMED = 10

WORDS = {
    "profiles": "profile",
    "agent_assignments": "assigned agent",
    "budget": "workspace with a budget of its own",
    "projects": "project with a budget of its own",
    "users": "user with a policy of their own",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A place in a workspace's policy: the entry of a section, or its budget."""

    workspace: str
    section: str
    name: str | None = None
    """None: the section itself."""


def require_names(entry: Entry) -> None:
    """Refuse names that nothing can have. Errors: InvalidRequest."""
    faults = Faults()
    faults.name(("path", "workspace"), entry.workspace)
    if entry.name is not None:
        slashes = int(entry.section == "agent_assignments")
        faults.name(("path", "name"), entry.name, slashes=slashes)
    if faults.found:
        raise InvalidRequest(f"The path: {faults.found[0]['msg']}.", errors=faults.found)


def has_entry(document: Document, entry: Entry) -> bool:
    """Whether a merged document states it."""
    if entry.name is None:
        return document.get(entry.section) is not None
    return entry.name in document.get(entry.section, {})


def find_entry(document: Document, entry: Entry, *, known: Iterable[str]) -> Any:
    """What a merged document states. Errors: NotFound, with the nearest of the names known."""
    if not has_entry(document, entry):
        name = entry.workspace if entry.name is None else entry.name
        raise unknown(WORDS[entry.section], name, known)
    section = document[entry.section]
    return section if entry.name is None else section[entry.name]


def unknown(word: str, name: str, known: Iterable[str]) -> NotFound:
    """That there is no such thing, and what is called nearly so."""
    found = process.extract(name, list(known), limit=MAX_NEAREST, score_cutoff=LEAST_LIKENESS)
    nearest = [near for near, _, _ in found]
    detail = f"There is no {word} of this name"
    if not nearest:
        return NotFound(f"{detail}.")
    return NotFound(f"{detail}; the nearest names are {', '.join(nearest)}.", nearest=nearest)


def deleted_with(document: Document, entry: Entry) -> Iterator[tuple[str, str | None]]:
    """What goes when an entry goes: a workspace's projects, an agent's aliases.

    Errors: Conflict for the budget of `default`, which everything falls back to.
    """
    if entry.section == "budget":
        if entry.workspace == DEFAULT_WORKSPACE:
            raise Conflict(
                "The default workspace keeps a budget: put another one in its place,"
                " or restore an earlier version."
            )
        for project in document.get("projects", {}):
            yield "projects", project
    if entry.section == "agent_assignments":
        for alias, agent in document.get("aliases", {}).items():
            if agent == entry.name:
                yield "aliases", alias
    yield entry.section, entry.name


def require_unused(
    profile: str,
    workspace: str,
    documents: Mapping[str, Document],
    *,
    sees: Callable[[str], bool],
) -> None:
    """Refuse to delete a profile that is somebody's. Errors: Conflict, with their names.

    `documents` holds the merged document of the workspace and, where `default` is meant, what
    the other workspaces state themselves. `sees`: which workspaces may be spoken of.
    """
    uses = [
        user if of == workspace else f"{of}: {user}" if sees(of) else "another workspace"
        for of, document in documents.items()
        if of == workspace or (document.get("profiles") or {}).get(profile) is None
        for user in _uses(profile, document)
    ]
    if uses:
        more = f" and {len(uses) - MAX_NAMED} more" if len(uses) > MAX_NAMED else ""
        raise Conflict(
            f"The profile is in use by {', '.join(uses[:MAX_NAMED])}{more};"
            " give them another profile first.",
            used_by=uses[:100],
        )


def _uses(profile: str, document: Document) -> Iterator[str]:
    for agent, entry in (document.get("agent_assignments") or {}).items():
        if entry == profile or (isinstance(entry, Mapping) and entry.get("profile") == profile):
            yield agent
    for user, entry in (document.get("users") or {}).items():
        if entry is not None and entry.get("profile") == profile:
            yield f"user {user}"
    if document.get("default_profile") == profile:
        yield "default_profile"
