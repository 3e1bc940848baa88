"""Refuse JSON that is taken differently by different readers, or not kept by both databases."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import from_json

from app.core.errors import InvalidRequest

MAX_KEY = 100
"""Characters of a key that an error tells."""

_BLANKS = b" \t\r\n"
_FLAT = frozenset({str, int, float, bool, NoneType, Decimal, date, datetime, timedelta})


class InvalidJson(InvalidRequest):
    """The body is no JSON that both databases can keep."""

    code = "invalid_json"


def check_json(raw: bytes) -> None:
    """Refuse what is no strict JSON: NaN, infinities, lone surrogates, NUL, keys that repeat."""
    check_nul(raw)
    try:
        value = from_json(raw or b"null", allow_inf_nan=False)
        if b"e" in raw or b"E" in raw:
            json.dumps(value, allow_nan=False)
    except ValueError as error:
        raise InvalidJson(f"The body is no valid JSON: {error}") from error
    check_once(raw, value)


def check_nul(raw: bytes) -> None:
    """Refuse what fields of any shape would let pass and not both databases keep: NUL, NaN."""
    if _has(raw, b"\\u0000") and _holds_nul(_parsed(raw)):
        raise InvalidJson("A text in the body holds a NUL character (\\u0000); leave it out.")
    if _has(raw, b"NaN") or _has(raw, b"Infinity"):
        try:
            from_json(raw, allow_inf_nan=False)
        except ValueError as error:
            raise InvalidJson(f"The body is no valid JSON: {error}") from error


def _has(raw: bytes, part: bytes) -> bool:
    """Whether a part is in it; its first byte is looked for first, which is many times faster."""
    return part[:1] in raw and part in raw


def check_once(raw: bytes, read: object) -> None:
    """Refuse an object that has a key twice: one reader takes the first, another the last.

    `read` is what was made of the bytes. Without blanks each key is followed by `":`. Where that
    comes no more often than there are keys in what was read, none came twice; everything else is
    looked at closely, which takes longer.
    """
    _check_once(raw, _keys_in(read))


def check_list_once(raw: bytes, read: Sequence[Mapping[str, Any]], holders: Sequence[str]) -> None:
    """`check_once` for a list of objects that have others only in the fields `holders`."""
    parts = [part for one in read for name in holders if (part := one.get(name))]
    _check_once(raw, sum(map(len, read)) + _keys_in(parts))


def _check_once(raw: bytes, keys: int) -> None:
    if raw.translate(None, _BLANKS).count(b'":') != keys:
        json.loads(raw or b"null", object_pairs_hook=_once, parse_int=len, parse_float=len)


def comes_once(raw: bytes, read: object) -> bool:
    """Whether `check_once` would let it pass."""
    try:
        check_once(raw, read)
    except InvalidJson:
        return False
    return True


def _once(pairs: list[tuple[str, Any]]) -> None:
    if len(dict(pairs)) != len(pairs):
        (twice, _), *_ = Counter(key for key, _ in pairs).most_common(1)
        raise InvalidJson(f"An object has the key {twice[:MAX_KEY]!r} twice; send each key once.")


def _keys_in(value: object) -> int:
    """How many keys something was read from; never more than there were."""
    count, level = 0, [value]
    while level:
        deeper: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                count += len(one)
                deeper += [part for part in one.values() if type(part) not in _FLAT]
            elif isinstance(one, list):
                deeper += [part for part in one if type(part) not in _FLAT]
            elif isinstance(one, BaseModel):
                said = one.__pydantic_fields_set__
                count += len(said)
                deeper += [getattr(one, name) for name in _holders(type(one)) & said]
        level = deeper
    return count


@cache
def _holders(kind: type[BaseModel]) -> frozenset[str]:
    """The fields of a model that may hold objects."""
    fields = kind.model_fields.items()
    return frozenset(name for name, field in fields if not _is_flat(field.annotation))


def _is_flat(annotation: Any) -> bool:
    """Whether no value of a type holds an object."""
    origin = get_origin(annotation)
    if origin is Literal:
        return True
    if origin is Annotated:
        return _is_flat(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return all(map(_is_flat, get_args(annotation)))
    return annotation in _FLAT


def _parsed(raw: bytes) -> object:
    try:
        return from_json(raw)
    except ValueError:
        return None  # the model says what is wrong with it


def _holds_nul(value: object) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_holds_nul(part) for pair in value.items() for part in pair)
    return isinstance(value, list) and any(map(_holds_nul, value))
