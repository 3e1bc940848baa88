"""Answer lists as aligned text to people who ask for it."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from fastapi import Query, Request, Response

Format = Annotated[
    Literal["json", "text"] | None,
    Query(description="`text`: a table to read; `Accept: text/plain` asks for the same."),
]


WRITTEN: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "The list"}
}
"""What OpenAPI says of the answer beside its JSON."""


def wants_text(request: Request, format: str | None) -> bool:
    """Whether the caller asked for text."""
    return format == "text" or (
        format is None and request.headers.get("accept", "").startswith("text/plain")
    )


def text(*tables: str) -> Response:
    """Tables as one text, a blank line between."""
    return Response("\n".join(tables), media_type="text/plain")


def align(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows under their headings, numbers to the right."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [names, *([_cell(row.get(name)) for name in names] for row in rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(names))]
    right = [
        bool(rows) and all(isinstance(row.get(name), int | float) for row in rows) for name in names
    ]
    return "".join(_line(line, widths, right) for line in lines)


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = (
        cell.rjust(width) if is_right else cell.ljust(width)
        for cell, width, is_right in zip(cells, widths, right, strict=True)
    )
    return "  ".join(padded).rstrip() + "\n"


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Mapping):
        return " ".join(f"{key} {part}" for key, part in value.items())
    if isinstance(value, list | tuple):
        return "; ".join(map(str, value))
    return " ".join(str(value).split())
