"""Read JSON into dataclasses: what is promised must be there, what else is missing takes its
default, what is unknown stays in `raw`."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from functools import cache
from types import NoneType, UnionType
from typing import Any, ClassVar, Self, TypeVar, Union, cast, get_args, get_origin, get_type_hints

R = TypeVar("R", bound="Result")
Reader = Callable[[Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """An answer of the service, or a part of one."""

    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """As it was answered, with fields that this version does not know."""

    promised: ClassVar[tuple[str, ...]] = ()
    """Fields that the service's contract promises, and that a value makes no sense without."""

    @classmethod
    def read(cls, data: Any) -> Self:
        """The answer as a value. Errors: ValueError, if something promised is missing."""
        return read(cls, data)


def read(kind: type[R], data: Any) -> R:
    """Plain data as a value of a dataclass. Errors: ValueError, saying what of it does not fit."""
    if not isinstance(data, Mapping):
        raise ValueError(f"an object was expected for {kind.__name__}")
    for key in kind.promised:
        if key not in data:
            raise ValueError(f"`{key}` of {kind.__name__} is missing")
    given: dict[str, Any] = {}
    for name, key, reader in _plan(cast(Hashable, kind)):
        found = data.get(key)
        if found is not None:
            try:
                given[name] = reader(found)
            except _Unfit as error:
                raise ValueError(f"`{key}` of {kind.__name__} is no {error}") from None
    return kind(raw=data, **given)


@cache
def _plan(kind: Hashable) -> tuple[tuple[str, str, Reader], ...]:
    hints = get_type_hints(cast(Any, kind))
    return tuple(
        (one.name, one.metadata.get("key", one.name), _reader(hints[one.name]))
        for one in fields(cast(Any, kind))
        if one.name != "raw"
    )


class _Unfit(Exception):
    """A value is not of the kind that is named."""


def _reader(hint: Any) -> Reader:
    """How a value of a type is read. Errors: ValueError, _Unfit."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        given = _reader(next(one for one in arguments if one is not NoneType))
        return lambda data: None if data is None else given(data)
    if origin is tuple:
        one = _reader(arguments[0])
        return lambda data: tuple(map(one, _fitting(data, list | tuple, "list")))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        inner = _reader(arguments[1])
        return lambda data: {
            key: None if held is None else inner(held)
            for key, held in _fitting(data, Mapping, "object").items()
        }
    if is_dataclass(hint) and isinstance(hint, type):
        kind = cast(type[Result], hint)
        return lambda data: read(kind, data)
    return _SCALARS.get(hint, _same)


def _fitting(data: Any, kind: Any, name: str) -> Any:
    if not isinstance(data, kind) or (isinstance(data, bool) and kind is not bool):
        raise _Unfit(name)
    return data


def _same(data: Any) -> Any:
    return data


def _moment(data: Any) -> Any:
    if isinstance(data, datetime):
        return data
    try:
        found = datetime.fromisoformat(_fitting(data, str, "time"))
    except ValueError:
        raise _Unfit("time") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _day(data: Any) -> Any:
    try:
        return data if isinstance(data, date) else date.fromisoformat(_fitting(data, str, "day"))
    except ValueError:
        raise _Unfit("day") from None


def _money(data: Any) -> Any:
    try:
        return Decimal(str(_fitting(data, str | int | float | Decimal, "amount of money")))
    except InvalidOperation:
        raise _Unfit("amount of money") from None


def _float(data: Any) -> Any:
    return float(_fitting(data, int | float | Decimal, "number"))


_SCALARS: Mapping[Any, Reader] = {
    datetime: _moment,
    date: _day,
    Decimal: _money,
    float: _float,
    int: lambda data: _fitting(data, int, "whole number"),
    str: lambda data: _fitting(data, str, "text"),
    bool: lambda data: _fitting(data, bool, "yes or no"),
}
