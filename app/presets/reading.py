"""Read a policy file of any format into documents by workspace."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from app.core.errors import InvalidPolicy
from app.presets.legacy import Format, detect_format, read_allocator_file, read_profiles_file
from app.presets.loader import BYTE_ORDER_MARK, MAX_JSON_BYTES, load_json, load_yaml


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFile:
    """What a file says, not yet checked."""

    format: Format
    documents: Mapping[str, Any]
    """By workspace; a file of profiles speaks about one."""
    ignored: tuple[str, ...]
    """Keys that have no meaning here, dotted."""


def read_policy(content: bytes, workspace: str) -> PolicyFile:
    """JSON or YAML, by content; `workspace` is whom a file without workspaces is for.

    Errors: InvalidPolicy for what is neither.
    """
    data = _parsed(content)
    format = detect_format(data)
    if format == "allocator":
        read = read_allocator_file(data)
        return PolicyFile(format=format, documents=read.documents, ignored=read.ignored)
    document = read_profiles_file(data) if format == "profiles" else data
    return PolicyFile(format=format, documents={workspace: document}, ignored=())


class _PlainDumper(yaml.CSafeDumper):
    """Writes every value out: our own loader takes no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def dump_yaml(data: Any) -> str:
    """Plain data as YAML, its keys in the order they have."""
    return str(yaml.dump(data, Dumper=_PlainDumper, sort_keys=False, allow_unicode=True))


def _parsed(content: bytes) -> Any:
    if len(content) > MAX_JSON_BYTES:
        raise InvalidPolicy(f"the file is larger than {MAX_JSON_BYTES} bytes")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidPolicy("the file is not UTF-8 text") from None
    starts = text.removeprefix(BYTE_ORDER_MARK).lstrip()[:1]
    return load_json(text) if starts in ("{", "[") else load_yaml(text)
