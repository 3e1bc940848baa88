"""Say what the package brings: nothing before it is used, and all of it without the server."""

import inspect
import json
import subprocess
import sys
import zipfile
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest

import membudget
from membudget import _core, async_client, client
from tests.data import REPOSITORY, absent

SOURCES = REPOSITORY / "client" / "src"
HEAVY = ("httpx", "httpcore", "anyio", "typer", "rich", "click", "tiktoken", "yaml", "app")
DEPENDENCIES = ("anyio", "httpx", "httpcore", "h11", "idna", "certifi", "typing-extensions")

LOADED = "import sys; {}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"

OFFLINE = """
import json, sys
from membudget import Client, TaskComplexityDetector, _core
with Client("http://127.0.0.1:9", retries=0, spool=sys.argv[1]) as client:
    found = client.allocate(
        "dbt-exprt",
        "Analyze dbt model performance",
        memories=[{"id": "a", "text": "dbt models", "tokens": 2}],
        render="xml",
    )
    data = {
        "root": _core.root(),
        "shipped": _core.shipped(),
        "agent": found.agent.name,
        "tokens": found.tokens,
        "selected": [one.id for one in found.selection.selected],
        "tier": client.complexity("Design end-to-end architecture").tier,
        "spooled": client.track(agent="a", budget_tokens=1, used_tokens=1).spooled,
        "app": "app" in sys.modules,
    }
own = {"signals": [{"tier": "simple", "name": "peek", "pattern": "peek"}]}
profiles = _core.shipped_profiles() | own
profiles["profiles"]["specialist-narrow"]["base_budget"] = 10_000
with open(sys.argv[1] + ".json", "w") as file:
    json.dump(profiles, file)
with Client("http://127.0.0.1:9", retries=0, spool=False, fallback=sys.argv[1] + ".json") as client:
    found = client.allocate("dbt-expert", complexity="medium")
    data |= {"own_tokens": found.tokens, "own_reason": found.degraded_reason}
detector = TaskComplexityDetector()
detector.complexity_signals["simple"].append("peek")
data["own_tier"] = detector.detect_complexity("Analyze and troubleshoot slow queries")[0]
for name in set(_core.MODULES) - {"loader", "tokens"}:
    getattr(_core, name)
print(json.dumps(data, default=str))
"""


