"""Answer a report in the format that is asked for: data, a page, or Markdown."""

from typing import Any

from fastapi import Request, Response

from app.api.accepting import preferred
from app.api.routing import JSON, answer
from app.api.schemas.reports import report_out
from app.core.report_html import html_of
from app.core.report_markdown import markdown_of
from app.core.report_style import POLICY
from app.core.reports import Report

HTML, MARKDOWN = "text/html", "text/markdown"
FORMATS = (JSON, HTML, MARKDOWN)

DRAWN: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The report",
        "content": {HTML: {"schema": {"type": "string"}}, MARKDOWN: {"schema": {"type": "string"}}},
    }
}
"""What OpenAPI says of the answer beside its JSON."""

_HEADERS = {"Vary": "Accept", "X-Content-Type-Options": "nosniff"}


def drawn(report: Report, request: Request) -> Response:
    """The report in the best format of those that `Accept` takes."""
    format = preferred(request.headers.get("accept"), FORMATS)
    if format == HTML:
        headers = {**_HEADERS, "Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer"}
        return Response(html_of(report), media_type=HTML, headers=headers)
    if format == MARKDOWN:
        return Response(markdown_of(report), media_type=MARKDOWN, headers=_HEADERS)
    found = answer(report_out(report))
    found.headers.update(_HEADERS)
    return found
