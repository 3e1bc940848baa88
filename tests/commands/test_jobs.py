"""Jobs are run and shown by commands, through the service that holds the file if there is one."""

from pathlib import Path

from app.store.database import Store
from app.store.job_reading import first_start
from tests.commands.running import run
from tests.running import served

JOBS = ("daily", "weekly", "monthly", "retention", "audit", "backup")


def test_a_job_is_run_and_shown(database_url: str) -> None:
    done = run("job", "run", "retention", database_url=database_url)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("retention done: ")

    shown = run("job", "status", database_url=database_url, timezone="Asia/Kathmandu")
    assert shown.returncode == 0, shown.stderr
    lines = shown.stdout.splitlines()
    assert [line.split(":")[0] for line in lines if not line.startswith(" ")] == list(JOBS)
    assert "on Sundays at 06:00 (Asia/Kathmandu), next " in shown.stdout
    assert any(" done, " in line for line in lines)
    assert lines.count("  never run") == 5


def test_a_command_keeps_no_time(sqlite_url: str) -> None:
    run("job", "status", database_url=sqlite_url).check_returncode()
    store = Store(sqlite_url)
    assert store.read_now(first_start) is None
    store.close()


def test_the_service_that_holds_the_file_runs_it(sqlite_url: str, tmp_path: Path) -> None:
    with served(sqlite_url, tmp_path) as service:
        done = run("job", "run", "backup", database_url=sqlite_url)
        assert done.returncode == 0, done.stderr
        assert any('"job_done"' in line for line in service.log_lines())


def test_an_unknown_job_is_one_line(sqlite_url: str) -> None:
    said = run("job", "run", "yearly", database_url=sqlite_url)
    assert said.returncode == 1
    assert said.stderr.count("\n") == 1
    assert all(name in said.stderr for name in JOBS)


def test_a_service_without_its_scheduler_says_so(sqlite_url: str) -> None:
    shown = run("job", "status", database_url=sqlite_url, scheduler="off")
    assert shown.stdout.count("not by itself") == len(JOBS)
    said = run("job", "status", database_url=sqlite_url, scheduler="sometimes")
    assert said.returncode == 2
    assert "MEMBUDGET_SCHEDULER" in said.stderr
