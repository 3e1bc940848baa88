"""Make requests that mean harm, or nothing, to every route of an OpenAPI document."""

import gzip
import io
import json
import random
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

MARK = "xyzzy7731"
"""Stands in values that no answer may repeat; names of fields are told, so that they are found."""

METHODS = ("get", "post", "put", "patch", "delete")
LEFT_OUT = {("post", "/backups"), ("post", "/backups/{id}/restore"), ("post", "/jobs/{name}/run")}
"""They take no input, or work for long when they are asked well."""

TEXTS = (
    "",
    " ",
    MARK,
    "a\0" + MARK,
    "\ud800",
    "\u202e" + MARK,
    "=cmd|' /C calc'!A0",
    "../../../etc/passwd",
    f"a\r\nX-Forged: {MARK}",
    f'{{"event":"forged","by":"{MARK}"}}\n',
    "%00%0d%0a",
    "*",
    "default/../*",
    "'; DROP TABLE usage_events; --",
    "$(reboot)",
    "{{7*7}}",
    "(a+)+$" * 50,
    "🦊" * 300,
    "a" * 100_000,
    "9999-12-31T23:59:59-14:00",
    "0001-01-01T00:00:00+14:00",
    "2026-02-30T25:61:61Z",
    "-P1Y",
)
NUMBERS = (0, -1, 1, 2**31, 2**53 + 1, 2**63, -(2**63) - 1, 10**30, 1e308, -0.0, 5e-324, 0.1)
OTHERS: tuple[Any, ...] = (
    None,
    True,
    False,
    [],
    {},
    [[]],
    [None] * 300,
    {"": ""},
    {"stranger": {"deep": MARK}},
)
RAW = (
    b"",
    b"{",
    b"null",
    b"[" * 100_000,
    b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    b"\xff\xfe\x00",
    b'{"agent": NaN}',
    b'{"agent": "x", "max_tokens": 1e400}',
    b'{"agent": "x", "max_tokens": -Infinity}',
    b'{"agent": "\\ud800"}',
    b'{"agent": "\\u0000"}',
    b'{"max_tokens": ' + b"9" * 20_000 + b"}",
    b'{"agent": "a", "agent": "b", "agent": []}',
    b"\xef\xbb\xbf{}",
    b"a: &a [1]\nb: *a\n",
    b"a: !!python/object/apply:os.system ['true']\n",
    b"x: &x [a,a,a,a]\ny: &y [*x,*x,*x,*x]\nz: [*y,*y,*y,*y]\n",
    b"default: {max_total_tokens: 1}\ndefault: {max_total_tokens: 2}\n",
    b"%PDF-1.7 nothing of ours",
    b"{}\n" * 2_000,
    gzip.compress(b" " * 3_000_000),
    b"--x\r\nContent-Disposition: form-data; name=file; filename=../x\r\n\r\n{}\r\n--x--\r\n",
)
TYPES = (
    "application/json",
    "application/x-ndjson",
    "application/yaml",
    "application/gzip",
    "application/cloudevents+json",
    "application/cloudevents-batch+json",
    "multipart/form-data; boundary=x",
    "multipart/form-data",
    "text/plain; charset=utf-7",
    "x" * 3_000,
    "",
)
HEADERS = (
    ("idempotency-key", b""),
    ("idempotency-key", b"\xff\xfe"),
    ("idempotency-key", b"k" * 300),
    ("accept", b"*/*;q=9, text/html;q=x, /, ;;;"),
    ("accept", b"text/html," * 2_000),
    ("content-encoding", b"gzip"),
    ("content-encoding", b"\xff"),
    ("authorization", b"Bearer \xff\xff"),
    ("authorization", b"Basic eDp5"),
    ("host", b"\xff"),
    ("cookie", b"a=b;" * 1_000),
    ("x-forwarded-for", b"127.0.0.1"),
    ("range", b"bytes=0-,1-,2-"),
    ("if-match", b'"' * 500),
    ("expect", b"no"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request, as bytes go over the wire."""

    method: str
    target: bytes
    headers: tuple[tuple[str, bytes], ...]
    body: bytes | None
    route: str


def archive(name: str, *, link: str | None = None, size: int = 9) -> bytes:
    """A .tar.gz with one member that should not be there."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        member = tarfile.TarInfo(name)
        if link is not None:
            member.type, member.linkname = tarfile.SYMTYPE, link
            tar.addfile(member)
        else:
            member.size = size
            tar.addfile(member, io.BytesIO(b"#" * size))
    return gzip.compress(raw.getvalue())


ARCHIVES = (
    archive("../../etc/cron.d/x.md"),
    archive("/etc/passwd.md"),
    archive(".claude/memory/patterns/x.md", link="/etc/passwd"),
    archive(".claude/memory/patterns/" + "a" * 5_000 + ".md"),
    archive(".claude/memory/patterns/x.md", size=3_000_000),
    archive(".claude/memory/patterns/x.md")[:-9],
)


def requests(document: Mapping[str, Any], *, count: int, seed: int) -> Iterator[Request]:
    """`count` requests, the routes in turns; the same for the same seed."""
    chance = random.Random(seed)
    operations = [
        (method, path, one)
        for path, methods in document["paths"].items()
        for method, one in methods.items()
        if method in METHODS and (method, path) not in LEFT_OUT
    ]
    for number in range(count):
        yield _request(chance, document, *operations[number % len(operations)])


def _request(
    chance: random.Random, document: Mapping[str, Any], method: str, path: str, one: Any
) -> Request:
    target = path
    while "{" in target:
        before, _, rest = target.partition("{")
        target = before + _quoted(chance).replace(MARK, "named") + rest.partition("}")[2]
    names = [p["name"] for p in one.get("parameters", ()) if p["in"] == "query"]
    given = [name for name in (*names, "stranger") if chance.random() < 0.25]
    query = "&".join(f"{name}={_quoted(chance)}" for name in given)
    headers = [chance.choice(HEADERS)] if chance.random() < 0.2 else []
    body = None
    if "requestBody" in one:
        body = _body(chance, document, one["requestBody"])
        headers.append(
            ("content-type", chance.choice(TYPES[: chance.choice((1, len(TYPES)))]).encode())
        )
    whole = (target + (f"?{query}" if query else "")).encode("ascii")
    return Request(
        method=method.upper(), target=whole, headers=tuple(headers), body=body, route=path
    )


def _quoted(chance: random.Random) -> str:
    if chance.random() < 0.1:
        return chance.choice(("%zz", "%", "%ed%a0%80", "%00", "%2e%2e%2f", "%ff"))
    value = chance.choice((*TEXTS, *map(str, NUMBERS)))[:1_500]
    return quote(value.encode("utf-8", "surrogatepass"), safe="") or "-"


def _body(chance: random.Random, document: Mapping[str, Any], asked: Any) -> bytes:
    kind = chance.random()
    if kind < 0.25:
        return chance.choice(RAW)
    if kind < 0.32:
        return chance.choice(ARCHIVES)
    schema = next(iter(asked["content"].values())).get("schema", {})
    value = _of(chance, document, schema, depth=0)
    return json.dumps(value, ensure_ascii=chance.random() < 0.7).encode("utf-8", "surrogatepass")


def _of(chance: random.Random, document: Mapping[str, Any], schema: Any, *, depth: int) -> Any:
    """A value that fits its schema, but for where it does not."""
    if depth > 6 or chance.random() < 0.12:
        return chance.choice((*TEXTS, *NUMBERS, *OTHERS))
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return _of(chance, document, document["components"]["schemas"][name], depth=depth)
    for union in ("anyOf", "oneOf"):
        if union in schema:
            return _of(chance, document, chance.choice(schema[union]), depth=depth)
    if "enum" in schema or "const" in schema:
        return chance.choice([*schema.get("enum", ()), schema.get("const"), MARK])
    if schema.get("type") == "array":
        few = range(chance.choice((0, 1, 1, 3)))
        return [_of(chance, document, schema.get("items", {}), depth=depth + 1) for _ in few]
    if schema.get("type") == "object" or "properties" in schema:
        return {
            name: _of(chance, document, inner, depth=depth + 1)
            for name, inner in schema.get("properties", {}).items()
            if name in schema.get("required", ()) or chance.random() < 0.4
        }
    if schema.get("type") in ("integer", "number"):
        return chance.choice((1, 10, 1000, *NUMBERS))
    if schema.get("type") == "boolean":
        return chance.random() < 0.5
    return chance.choice(("dbt-expert", "default", "a", *TEXTS))
