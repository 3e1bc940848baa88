"""Keep memories, list them, carry them in and out."""

from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Annotated, Any, Literal

from anyio import to_thread
from fastapi import Query, Request, Response

from app.api import names
from app.api.dependencies import House, HouseDep
from app.api.exporting import export
from app.api.idempotency import IDEMPOTENCY_KEY, idempotency
from app.api.paging import Cursor, Limit, Page, from_cursor, page
from app.api.parameters import Agent, Home, Since, Text, Until, Workspace, at
from app.api.routing import JSON, answer, router_of
from app.api.schemas.memories import (
    MEMORY_BODY,
    PATCH,
    PATCH_BODY,
    KeptMany,
    MemoryOut,
    memory_out,
    read_memories,
    to_change,
    to_memory,
)
from app.api.schemas.memory_lines import read_lines, write_line
from app.api.strict import check_nul, check_once
from app.api.uploads import upload_docs, whole_upload
from app.core.errors import InvalidRequest
from app.core.filters import MemoryFilter
from app.core.memory import Memory
from app.flows.import_memories import MemoryFile, MemoryImport, import_memories
from app.flows.list_memories import export_all, list_page
from app.flows.manage_memories import Brought, add, change, delete, find

router = router_of("Memories")

FILES = upload_docs("application/gzip", "application/x-ndjson", "application/json", required=False)

LONG_BODY = 64 * 1024
"""Bytes from which a body is read beside the event loop, so that nobody waits for it."""

Project = Annotated[
    str | None,
    Query(
        description="The project that all memories shall be of; as the lines say if left out.",
        min_length=1,
        max_length=200,
        pattern=names.NAME,
    ),
]


@router.post(
    "/memories",
    status_code=201,
    response_model=KeptMany,
    openapi_extra={**MEMORY_BODY, **IDEMPOTENCY_KEY},
)
async def post_memories(request: Request, house: HouseDep) -> Response:
    """Keep one memory or a list of up to 1,000, all or none; tokens are counted exactly."""
    raw = await request.body()
    check_nul(raw)
    if len(raw) < LONG_BODY:
        memories = _memories(raw, house)
    else:
        memories = await to_thread.run_sync(_memories, raw, house)
    key, digest = await idempotency(request)
    brought = Brought(
        memories=memories,
        now=house.now_micros(),
        idempotency_key=key,
        request_hash=digest or b"",
    )
    kept = await add(house.store, house.tokens, brought)
    return Response(kept, status_code=201, media_type=JSON)


def _memories(raw: bytes, house: House) -> list[Memory]:
    now = house.now_micros()
    return [
        to_memory(given, identify=house.identify, new_id=house.new_id, now=now)
        for given in read_memories(raw)
    ]


@router.get("/memories", response_model=Page[MemoryOut])
async def get_memories(
    house: HouseDep,
    workspace: Workspace = "default",
    project: Text = None,
    agent: Agent = None,
    scope: Text = None,
    tier: Text = None,
    state: Annotated[Literal["active", "archived"] | None, Query()] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """Memories, newest first; `since` and `until` are about `created_at`.

    A page holds fewer than `limit` where texts are long; `next_cursor` says whether there are more.
    """
    if scope is not None and tier is not None:
        raise InvalidRequest(
            "`scope` and `tier` name the same thing; give one of them.",
            errors=[{"loc": ["query", "tier"], "msg": "goes without scope"}],
        )
    wanted = MemoryFilter(
        workspace=workspace,
        project=project,
        agent=agent,
        scope=scope or tier,
        is_default_scope=scope == "global" or tier == "working",
        state=state,
        since=at(since),
        until=at(until),
    )
    listed = await list_page(house.store, wanted, from_cursor(cursor), limit)
    return answer(page([memory_out(memory) for memory in listed.items], listed.next_before))


@router.get("/memories/export", response_class=Response)
async def get_export(
    house: HouseDep,
    workspace: Workspace = "default",
    project: Text = None,
    format: Annotated[Literal["jsonl", "json"], Query()] = "jsonl",
) -> Response:
    """Every memory that is not deleted, newest first, as an import takes it."""
    wanted = MemoryFilter(workspace=workspace, project=project)
    return export(_lines(export_all(house.store, wanted)), format, "memories")


async def _lines(memories: AsyncIterator[Memory]) -> AsyncIterator[Mapping[str, Any]]:
    async for memory in memories:
        yield write_line(memory)


@router.post("/memories/import", response_model=MemoryImport, openapi_extra=FILES)
async def post_import(
    request: Request,
    house: HouseDep,
    workspace: Workspace = "default",
    project: Project = None,
    replace: Annotated[
        bool,
        Query(
            description="Delete what the file does not hold, in the projects that it has memories "
            "of; nothing is deleted if anything is refused."
        ),
    ] = False,
) -> Response:
    """Take in a `.claude/memory` tree (.tar.gz), or JSON Lines as the export or mem0 writes them.

    What can be read is kept, what cannot is named; the same file again changes nothing.
    """
    data = await whole_upload(request)
    now = house.now_micros()
    read = partial(
        read_lines,
        data,
        workspace=workspace,
        project=project,
        identify=house.identify,
        now=now,
    )
    file = MemoryFile(
        data=data,
        is_said_packed=request.headers.get("content-type", "").startswith("application/gzip"),
        workspace=workspace,
        project=project,
        replace=replace,
        read_lines=read,
        now=now,
    )
    return answer(await import_memories(house.store, house.tokens, file))


@router.get("/memories/{id}", response_model=MemoryOut)
async def get_memory(id: str, house: HouseDep, workspace: Home = None) -> Response:
    """A memory."""
    return answer(memory_out(await find(house.store, house.directory, id, workspace)))


@router.patch("/memories/{id}", response_model=MemoryOut, openapi_extra=PATCH_BODY)
async def patch_memory(
    id: str, request: Request, house: HouseDep, workspace: Home = None
) -> Response:
    """Change a memory: what is given; null puts a field back to its default."""
    raw = await request.body()
    check_nul(raw)
    patch = PATCH.validate_json(raw)
    check_once(raw, patch)
    memory = await find(house.store, house.directory, id, workspace)
    apply = to_change(
        patch, workspace=memory.workspace, identify=house.identify, now=house.now_micros()
    )
    changed = await change(house.store, house.tokens, memory, apply, patch.text or None)
    return answer(memory_out(changed))


@router.delete("/memories/{id}", status_code=204, response_class=Response)
async def delete_memory(id: str, house: HouseDep, workspace: Home = None) -> Response:
    """Delete a memory. It is kept out of sight until its retention ends."""
    memory = await find(house.store, house.directory, id, workspace)
    await delete(house.store, memory, house.now_micros())
    return Response(status_code=204)
