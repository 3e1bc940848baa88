"""A folder of transcripts and some spend logs become usage, each call once and no text of any."""

import asyncio
import io
import json
import os
import shlex
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from sqlalchemy import make_url

from app.commands.carrying import Wanted, import_all
from app.commands.service import reach
from app.commands.trouble import Trouble, read_settings
from app.core.usage import UsageEvent
from app.store.database import Store
from app.store.usage import list_events
from tests.commands.running import run
from tests.running import served
from tests.transcripts import (
    SECRET,
    as_csv,
    asked,
    said,
    session_lines,
    spend_row,
    usage,
    write_lines,
    write_projects,
)

EXPECTED = {
    "msg_01AAAAAAAAAAAAAAAA": ("claude-code", 21_000, 310),
    "msg_01BBBBBBBBBBBBBBBB": ("claude-code", 44_000, 95),
    "msg_01CCCCCCCCCCCCCCCC": ("claude-code", 61_000, 777),
    "msg_01EEEEEEEEEEEEEEEE": ("Explore", 12_000, 40),
    "msg_01FFFFFFFFFFFFFFFF": ("Explore", 15_000, 40),
    "msg_01GGGGGGGGGGGGGGGG": ("code-reviewer", 30_000, 40),
    "msg_01HHHHHHHHHHHHHHHH": ("claude-code", 65_000, 12),
}


def events(database_url: str, workspace: str = "default") -> list[UsageEvent]:
    store = Store(database_url)
    try:
        return store.read_now(lambda tx: list_events(tx, workspace, filters={}, limit=10_000))
    finally:
        store.close()


@dataclass(frozen=True, slots=True)
class Done:
    """What an import came to."""

    returncode: int
    stdout: str


def carry(
    *files: str | Path, database_url: str, workspace: str = "default", dry_run: bool = False
) -> Done:
    """Import as the command does, in this process."""
    out = io.StringIO()
    wanted = Wanted(workspace=workspace, replace=False, dry_run=dry_run, now=datetime.now(UTC))
    work = import_all(
        lambda: reach(read_settings(database_url=database_url), url=None, warn=print),
        list(map(str, files)),
        wanted,
        out=Console(file=out, width=200),
        screen=Console(quiet=True),
    )
    return Done(0 if asyncio.run(work) else 1, out.getvalue())


def told(database_url: str) -> dict[str, tuple[str, int, int | None]]:
    return {
        event.id.removeprefix("claude-code:"): (event.agent, event.used_tokens, event.output_tokens)
        for event in events(database_url)
    }


def test_a_folder_of_transcripts_is_booked_each_call_once(
    bare_database_url: str, tmp_path: Path
) -> None:
    projects = write_projects(tmp_path / "projects")
    first = run("import", str(projects), database_url=bare_database_url)
    assert (first.returncode, first.stderr.strip()) == (0, "")
    assert first.stdout == "4 logs: 7 calls imported, 3 duplicates, 0 refused\n"
    assert told(bare_database_url) == EXPECTED

    again = run("import", str(projects), database_url=bare_database_url)
    assert again.stdout == "4 logs: 0 calls imported, 10 duplicates, 0 refused\n"
    assert told(bare_database_url) == EXPECTED
    audited = run("audit", database_url=bare_database_url)
    assert audited.returncode == 0, audited.stdout


def test_no_text_is_kept_or_said(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'kept.db'}"
    projects = write_projects(tmp_path / "projects")
    spend = tmp_path / "spend.json"
    spend.write_text(json.dumps([spend_row(number) for number in range(5)]))
    broken = tmp_path / "broken.jsonl"
    bad = said("msg_01AAAAAAAAAAAAAAAA", 1, usage(9, 1)) | {"timestamp": SECRET}
    write_lines(broken, [asked(0), bad, SECRET], end=f'\n{{"text": "{SECRET}')
    with served(url, tmp_path, access_log="true") as service:
        done = run("import", str(projects), str(spend), str(broken), database_url=url)
        report = run("report", "--json", database_url=url)
        log = service.log.read_text()
    assert "12 calls imported" in done.stdout
    assert "timestamp is no time" in done.stdout
    said_lines = [line for line in done.stdout.splitlines() if not line.startswith(str(tmp_path))]
    assert SECRET not in "".join(said_lines) + done.stderr + log + report.stdout
    files = [path for path in tmp_path.iterdir() if path.name.startswith("kept.db")]
    assert files
    assert not any(SECRET.encode() in path.read_bytes() for path in files)


