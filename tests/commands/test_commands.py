"""Commands do what they say: serve and stop, carry in and out, and refuse in one line."""

import gzip
import io
import json
import os
import signal
import socket
import threading
from pathlib import Path

import httpx
import pytest
from rich.console import Console
from sqlalchemy import make_url
from sqlalchemy.exc import OperationalError
from typer.main import get_command

from app.__main__ import cli
from app.commands import carrying, migrating, serving
from app.commands.health import check_health
from app.commands.service import reach
from app.commands.trouble import MISUSED, Trouble, read_settings
from app.store.database import Store
from app.store.migrate import pending
from app.store.usage import list_events
from tests.commands.running import run
from tests.conftest import NOW
from tests.running import STOP_SECONDS, served

SCREEN = Console(quiet=True)
CLIENTS = 8


def line(number: int, **more: object) -> str:
    return json.dumps(
        {
            "timestamp": f"2025-10-{number % 28 + 1:02d}T10:00:00",
            "agent": "specialists/dbt-expert",
            "task": f"task {number}",
            "complexity": "simple",
            "budget_allocated": 1000,
            "tokens_loaded": number,
            "scope_breakdown": {"global": number},
            **more,
        }
    )


def ids_in(database_url: str) -> set[str]:
    store = Store(database_url)
    try:
        events = store.read_now(lambda tx: list_events(tx, "default", filters={}, limit=100_000))
        return {event.id for event in events}
    finally:
        store.close()


def wanted(*, replace: bool = False, dry_run: bool = False) -> carrying.Wanted:
    return carrying.Wanted(workspace="default", replace=replace, dry_run=dry_run, now=NOW)


async def carry_in(database_url: str, *files: Path, how: carrying.Wanted) -> tuple[bool, str]:
    said = io.StringIO()
    complete = await carrying.import_all(
        lambda: reach(read_settings(database_url=database_url), url=None, warn=print),
        [str(file) for file in files],
        how,
        out=Console(file=said, width=200),
        screen=SCREEN,
    )
    return complete, said.getvalue()


def test_a_stop_under_load_loses_nothing_that_was_acknowledged(
    database_url: str, tmp_path: Path
) -> None:
    acknowledged: list[str] = []
    refused: list[str] = []

    def post(url: str, name: int) -> None:
        with httpx.Client(base_url=url, timeout=10) as client:
            for number in range(100_000):
                body = {
                    "id": f"c{name}-{number}",
                    "agent": "a",
                    "budget_tokens": 2,
                    "used_tokens": 1,
                }
                try:
                    answer = client.post("/usage", json=body)
                except httpx.TransportError:
                    return
                if answer.status_code != httpx.codes.CREATED:
                    refused.append(answer.text)
                    return
                acknowledged.extend(answer.json()["ids"])

    with served(database_url, tmp_path) as service:
        clients = [
            threading.Thread(target=post, args=(service.url, name)) for name in range(CLIENTS)
        ]
        for client in clients:
            client.start()
        while len(acknowledged) < 300:
            assert any(client.is_alive() for client in clients), refused
        service.process.terminate()
        code = service.process.wait(STOP_SECONDS)
        for client in clients:
            client.join()
        log = service.log_lines()

    assert code == 0, log
    assert [json.loads(entry)["event"] for entry in log] == ["started", "stopped"]
    assert set(acknowledged) <= ids_in(database_url)
    assert len(set(acknowledged)) == len(acknowledged)


def test_commands_go_through_the_service_that_holds_the_file(
    sqlite_url: str, tmp_path: Path
) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text(line(1) + "\nrubbish\n" + line(2))
    said: list[str] = []
    with served(sqlite_url, tmp_path) as service:
        lock = json.loads((tmp_path / "membudget.db.lock").read_text())
        second = run("serve", "--port", "0", database_url=sqlite_url)
        imported = run("import", str(log), database_url=sqlite_url)
        ready = check_health(service.url, say=said.append)
        service.process.send_signal(signal.SIGINT)
        code = service.process.wait(STOP_SECONDS)

    assert lock["url"] == service.url
    assert (second.returncode, second.stdout) == (1, "")
    assert service.url in second.stderr
    assert len(second.stderr.splitlines()) == 1
    assert imported.returncode == 1
    assert "2 imported, 0 duplicates, 1 refused" in imported.stdout
    assert f"{log}:2: " in imported.stdout
    assert ready
    assert "database: ok" in said
    assert len(ids_in(sqlite_url)) == 2
    assert code == 0