def run(code: str, *words: str, path: str, isolated: bool = False) -> str:
    """What a program prints in a process of its own."""
    flags = ["-S"] if isolated else []
    done = subprocess.run(
        [sys.executable, *flags, "-P", "-c", code, *words],
        env={"PYTHONPATH": path, "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "code",
    ["import membudget", "import membudget; dir(membudget); membudget.__version__"],
)
def test_importing_it_imports_nothing_heavy(code: str) -> None:
    loaded = run(LOADED.format(code), path=str(SOURCES)).split()
    assert "membudget" in loaded
    assert not set(loaded) & {*HEAVY, "asyncio", "ssl", "json", "logging"}


def test_a_client_brings_http_with_its_first_call_only() -> None:
    code = "from membudget import Client, AsyncClient; Client(spool=False)"
    loaded = run(LOADED.format(code), path=str(SOURCES)).split()
    assert not set(loaded) & set(HEAVY)


def test_every_name_that_it_offers_is_there() -> None:
    for name in membudget.__all__:
        assert getattr(membudget, name) is not None
    assert set(membudget.__all__) <= set(dir(membudget))
    with pytest.raises(AttributeError, match="nothing_of_that_name"):
        _ = membudget.nothing_of_that_name


def test_the_type_checker_and_the_table_know_the_same_names() -> None:
    text = (SOURCES / "membudget" / "__init__.py").read_text()
    static = {
        line.rpartition(" as ")[2] for line in text.splitlines() if line.startswith("    from ")
    }
    assert static == set(membudget.__all__) - {"__version__"}


def test_both_clients_have_the_same_calls_with_the_same_words() -> None:
    sync, other = client.Client("http://x"), async_client.AsyncClient("http://x")
    pairs: list[tuple[Any, Any]] = [(sync, other), (sync.allocation(), other.allocation())]
    seen = 0
    while pairs:
        one, two = pairs.pop()
        names = {name for name in dir(one) if not name.startswith("_")}
        assert names == {name for name in dir(two) if not name.startswith("_")}
        for name in names:
            if name in ("stdout", "event"):
                continue
            first, second = getattr(one, name), getattr(two, name)
            if inspect.ismethod(first):
                seen += 1
                words = inspect.signature(first).parameters
                assert words == inspect.signature(second).parameters, name
                assert first.__doc__ == second.__doc__ or name in ("close", "allocation"), name
            elif type(first).__module__.startswith("membudget.") and hasattr(first, "_client"):
                pairs.append((first, second))
    assert seen > 60


def test_only_the_door_leads_to_the_server() -> None:
    inside = [
        f"{path.name}: {line.strip()}"
        for path in (SOURCES / "membudget").rglob("*.py")
        for line in path.read_text().splitlines()
        if line.strip().startswith(("import app", "from app")) and path.name != "_core.py"
    ]
    assert inside == []


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client's wheel, unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    built = subprocess.run(
        ["uv", "build", "--wheel", str(REPOSITORY / "client"), "--out-dir", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if built.returncode != 0:
        absent(f"the client's wheel cannot be built here: {built.stderr[-500:]}")
    (packed,) = folder.glob("*.whl")
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


@pytest.fixture(scope="module")
def site(wheel: Path) -> Path:
    """The wheel with its dependencies, and nothing else."""
    for name in DEPENDENCIES:
        for file in distribution(name).files or ():
            top = file.parts[0]
            if top not in ("..", ".") and not top.endswith(".dist-info"):
                there, here = Path(str(file.locate())), wheel / top
                whole = there.parents[len(file.parts) - 2] if len(file.parts) > 1 else there
                if not here.exists():
                    here.symlink_to(whole)
    return wheel


def test_the_wheel_decides_without_the_server(site: Path, tmp_path: Path) -> None:
    said = json.loads(run(OFFLINE, str(tmp_path / "spool"), path=str(site), isolated=True))
    assert said["root"] == "membudget._carried"
    assert not said["app"]
    assert said["shipped"] == json.loads(json.dumps(_core.shipped(), default=str))
    assert (said["agent"], said["tokens"]) == ("specialists/dbt-expert", 30_000)
    assert (said["selected"], said["tier"], said["spooled"]) == (["a"], "multi-system", 1)


def test_signals_of_your_own_say_what_they_take(site: Path, tmp_path: Path) -> None:
    said = json.loads(run(OFFLINE, str(tmp_path / "spool"), path=str(site), isolated=True))
    assert said["own_tokens"] == 10_000
    assert "are left out: signals of your own take RE2" in said["own_reason"]
    assert "pip install 'membudget[detect]'" in said["own_reason"]
    assert "syntax" not in said["own_reason"]
    assert said["own_tier"] == "complex"


def test_the_wheel_holds_what_it_needs_and_no_more(wheel: Path) -> None:
    packages = {path.name for path in wheel.iterdir() if not path.name.endswith(".dist-info")}
    assert "membudget" in packages
    assert "app" not in packages
    carried = wheel / "membudget" / "_carried"
    assert not list(carried.rglob("store")) + list(carried.rglob("routes"))
    (metadata,) = wheel.glob("*.dist-info/METADATA")
    needs = [
        line.removeprefix("Requires-Dist: ")
        for line in metadata.read_text().splitlines()
        if line.startswith("Requires-Dist: ") and "extra ==" not in line
    ]
    names = {need.split(">")[0] for need in needs}
    assert names == {"anyio", "httpx", "rich", "typer"}
