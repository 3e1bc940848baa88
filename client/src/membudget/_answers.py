"""Decide whether an answer is a membudget service's, and read it: the only place that does.

It must be of the promised kind of content, and have what the contract promises of it; what it has
beyond that, because the service is newer, stays in `raw`. Errors: ValueError, saying what is wrong.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from membudget import results
from membudget._reading import Result, read

T = TypeVar("T")
R = TypeVar("R", bound=Result)

JSON, PROBLEM, LINES = "application/json", "application/problem+json", "application/x-ndjson"
YAML, CSV = "application/yaml", "text/csv"
NAME = "membudget"
"""What the service calls itself."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    content: bytes

    @property
    def kind(self) -> str:
        """The kind of its content."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def json(self) -> Any:
        """The content as data. Errors: ValueError."""
        self.must_be(JSON)
        return parsed(self.content)

    def must_be(self, kind: str) -> None:
        """Errors: ValueError, if it is of another kind."""
        if self.kind != kind:
            raise ValueError(f"it is {self.kind or 'of no kind'}, not {kind}")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some items of a list, and where the next ones begin."""

    items: Sequence[T]
    next_cursor: str | None


def parsed(content: bytes) -> Any:
    """JSON as data. Errors: ValueError."""
    try:
        return json.loads(content)
    except ValueError:
        raise ValueError("it is no whole JSON") from None
    except RecursionError:
        raise ValueError("it is JSON too deep to be read") from None


def one(kind: type[R]) -> Callable[[Answer], R]:
    """Read an answer as one value."""
    return lambda answer: read(kind, answer.json())


def many(kind: type[R], count: int | None = None) -> Callable[[Answer], tuple[R, ...]]:
    """Read the `items` of an answer: so many, if that is known."""

    def read_many(answer: Answer) -> tuple[R, ...]:
        found = tuple(read(kind, item) for item in items_of(answer.json()))
        if count is not None and len(found) != count:
            raise ValueError(f"{count} items were expected, not {len(found)}")
        return found

    return read_many


def thing(*promised: str) -> Callable[[Answer], Mapping[str, Any]]:
    """Read an answer as the data it is: an object with these keys."""
    return lambda answer: having(answer.json(), promised)


def things(*promised: str) -> Callable[[Answer], tuple[Mapping[str, Any], ...]]:
    """Read the `items` of an answer as the data they are: objects with these keys."""
    return lambda answer: tuple(having(item, promised) for item in items_of(answer.json()))


def page_of(read_one: Callable[[Any], T]) -> Callable[[Answer], Page[T]]:
    """Read an answer as one page of a list."""

    def read_page(answer: Answer) -> Page[T]:
        data = having(answer.json(), ("items", "next_cursor"))
        cursor = data["next_cursor"]
        if cursor is not None and not isinstance(cursor, str):
            raise ValueError("`next_cursor` is no text")
        return Page([read_one(item) for item in items_of(data)], cursor)

    return read_page


def lines(*promised: str) -> Callable[[Answer], bytes]:
    """Take an answer of JSON Lines as it is; the first one must be an object with these keys."""

    def read_lines(answer: Answer) -> bytes:
        answer.must_be(LINES)
        head = answer.content.partition(b"\n")[0]
        if head.strip():
            having(parsed(head), promised)
        return answer.content

    return read_lines


def document(*promised: str) -> Callable[[Answer], bytes]:
    """Take an answer of JSON as it is; it must be an object with these keys, objects themselves."""

    def read_document(answer: Answer) -> bytes:
        data = having(answer.json(), promised)
        for key in promised:
            having(data[key], ())
        return answer.content

    return read_document


def listing(*promised: str) -> Callable[[Answer], bytes]:
    """Take an answer of JSON as it is; it must be a list of objects with these keys."""

    def read_listing(answer: Answer) -> bytes:
        data = answer.json()
        if not isinstance(data, list):
            raise ValueError("a list was expected")
        for item in data:
            having(item, promised)
        return answer.content

    return read_listing


def table(*promised: str) -> Callable[[Answer], bytes]:
    """Take an answer of CSV as it is; it must have these columns."""

    def read_table(answer: Answer) -> bytes:
        answer.must_be(CSV)
        columns = answer.content.partition(b"\n")[0].decode("utf-8", "replace").strip().split(",")
        having(dict.fromkeys(columns), promised)
        return answer.content

    return read_table


def content(kind: str) -> Callable[[Answer], bytes]:
    """Take the bytes of an answer of a kind."""

    def read_content(answer: Answer) -> bytes:
        answer.must_be(kind)
        return answer.content

    return read_content


def text(kind: str) -> Callable[[Answer], str]:
    """Take an answer of a kind as text."""
    taken = content(kind)
    return lambda answer: taken(answer).decode("utf-8", "replace")


def nothing(answer: Answer) -> None:
    """Check that there is no content, or that what was to be deleted is gone already."""
    if answer.status != 204 and not (answer.status == 404 and problem_of(answer)):
        raise ValueError("no content was expected")


def health(answer: Answer) -> results.Health:
    """Read whether the service is ready; it says so with 200, and with 503 that it is not."""
    found = read(results.Health, answer.json())
    return results.Health(raw=found.raw, up=True, ready=found.ready, checks=found.checks)


def version(answer: Answer) -> results.Version:
    """Read which program answers."""
    found = read(results.Version, answer.json())
    if found.name != NAME:
        raise ValueError("it calls itself by another name")
    return found


def problem_of(answer: Answer) -> Mapping[str, Any] | None:
    """What a membudget service says is wrong; None if somebody else answered."""
    if answer.kind != PROBLEM:
        return None
    try:
        found = parsed(answer.content)
    except ValueError:
        return None
    if not isinstance(found, dict) or not isinstance(found.get("code"), str):
        return None
    return found


def items_of(data: Any) -> Iterable[Any]:
    """The `items` of a list."""
    items = data.get("items") if isinstance(data, dict) else None
    if not isinstance(items, list):
        raise ValueError("a list of items was expected")
    return items


def having(data: Any, promised: Iterable[str]) -> Mapping[str, Any]:
    """An object, if it has what is promised."""
    if not isinstance(data, Mapping):
        raise ValueError("an object was expected")
    for key in promised:
        if key not in data:
            raise ValueError(f"`{key}` is missing")
    return data