async def test_the_audit_finds_what_was_changed_behind_its_back(
    sqlite_url: str, tmp_path: Path
) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text(line(7))
    await carry_in(sqlite_url, log, how=wanted())
    store = Store(sqlite_url)
    store.write_now(
        lambda tx: tx.connection.exec_driver_sql(
            "UPDATE usage_cells SET used = used + 1 WHERE family = 'total' AND grain = 1"
        )
    )
    store.close()

    audited = run("audit", database_url=sqlite_url)

    assert audited.returncode == 1, audited.stderr
    assert "total of hour 2025-10-08" in audited.stdout
    assert "used 8" in audited.stdout
    assert "used 7" in audited.stdout


async def test_an_export_imports_as_what_it_was(sqlite_url: str, tmp_path: Path) -> None:
    log, out = tmp_path / "log.jsonl", tmp_path / "out.jsonl"
    log.write_text("\n".join(line(number, user="eve") for number in range(40)))
    complete, said = await carry_in(sqlite_url, log, how=wanted())
    settings = read_settings(database_url=sqlite_url)
    async with reach(settings, url=None, warn=print) as client:
        await carrying.export(client, "usage", workspace=None, format=None, output=str(out))

    again, repeated = await carry_in(sqlite_url, out, log, how=wanted())

    assert complete
    assert again
    assert "40 imported, 0 duplicates" in said
    assert repeated.count("0 imported, 40 duplicates") == 2
    assert {name for name in os.listdir(tmp_path) if "out" in name} == {"out.jsonl"}


async def test_an_empty_file_is_named_and_the_others_are_imported(
    sqlite_url: str, tmp_path: Path
) -> None:
    first, last = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    first.write_text(line(1) + "\n")
    last.write_text(line(2) + "\n")
    for name, content in (("empty.csv", ""), ("empty.jsonl", "\n")):
        empty = tmp_path / name
        empty.write_text(content)
        complete, said = await carry_in(sqlite_url, first, empty, last, how=wanted())
        assert not complete
        assert f"{empty} is empty\n" in said
    assert len(ids_in(sqlite_url)) == 2


async def test_a_policy_file_is_imported_and_exported(sqlite_url: str, tmp_path: Path) -> None:
    policy = tmp_path / "budgets"  # no suffix: seen from its content
    profile = {
        "description": "small",
        "base_budget": 1234,
        "max_budget": 5678,
        "scope_weights": {"global": 1.0},
    }
    policy.write_text(json.dumps({"profiles": {"tiny": profile}}))
    settings = read_settings(database_url=sqlite_url)

    checked, _ = await carry_in(sqlite_url, policy, how=wanted(dry_run=True))
    async with reach(settings, url=None, warn=print) as client:
        before = await client.get("/profiles/tiny")
    imported, said = await carry_in(sqlite_url, policy, how=wanted())
    async with reach(settings, url=None, warn=print) as client:
        after = await client.get("/profiles/tiny")
        await carrying.export(
            client, "config", workspace=None, format="yaml", output=str(tmp_path / "c.yaml")
        )

    assert checked
    assert imported
    assert before.status_code == httpx.codes.NOT_FOUND
    assert after.json()["base_budget"] == 1234
    assert "profiles.tiny" in said
    assert "code_analysis" in (tmp_path / "c.yaml").read_text()


