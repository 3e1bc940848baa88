"""Parse YAML and JSON strictly, and load the policy that ships."""

import json
from collections import Counter
from collections.abc import Hashable
from functools import cache
from importlib.resources import files
from math import isfinite
from typing import Any, NoReturn

import yaml

from app.core.errors import InvalidPolicy
from app.core.policy_documents import DEFAULT_WORKSPACE
from app.presets.legacy import read_allocator_file, read_profiles_file

MAX_YAML_BYTES = 256 * 1024
MAX_JSON_BYTES = 4 * 1024 * 1024  # a full export of ten thousand agents is 1 MiB
MAX_DEPTH = 32
BYTE_ORDER_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"
TIMESTAMP_TAG = "tag:yaml.org,2002:timestamp"


class _StrictLoader(yaml.CSafeLoader):
    """Plain data only: times stay texts, merge keys and duplicate keys are refused."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                _refuse("a key must be a text", _line(key))
            if key.value == "<<":
                _refuse("merge keys are not allowed; write the entries out", _line(key))
            if key.value in seen:
                _refuse(f'the key "{key.value[:60]}" stands twice', _line(key))
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


_StrictLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != TIMESTAMP_TAG]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def load_yaml(text: str) -> Any:
    """One YAML document as plain data, without aliases, anchors, tags or duplicate keys."""
    text = _bounded(text, MAX_YAML_BYTES)
    try:
        _check_events(text)
        data = yaml.load(text, Loader=_StrictLoader)
    except yaml.MarkedYAMLError as error:
        line = None if error.problem_mark is None else error.problem_mark.line + 1
        _refuse(f"not valid YAML: {error.problem}", line)
    except (yaml.YAMLError, ValueError, RecursionError):
        _refuse("not valid YAML", None)
    return _checked(data)


def load_json(text: str) -> Any:
    """One JSON document as plain data, without duplicate keys, NaN or infinity."""
    try:
        data = json.loads(
            _bounded(text, MAX_JSON_BYTES),
            object_pairs_hook=_unique,
            parse_constant=lambda name: _refuse(f"{name} is not a number", None),
        )
    except json.JSONDecodeError as error:
        _refuse(f"not valid JSON: {error.msg}", error.lineno)
    except (ValueError, RecursionError):
        _refuse("not valid JSON: a number or a nesting is too large", None)
    return _checked(data)


@cache
def shipped() -> dict[str, dict[str, Any]]:
    """The documents that ship, by workspace; `default` carries the profiles for all of them."""
    documents = dict(read_allocator_file(load_yaml(_preset("allocator.yaml"))).documents)
    documents[DEFAULT_WORKSPACE] = {
        **read_profiles_file(load_yaml(_preset("phase6.yaml"))),
        **documents[DEFAULT_WORKSPACE],
    }
    return documents


def _preset(name: str) -> str:
    return files("app.presets").joinpath(name).read_text(encoding="utf-8")


def _bounded(text: str, most: int) -> str:
    if len(text) > most or len(text.encode("utf-8", "surrogatepass")) > most:
        _refuse(f"the file is larger than {most} bytes", None)
    return text.removeprefix(BYTE_ORDER_MARK)


def _check_events(text: str) -> None:
    depth = documents = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            _refuse("aliases and anchors are not allowed; write the value out", _line(event))
        if getattr(event, "tag", None):
            _refuse("tags are not allowed", _line(event))
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                _refuse("only one document to a file", _line(event))
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                _refuse(f"nested deeper than {MAX_DEPTH}", _line(event))
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        twice = next(key for key, seen in Counter(key for key, _ in pairs).items() if seen > 1)
        _refuse(f'the key "{twice[:60]}" stands twice', None)
    return data


def _checked(data: Any, depth: int = 0) -> Any:
    """The same data, if it is finite, not too deep and has texts for keys."""
    if depth > MAX_DEPTH:
        _refuse(f"nested deeper than {MAX_DEPTH}", None)
    if isinstance(data, float) and not isfinite(data):
        _refuse("numbers must be finite", None)
    if isinstance(data, dict):
        for key, value in data.items():
            if not isinstance(key, str):
                _refuse(f"the key {str(key)[:60]} must be a text; put it in quotes", None)
            _checked(value, depth + 1)
    elif isinstance(data, list):
        for value in data:
            _checked(value, depth + 1)
    return data


def _line(part: yaml.Node | yaml.Event) -> int:
    return 1 if part.start_mark is None else int(part.start_mark.line) + 1


def _refuse(message: str, line: int | None) -> NoReturn:
    where = "" if line is None else f" (line {line})"
    raise InvalidPolicy(
        f"{message}{where}",
        errors=[{"loc": [] if line is None else ["line", line], "msg": message}],
    )
