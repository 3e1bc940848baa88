"""Read JSON into dataclasses: what is missing takes its default, what is unknown stays in `raw`."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from functools import cache
from types import NoneType, UnionType
from typing import Any, Self, TypeVar, Union, cast, get_args, get_origin, get_type_hints

R = TypeVar("R", bound="Result")
Reader = Callable[[Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """An answer of the service, or a part of one."""

    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """As it was answered, with fields that this version does not know."""

    @classmethod
    def read(cls, data: Any) -> Self:
        """The answer as a value. Errors: ValueError, if it is no object."""
        return read(cls, data)


def read(kind: type[R], data: Any) -> R:
    """Plain data as a value of a dataclass. Errors: ValueError, if it does not fit at all."""
    if not isinstance(data, Mapping):
        raise ValueError(f"an object was expected for {kind.__name__}")
    given: dict[str, Any] = {}
    for name, key, reader in _plan(cast(Hashable, kind)):
        found = data.get(key)
        if found is not None:
            given[name] = reader(found)
    return kind(raw=data, **given)


@cache
def _plan(kind: Hashable) -> tuple[tuple[str, str, Reader], ...]:
    hints = get_type_hints(cast(Any, kind))
    return tuple(
        (one.name, one.metadata.get("key", one.name), _reader(hints[one.name]))
        for one in fields(cast(Any, kind))
        if one.name != "raw"
    )


def _reader(hint: Any) -> Reader:
    """How a value of a type is read; a value of another shape is kept as it is."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _reader(next(one for one in arguments if one is not NoneType))
    if origin is tuple:
        one = _reader(arguments[0])
        return lambda data: tuple(map(one, data)) if isinstance(data, Sequence) else ()
    if isinstance(origin, type) and issubclass(origin, Mapping):
        inner = _reader(arguments[1])
        return lambda data: (
            {key: None if held is None else inner(held) for key, held in data.items()}
            if isinstance(data, Mapping)
            else {}
        )
    if is_dataclass(hint) and isinstance(hint, type):
        kind = cast(type[Result], hint)
        return lambda data: read(kind, data)
    return _SCALARS.get(hint, _same)


def _same(data: Any) -> Any:
    return data


def _moment(data: Any) -> Any:
    if isinstance(data, str):
        found = datetime.fromisoformat(data)
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    return data


def _day(data: Any) -> Any:
    return date.fromisoformat(data) if isinstance(data, str) else data


def _money(data: Any) -> Any:
    try:
        return Decimal(str(data))
    except InvalidOperation as error:
        raise ValueError("an amount of money was expected") from error


def _float(data: Any) -> Any:
    return float(data) if isinstance(data, int) and not isinstance(data, bool) else data


_SCALARS: Mapping[Any, Reader] = {
    datetime: _moment,
    date: _day,
    Decimal: _money,
    float: _float,
}
