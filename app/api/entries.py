"""Answer requests about single entries of policy, and page through all of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import Request, Response
from pydantic_core import from_json

from app.api.dependencies import House
from app.api.paging import Page, from_cursor, page
from app.api.reach import is_in_reach
from app.api.routing import answer
from app.api.strict import check_json
from app.core.errors import InvalidRequest
from app.core.policy_entries import Entry
from app.flows.manage_policies import delete_entry, put_entry, read_entry

PUT_ANSWERS: dict[int | str, dict[str, Any]] = {201: {"description": "It is new."}}


def get(house: House, entry: Entry) -> Response:
    """An entry, in the keys that putting it takes."""
    return answer(read_entry(house.shelf, entry, is_in_reach))


async def put(house: House, entry: Entry, request: Request) -> Response:
    """The entry as it holds now; 201 if it is new. The body is a JSON object, whatever its type."""
    raw = await request.body()
    check_json(raw)
    body = from_json(raw or b"null")
    if not isinstance(body, dict):
        raise InvalidRequest(
            "The body must be a JSON object with the fields to put.",
            errors=[{"loc": ["body"], "msg": "must be an object"}],
        )
    is_new = await put_entry(house.store, house.shelf, entry, body, now=house.now())
    return answer(read_entry(house.shelf, entry, is_in_reach), status=201 if is_new else 200)


async def delete(house: House, entry: Entry) -> Response:
    """Nothing, once the entry is gone."""
    await delete_entry(house.store, house.shelf, entry, sees=is_in_reach, now=house.now())
    return Response(status_code=204)


def page_of(
    items: Sequence[Mapping[str, Any]], key: str, cursor: str | None, limit: int
) -> Page[Any]:
    """The items after the cursor, which are in the order of their key."""
    after = from_cursor(cursor)
    left = [item for item in items if after is None or item[key] > after[1]]
    is_last = len(left) <= limit
    return page(left[:limit], None if is_last else (0, left[limit - 1][key]))
