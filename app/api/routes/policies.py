"""Read and change profiles, agents and users."""

from typing import Any

from fastapi import Request, Response

from app.api.aligned import WRITTEN, Format, align, text, wants_text
from app.api.dependencies import HouseDep
from app.api.entries import PUT_ANSWERS, delete, get, page_of, put
from app.api.paging import Cursor, Limit, Page
from app.api.parameters import Workspace
from app.api.routing import answer, router_of
from app.api.schemas.policies import (
    AGENT_BODY,
    PROFILE_BODY,
    USER_BODY,
    EntryList,
    ListedAgent,
    ProfileList,
)
from app.core.policy_entries import Entry
from app.flows.manage_policies import (
    list_entries,
    list_known_agents,
    read_policy,
)

router = router_of("Policy")

Found = dict[str, Any]


def _profile(workspace: str, name: str) -> Entry:
    return Entry(workspace=workspace, section="profiles", name=name)


def _agent(workspace: str, agent: str) -> Entry:
    return Entry(workspace=workspace, section="agent_assignments", name=agent)


def _user(workspace: str, user: str) -> Entry:
    return Entry(workspace=workspace, section="users", name=user)


@router.get("/profiles", response_model=ProfileList, responses=WRITTEN)
async def get_profiles(
    request: Request,
    house: HouseDep,
    workspace: Workspace = "default",
    format: Format = None,
    limit: Limit = 1000,
    cursor: Cursor = None,
) -> Response:
    """Profiles with their agents, and the complexity tiers, as JSON or as a table to read."""
    document = read_policy(house.shelf, workspace)[1]
    profiles = list_entries(house.shelf, workspace, "profiles")
    assigned: dict[str, list[str]] = {name: [] for name in profiles}
    for agent, entry in document.get("agent_assignments", {}).items():
        assigned.get(entry if isinstance(entry, str) else entry["profile"], []).append(agent)
    tiers = document.get("complexity_multipliers", {})
    if wants_text(request, format):
        rows = [
            {
                "profile": name,
                "base": profile["base_budget"],
                "max": profile["max_budget"],
                "scope weights": profile["scope_weights"],
                "agents": len(assigned[name]),
                "use": profile.get("description"),
            }
            for name, profile in profiles.items()
        ]
        return text(align(rows), align([{"tier": name, **tier} for name, tier in tiers.items()]))
    items = [
        {"name": name, **profile, "agents": assigned[name]} for name, profile in profiles.items()
    ]
    page = page_of(items, "name", cursor, limit)
    return answer(
        ProfileList(
            items=page.items,
            next_cursor=page.next_cursor,
            default_profile=house.shelf.book(workspace).default_profile,
            complexity_multipliers=tiers,
        )
    )


@router.get("/profiles/{name}", response_model=Found)
async def get_profile(name: str, house: HouseDep, workspace: Workspace = "default") -> Response:
    """A profile in the file's own keys; putting it back changes nothing."""
    return get(house, _profile(workspace, name))


@router.put(
    "/profiles/{name}", response_model=Found, responses=PUT_ANSWERS, openapi_extra=PROFILE_BODY
)
async def put_profile(
    name: str, request: Request, house: HouseDep, workspace: Workspace = "default"
) -> Response:
    """Make a profile, or put another in its place; every bad field is named."""
    return await put(house, _profile(workspace, name), request)


@router.delete("/profiles/{name}", status_code=204, response_class=Response)
async def delete_profile(name: str, house: HouseDep, workspace: Workspace = "default") -> Response:
    """Delete a profile; 409 names the agents and users that still have it."""
    return await delete(house, _profile(workspace, name))


@router.get("/agents", response_model=Page[ListedAgent], responses=WRITTEN)
async def get_agents(
    request: Request,
    house: HouseDep,
    workspace: Workspace = "default",
    format: Format = None,
    limit: Limit = 1000,
    cursor: Cursor = None,
) -> Response:
    """Agents that have a profile, and those only seen (`assigned: false`); JSON or a table."""
    agents = await list_known_agents(house.store, house.shelf, workspace)
    if wants_text(request, format):
        shown = ("agent", "profile", "assigned")
        return text(align([{key: agent[key] for key in shown} for agent in agents]))
    return answer(page_of(agents, "agent", cursor, limit))


@router.get("/agents/{type}/{name}", response_model=Found)
async def get_agent(
    type: str, name: str, house: HouseDep, workspace: Workspace = "default"
) -> Response:
    """The profile that an agent is assigned to."""
    return get(house, _agent(workspace, f"{type}/{name}"))


@router.put(
    "/agents/{type}/{name}", response_model=Found, responses=PUT_ANSWERS, openapi_extra=AGENT_BODY
)
async def put_agent(
    type: str, name: str, request: Request, house: HouseDep, workspace: Workspace = "default"
) -> Response:
    """Assign an agent to a profile."""
    return await put(house, _agent(workspace, f"{type}/{name}"), request)


@router.delete("/agents/{type}/{name}", status_code=204, response_class=Response)
async def delete_agent(
    type: str, name: str, house: HouseDep, workspace: Workspace = "default"
) -> Response:
    """Take an agent's assignment and its aliases away; it then gets the default profile."""
    return await delete(house, _agent(workspace, f"{type}/{name}"))


@router.get("/agents/{name}", response_model=Found)
async def get_bare_agent(name: str, house: HouseDep, workspace: Workspace = "default") -> Response:
    """The profile that an agent without a type is assigned to."""
    return get(house, _agent(workspace, name))


@router.put("/agents/{name}", response_model=Found, responses=PUT_ANSWERS, openapi_extra=AGENT_BODY)
async def put_bare_agent(
    name: str, request: Request, house: HouseDep, workspace: Workspace = "default"
) -> Response:
    """Assign an agent without a type to a profile."""
    return await put(house, _agent(workspace, name), request)


@router.delete("/agents/{name}", status_code=204, response_class=Response)
async def delete_bare_agent(
    name: str, house: HouseDep, workspace: Workspace = "default"
) -> Response:
    """Take the assignment of an agent without a type away."""
    return await delete(house, _agent(workspace, name))


@router.get("/users", response_model=EntryList)
async def get_users(
    house: HouseDep, workspace: Workspace = "default", limit: Limit = 1000, cursor: Cursor = None
) -> Response:
    """Users that have a policy of their own."""
    users = list_entries(house.shelf, workspace, "users")
    items = [{"user": user, **entry} for user, entry in users.items()]
    return answer(page_of(items, "user", cursor, limit))


@router.get("/users/{user}", response_model=Found)
async def get_user(user: str, house: HouseDep, workspace: Workspace = "default") -> Response:
    """A user's policy: the name of a profile, what differs from it, or both."""
    return get(house, _user(workspace, user))


@router.put("/users/{user}", response_model=Found, responses=PUT_ANSWERS, openapi_extra=USER_BODY)
async def put_user(
    user: str, request: Request, house: HouseDep, workspace: Workspace = "default"
) -> Response:
    """Give a user a policy of their own."""
    return await put(house, _user(workspace, user), request)


@router.delete("/users/{user}", status_code=204, response_class=Response)
async def delete_user(user: str, house: HouseDep, workspace: Workspace = "default") -> Response:
    """Take a user's policy away; the agents' profiles decide again."""
    return await delete(house, _user(workspace, user))
