"""Make, list and restore backups through the service, and show what came of it."""

from collections.abc import Iterator, Mapping
from typing import Any

import httpx

from app.commands.service import ask, refuse


async def create(client: httpx.AsyncClient) -> Mapping[str, Any]:
    """Make a backup."""
    response = await client.post("/backups")
    refuse(response)
    made: Mapping[str, Any] = response.json()
    return made


async def listed(client: httpx.AsyncClient) -> Iterator[str]:
    """The backups of the service, newest first, a line for each."""
    response = await ask(client, "GET", "/backups")
    return map(_line, response.json()["items"])


def _line(one: Mapping[str, Any]) -> str:
    if not one["valid"]:
        return f"{one['id']}  damaged, {one['bytes']:,} bytes"
    rows = sum(one["tables"].values())
    return f"{one['id']}  {one['created_at']}, {rows:,} rows, {one['bytes']:,} bytes"


async def restore(client: httpx.AsyncClient, id_: str, *, dry_run: bool) -> Mapping[str, Any]:
    """Restore a backup, or see whether that can be done."""
    response = await client.post(f"/backups/{id_}/restore", json={"dry_run": dry_run})
    refuse(response)
    restored: Mapping[str, Any] = response.json()
    return restored
