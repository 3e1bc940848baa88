"""Stream rows as JSON, JSON Lines or CSV, in bounded memory."""

import csv
import io
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from pydantic_core import to_json
from starlette.responses import Response, StreamingResponse

TYPES = {"json": "application/json", "jsonl": "application/x-ndjson", "csv": "text/csv"}
Rows = AsyncIterator[Mapping[str, Any]]
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def export(rows: Rows, format: str, name: str) -> Response:
    """Rows as a download named after what they are."""
    streams: Mapping[str, Callable[[Rows], AsyncIterator[bytes]]]
    streams = {"json": _json, "jsonl": _lines, "csv": _csv}
    return StreamingResponse(
        streams[format](rows),
        media_type=TYPES[format],
        headers={"Content-Disposition": f'attachment; filename="{name}.{format}"'},
    )


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Flat rows as CSV text, cells that a spreadsheet would run made harmless."""
    out = io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.writer(out)
    writer.writerow(names)
    writer.writerows([cell(row.get(name)) for name in names] for row in rows)
    return out.getvalue()


def cell(value: Any) -> Any:
    """A value as a CSV cell: numbers as they are, nested data as JSON, no formulas."""
    if value is None or isinstance(value, int | float):
        return value
    text = value if isinstance(value, str) else to_json(value).decode().strip('"')
    return "'" + text if text.startswith(_FORMULA) else text


async def _json(rows: Rows) -> AsyncIterator[bytes]:
    separator = b"["
    async for row in rows:
        yield separator + to_json(row)
        separator = b",\n"
    yield b"[]" if separator == b"[" else b"]"


async def _lines(rows: Rows) -> AsyncIterator[bytes]:
    async for row in rows:
        yield to_json(row) + b"\n"


async def _csv(rows: Rows) -> AsyncIterator[bytes]:
    names: list[str] | None = None
    async for row in rows:
        out = io.StringIO()
        writer = csv.writer(out)
        if names is None:
            names = list(row)
            writer.writerow(names)
        writer.writerow([cell(row.get(name)) for name in names])
        yield out.getvalue().encode()
