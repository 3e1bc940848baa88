"""Read memories from lines, or lists, of JSON objects, and write them so: ours, and mem0's."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from app.api import names
from app.api.schemas.common import Label
from app.api.schemas.memories import (
    Identify,
    MemoryFields,
    MemoryId,
    MemoryOut,
    Said,
    aware,
    first,
    memory_out,
)
from app.api.schemas.usage import Metadata
from app.api.strict import check_nul, check_once, comes_once
from app.core.errors import DomainError, InvalidRequest
from app.core.memory import Memory
from app.core.memory_tree import Refused, id_of
from app.core.windows import micros

MAX_RECORDS = 200_000
_LINE = re.compile(rb"[^\n]+")
METADATA = TypeAdapter[dict[str, Any]](Metadata)
_LISTS = ("results", "memories", "items")


class MemoryLine(MemoryFields):
    """A memory as our export writes it, or as mem0 answers it; other members are ignored."""

    model_config = ConfigDict(extra="ignore")

    id: MemoryId | Annotated[int, Field(ge=0)] | None = None
    text: Said | None = None
    memory: Said | None = None
    """What mem0 calls the text."""
    content: Said | None = None
    """What other memory servers call the text."""
    updated_at: datetime | None = None
    """What mem0 calls `modified_at`."""
    agent_id: Label | None = None
    run_id: Label | None = None
    """What mem0 calls the session."""
    user_id: Label | None = None
    """Kept in `metadata`, and so are categories."""
    categories: list[Label] | None = None
    state: Literal["active", "archived"] = "active"


def read_lines(
    data: bytes, *, workspace: str, project: str | None, identify: Identify, now: int
) -> tuple[list[Memory], list[Refused]]:
    """The memories of a file and what was refused; `project` overrides what lines say.

    A record's identity is its `id`, else its hash. Errors: InvalidRequest for too many of them.
    """
    memories: list[Memory] = []
    refused: list[Refused] = []
    for number, (where, line, record) in enumerate(_records(data)):
        if number >= MAX_RECORDS:
            raise InvalidRequest(f"The file has more than {MAX_RECORDS:,} memories; send parts.")
        try:
            memories.append(
                _memory(record, workspace=workspace, project=project, identify=identify, now=now)
            )
        except DomainError as error:
            refused.append(Refused(path=where, line=line, reason=error.detail))
    return memories, refused


def _records(data: bytes) -> Iterator[tuple[str, int | None, bytes]]:
    """Where each record stands, its line if the file is one of lines, and its JSON."""
    start = _LINE.search(data)
    if start is not None and _parsed(start.group()) is None:
        whole = _parsed(data)
        if whole is not None:
            check_once(data, whole)
            for number, record in enumerate(_listed(whole), 1):
                yield f"item {number}", None, to_json(record)
            return
    number, at = 1, 0
    for line in _LINE.finditer(data):
        number += data.count(b"\n", at, line.start())
        at = line.start()
        if not line.group().strip():
            continue
        found = _parsed(line.group())
        if not isinstance(found, list | dict) or not comes_once(line.group(), found):
            yield f"line {number}", number, line.group()
            continue
        records = _listed(found)
        for nth, record in enumerate(records, 1):
            item = f", item {nth}" if len(records) > 1 else ""
            yield f"line {number}{item}", number, to_json(record)


def _parsed(raw: bytes) -> Any:
    try:
        return from_json(raw, allow_inf_nan=False)
    except ValueError:
        return None


def _listed(found: Any) -> list[Any]:
    """The records of a list, of an answer that holds one, or the one record that it is."""
    if isinstance(found, dict) and not {"text", "memory", "content"} & found.keys():
        found = next((found[name] for name in _LISTS if isinstance(found.get(name), list)), found)
    return found if isinstance(found, list) else [found]


def _memory(
    raw: bytes, *, workspace: str, project: str | None, identify: Identify, now: int
) -> Memory:
    check_nul(raw)
    try:
        line = MemoryLine.model_validate_json(raw)
        check_once(raw, line)
        metadata = METADATA.validate_python(_metadata(line))
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, fault["loc"]))
        msg = names.in_words(fault["msg"])
        raise InvalidRequest(f"{where}: {msg}" if where else msg) from error
    text = next((said for said in (line.text, line.memory, line.content) if said), None)
    if text is None:
        raise InvalidRequest("text: is missing")
    facts = line.facts()
    updated_at = None if line.updated_at is None else micros(aware(line.updated_at))
    created_at = first(facts.get("created_at"), updated_at, now)
    home = project or line.project
    said = f"{line.model_dump_json(exclude_unset=True)}\n{home}"
    fingerprint = hashlib.blake2b(said.encode(), digest_size=16).digest()
    agent = line.agent or line.agent_id
    given = {
        **facts,
        "id": id_of(workspace, home, fingerprint.hex()) if line.id is None else str(line.id),
        "workspace": workspace,
        "project": home,
        "agent": None if agent is None else identify(workspace, agent)[0],
        "session": line.session or line.run_id,
        "text": text,
        "created_at": created_at,
        "modified_at": first(facts.get("modified_at"), updated_at, created_at),
        "metadata": metadata,
        "state": line.state,
        "state_at": now,
        "fingerprint": fingerprint,
    }
    return Memory(**given)


def _metadata(line: MemoryLine) -> dict[str, Any]:
    more = {"user_id": line.user_id, "categories": line.categories}
    return {**(line.metadata or {}), **{name: said for name, said in more.items() if said}}


_NAMES = tuple(name for name in MemoryOut.__slots__ if name not in ("workspace", "tier"))


def write_line(memory: Memory) -> Mapping[str, Any]:
    """A memory as a line has it: every field but the workspace, which an import names."""
    shown = memory_out(memory)
    return {name: getattr(shown, name) for name in _NAMES}
