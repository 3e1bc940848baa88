"""Write the readable HTTP reference from the OpenAPI document."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from markdown_it import MarkdownIt

METHODS = ("get", "post", "put", "patch", "delete")
REF_PREFIX = "#/components/schemas/"

LIMITS = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
}

PREAMBLE = """\
Every path of the service, written from its OpenAPI document (`/openapi.json`, kept here as
`docs/openapi.json`) by `uv run python docs/regenerate.py`. Times are RFC 3339 in UTC, tokens are
integers, money is decimal strings in USD, shares are 0–1 and names that end in `_pct` are 0–100.
Errors are `application/problem+json` with a stable `code`."""

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorNote:
    """One code that a problem document may carry."""

    code: str
    status: int
    meaning: str


def render(openapi: Schema, *, errors: Sequence[ErrorNote] = ()) -> str:
    """The reference as Markdown: operations by subject, then shapes, then error codes."""
    info = openapi["info"]
    lines = [f"# {info['title']} {info['version']}: HTTP reference", "", PREAMBLE, ""]
    for subject, operations in _by_subject(openapi).items():
        lines += [f"## {subject}", ""]
        for method, path, operation in operations:
            lines += _operation(method, path, operation)
    shapes = openapi.get("components", {}).get("schemas", {})
    if shapes:
        lines += ["## Shapes", ""]
        for name in sorted(shapes):
            lines += _shape(name, shapes[name])
    if errors:
        lines += ["## Errors", ""]
        rows = [(f"`{note.code}`", str(note.status), note.meaning) for note in errors]
        lines += _table(("Code", "Status", "Meaning"), rows)
    return "\n".join(lines).rstrip() + "\n"


HEADING = re.compile(r"<h([234])>(.*?)</h\1>")
STYLE = """\
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.5 system-ui, sans-serif;
  color: #1c2430; background: #fff }
