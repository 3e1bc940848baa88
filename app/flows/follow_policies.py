"""Import policy files, and follow the watched ones and what other replicas change."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog
from anyio import to_thread

from app.core.errors import InvalidRequest
from app.core.policy_changes import Edit, merge, replace
from app.core.policy_checks import validate_file
from app.core.policy_documents import DEFAULT_WORKSPACE, KEYS, Document
from app.core.windows import micros
from app.presets.legacy import Format
from app.presets.loader import MAX_JSON_BYTES
from app.presets.reading import PolicyFile, read_policy
from app.store import policies
from app.store.database import Store, Tx
from app.store.policy_changes import Changed, change, try_out
from app.store.shelf import PolicyShelf

MAX_NAMED = 10

log = structlog.get_logger("membudget")

BUDGET_SECTIONS = ("budget", "projects")
SPEAKS_OF: Mapping[Format, Sequence[str]] = {
    "profiles": [key for key in KEYS if key not in (*BUDGET_SECTIONS, "performance")],
    "allocator": BUDGET_SECTIONS,
    "document": KEYS,
}
"""The sections that a file of each format replaces when it is asked to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What came of a policy file."""

    format: Format
    """`profiles` and `allocator` are the originals' files, `document` one of our own."""
    dry_run: bool
    changed: Mapping[str, Sequence[str]]
    """By workspace: what differs now, as `section.name` or the section."""
    ignored: Sequence[str]
    """Keys of the file that have no meaning here, dotted."""
    versions: Mapping[str, int]
    """By workspace: the version in force; the same as before if nothing is new."""


async def import_policy(
    store: Store,
    shelf: PolicyShelf,
    content: bytes,
    *,
    workspace: str,
    replaces: bool,
    dry_run: bool,
    allow: Callable[[str], object],
    now: datetime,
) -> Imported:
    """Put a file in force, whole or not at all. Errors: InvalidPolicy names every bad field.

    `allow` raises for a workspace that the file must not speak about.
    """
    file = await to_thread.run_sync(read_checked, shelf, content, workspace, replaces, allow)
    edits = _edits(file, replaces)

    if dry_run:
        changed = await store.read(lambda tx: try_out(tx, shelf.shipped, edits))
    else:
        changed = await store.write_alone(
            lambda tx: change(tx, shelf.shipped, edits, source="import", now=micros(now))
        )
        await shelf.refresh(store)

    return Imported(
        format=file.format,
        dry_run=dry_run,
        changed={one.workspace: one.changed for one in changed if one.changed},
        ignored=file.ignored,
        versions={one.workspace: one.version for one in changed},
    )


async def follow(store: Store, shelf: PolicyShelf, files: Sequence[Path], *, now: datetime) -> None:
    """Take over what other replicas changed, and watched files that say something new.

    A file is applied when its hash differs from the one last applied, by whichever replica. One
    that is refused or missing leaves the policy before it in force, and `file_errors` names it.
    """
    moved = await shelf.refresh(store)
    for path in files:
        await _follow_file(store, shelf, path, again=moved, now=now)


async def _follow_file(
    store: Store, shelf: PolicyShelf, path: Path, *, again: bool, now: datetime
) -> None:
    key = str(path)
    try:
        content = await to_thread.run_sync(_read, path)
    except FileNotFoundError:
        _refuse(shelf, path, "", "does not exist; the policy before it stays in force")
        return
    except OSError as error:
        _refuse(shelf, path, "", f"cannot be read: {error.strerror or type(error).__name__}")
        return

    digest = hashlib.sha256(content).hexdigest()
    if shelf.files_seen.get(key) == digest and not (again and key in shelf.file_errors):
        return
    try:
        await _apply(store, shelf, path, content, digest, now)
    except InvalidRequest as error:
        _refuse(shelf, path, digest, _explain(error))
        return
    shelf.files_seen[key] = digest
    shelf.file_errors.pop(key, None)


async def _apply(
    store: Store, shelf: PolicyShelf, path: Path, content: bytes, digest: str, now: datetime
) -> None:
    key = str(path)
    if await store.read(lambda tx: policies.file_hash(tx, key)) == digest:
        return
    file = await to_thread.run_sync(read_checked, shelf, content, DEFAULT_WORKSPACE, False, str)
    edits = _edits(file, replaces=False)
    at = micros(now)

    def work(tx: Tx) -> tuple[Changed, ...]:
        policies.lock(tx)
        if policies.file_hash(tx, key) == digest:
            return ()  # another replica has just applied it
        changed = change(tx, shelf.shipped, edits, source=f"file {path.name}", now=at)
        policies.note_file(tx, key, digest, now=at)
        return changed

    changed = await store.write_alone(work)
    await shelf.refresh(store)
    versions = {one.workspace: one.version for one in changed}
    log.info("policy_file_applied", file=path.name, versions=versions)


def read_checked(
    shelf: PolicyShelf,
    content: bytes,
    workspace: str,
    replaces: bool,
    allow: Callable[[str], object],
) -> PolicyFile:
    """A file whose documents are good, each for itself. Errors: InvalidPolicy, NotAvailable.

    Names that point nowhere are told beside other faults; else they are left to the change.
    """
    file = read_policy(content, workspace)
    for name in file.documents:
        allow(name)

    def held(name: str) -> Document:
        document = shelf.book(name).document
        if not replaces:
            return document
        return {key: entry for key, entry in document.items() if key not in file.documents[name]}

    validate_file(file.documents, held)
    return file


def _edits(file: PolicyFile, replaces: bool) -> dict[str, Edit]:
    if not replaces:
        return {name: merge(document, name) for name, document in file.documents.items()}
    kept = [key for key in KEYS if key not in SPEAKS_OF[file.format]]
    return {name: replace(document, name, kept=kept) for name, document in file.documents.items()}


def _read(path: Path) -> bytes:
    """The file; of one that is too large, enough to see it."""
    if path.exists() and not path.is_file():
        raise OSError(0, "it is not a file")
    with path.open("rb") as file:
        return file.read(MAX_JSON_BYTES + 1)


def _explain(error: InvalidRequest) -> str:
    """Every field at fault, as far as a line of a log goes."""
    if len(error.errors) < 2:
        return error.detail
    named = [
        f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors[:MAX_NAMED]
    ]
    more = len(error.errors) - len(named)
    return "; ".join(named) + (f" (and {more} more)" if more else "")


def _refuse(shelf: PolicyShelf, path: Path, digest: str, reason: str) -> None:
    """Remember why a file is not in force, and log it once for each content."""
    key = str(path)
    reason = f"{path.name}: {reason}"
    if shelf.file_errors.get(key) != reason or shelf.files_seen.get(key) != digest:
        log.error("policy_file_refused", file=path.name, reason=reason)
    shelf.files_seen[key] = digest
    shelf.file_errors[key] = reason
