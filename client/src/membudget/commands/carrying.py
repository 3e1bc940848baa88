"""Carry data out of the service, and files of the originals into it."""

import json
from pathlib import Path
from typing import Any

from membudget._say import warn
from membudget._service import shared_client
from membudget.commands import output
from membudget.results import Imported

FORMATS = {
    "usage": ("jsonl", "csv", "json"),
    "memories": ("jsonl", "json"),
    "profiles": ("json",),
    "workspaces": ("yaml", "json"),
}
"""How each kind can be written; the first unless said otherwise."""
KINDS = ("memories", "usage", "policy")
HEAD = 1 << 20
TRIED_LINES = 50
USAGE_KEYS = ("tokens_loaded", "budget_allocated")
MEMORY_KEYS = ("text", "memory", "results")
POLICY_KEYS = ("profiles", "agent_assignments")


def export(
    kind: str,
    *,
    to: Path | None,
    format: str | None,
    workspace: str | None,
    agent: str | None,
    as_json: bool,
) -> None:
    """Everything of a kind, to a file or to standard output."""
    if kind not in FORMATS:
        output.stop(f"Export one of {', '.join(FORMATS)}, not {kind!r}.", output.USAGE)
    if format is not None and format not in FORMATS[kind]:
        output.stop(f"{kind} is written as {' or '.join(FORMATS[kind])}.", output.USAGE)
    if as_json and format not in (None, "json"):
        output.stop(f"--json and --format {format} contradict each other.", output.USAGE)
    if agent is not None and kind != "usage":
        output.stop("--agent goes with usage.", output.USAGE)
    if to is not None and not to.absolute().parent.is_dir():
        output.stop(f"There is no folder {to.absolute().parent}.")
    wanted = "json" if as_json else format or FORMATS[kind][0]
    with output.working(f"Exporting {kind}"):
        data = _exported(kind, wanted, workspace, agent)
    if to is None:
        output.write(data)
    else:
        to.write_bytes(data)
        warn(f"{len(data):,} bytes in {to}")


def _exported(kind: str, format: str, workspace: str | None, agent: str | None) -> bytes:
    client = shared_client()
    if kind == "usage":
        asked = "jsonl" if format == "json" else format
        data = client.usage_export(asked, workspace=workspace, agent=agent)
        return _listed(data) if format == "json" else data
    if kind == "memories":
        return client.memories.export("json" if format == "json" else "jsonl", workspace=workspace)
    if kind == "profiles":
        return client.config.export("json", workspace=workspace)
    if format == "json":
        return client.config.export("json", of="workspaces", workspace=workspace)
    return client.config.export("yaml", workspace=workspace)


def _listed(lines: bytes) -> bytes:
    """JSON Lines as one list, a line each."""
    return b"[" + b",\n ".join(line for line in lines.split(b"\n") if line.strip()) + b"]\n"


def import_(
    source: Path,
    *,
    kind: str | None,
    dry_run: bool,
    replace: bool,
    project: str | None,
    workspace: str | None,
    as_json: bool,
) -> None:
    """A memory tree, a usage log, or a file of policy: what it is is seen from what it holds."""
    if not source.exists():
        output.stop(f"There is no file or folder {source}.")
    if kind is not None and kind not in KINDS:
        output.stop(f"Import one of {', '.join(KINDS)}, not {kind!r}.", output.USAGE)
    kind = kind or kind_of(source)
    client = shared_client()
    if dry_run and kind != "policy":
        output.stop("--dry-run goes with files of policy.", output.USAGE)
    with output.working(f"Importing {source}"):
        found: Any
        if kind == "policy":
            found = client.config.import_(
                source, dry_run=dry_run, replace=replace, workspace=workspace
            )
        elif kind == "usage":
            found = client.usage_import(source, workspace=workspace)
        else:
            found = client.memories.import_(
                source, workspace=workspace, project=project, replace=replace
            )
    if as_json:
        output.emit(found)
    elif kind == "policy":
        output.facts((name, json.dumps(value, default=str)) for name, value in found.items())
    else:
        _imported(found)
    if kind != "policy" and not _is_taken(found, kind):
        raise SystemExit(output.FAILED)


def _is_taken(found: Imported, kind: str) -> bool:
    """Whether nothing is amiss: lines of a log are all runs; a tree has files that are no texts."""
    refused = bool(found.refused_count or found.refused)
    return not refused or (kind == "memories" and bool(found.imported or found.unchanged))


def _imported(found: Imported) -> None:
    output.facts(
        [
            ("Imported", found.imported),
            ("Unchanged", found.unchanged or None),
            ("Duplicates", found.duplicates or None),
            ("Removed", found.removed or None),
            ("Refused", found.refused_count or len(found.refused) or None),
        ]
    )
    for one in found.refused:
        warn(f"  {one.path or f'line {one.line}'}: {one.reason}")


def kind_of(source: Path) -> str:
    """`memories`, `usage` or `policy`: by what it holds, else by its name.

    Lines that are broken tell nothing, and the next one is looked at. Errors: OSError.
    """
    if source.is_dir() or source.name.endswith((".tar.gz", ".tgz")):
        return "memories"
    if source.suffix in (".yaml", ".yml"):
        return "policy"
    with source.open("rb") as file:
        head = file.read(HEAD)
    for text in (*head.split(b"\n")[:TRIED_LINES], head):
        found = _told_by(text)
        if found is not None:
            return found
    return "policy" if source.suffix == ".json" else "usage"


def _told_by(text: bytes) -> str | None:
    """What a file is that holds this; None if that tells nothing."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(found, list):
        return None if not found else _told_by_names(found[0]) or "memories"
    return _told_by_names(found)


def _told_by_names(found: Any) -> str | None:
    if not isinstance(found, dict):
        return None
    for kind, names in (("usage", USAGE_KEYS), ("memories", MEMORY_KEYS), ("policy", POLICY_KEYS)):
        if any(name in found for name in names):
            return kind
    return None
