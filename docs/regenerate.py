"""Write what the documentation says twice: references, settings, commands, what is in it."""

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from typer.main import get_command

from app.__main__ import cli
from app.api import errors as api_errors
from app.api.reference import ErrorNote, render
from app.core import errors
from app.main import create_app
from app.settings import Settings
from docs.bill_of_materials import bill_of_materials
from docs.client_reference import client_page

DOCS = Path(__file__).resolve().parent

OTHER_CODES = {
    "internal_error": (500, "the service failed and stored nothing; its log has the details"),
}
"""Codes that belong to no exception of ours."""

TREE_LINE = re.compile(r"^[│├└─ ]*\w+ {2,}(?P<code>[a-z_]+) {2,}(?P<meaning>.+)$")


def openapi_of(app: FastAPI) -> dict[str, Any]:
    """The application's OpenAPI document as plain JSON data."""
    document: dict[str, Any] = json.loads(json.dumps(app.openapi()))
    return document


def error_notes() -> list[ErrorNote]:
    """Every code that an error of the service can have, by status and name."""
    meanings = {}
    for line in (errors.__doc__ or "").splitlines():
        if found := TREE_LINE.match(line):
            meanings[found["code"]] = found["meaning"]
    notes = [
        ErrorNote(
            code=kind.code,
            status=api_errors.status_of(kind),
            meaning=meanings.get(kind.code) or inspect.cleandoc(kind.__doc__ or ""),
        )
        for kind in domain_errors(errors.DomainError)
    ]
    notes += [
        ErrorNote(code=code, status=status, meaning=api_errors.TITLES[status].lower())
        for status, code in api_errors.CODES.items()
    ]
    notes += [
        ErrorNote(code=code, status=status, meaning=meaning)
        for code, (status, meaning) in OTHER_CODES.items()
    ]
    return sorted({note.code: note for note in reversed(notes)}.values(), key=_by_status)


def domain_errors(base: type[errors.DomainError]) -> Iterator[type[errors.DomainError]]:
    """The error classes of the service below `base`, each once."""
    for kind in base.__subclasses__():
        if kind.__module__.startswith("app."):
            yield kind
        yield from domain_errors(kind)


def settings_page() -> str:
    """`docs/settings.md`: every variable, its default and what it does."""
    lines = [
        "# Settings",
        "",
        "How the process runs, read from the environment once at start. How budgets behave is",
        "*policy*: rows and files that change while it runs. Written by",
        "`uv run python docs/regenerate.py`.",
        "",
        "| Variable | Default | What it does |",
        "| --- | --- | --- |",
    ]
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=False)
        shown = "–" if default in (None, (), "") else f"`{default}`"
        text = " ".join((field.description or "").split()).replace("|", "\\|")
        lines.append(f"| `MEMBUDGET_{name.upper()}` | {shown} | {text} |")
    return "\n".join(lines) + "\n"


def commands_page() -> str:
    """`docs/commands.md`: every command of `membudget-server` with its arguments."""
    lines = [
        "# Commands",
        "",
        "`membudget-server` alone serves. Each command explains itself with `--help`. Written by",
        "`uv run python docs/regenerate.py`.",
        "",
    ]
    for name, command in commands():
        lines += [f"## `membudget-server {name}`", "", inspect.cleandoc(command.help or "")]
        lines += [""] if command.params else []
        for parameter in command.params:
            shown = ", ".join(parameter.opts) if parameter.opts else parameter.name
            text = " ".join((getattr(parameter, "help", None) or "").split())
            lines.append(f"- `{shown}`" + (f" – {text}" if text else ""))
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def commands() -> list[tuple[str, Any]]:
    """Name and command of everything `membudget-server` can do, groups spelt out."""
    return list(_walk("", get_command(cli)))


def pages(app: FastAPI) -> dict[str, str]:
    """The generated files by their name in this folder."""
    document = openapi_of(app)
    return {
        "openapi.json": json.dumps(document, indent=1, ensure_ascii=False) + "\n",
        "api.md": render(document, errors=error_notes()),
        "settings.md": settings_page(),
        "commands.md": commands_page(),
        "client-api.md": client_page(),
        "sbom.cdx.json": bill_of_materials(),
    }


def _walk(prefix: str, command: Any) -> Iterator[tuple[str, Any]]:
    for name, inner in sorted(getattr(command, "commands", {}).items()):
        full = f"{prefix}{name}"
        if getattr(inner, "commands", None):
            yield from _walk(f"{full} ", inner)
        else:
            yield full, inner


def _by_status(note: ErrorNote) -> tuple[int, str]:
    return note.status, note.code


def write() -> None:
    """Write the files; say which ones changed."""
    for name, text in pages(create_app(Settings())).items():
        path = DOCS / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"docs/{name} is new")


if __name__ == "__main__":
    write()