def test_a_growing_transcript_is_taken_up_where_it_was_left(
    bare_sqlite_url: str, tmp_path: Path
) -> None:
    path = tmp_path / "session.jsonl"
    lines = session_lines()
    cut = json.dumps(lines[8])[:200]
    write_lines(path, lines[:8], age=0, end="\n" + cut)
    first = carry(str(path), database_url=bare_sqlite_url)
    assert first.returncode == 0
    assert first.stdout.splitlines() == [
        "1 log: 1 calls imported, 0 duplicates, 0 refused",
        "2 still being written: import them again later",
    ]
    write_lines(path, lines, age=0)
    second = carry(str(path), database_url=bare_sqlite_url)
    assert second.stdout == "1 log: 2 calls imported, 1 duplicates, 0 refused\n"
    main = {id_: told for id_, told in EXPECTED.items() if id_ < "msg_01D"}
    assert told(bare_sqlite_url) == main


def test_what_cannot_be_read_is_named_by_file_and_line_and_all_else_is_booked(
    bare_sqlite_url: str, tmp_path: Path
) -> None:
    path = tmp_path / "session.jsonl"
    good = [said(f"msg_{number:020d}", number, usage(9, 1)) for number in range(4)]
    later = good[1] | {"timestamp": "2999-01-01T00:00:00Z"}
    absurd = said("msg_01AAAAAAAAAAAAAAAA", 1, usage(10**11, 1))
    rows = [good[0], later, "rubbish", absurd, good[1], ["x"], good[2]]
    path.write_text("\n".join(map(json.dumps, rows)) + "\nnot json\n\0\0\0\n" + json.dumps(good[3]))
    done = carry(str(path), database_url=bare_sqlite_url)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "1 log: 3 calls imported, 0 duplicates, 6 refused",
        "1 still being written: import them again later",
        f"{path}:2: timestamp is more than an hour in the future",
        f"{path}:3: is no JSON object",
        f"{path}:4: input_tokens is more than 10,000,000,000",
        f"{path}:6: is no JSON object",
        f"{path}:8: is no JSON",
        f"{path}:9: is no JSON",
    ]


@pytest.mark.parametrize("form", ["array", "data", "lines", "csv", "lower", "semicolons"])
def test_spend_logs_of_every_form_are_booked(
    bare_sqlite_url: str, tmp_path: Path, form: str
) -> None:
    rows = [spend_row(number) for number in range(7)]
    forms = {
        "array": json.dumps(rows),
        "data": json.dumps({"data": rows, "total": 7, "page": 1}, indent=2),
        "lines": "\n".join(map(json.dumps, rows)),
        "csv": "\ufeff" + as_csv(rows),
        "lower": as_csv(rows, lower=True),
        "semicolons": as_csv(rows, delimiter=";"),
    }
    path = tmp_path / ("spend.csv" if form in ("csv", "lower", "semicolons") else "spend.json")
    path.write_text(forms[form], encoding="utf-8")
    for expected in ("7 calls imported, 0 dup", "0 calls imported, 7 dup"):
        done = carry(str(path), database_url=bare_sqlite_url)
        assert done.returncode == 0
        assert expected in done.stdout
    found = events(bare_sqlite_url)
    assert {event.agent for event in found} == {"support-bot"}
    assert sum(event.cost_nano_usd or 0 for event in found) == 7 * 12_500_000


def test_a_summary_by_day_says_what_to_export_instead(tmp_path: Path, bare_sqlite_url: str) -> None:
    path = tmp_path / "spend.json"
    path.write_text(json.dumps([{"startTime": "2026-02-03", "spend": 1.5, "models": {}}]))
    done = carry(str(path), database_url=bare_sqlite_url)
    assert done.returncode == 1
    assert f"{path}:1: has no request_id; a summary by day? Export with summarize=false" in (
        done.stdout
    )