table { border-collapse: collapse; margin: .5rem 0 1rem }
td, th { border: 1px solid #d5dbe3; padding: .25rem .6rem; text-align: left; vertical-align: top }
code { background: #f1f4f8; padding: .1rem .25rem; border-radius: 3px }
h3 { margin-top: 2.5rem; border-top: 1px solid #d5dbe3; padding-top: 1rem }
@media (prefers-color-scheme: dark) {
  body { color: #dde3ea; background: #14181d } code { background: #232a33 }
  td, th, h3 { border-color: #38414d } a { color: #8ab8ff } }"""


def page(openapi: Schema) -> str:
    """The reference as an HTML page without scripts, fonts or anything else from elsewhere."""
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(render(openapi))
    body = HEADING.sub(_with_anchor, body)
    title = escape(f"{openapi['info']['title']} {openapi['info']['version']}")
    head = (
        f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}'
    )
    return f"<!doctype html><html lang=en><head>{head}</title><style>{STYLE}</style></head>{body}"


def _with_anchor(heading: re.Match[str]) -> str:
    """A heading that the links of the page find, named as Markdown's readers name it."""
    level, text = heading.groups()
    words = re.sub(r"<[^>]+>", "", text).lower()
    anchor = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
    return f'<h{level} id="{anchor}">{text}</h{level}>'


def type_of(schema: Schema) -> str:
    """A schema in words, with its limits and without its description."""
    limits = [text.format(schema[name]) for name, text in LIMITS.items() if name in schema]
    words = _bare_type(schema)
    return f"{words}, {', '.join(limits)}" if limits else words


def _bare_type(schema: Schema) -> str:
    if "$ref" in schema:
        return _link(schema["$ref"].removeprefix(REF_PREFIX))
    for union in ("anyOf", "oneOf", "allOf"):
        if union in schema:
            return " or ".join(dict.fromkeys(type_of(part) for part in schema[union]))
    if "const" in schema:
        return f"`{_literal(schema['const'])}`"
    if "enum" in schema:
        return " · ".join(f"`{_literal(value)}`" for value in schema["enum"])
    kind = schema.get("type")
    if isinstance(kind, list):
        return " or ".join(type_of({**schema, "type": one}) for one in kind)
    if kind == "array":
        return _array(schema)
    if kind == "object":
        inner = schema.get("additionalProperties")
        return f"map of {type_of(inner)}" if isinstance(inner, Mapping) and inner else "object"
    return f"{kind} ({schema['format']})" if kind and "format" in schema else kind or "any"


def _array(schema: Schema) -> str:
    if "prefixItems" in schema:
        return "[" + ", ".join(type_of(part) for part in schema["prefixItems"]) + "]"
    return f"list of {type_of(schema.get('items', {}))}"


def _by_subject(openapi: Schema) -> dict[str, list[tuple[str, str, Schema]]]:
    """Operations by their tag, else by the first part of their path, in the document's order."""
    found: dict[str, list[tuple[str, str, Schema]]] = {}
    for path, item in openapi.get("paths", {}).items():
        for method in METHODS:
            if method in item:
                tags = item[method].get("tags") or [path.strip("/").partition("/")[0] or "/"]
                found.setdefault(str(tags[0]), []).append((method, path, item[method]))
    return found


def _operation(method: str, path: str, operation: Schema) -> Iterator[str]:
    yield f"### `{method.upper()} {path}`"
    yield ""
    if text := operation.get("description") or operation.get("summary"):
        yield from (text.strip(), "")
    yield from (_key_for(operation), "")
    if operation.get("parameters"):
        rows = [
            (f"`{one['name']}`", one["in"], *_facts(one.get("schema", {}), one))
            for one in operation["parameters"]
        ]
        yield from _table(("Parameter", "In", "Type", "Default", "Meaning"), rows)
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        yield f"Body (`{kind}`): {type_of(content.get('schema', {}))}"
        yield ""
    for status, answer in operation.get("responses", {}).items():
        shapes = [
            f"{type_of(content.get('schema', {}))} (`{kind}`)"
            for kind, content in answer.get("content", {}).items()
        ]
        yield f"- **{status}** {_one_line(answer.get('description', ''))}" + (
            f": {' · '.join(shapes)}" if shapes else ""
        )
    yield ""


def _key_for(operation: Schema) -> str:
    """What key an operation asks for, in a line."""
    names = [name for one in operation.get("security", ()) for name in next(iter(one.values()))]
    if not names:
        return "Needs no key."
    bound = ", of all workspaces" if operation.get("x-whole-house") else ""
    return f"Key: {' or '.join(f'`{name}`' for name in names)}{bound}."


def _shape(name: str, schema: Schema) -> Iterator[str]:
    yield f"### {name}"
    yield ""
    if schema.get("description"):
        yield from (schema["description"].strip(), "")
    fields = schema.get("properties")
    if not fields:
        yield from (type_of(schema), "")
        return
    required = schema.get("required", ())
    rows = [
        (f"`{field}`", *_facts(value, {**value, "required": field in required}))
        for field, value in fields.items()
    ]
    yield from _table(("Field", "Type", "Default", "Meaning"), rows)


def _facts(schema: Schema, owner: Schema) -> tuple[str, str, str]:
    """Type, default and meaning of a parameter or a field."""
    if owner.get("required"):
        default = "required"
    else:
        default = f"`{_literal(schema['default'])}`" if "default" in schema else "–"
    text = owner.get("description") or schema.get("description") or ""
    examples = schema.get("examples") or owner.get("examples") or ()
    if isinstance(examples, Sequence) and examples:
        text = f"{text} Such as `{_literal(examples[0])}`.".strip()
    return type_of(schema), default, text


def _literal(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _link(name: str) -> str:
    return f"[{name}](#{''.join(c for c in name.lower() if c.isalnum() or c in '-_')})"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + " --- |" * len(head)
    for row in rows:
        yield "| " + " | ".join(_one_line(cell).replace("|", "\\|") for cell in row) + " |"
    yield ""