async def test_a_bad_policy_file_is_refused_with_its_fields(
    sqlite_url: str, tmp_path: Path
) -> None:
    policy = tmp_path / "p.json"
    policy.write_text(json.dumps({"profiles": {"tiny": {"base_budget": -1}}}))

    with pytest.raises(Trouble, match=r"tiny"):
        await carry_in(sqlite_url, policy, how=wanted())


async def test_a_dry_run_needs_no_database(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text(line(1) + "\n{}\n")

    complete, said = await carry_in(f"sqlite:///{tmp_path}/no.db", log, how=wanted(dry_run=True))

    assert not complete
    assert "1 can be read, 1 would be refused" in said
    assert f"{log}:2: " in said
    assert os.listdir(tmp_path) == ["log.jsonl"]


@pytest.mark.parametrize("name", ["log.jsonl.gz", "log.jsonl"])
async def test_a_compressed_log_is_said_to_be_so(
    sqlite_url: str, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(line(1).encode()))
    with pytest.raises(Trouble, match=rf"{name} is compressed: unpack it"):
        await carry_in(sqlite_url, path, how=wanted())


async def test_a_log_is_not_replaced(sqlite_url: str, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text(line(1))
    with pytest.raises(Trouble, match=r"--replace") as caught:
        await carry_in(sqlite_url, log, how=wanted(replace=True))
    assert caught.value.code == MISUSED


async def test_two_commands_do_not_mistake_each_other_for_the_service(sqlite_url: str) -> None:
    settings = read_settings(database_url=sqlite_url)
    async with reach(settings, url=None, warn=print):
        second = run("export", "usage", database_url=sqlite_url)
    assert second.returncode == 1
    assert second.stderr.count("\n") == 1
    assert "try again" in second.stderr


def test_migrate_says_from_where_to_where(bare_database_url: str) -> None:
    settings = read_settings(database_url=bare_database_url)

    up = migrating.migrate(settings, revision="head", down=False)
    again = migrating.migrate(settings, revision="head", down=False)
    down = migrating.migrate(settings, revision="base", down=True)

    assert up[0] == migrating.EMPTY != up[1]
    assert again == (up[1], up[1])
    assert down == (up[1], migrating.EMPTY)
    store = Store(bare_database_url)
    assert store.read_now(lambda tx: pending(tx.connection))
    store.close()
    with pytest.raises(Trouble, match=r"nowhere"):
        migrating.migrate(settings, revision="nowhere", down=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_other_addresses_need_somebody_who_checks_callers(host: str) -> None:
    settings = read_settings(host=host, port=0)
    refusal = pytest.raises(Trouble, match=r"MEMBUDGET_AUTH=off")
    with serving.bind(settings) as listener, refusal as caught:
        serving.require_key(settings, listener)
    assert caught.value.code == MISUSED


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_authentication_that_is_on_needs_a_key(host: str, database_url: str) -> None:
    settings = read_settings(host=host, port=0, auth="on", database_url=database_url)
    with serving.bind(settings) as listener:
        with pytest.raises(Trouble, match=r"MEMBUDGET_AUTH=on needs a key") as caught:
            serving.require_key(settings, listener)
        assert caught.value.code == MISUSED

        made = run("keys", "create", "first", "--scope", "admin", database_url=database_url)
        assert made.stdout.startswith("mb_")
        serving.require_key(settings, listener)


def test_a_command_that_lacks_the_key_of_a_service_says_where_to_put_it(
    sqlite_url: str, tmp_path: Path
) -> None:
    with served(sqlite_url, tmp_path, admin_key="k" * 16):
        done = run("job", "status", database_url=sqlite_url)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.endswith(" Set MEMBUDGET_API_KEY.\n")
        assert run("job", "status", database_url=sqlite_url, api_key="k" * 16).returncode == 0


def test_behind_a_gateway_any_address_is_served() -> None:
    settings = read_settings(host="0.0.0.0", port=0, auth="off")
    with serving.bind(settings) as listener:
        serving.require_key(settings, listener)
        assert serving.reachable(listener)[0] == "127.0.0.1"


def test_a_port_in_use_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Trouble, match=f"{port}"):
            serving.bind(read_settings(port=port))


@pytest.mark.parametrize("url", ["nonsense", "mysql://a/b", "sqlite"])
def test_a_strange_database_is_said(url: str) -> None:
    with pytest.raises(Trouble, match=r"MEMBUDGET_DATABASE_URL"):
        read_settings(database_url=url)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "US", "../etc/passwd"])
