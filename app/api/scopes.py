"""Say which scope of a key each route asks for: the one table of it."""

from collections.abc import Mapping
from typing import Any

from app.api.reach import BEARER
from app.core.keys import RIGHTS
from app.core.values import value

Method = str
Path = str


@value
class Need:
    """What a route asks of a key."""

    rights: frozenset[str]
    """One of these, or `admin`."""
    whole_house: bool = False
    """Whether it is about all workspaces: then the key must be bound to none."""


USE = Need(rights=frozenset({"use"}))
READ = Need(rights=frozenset({"read"}))
EITHER = Need(rights=frozenset({"use", "read"}))
ADMIN = Need(rights=frozenset())
ANY = Need(rights=frozenset(RIGHTS))
HOUSE_READ = Need(rights=frozenset({"read"}), whole_house=True)
HOUSE_ADMIN = Need(rights=frozenset(), whole_house=True)

PUBLIC = frozenset({"/healthz", "/readyz", "/version"})
"""Paths that need no key."""

NEEDS: Mapping[tuple[Method, Path], Need] = {
    ("POST", "/allocate"): USE,
    ("POST", "/allocations/{id}/loads"): USE,
    ("POST", "/allocations/{id}/extend"): USE,
    ("POST", "/allocations/{id}/release"): USE,
    ("POST", "/allocations/{id}/finish"): USE,
    ("GET", "/allocations/{id}"): EITHER,
    ("GET", "/allocations"): READ,
    ("GET", "/allocations/statistics"): READ,
    ("GET", "/allocations/export"): READ,
    ("DELETE", "/allocations"): ADMIN,
    ("POST", "/usage"): USE,
    ("POST", "/usage/import"): USE,
    ("GET", "/usage"): READ,
    ("GET", "/usage/export"): READ,
    ("GET", "/usage/analytics"): READ,
    ("POST", "/complexity"): EITHER,
    ("GET", "/complexity/signals"): EITHER,
    ("POST", "/complexity/feedback"): USE,
    ("GET", "/profiles"): EITHER,
    ("GET", "/profiles/{name}"): EITHER,
    ("PUT", "/profiles/{name}"): ADMIN,
    ("DELETE", "/profiles/{name}"): ADMIN,
    ("GET", "/agents"): EITHER,
    ("GET", "/agents/{type}/{name}"): EITHER,
    ("PUT", "/agents/{type}/{name}"): ADMIN,
    ("DELETE", "/agents/{type}/{name}"): ADMIN,
    ("GET", "/agents/{name}"): EITHER,
    ("PUT", "/agents/{name}"): ADMIN,
    ("DELETE", "/agents/{name}"): ADMIN,
    ("GET", "/users"): EITHER,
    ("GET", "/users/{user}"): EITHER,
    ("PUT", "/users/{user}"): ADMIN,
    ("DELETE", "/users/{user}"): ADMIN,
    ("GET", "/workspaces"): EITHER,
    ("GET", "/workspaces/{id}"): EITHER,
    ("PUT", "/workspaces/{id}"): ADMIN,
    ("DELETE", "/workspaces/{id}"): ADMIN,
    ("GET", "/workspaces/{id}/projects"): EITHER,
    ("GET", "/workspaces/{id}/projects/{project}"): EITHER,
    ("PUT", "/workspaces/{id}/projects/{project}"): ADMIN,
    ("DELETE", "/workspaces/{id}/projects/{project}"): ADMIN,
    ("GET", "/config"): EITHER,
    ("GET", "/config/export"): READ,
    ("POST", "/config/import"): ADMIN,
    ("GET", "/config/versions"): READ,
    ("POST", "/config/versions/{n}/restore"): ADMIN,
    ("POST", "/simulate"): READ,
    ("GET", "/recommendations"): READ,
    ("POST", "/recommendations/run"): ADMIN,
    ("POST", "/recommendations/{id}/apply"): ADMIN,
    ("POST", "/recommendations/{id}/dismiss"): ADMIN,
    ("POST", "/recommendations/{id}/rollback"): ADMIN,
    ("GET", "/reports"): READ,
    ("GET", "/reports/needs"): READ,
    ("GET", "/reports/{id}"): READ,
    ("POST", "/costs/estimate"): EITHER,
    ("POST", "/costs/predict"): EITHER,
    ("POST", "/costs/recommend-model"): EITHER,
    ("GET", "/costs/breakdown"): READ,
    ("GET", "/costs/alerts"): READ,
    ("GET", "/costs/budgets"): EITHER,
    ("GET", "/costs/budgets/{name}"): EITHER,
    ("GET", "/costs/budgets/{name}/check"): EITHER,
    ("PUT", "/costs/budgets/{name}"): ADMIN,
    ("DELETE", "/costs/budgets/{name}"): ADMIN,
    ("GET", "/costs/prices"): EITHER,
    ("GET", "/costs/prices/{model}"): EITHER,
    ("PUT", "/costs/prices/{model}"): ADMIN,
    ("DELETE", "/costs/prices/{model}"): ADMIN,
    ("POST", "/operations"): USE,
    ("GET", "/operations/statistics"): READ,
    ("GET", "/operations/bottlenecks"): READ,
    ("GET", "/operations/parallelism"): READ,
    ("POST", "/tokens/count"): EITHER,
    ("POST", "/tokens/reports"): USE,
    ("POST", "/minify"): EITHER,
    ("POST", "/memories"): USE,
    ("GET", "/memories"): EITHER,
    ("POST", "/memories/search"): EITHER,
    ("POST", "/memories/import"): USE,
    ("GET", "/memories/export"): READ,
    ("GET", "/memories/{id}"): EITHER,
    ("PATCH", "/memories/{id}"): USE,
    ("DELETE", "/memories/{id}"): USE,
    ("POST", "/memories/{id}/restore"): USE,
    ("GET", "/memories/health"): READ,
    ("GET", "/memories/lifecycle/{kind}"): READ,
    ("POST", "/memories/lifecycle/{kind}/apply"): ADMIN,
    ("POST", "/pools"): USE,
    ("GET", "/pools/{id}"): EITHER,
    ("POST", "/pools/{id}/transfer"): USE,
    ("GET", "/memories/lifecycle/actions"): READ,
    ("POST", "/memories/lifecycle/actions/{id}/undo"): ADMIN,
    ("GET", "/jobs"): HOUSE_READ,
    ("POST", "/jobs/{name}/run"): HOUSE_ADMIN,
    ("GET", "/metrics"): HOUSE_READ,
    ("GET", "/backups"): HOUSE_ADMIN,
    ("POST", "/backups"): HOUSE_ADMIN,
    ("POST", "/backups/{id}/restore"): HOUSE_ADMIN,
    ("GET", "/keys"): HOUSE_ADMIN,
    ("POST", "/keys"): HOUSE_ADMIN,
    ("POST", "/keys/{id}/rotate"): HOUSE_ADMIN,
    ("DELETE", "/keys/{id}"): HOUSE_ADMIN,
    ("GET", "/docs"): ANY,
}


def need_of(method: Method, path: Path) -> Need:
    """What a route asks for; one that the table lacks asks for everything."""
    return NEEDS.get((method, path), HOUSE_ADMIN)


def describe_scopes(document: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI document with the scopes that each operation asks for."""
    document.setdefault("components", {})["securitySchemes"] = {
        BEARER: {
            "type": "http",
            "scheme": "bearer",
            "description": "A key, `mb_…`; its scopes are `use`, `read` and `admin`, which has all",
        }
    }
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if path in PUBLIC:
                operation["security"] = []
                continue
            need = need_of(method.upper(), path)
            names = [name for name in RIGHTS if name in need.rights] or ["admin"]
            operation["security"] = [{BEARER: [name]} for name in names]
            operation["x-whole-house"] = need.whole_house
    return document