def test_standard_input_may_be_a_transcript(bare_sqlite_url: str) -> None:
    given = "\n".join(map(json.dumps, session_lines()))
    done = run("import", "-", given=given, database_url=bare_sqlite_url)
    assert done.stdout == "1 log: 3 calls imported, 0 duplicates, 0 refused\n"


def test_a_dry_run_books_nothing(bare_sqlite_url: str, tmp_path: Path) -> None:
    projects = write_projects(tmp_path / "projects")
    done = carry(projects, dry_run=True, database_url=bare_sqlite_url)
    assert done.stdout == "4 logs: 10 calls can be read, 0 would be refused\n"
    assert not Path(str(make_url(bare_sqlite_url).database)).exists()


def test_links_are_not_followed_and_other_files_are_passed_over(
    bare_sqlite_url: str, tmp_path: Path
) -> None:
    elsewhere = write_projects(tmp_path / "elsewhere")
    projects = tmp_path / "projects"
    projects.mkdir()
    (projects / "linked").symlink_to(elsewhere, target_is_directory=True)
    (projects / "linked.jsonl").symlink_to(next(elsewhere.rglob("*.jsonl")))
    (projects / "loop").symlink_to(projects)
    (projects / "history.jsonl").write_text(json.dumps({"display": SECRET, "project": "/x"}))
    (projects / "empty.jsonl").touch()
    (projects / "packed.jsonl").write_bytes(b"\x1f\x8b" + os.urandom(50))
    (projects / "policy.json").write_text('{"profiles": {}}')
    write_lines(projects / "own.jsonl", session_lines())
    done = carry(str(projects), database_url=bare_sqlite_url)
    assert done.stdout.splitlines()[0] == "1 log: 3 calls imported, 0 duplicates, 1 refused"
    assert "packed.jsonl: " in done.stdout


def test_a_folder_without_logs_says_so(bare_sqlite_url: str, tmp_path: Path) -> None:
    with pytest.raises(Trouble, match="No such file"):
        carry(tmp_path / "nothing", database_url=bare_sqlite_url)
    (tmp_path / "empty").mkdir()
    done = carry(tmp_path / "empty", database_url=bare_sqlite_url)
    assert done.returncode == 1
    assert "holds no files such as transcripts" in done.stdout


def test_policy_that_comes_along_is_in_force_before_calls_are_booked(
    bare_sqlite_url: str, tmp_path: Path
) -> None:
    projects = write_projects(tmp_path / "projects")
    policy = tmp_path / "policy.json"
    assignment = {"agent_assignments": {"helpers/Explore": "specialist-narrow"}}
    policy.write_text(json.dumps(assignment))
    done = carry(str(projects), str(policy), database_url=bare_sqlite_url)
    assert done.returncode == 0
    assert {event.agent for event in events(bare_sqlite_url)} == {
        "claude-code",
        "helpers/Explore",
        "code-reviewer",
    }


def test_replace_is_refused(bare_sqlite_url: str, tmp_path: Path) -> None:
    path = tmp_path / "session.jsonl"
    write_lines(path, session_lines())
    done = run("import", "--replace", str(path), database_url=bare_sqlite_url)
    assert done.returncode == 2
    assert "--replace is for policy files and memories" in done.stderr


def test_workspaces_are_apart(bare_sqlite_url: str, tmp_path: Path) -> None:
    path = tmp_path / "session.jsonl"
    write_lines(path, session_lines())
    carry(path, workspace="other", database_url=bare_sqlite_url)
    assert events(bare_sqlite_url) == []
    assert len(events(bare_sqlite_url, "other")) == 3
    shown = run("report", "--workspace", "other", "--json", database_url=bare_sqlite_url)
    assert json.loads(shown.stdout)["workspace"] == "other"


