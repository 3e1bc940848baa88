"""Hold the page that says what is missing: each thing on it is missing, and says so itself."""

import re
from pathlib import Path
from typing import Any

import pytest

from app.main import create_app
from app.settings import Settings
from docs.regenerate import DOCS
from tests.running import running

PAGE = (DOCS / "where-we-are.md").read_text(encoding="utf-8")

PROFILE = {"base_budget": 100, "max_budget": 200, "scope_weights": {"global": 1}}
UNAVAILABLE: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/pools", {"tokens": 5, "usd": "5"}),
    ("PUT", "/profiles/p", {**PROFILE, "mode": "adaptive"}),
    ("PUT", "/profiles/p", {**PROFILE, "quantile": 0.9}),
]


def section(title: str) -> str:
    return PAGE.split(f"## {title}")[1].split("\n## ")[0]


async def test_fields_on_the_page_are_refused_and_named(sqlite_url: str) -> None:
    listed = section("Request fields that answer 422 `not_available`")
    async with running(sqlite_url) as service:
        for method, path, body in UNAVAILABLE:
            answer = await service.client.request(method, path, json=body)
            assert (answer.status_code, answer.json()["code"]) == (422, "not_available"), body
            assert f"`{list(body)[-1]}" in listed


@pytest.fixture
def paths(tmp_path: Path) -> set[str]:
    return set(
        create_app(Settings(database_url=f"sqlite:///{tmp_path / 'x.db'}")).openapi()["paths"]
    )


def test_paths_on_the_page_are_not_there(paths: set[str]) -> None:
    named = re.findall(r"`(/[\w/]+)`", section("Paths that are not there"))
    assert len(named) >= 5
    assert [one for one in named if any(path.startswith(one) for path in paths)] == []


def test_settings_on_the_page_do_not_exist() -> None:
    named = re.findall(r"`MEMBUDGET_(\w+)`", PAGE.split("that do not exist yet:")[1])
    assert named
    assert [one for one in named if one.lower() in Settings.model_fields] == []
