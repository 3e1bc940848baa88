"""Carry the thinking that service and client share into the client's wheel.

`membudget._core` names the modules. They, and what they import of the same storeys, are copied as
`membudget/_carried`, where they find each other; what is optional there gets its stand-in. The
policy that ships is carried as JSON, so that reading it takes no YAML.
"""

import ast
import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PRESETS = ("phase6", "allocator")
STOREYS = r"\bapp\.(?=core\b|gateways\b|presets\b)"
STAND_INS = {
    "import re2": "from membudget import _re2 as re2",
    "from rapidfuzz import fuzz, process": "from membudget._likeness import fuzz, process",
    "from rapidfuzz.distance import OSA": "from membudget._likeness import OSA",
    "from rapidfuzz import process": "from membudget._likeness import process",
}
HEAD = '"""Modules of the membudget service, copied when this package was built."""\n'


class CarryHook(BuildHookInterface[Any]):
    """Adds the carried modules to wheels and source distributions."""

    _folder: Path | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Copy them, unless they are here already (a source distribution) or are not needed."""
        app = Path(self.root).parent / "app"
        if version == "editable" or not app.is_dir():
            return
        self._folder = Path(tempfile.mkdtemp(prefix="membudget-carried-"))
        carry(app, Path(self.root, "src", "membudget", "_core.py"), self._folder)
        inner = "membudget/_carried" if self.target_name == "wheel" else "src/membudget/_carried"
        build_data["force_include"][str(self._folder)] = inner

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Leave nothing behind."""
        if self._folder is not None:
            shutil.rmtree(self._folder)


def carry(app: Path, door: Path, folder: Path) -> list[str]:
    """Copy what a door opens to into a folder; answers the modules, such as `core.budgets`."""
    modules = sorted(closure(app, named(door)))
    for module in modules:
        path = folder.joinpath(*module.split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(rewritten(source_of(app, module)), encoding="utf-8")
    for package in {folder, *(path.parent for path in folder.rglob("*.py"))}:
        (package / "__init__.py").write_text(HEAD, encoding="utf-8")
    shutil.copytree(app / "gateways" / "ranks", folder / "gateways" / "ranks")
    shipped = {
        name: yaml.safe_load((app / "presets" / f"{name}.yaml").read_text(encoding="utf-8"))
        for name in PRESETS
    }
    (folder / "shipped.json").write_text(json.dumps(shipped), encoding="utf-8")
    return modules


def named(door: Path) -> set[str]:
    """The modules that the client's door imports from `app`, below TYPE_CHECKING."""
    found = set()
    for node in ast.walk(ast.parse(door.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("app."):
            found |= set(imported(node))
    return found


def closure(app: Path, modules: set[str]) -> set[str]:
    """Modules with all that they import of their own storeys."""
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module in found or not path_of(app, module).is_file():
            continue
        found.add(module)
        for node in ast.walk(ast.parse(source_of(app, module))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("app."):
                waiting += imported(node)
    return found


def imported(node: ast.ImportFrom) -> Iterator[str]:
    """What a line may import: the module it names, and modules in that package."""
    module = (node.module or "").removeprefix("app.")
    yield module
    for one in node.names:
        yield f"{module}.{one.name}"


def path_of(app: Path, module: str) -> Path:
    """The file of a module."""
    return app.joinpath(*module.split(".")).with_suffix(".py")


def source_of(app: Path, module: str) -> str:
    """The text of a module."""
    return path_of(app, module).read_text(encoding="utf-8")


def rewritten(source: str) -> str:
    """A module's text where it is carried: its neighbours are elsewhere, and some are optional."""
    lines = []
    for line in re.sub(STOREYS, "membudget._carried.", source).splitlines():
        stand_in = STAND_INS.get(line)
        lines += (
            [line]
            if stand_in is None
            else ["try:", f"    {line}", "except ImportError:", f"    {stand_in}"]
        )
    return "\n".join(lines) + "\n"
