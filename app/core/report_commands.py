"""Write the commands that a report advises: they work as they are typed."""

from collections.abc import Mapping
from json import dumps
from urllib.parse import quote

SERVICE = "${MEMBUDGET_URL:-http://127.0.0.1:8000}"
"""Where the service is, as the client reads it."""

KEY_NOTE = (
    "The commands reach a service on this machine, or the one that MEMBUDGET_URL names. Where it"
    ' asks for a key, add -H "Authorization: Bearer $MEMBUDGET_API_KEY".'
)


def get(path: str, **query: str | int | None) -> str:
    """Ask for something."""
    return f"curl {_address(path, query)}"


def post(path: str, body: Mapping[str, object] | None = None, **query: str | None) -> str:
    """Do something."""
    return f"curl -X POST {_address(path, query)}{_body(body)}"


def put(path: str, body: Mapping[str, object], **query: str | None) -> str:
    """Say how something should be."""
    return f"curl -X PUT {_address(path, query)}{_body(body)}"


def agent_path(agent: str) -> str:
    """The path of an agent, named `type/name` or bare."""
    return "/agents/" + quote(agent, safe="/")


def of_workspace(workspace: str) -> str | None:
    """The workspace as a parameter; nothing for the one that is meant without it."""
    return None if workspace == "default" else workspace


def _address(path: str, query: Mapping[str, str | int | None]) -> str:
    given = "&".join(
        f"{name}={quote(str(value), safe='')}" for name, value in query.items() if value is not None
    )
    return f'"{SERVICE}{path}{"?" + given if given else ""}"'


def _body(body: Mapping[str, object] | None) -> str:
    if body is None:
        return ""
    text = dumps(body).replace("'", "'\\''")
    return f" -H 'content-type: application/json' -d '{text}'"
