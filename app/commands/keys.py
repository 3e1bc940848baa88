"""Make, list, rotate and revoke keys through the service."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx

from app.commands.service import ask, refuse


async def listed(client: httpx.AsyncClient) -> Iterator[str]:
    """Every key in a line, newest first."""
    response = await ask(client, "GET", "/keys")
    return map(_line, response.json()["items"])


async def create(
    client: httpx.AsyncClient,
    *,
    name: str,
    scopes: Sequence[str],
    workspaces: Sequence[str],
    expires_at: str | None,
) -> Mapping[str, Any]:
    """Make a key; with its secret."""
    body = {
        "name": name,
        "scopes": list(scopes),
        "workspaces": list(workspaces) or None,
        "expires_at": expires_at,
    }
    return await _made(client, "/keys", body)


async def rotate(client: httpx.AsyncClient, id_: str, grace_seconds: int) -> Mapping[str, Any]:
    """Give a key a new secret; with it."""
    return await _made(client, f"/keys/{id_}/rotate", {"grace_seconds": grace_seconds})


async def revoke(client: httpx.AsyncClient, id_: str) -> None:
    """Let a key in no more."""
    refuse(await client.delete(f"/keys/{id_}"))


async def _made(client: httpx.AsyncClient, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
    response = await client.post(path, json=body)
    refuse(response)
    made: Mapping[str, Any] = response.json()
    return made


def _line(one: Mapping[str, Any]) -> str:
    where = ", ".join(one["workspaces"]) if one["workspaces"] else "all workspaces"
    ends = f", until {one['expires_at']}" if one["expires_at"] else ""
    used = f"last used {one['last_used_at']}" if one["last_used_at"] else "not used yet"
    return f"{one['id']}  {one['name']}: {', '.join(one['scopes'])}; {where}{ends}; {used}"
