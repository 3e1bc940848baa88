"""Hold the documentation complete: what is there is written down, what is written is so."""

import re
import shlex
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from app.core.errors import DomainError
from app.main import create_app
from app.settings import Settings
from docs.regenerate import DOCS, commands, domain_errors, error_notes, pages
from tests.architecture.tree import files, name_of
from tests.data import REPOSITORY

MARKDOWN = [path for path in files() if path.suffix == ".md"]
README = REPOSITORY / "README.md"

TERMS = """
    workspace, project, agent, user, assignment, policy, profile, base, ceiling, multiplier,
    scope, tier, weight, room, rigid, trace, settings, complexity, kind, signal, booster,
    verdict, confidence, allocation, selection, load, finish, expiry, late, used, needed,
    exceeded, unmet, threshold, alert, bump, enforcement, soft, hard, cell, sketch, segment,
    dimension, window, audit, idempotency, retention, core, flow, store, gateway, preset,
    storey, complexity tier, usage event, policy version, policy book, group commit, day
    version, domain error
"""

GENERATED = ["openapi.json", "api.md", "settings.md", "commands.md", "sbom.cdx.json"]

FENCE = re.compile(r"^```(?:bash|console|sh|shell)\n(?P<body>.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]]+\]\((?P<target>[^)\s#]+)(?:#[^)]*)?\)")


@pytest.fixture
def service(tmp_path: Path) -> FastAPI:
    return create_app(Settings(database_url=f"sqlite:///{tmp_path / 'unused.db'}"))


def command_lines(path: Path) -> Iterator[list[str]]:
    """Every call of `membudget-server` in a page's shell examples, as words."""
    for fence in FENCE.finditer(path.read_text(encoding="utf-8")):
        for line in fence["body"].replace("\\\n", " ").splitlines():
            _, found, rest = line.partition("membudget-server")
            if found and not line.lstrip().startswith("#"):
                yield shlex.split(rest.split("|")[0].split("&&")[0], comments=True)


@pytest.mark.parametrize("name", GENERATED)
def test_generated_pages_are_what_the_code_says(service: FastAPI, name: str) -> None:
    kept = DOCS / name
    assert kept.is_file(), "run: uv run python docs/regenerate.py"
    same = kept.read_text(encoding="utf-8") == pages(service)[name]
    assert same, f"docs/{name} is out of date; run: uv run python docs/regenerate.py"


def test_every_operation_is_in_the_reference(service: FastAPI) -> None:
    reference = (DOCS / "api.md").read_text(encoding="utf-8")
    operations = [
        f"{method.upper()} {path}"
        for path, item in service.openapi()["paths"].items()
        for method in item
    ]
    assert operations
    assert [one for one in operations if f"`{one}`" not in reference] == []


def test_every_operation_says_what_it_does(service: FastAPI) -> None:
    silent = [
        f"{method.upper()} {path}"
        for path, item in service.openapi()["paths"].items()
        for method, operation in item.items()
        if not operation.get("description")  # a summary is made from the function's name
    ]
    assert silent == []


def test_every_setting_is_described() -> None:
    page = (DOCS / "settings.md").read_text(encoding="utf-8")
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert f"`MEMBUDGET_{name.upper()}`" in page


def test_every_command_is_described() -> None:
    page = (DOCS / "commands.md").read_text(encoding="utf-8")
    assert {"serve", "migrate", "import", "export"} <= {name for name, _ in commands()}
    for name, command in commands():
        assert command.help, name
        assert f"`membudget-server {name}`" in page


def test_every_error_code_is_described_and_belongs_to_one_error() -> None:
    reference = (DOCS / "api.md").read_text(encoding="utf-8")
    codes = Counter(kind.code for kind in set(domain_errors(DomainError)))
    assert [code for code, count in codes.items() if count > 1] == []
    assert codes.keys() <= {note.code for note in error_notes()}
    for note in error_notes():
        assert note.meaning, note.code
        assert f"| `{note.code}` | {note.status} |" in reference


@pytest.mark.parametrize(
    "line", ["pip install uv && uv run membudget-server", "uv run pytest", "/allocate", "/finish"]
)
def test_the_readme_teaches_the_first_steps(line: str) -> None:
    assert line in README.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", MARKDOWN, ids=name_of)
def test_commands_in_examples_exist(path: Path) -> None:
    names = {name for name, _ in commands()}
    for words in command_lines(path):
        called = [word for word in words if not word.startswith("-")]
        if called:
            assert names & {called[0], " ".join(called[:2])}, f"{name_of(path)}: {' '.join(words)}"


@pytest.mark.parametrize("path", MARKDOWN, ids=name_of)
def test_links_lead_somewhere(path: Path) -> None:
    targets = [match["target"] for match in LINK.finditer(path.read_text(encoding="utf-8"))]
    broken = [
        target
        for target in targets
        if "://" not in target
        and not target.startswith("mailto:")
        and not (path.parent / target).exists()
    ]
    assert broken == []


@pytest.mark.parametrize("term", [" ".join(term.split()) for term in TERMS.split(",")])
def test_the_glossary_has_the_word(term: str) -> None:
    glossary = (DOCS / "glossary.md").read_text(encoding="utf-8")
    assert f"**{term}**" in glossary


def test_the_glossary_has_each_word_once() -> None:
    glossary = (DOCS / "glossary.md").read_text(encoding="utf-8")
    words = Counter(re.findall(r"^- \*\*([^*]+)\*\*", glossary, re.MULTILINE))
    assert [word for word, count in words.items() if count > 1] == []


def test_decisions_are_numbered_without_gaps_and_say_what_was_given_up() -> None:
    kept = sorted((DOCS / "decisions").glob("*.md"))
    assert [int(path.name[:4]) for path in kept] == list(range(1, len(kept) + 1))
    for path in kept:
        text = path.read_text(encoding="utf-8")
        assert text.startswith(f"# {path.name[:4]} – ")
        for part in ("**Context.**", "**Choice.**", "**What we gave up.**"):
            assert part in text, f"{path.name} lacks {part}"
