"""Let a request in as far as its key allows: its scope, its workspaces."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

from fastapi import Request
from starlette.datastructures import QueryParams

from app.api.reach import asked_by, home, within_reach
from app.api.scopes import Need
from app.core.keys import Key, require_right

KEY = "membudget.key"
"""Where the edge leaves the key of a request; absent where none was asked for."""

WORKSPACE_PATHS = "/workspaces/{id}"
BY_ID = "{id}"
BY_BODY = frozenset({("PUT", "/costs/budgets/{name}")})
"""Routes whose body may name the workspace that the query names elsewhere."""


@contextmanager
def let_in(
    key: Key, need: Need, request: Request, path: str, *, takes_workspace: bool
) -> Iterator[None]:
    """While the block lasts, the request is read as the key's.

    Of a key that is bound to workspaces every workspace that path or query name is checked, and
    a query that names none gets the key's own. Errors: MissingScope, BoundKey, NotFound,
    WorkspaceNeeded.
    """
    require_right(key, need.rights, whole_house=need.whole_house)
    if not key.workspaces:
        yield
        return
    with asked_by(key):
        if path.startswith(WORKSPACE_PATHS):
            within_reach(request.path_params["id"])
        elif takes_workspace:
            _settle_query(key, request, path)
        yield


def _settle_query(key: Key, request: Request, path: str) -> None:
    query = request.scope["query_string"]
    named = QueryParams(query).getlist("workspace")  # the request's own would be kept as it is
    for workspace in named:
        within_reach(workspace)
    is_told_by_id = BY_ID in path and len(key.workspaces) > 1
    if not named and not is_told_by_id and (request.method, path) not in BY_BODY:
        addition = f"workspace={quote(home(), safe='')}".encode()
        request.scope["query_string"] = query + b"&" + addition if query else addition