def test_calls_that_state_no_cost_are_priced(bare_sqlite_url: str, tmp_path: Path) -> None:
    lines = [line for line in session_lines() if "costUSD" not in line]
    write_lines(tmp_path / "projects" / "p" / "one.jsonl", lines)
    carry(tmp_path / "projects", database_url=bare_sqlite_url)
    assert all(event.cost_nano_usd and event.price_version for event in events(bare_sqlite_url))


# The report


def enough(folder: Path) -> Path:
    """Sessions with enough calls to say what fits: two agents, one larger than any profile."""
    big = [
        said(f"msg_big_{number:016d}", number, usage(150_000 + number, 1)) for number in range(40)
    ]
    small = [
        said(f"msg_small_{number:016d}", number, usage(18_000, 1), attributionAgent="Explore")
        for number in range(40)
    ]
    write_lines(folder / "projects" / "p" / "one.jsonl", [*big, *small])
    return folder / "projects"


def test_a_report_on_a_machine_where_no_service_ever_ran(
    bare_database_url: str, tmp_path: Path
) -> None:
    carry(enough(tmp_path), database_url=bare_database_url)
    page = tmp_path / "out.html"
    done = run("report", "--html", str(page), database_url=bare_database_url)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"{page}: open it in a browser\n"
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert "claude-code needs more than any profile" in text
    assert "specialist-narrow" in text

    data: dict[str, Any] = json.loads(
        run("report", "--json", database_url=bare_database_url).stdout
    )
    agents = next(one for one in data["sections"] if one["key"] == "agents")["data"]["agents"]
    found = {one["agent"]: one for one in agents}
    assert found["Explore"]["profile"] == "specialist-narrow"
    assert found["Explore"]["short"] == 0
    assert found["claude-code"]["profile"] is None
    assert found["claude-code"]["own_base"] >= 150_039 * 0.99

    table = run("report", database_url=bare_database_url).stdout
    assert "specialist-narrow (20,000)" in table
    markdown = run("report", "--markdown", database_url=bare_database_url).stdout
    assert markdown.startswith("# What your agents need")


def test_what_a_report_advises_works_as_it_is_typed(sqlite_url: str, tmp_path: Path) -> None:
    with served(sqlite_url, tmp_path) as service:
        run("import", str(enough(tmp_path)), database_url=sqlite_url)
        before = json.loads(run("report", "--json", database_url=sqlite_url).stdout)
        assert len(before["todo"]) == 2
        for todo in before["todo"]:
            for line in todo["how"].splitlines():
                assert shlex.split(line)[0] == "curl"
                done = subprocess.run(
                    ["/bin/sh", "-c", line.replace("curl ", "curl -sf ", 1)],
                    env={**os.environ, "MEMBUDGET_URL": service.url},
                    capture_output=True,
                    check=False,
                )
                assert done.returncode == 0, (line, done.stdout)
        after = json.loads(run("report", "--json", database_url=sqlite_url).stdout)
    assert (after["todo"], after["calm"] != "") == ([], True)


def test_a_page_that_cannot_be_written_is_named_as_it_was_asked_for(
    bare_sqlite_url: str, tmp_path: Path
) -> None:
    page = tmp_path / "nowhere" / "out.html"
    done = run("report", "--html", str(page), database_url=bare_sqlite_url)
    assert done.returncode == 1
    assert done.stderr == f"membudget-server: No such file or directory: {page}\n"


def test_a_report_on_nothing_says_how_to_begin(bare_sqlite_url: str) -> None:
    done = run("report", database_url=bare_sqlite_url)
    assert done.returncode == 0
    assert "membudget-server import ~/.claude/projects" in done.stdout


@pytest.mark.parametrize(
    "words", [("--html", "x.html", "--json"), ("--markdown", "--json"), ("--days", "0")]
)
def test_a_report_that_is_asked_for_wrongly(bare_sqlite_url: str, words: tuple[str, ...]) -> None:
    done = run("report", *words, database_url=bare_sqlite_url)
    assert done.returncode == 2
    assert done.stdout == ""


def test_a_page_that_cannot_be_written_is_one_line(bare_sqlite_url: str, tmp_path: Path) -> None:
    done = run("report", "--html", str(tmp_path / "no" / "x.html"), database_url=bare_sqlite_url)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
