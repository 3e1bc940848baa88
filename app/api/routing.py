"""Parse bodies strictly and answer core values, with little between the socket and the flow."""

from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from fastapi import APIRouter, Request
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json
from starlette.responses import Response

from app.api.dependencies import house_for
from app.api.errors import RESPONSES
from app.api.letting import KEY, let_in
from app.api.scopes import need_of
from app.api.strict import check_json, check_nul, check_once
from app.core.errors import InvalidRequest

JSON = "application/json"
NONE: frozenset[str] = frozenset()
IN_BODY = "no query parameters: what it is told, `workspace` too, stands in the body."

OPTIONAL = {"required": False}
NEEDED = {"required": True}
"""What OpenAPI says of a body of which no single field is needed, and yet some are."""

Handle = Callable[[Request], Coroutine[Any, Any, Response]]


class JsonRoute(APIRoute):
    """A route whose JSON body is parsed once and strictly.

    Where an endpoint takes only a body, path parameters and the house, FastAPI's dependency
    solver is left out; the OpenAPI document is the same.
    """

    short: Handle | None = None
    """The handler without FastAPI around it, for the edge's express lane."""

    def get_route_handler(self) -> Handle:
        """FastAPI's handler, or a short one where the endpoint's parameters allow it."""
        needs = self.dependant
        plain = not (needs.query_params or needs.header_params or needs.cookie_params)
        plain = plain and len(needs.dependencies) == 1 and len(needs.body_params) <= 1
        if plain and (self.methods or set()) <= {"POST", "PUT", "PATCH"}:
            self.short = self._guarded(self._short_handler())
            if needs.body_params and _takes_nothing(needs.body_params[0].field_info.annotation):
                self.openapi_extra = {"requestBody": OPTIONAL, **(self.openapi_extra or {})}
            return self.short
        usual = super().get_route_handler()
        known = frozenset(parameter.alias for parameter in needs.query_params)

        async def handle(request: Request) -> Response:
            if known:
                check_query(request, known)
            if needs.body_params:
                check_json(await request.body())
                _call_json(request)
            return await usual(request)

        return self._guarded(handle)

    def _guarded(self, handle: Handle) -> Handle:
        """The handler for requests whose key allows it."""
        (method,) = self.methods or {"GET"}
        need = need_of(method, self.path_format)
        has_workspace = any(one.alias == "workspace" for one in self.dependant.query_params)

        async def guarded(request: Request) -> Response:
            key = request.scope.get(KEY)
            if key is None:
                return await handle(request)
            with let_in(key, need, request, self.path_format, takes_workspace=has_workspace):
                return await handle(request)

        return guarded

    def _short_handler(self) -> Handle:
        needs = self.dependant
        endpoint = self.endpoint
        house_name = needs.dependencies[0].name or "house"
        body = needs.body_params[0] if needs.body_params else None
        kind: Any = body.field_info.annotation if body else None
        read = TypeAdapter[Any](kind).validate_json if body else None
        fields = getattr(kind, "model_fields", {}).values()
        nothing = b"null" if any(field.is_required() for field in fields) else b"{}"
        answer = TypeAdapter(self.response_model) if self.response_model else None
        status = self.status_code or 200

        async def handle(request: Request) -> Response:
            if request.scope["query_string"]:
                check_query(request, NONE)
            values: dict[str, Any] = dict(request.path_params)
            values[house_name] = house_for(request)
            if needs.request_param_name:
                values[needs.request_param_name] = request
            if read is not None and body is not None:
                raw = await request.body()
                check_nul(raw)
                values[body.name] = given = read(raw or nothing)
                check_once(raw, given)
            result = await endpoint(**values)
            if isinstance(result, Response) or answer is None:
                return result if isinstance(result, Response) else Response(status_code=status)
            return Response(answer.dump_json(result), status_code=status, media_type=JSON)

        return handle


def _takes_nothing(kind: Any) -> bool:
    """Whether a body may say nothing: an empty one is read as `{}`."""
    try:
        TypeAdapter[Any](kind).validate_json(b"{}")
    except ValidationError:
        return False
    return True


def _call_json(request: Request) -> None:
    """Have the body read as JSON whatever its type says, as everywhere else."""
    others = [header for header in request.scope["headers"] if header[0] != b"content-type"]
    request.scope["headers"] = [*others, (b"content-type", JSON.encode())]
    vars(request).pop("_headers", None)


def answer(value: object, *, status: int = 200) -> Response:
    """A core value, or plain data, as a JSON response."""
    return Response(to_json(value), status_code=status, media_type=JSON)


def check_query(request: Request, known: frozenset[str]) -> None:
    """Refuse query parameters that mean nothing here: a misspelt filter must not be ignored."""
    strangers = sorted(set(request.query_params) - known)
    if strangers:
        takes = f"these query parameters: {', '.join(sorted(known))}." if known else IN_BODY
        raise InvalidRequest(
            f"This path takes {takes}",
            errors=[
                {"loc": ["query", name[:100]], "msg": "is not a parameter of this path"}
                for name in strangers[:20]
            ],
        )


def router_of(tag: str) -> APIRouter:
    """A router whose routes are whole: an application takes them as they are.

    Including a router would build each of its routes a second time, in the application's first
    requests.
    """
    return APIRouter(tags=[tag], route_class=JsonRoute, responses=RESPONSES)


def express(*routers: APIRouter, paths: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Handle]:
    """The short handlers of some paths, by method and path."""
    wanted = set(paths)
    return {
        (method, route.path): route.short
        for router in routers
        for route in router.routes
        if isinstance(route, JsonRoute) and route.short is not None
        for method in route.methods or ()
        if (method, route.path) in wanted
    }