def test_a_setting_that_cannot_be_read_is_one_line(zone: str) -> None:
    ended = run("serve", database_url="sqlite:///unused.db", timezone=zone)
    assert ended.returncode == MISUSED
    assert ended.stderr.startswith("membudget-server: MEMBUDGET_TIMEZONE: ")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"admin_key": "short"}, "MEMBUDGET_ADMIN_KEY: must have at least 16 characters"),
    ],
)
def test_a_key_that_is_missing_or_short_is_said(settings: dict[str, str], said: str) -> None:
    with pytest.raises(Trouble) as caught:
        read_settings(**settings)
    assert (str(caught.value), caught.value.code) == (said, MISUSED)


@pytest.mark.parametrize("words", [("serve", "--port", "0"), ("migrate",), ("export", "config")])
def test_a_folder_that_is_not_there_is_said(words: tuple[str, ...], tmp_path: Path) -> None:
    folder = tmp_path / "absent"
    ended = run(*words, database_url=f"sqlite:///{folder}/x.db")
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"membudget-server: There is no folder {folder} for the data")
    assert ended.stderr.count("\n") == 1


def test_a_postgresql_without_the_database_is_not_waited_for(postgresql_url: str) -> None:
    said: list[str] = []
    absent = make_url(postgresql_url).set(database="membudget_absent")
    settings = read_settings(database_url=absent.render_as_string(hide_password=False))

    with pytest.raises(Trouble, match=r'_absent" does not exist.*MEMBUDGET_DATABASE_URL'):
        serving.wait_for_database(settings, warn=said.append)

    assert said == []


@pytest.mark.parametrize(
    ("reason", "refuses"),
    [
        ('FATAL: role "x" does not exist', True),
        ('FATAL: password authentication failed for user "x"', True),
        ("fe_sendauth: no password supplied", True),
        ("FATAL: the database system is starting up", False),
        ("FATAL: sorry, too many clients already", False),
        ("Connection refused", False),
    ],
)
def test_only_what_waiting_cannot_mend_is_a_refusal(reason: str, refuses: bool) -> None:
    error = OperationalError("", {}, Exception(reason))
    assert serving.is_refusal(error, reason) is refuses


def test_postgresql_is_waited_for_and_then_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "DATABASE_PATIENCE", 0.5)
    monkeypatch.setattr(serving, "DATABASE_PAUSE", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    said: list[str] = []
    settings = read_settings(database_url=f"postgresql://nobody@127.0.0.1:{port}/nothing")

    with pytest.raises(Trouble, match=r"does not answer"):
        serving.wait_for_database(settings, warn=said.append)

    assert len(said) >= 2


def test_every_command_shows_an_example_and_explains_its_options() -> None:
    commands = get_command(cli).commands  # type: ignore[attr-defined]  # it is a group
    assert set(commands) == set(
        "serve migrate import export audit backup health job keys report simulate".split()
    )
    for name, command in commands.items():
        assert f"Example: membudget-server {name}" in (command.help or "")
        for parameter in command.params:
            assert getattr(parameter, "help", None), f"{name} {parameter.name}"


def test_the_page_names_every_option() -> None:
    page = (Path(__file__).parents[2] / "docs" / "commands.md").read_text(encoding="utf-8")
    for name, command in get_command(cli).commands.items():  # type: ignore[attr-defined]
        section = page.partition(f"## `membudget-server {name}`")[2].partition("\n## ")[0]
        for parameter in command.params:
            shown = ", ".join(parameter.opts) if parameter.opts else parameter.name
            assert f"`{shown}`" in section, f"{name} {shown}"
