"""Read usage events that come as CloudEvents 1.0."""

import hashlib
from datetime import datetime
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from app.api.schemas.counts import Finite
from app.api.schemas.usage import FIELDS, MAX_BATCH, UsageEventIn
from app.api.strict import check_once
from app.core.ids import base32

CLOUDEVENTS = "application/cloudevents"


class CloudEvent(BaseModel):
    """The envelope; `source` and `id` together say which event it is."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)
    __pydantic_extra__: dict[str, Finite] = Field(init=False)

    specversion: Literal["1.0"]
    id: Annotated[str, Field(min_length=1, max_length=2_000)]
    source: Annotated[str, Field(min_length=1, max_length=2_000)]
    type: str
    time: datetime | None = None
    """When it happened; the event's own `timestamp` goes before it."""
    data: UsageEventIn


_ONE = TypeAdapter(CloudEvent)
_MANY = TypeAdapter(Annotated[list[CloudEvent], Field(min_length=1, max_length=MAX_BATCH)])


def read_cloudevents(raw: bytes) -> list[UsageEventIn]:
    """The events inside one CloudEvent or a batch, with ids made of source and id."""
    is_list = raw.lstrip()[:1] == b"["
    envelopes = _MANY.validate_json(raw) if is_list else [_ONE.validate_json(raw)]
    check_once(raw, envelopes)
    return list(map(_named, envelopes))


def _named(envelope: CloudEvent) -> UsageEventIn:
    """The event inside, with the id and the time that the envelope gives where it has none."""
    update: dict[str, Any] = {}
    if envelope.data.get("id") is None:
        name = f"{len(envelope.source)}:{envelope.source}{envelope.id}".encode()
        digest = hashlib.blake2b(name, digest_size=15).digest()
        update["id"] = f"ce_{base32(int.from_bytes(digest, 'big'), 24)}"
    if envelope.data.get("timestamp") is None and envelope.time is not None:
        update["timestamp"] = envelope.time
    named = {**envelope.data, **update}
    return cast(UsageEventIn, {name: named[name] for name in FIELDS if name in named})
