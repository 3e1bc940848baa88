"""Write the Python client's reference, `docs/client-api.md`, from its source and docstrings."""

import ast
import inspect
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "client" / "src" / "membudget"

NATIVE = (
    "client",
    "async_client",
    "allocations",
    "memories",
    "parts",
    "cost_parts",
    "speed_parts",
    "_fields",
    "results.budgets",
    "results.memories",
    "results.usage",
    "results.costs",
    "results.speed",
    "results.service",
    "errors",
)
ORIGINALS = (
    "scoped",
    "monitor",
    "calculator",
    "detector",
    "analyzer",
    "allocator",
    "allocator_types",
    "config_loader",
    "costs",
    "persistence",
    "profiler",
    "executor",
    "minifier",
    "services",
)

PREAMBLE = """\
# Python client reference

Everything public of the package `membudget`, written from its docstrings by
`uv run python docs/regenerate.py`. How to begin: [the client's README](../client/README.md) and
the [cookbook](cookbook.md). What is marked *root* is imported with `from membudget import …`.
`AsyncClient` has the calls of `Client`, awaited; only what differs is listed for it.
"""
HEADINGS = {"client": "The client", "scoped": "The originals' names"}
ONLY_WHAT_DIFFERS = {"async_client": "client"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def client_page() -> str:
    """`docs/client-api.md`: modules, classes, functions and fields with their docstrings."""
    root = root_names()
    lines = [PREAMBLE]
    for module in (*NATIVE, *ORIGINALS):
        if module in HEADINGS:
            lines += [f"## {HEADINGS[module]}", ""]
        lines += _module(module, root)
    return "\n".join(lines).rstrip() + "\n"


def root_names() -> dict[str, str]:
    """The names of `membudget` itself, and the module that each is taken from."""
    return {
        name: (node.module or "").removeprefix("membudget.")
        for node in ast.walk(_tree("__init__"))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("membudget.")
        for name in (alias.name for alias in node.names)
    }


def _module(module: str, root: dict[str, str]) -> Iterator[str]:
    tree = _tree(module)
    yield from (f"### `membudget.{module}`", "", _doc(tree), "")
    hidden: set[str] = set()
    if twin := ONLY_WHAT_DIFFERS.get(module):
        twins = (node for node in _tree(twin).body if isinstance(node, ast.ClassDef))
        hidden = {name for node in twins for name, _, _ in _members(node)}
    for node in _public(module, tree, root):
        yield from _class(node, hidden, is_root=node.name in root)


def _public(module: str, tree: ast.Module, root: dict[str, str]) -> Iterator[ast.ClassDef]:
    """Public classes that a module defines, then those that it hands out from private ones."""
    own = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    yield from (node for node in own if not node.name.startswith("_"))
    known = {node.name for node in own}
    for name, home in sorted(root.items()):
        if home == module and name not in known and (found := _found(module, name)):
            yield found


def _found(module: str, name: str) -> ast.ClassDef | None:
    """A class where it is defined, wherever a module has it from."""
    for node in _tree(module).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return node
        if isinstance(node, ast.ImportFrom) and name in {alias.name for alias in node.names}:
            return _found((node.module or "").removeprefix("membudget."), name)
    return None


def _class(node: ast.ClassDef, hidden: set[str], *, is_root: bool) -> Iterator[str]:
    bases = ", ".join(ast.unparse(base) for base in node.bases)
    yield f"#### `{node.name}{f'({bases})' if bases else ''}`{' · root' if is_root else ''}"
    yield from ("", _doc(node), "")
    starts = [one for one in node.body if isinstance(one, Function) and one.name == "__init__"]
    yield from (f"- `{node.name}{_signature(one)}`" for one in starts)
    members = [member for member in _members(node) if member[0] not in hidden]
    for _, shown, text in members:
        yield f"- `{shown}`" + (f" – {text}" if text else "")
    if starts or members:
        yield ""


def _members(node: ast.ClassDef) -> Iterator[tuple[str, str, str]]:
    """Name, how it is written and what it is: fields, attributes of `__init__`, methods."""
    yield from _fields(node.body)
    for one in node.body:
        if isinstance(one, Function) and one.name == "__init__":
            yield from (field for field in _fields(one.body) if field[2])
    for one in node.body:
        if isinstance(one, Function) and not one.name.startswith("_"):
            marks = {ast.unparse(mark) for mark in one.decorator_list}
            if any(mark.endswith(".setter") for mark in marks) or "overload" in marks:
                continue
            before = "async " if isinstance(one, ast.AsyncFunctionDef) else ""
            shown = one.name + (_answer(one) if "property" in marks else _signature(one))
            yield one.name, before + shown, _line(_doc(one))


def _fields(body: Iterable[ast.stmt]) -> Iterator[tuple[str, str, str]]:
    statements = list(body)
    for one, after in zip(statements, [*statements[1:], None], strict=True):
        text = ""
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            text = _line(inspect.cleandoc(str(after.value.value)))
        if isinstance(one, ast.AnnAssign):
            name, shown = ast.unparse(one.target), ast.unparse(one).removeprefix("self.")
        elif isinstance(one, ast.Assign) and len(one.targets) == 1:
            name = ast.unparse(one.targets[0])
            shown = name.removeprefix("self.") if name.startswith("self.") else ast.unparse(one)
        else:
            continue
        name = name.removeprefix("self.")
        if not name.startswith("_"):
            yield name, re.sub(r" = field\(.*\)$", "", shown), text


def _signature(node: Function) -> str:
    arguments = ast.unparse(node.args)
    arguments = re.sub(r"^(?:self|cls)(?:, /)?(?:, |$)", "", arguments)
    return f"({arguments}){_answer(node) if node.name != '__init__' else ''}"


def _answer(node: Function) -> str:
    return f" -> {ast.unparse(node.returns)}" if node.returns else ""


def _doc(node: ast.Module | ast.ClassDef | Function) -> str:
    return ast.get_docstring(node) or ""


def _line(text: str) -> str:
    return " ".join(text.split())


def _tree(module: str) -> ast.Module:
    path = PACKAGE.joinpath(*module.split(".")).with_suffix(".py")
    return ast.parse(path.read_text(encoding="utf-8"))
