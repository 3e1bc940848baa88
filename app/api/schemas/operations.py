"""Say what operations look like on the wire."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from app.api import names
from app.api.schemas.common import Label, Workspace
from app.api.strict import check_once
from app.core.errors import InvalidRequest
from app.core.operations import Operation, derived_ids
from app.core.windows import MICROS, micros

MAX_BATCH = 10_000
MAX_DEPENDENCIES = 64
MAX_SECONDS = 30 * 86_400
AHEAD = timedelta(hours=1)
"""How far a client's clock may run ahead of ours."""

OperationId = Annotated[str, Field(min_length=1, max_length=200, pattern=names.ID)]
Kind = Annotated[
    str, Field(min_length=1, max_length=100, pattern=names.LABEL, examples=["llm_call"])
]
OperationName = Annotated[
    str, Field(min_length=1, max_length=200, pattern=names.LABEL, examples=["draft"])
]


class OperationIn(BaseModel):
    """One measured piece of work of a run."""

    model_config = ConfigDict(
        extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    id: OperationId | None = None
    """Your own id: the same id counts once in a workspace. Without one it is made from what the
    operation says, so that the same list again counts once, too."""
    type: Kind
    """`llm_call`, `stage`, `memory`, `retrieval`, `embedding`, `tool_call`, `io`, `computation`,
    or a name of yours."""
    name: OperationName
    started_at: datetime
    """Without a zone it is UTC."""
    duration_seconds: Annotated[float, Field(ge=0, le=MAX_SECONDS, examples=[1.25])]
    run_id: Label | None = None
    """The run that it is a part of."""
    parent: OperationName | None = None
    """The name of the operation of the same run that it ran inside."""
    depends_on: Annotated[list[OperationName], Field(max_length=MAX_DEPENDENCIES)] | None = None
    """Names of operations of the same run whose results it needed."""
    success: bool | None = None
    """False: it failed."""
    workspace: Workspace

    @model_validator(mode="after")
    def _not_itself(self) -> "OperationIn":
        if self.parent == self.name:
            raise ValueError("an operation does not run inside itself: give it another name")
        if self.depends_on is not None and self.name in self.depends_on:
            raise ValueError("an operation does not depend on itself: take its name out")
        return self


ONE = TypeAdapter(OperationIn)
MANY = TypeAdapter(Annotated[list[OperationIn], Field(min_length=1, max_length=MAX_BATCH)])

OPERATIONS_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "oneOf": [
                        {"$ref": "#/components/schemas/OperationIn"},
                        {
                            "type": "array",
                            "items": {"$ref": "#/components/schemas/OperationIn"},
                            "minItems": 1,
                            "maxItems": MAX_BATCH,
                        },
                    ]
                }
            }
        },
    }
}


def describe_operations(document: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI document with the shape of an operation, which `OPERATIONS_BODY` names."""
    shape = OperationIn.model_json_schema(ref_template="#/components/schemas/{model}")
    document["components"]["schemas"].setdefault("OperationIn", shape)
    return document


def read_operations(raw: bytes, now: datetime) -> list[Operation]:
    """The operations of a body that is one or a list of them.

    Errors: ValidationError; InvalidRequest naming the index of one that begins in the future.
    """
    is_list = raw.lstrip()[:1] == b"["
    given = MANY.validate_json(raw) if is_list else [ONE.validate_json(raw)]
    check_once(raw, given)
    return _to_core(given, now, is_list=is_list)


def _to_core(given: Sequence[OperationIn], now: datetime, *, is_list: bool) -> list[Operation]:
    starts = [_started(one, index, now, is_list=is_list) for index, one in enumerate(given)]
    said = [
        [
            one.workspace,
            one.type,
            one.name,
            start,
            one.duration_seconds,
            one.run_id,
            one.parent,
            one.depends_on,
            one.success,
        ]
        for one, start in zip(given, starts, strict=True)
    ]
    ids = derived_ids(said)
    return [
        Operation(
            id=one.id or made,
            workspace=one.workspace,
            type=one.type,
            name=one.name,
            at=start,
            duration_us=round(one.duration_seconds * MICROS),
            run_id=one.run_id,
            parent=one.parent,
            depends_on=None if one.depends_on is None else tuple(dict.fromkeys(one.depends_on)),
            success=one.success,
            fingerprint=hashlib.blake2b(repr(what).encode(), digest_size=16).digest(),
        )
        for one, made, start, what in zip(given, ids, starts, said, strict=True)
    ]


def _started(one: OperationIn, index: int, now: datetime, *, is_list: bool) -> int:
    at = one.started_at if one.started_at.tzinfo else one.started_at.replace(tzinfo=UTC)
    place: list[str | int] = ["body", index, "started_at"] if is_list else ["body", "started_at"]
    if at > now + AHEAD:
        raise InvalidRequest(
            "An operation begins more than an hour in the future; check the sender's clock.",
            errors=[{"loc": place, "msg": "lies in the future"}],
        )
    if at.year < 1971:
        raise InvalidRequest(
            "An operation begins before 1971; started_at takes RFC 3339 times.",
            errors=[{"loc": place, "msg": "lies before 1971"}],
        )
    return micros(at)
