"""Hold versions together: what is named, what is pinned and what the container installs."""

import json
import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.tree import files
from tests.data import REPOSITORY

PROJECT: dict[str, Any] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))
CLIENT: dict[str, Any] = tomllib.loads((REPOSITORY / "client/pyproject.toml").read_text("utf-8"))
LOCK = (REPOSITORY / "requirements.lock").read_text(encoding="utf-8")
LOCKED_LINE = re.compile(r"^(?P<name>[a-z0-9][a-z0-9._-]*)==(?P<version>[^ ;\\]+)", re.MULTILINE)


def locked() -> dict[str, str]:
    return {canonicalize_name(name): version for name, version in LOCKED_LINE.findall(LOCK)}


def constrained() -> dict[str, str]:
    found = {}
    for line in PROJECT["tool"]["uv"]["constraint-dependencies"]:
        requirement = Requirement(line)
        (pin,) = requirement.specifier
        assert pin.operator == "==", line
        found[canonicalize_name(requirement.name)] = pin.version
    return found


def named(requirements: list[str]) -> Iterator[tuple[str, frozenset[str]]]:
    """Names and extras of the requirements that count on this machine."""
    for line in requirements:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield canonicalize_name(requirement.name), frozenset(requirement.extras)


def needed(name: str, extras: frozenset[str]) -> Iterator[str]:
    """Everything that installed distributions say a distribution needs, at any depth."""
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = [(name, extras)]
    while waiting:
        one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        yield one[0]
        try:
            lines = requires(one[0]) or []
        except PackageNotFoundError:
            continue
        for line in lines:
            requirement = Requirement(line)
            wanted = {"", *one[1]}
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in wanted):
                waiting.append((canonicalize_name(requirement.name), frozenset(requirement.extras)))


def test_the_lock_repeats_the_constraints() -> None:
    pins = constrained()
    assert {name: pins.get(name) for name in locked()} == locked()


def test_every_locked_version_has_a_hash() -> None:
    blocks = LOCKED_LINE.split(LOCK)[3::3]
    assert len(blocks) == len(locked())
    assert all("--hash=sha256:" in block for block in blocks)


@pytest.mark.parametrize("requirement", PROJECT["project"]["dependencies"])
def test_what_the_server_needs_is_locked_at_any_depth(requirement: str) -> None:
    ((name, extras),) = named([requirement])
    missing = set(needed(name, extras)) - locked().keys()
    assert missing == set()


@pytest.mark.parametrize(
    "requirement",
    [
        *PROJECT["project"]["dependencies"],
        *PROJECT["project"]["optional-dependencies"]["dev"],
        *CLIENT["project"]["dependencies"],
    ],
)
def test_a_pin_satisfies_what_is_named(requirement: str) -> None:
    parsed = Requirement(requirement)
    pin = constrained()[canonicalize_name(parsed.name)]
    assert parsed.specifier.contains(pin), f"{requirement} against {pin}"


def test_tools_of_developers_stay_out_of_the_container() -> None:
    dev = {name for name, _ in named(PROJECT["project"]["optional-dependencies"]["dev"])}
    assert dev & locked().keys() <= {"anyio"}  # which the server needs as well


def test_versions_come_without_addresses() -> None:
    addresses = re.compile(r"[a-z]+://|--(index|extra-index|find-links|trusted-host)")
    assert addresses.findall(LOCK) == []
    text = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    assert addresses.findall(text) == []


def test_no_lock_file_with_addresses_is_tracked() -> None:
    assert [path for path in files() if path.name == "uv.lock"] == []


def test_the_bill_of_materials_lists_what_is_locked() -> None:
    document = json.loads((REPOSITORY / "docs" / "sbom.cdx.json").read_text(encoding="utf-8"))
    listed = {one["name"]: one["version"] for one in document["components"]}
    assert len(listed) == len(document["components"]) > 20
    assert listed == locked()
