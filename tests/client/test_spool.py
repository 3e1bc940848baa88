"""Say what the spool keeps: whole lines, once each, among processes that write, send and die."""

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from membudget import Client, errors
from membudget._spool import Entry, Spool
from tests.data import REPOSITORY
from tests.running import Served

WRITER = """
import sys
from membudget import Client
folder, workspace, count, name = sys.argv[1:]
with Client("http://127.0.0.1:9", spool=folder, workspace=workspace, retries=0) as client:
    for at in range(int(count)):
        id = f"{name}-{at}"
        assert client.track(agent="a", budget_tokens=9, used_tokens=1, id=id).spooled == 1
        print(id, flush=True)
"""


def written(folder: Path, workspace: str, count: int, name: str) -> "subprocess.Popen[str]":
    """A process that spools events, and says which."""
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), workspace, str(count), name],
        env={"PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'client' / 'src'}"},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_processes_write_while_others_send_and_each_event_is_booked_once(
    shared_service: Served, workspace: str, tmp_path: Path
) -> None:
    folder = tmp_path / "spool"
    writers = [written(folder, workspace, 60, f"w{at}") for at in range(3)]
    done = threading.Event()
    sent: list[int] = []

    def send() -> None:
        with Client(shared_service.url, spool=folder, workspace=workspace) as client:
            while not done.is_set():
                sent.append(client.flush().sent)

    senders = [threading.Thread(target=send) for _ in range(2)]
    for thread in senders:
        thread.start()
    try:
        for writer in writers:
            said, _ = writer.communicate(timeout=60)
            assert (writer.returncode, len(said.splitlines())) == (0, 60)
    finally:
        done.set()
        for thread in senders:
            thread.join()
    with Client(shared_service.url, spool=folder, workspace=workspace) as client:
        client.flush()
        ids = [event.id for event in client.usage()]
    assert sorted(ids) == sorted(f"w{one}-{at}" for one in range(3) for at in range(60))
    assert not (folder / "refused.jsonl").exists()
    assert sum(sent) > 0


def test_a_killed_writer_loses_nothing_that_it_said_was_kept(
    shared_service: Served, workspace: str, tmp_path: Path
) -> None:
    folder = tmp_path / "spool"
    writer = written(folder, workspace, 100_000, "w")
    assert writer.stdout is not None
    said = [writer.stdout.readline().strip() for _ in range(20)]
    writer.kill()
    said += writer.communicate()[0].split()
    with Client(shared_service.url, spool=folder, workspace=workspace) as client:
        assert client.flush().waiting == 0
        ids = {event.id for event in client.usage()}
    assert ids >= {one for one in said if one.count("-") == 1 and one[-1].isdigit()}
    assert len(ids) <= len(said) + 1


def test_a_sender_that_died_is_taken_over_from(
    shared_service: Served, workspace: str, tmp_path: Path
) -> None:
    spool = Spool(tmp_path / "spool")
    spool.put([Entry(event(f"e{at}")) for at in range(5)])
    assert spool.begin() is not None  # and then nothing more is heard of it
    spool.put([Entry(event("e5"))])
    assert spool.count() == 6
    with Client(shared_service.url, spool=spool.folder, workspace=workspace) as client:
        assert client.flush().sent == 6
        assert len(list(client.usage(workspace="default", agent="spool-test"))) == 6


def test_a_line_cut_off_by_a_crash_spoils_no_other(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.put([Entry(event("a"))])
    with (tmp_path / "waiting.jsonl").open("ab") as file:
        file.write(b'{"body": {"id": "cut')
    spool.put([Entry(event("b"))])
    path = spool.begin()
    assert path is not None
    batch = spool.batch(path, 0)
    assert [entry.body["id"] for entry in batch.entries] == ["a", "b"]
    assert "no whole line" in spool.refused_file.read_text()


def test_batches_are_bounded_and_what_was_sent_is_let_go(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.put([Entry(event(f"e{at}")) for at in range(2_500)])
    path = spool.begin()
    assert path is not None
    first = spool.batch(path, 0)
    assert (len(first.entries), first.is_last) == (1_000, False)
    spool.sent(path, first.end, is_last=False)
    assert spool.count() == 1_500
    rest = spool.batch(path, 0)
    assert rest.entries[0].body["id"] == "e1000"
    last = spool.batch(path, rest.end)
    assert (len(last.entries), last.is_last) == (500, True)
    spool.sent(path, last.end, is_last=True)
    assert (spool.count(), spool.has_any()) == (0, False)


def test_a_full_spool_refuses_all_or_none_and_says_what_to_do(tmp_path: Path) -> None:
    spool = Spool(tmp_path, most_bytes=500)
    spool.put([Entry(event("a"))])
    with pytest.raises(errors.SpoolFull, match="membudget flush"):
        spool.put([Entry(event(f"e{at}")) for at in range(50)])
    assert spool.count() == 1


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with Client("http://127.0.0.1:9", spool=tmp_path / "file" / "spool", retries=0) as client:
        with pytest.raises(errors.SpoolFull, match="nothing of it is recorded"):
            client.track(**event("a"))
        with client.allocation("dbt-expert") as run:
            pass
    assert isinstance(run.trouble, errors.SpoolFull)


def test_where_it_is_can_be_said_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMBUDGET_SPOOL", str(tmp_path / "named"))
    with Client("http://127.0.0.1:9", retries=0) as client:
        client.track(**event("a"))
    (line,) = (tmp_path / "named" / "waiting.jsonl").read_text().splitlines()
    assert json.loads(line)["body"]["id"] == "a"
    monkeypatch.setenv("MEMBUDGET_SPOOL", "off")
    with (
        Client("http://127.0.0.1:9", retries=0) as client,
        pytest.raises(errors.ServiceUnavailable),
    ):
        client.track(**event("a"))


def test_what_waits_for_other_addresses_is_named(shared_service: Served, workspace: str) -> None:
    with Client("http://u:secret@127.0.0.1:9", retries=0) as client:
        client.track([event("a"), event("b")])
    with Client(shared_service.url, workspace=workspace) as client:
        assert client.flush().waiting == 0
        (other,) = client.flush().elsewhere
    assert (other.url, other.waiting) == ("http://127.0.0.1:9", 2)
    with Client(shared_service.url, spool=other.folder) as client:
        flushed = client.flush()
    assert (flushed.sent, flushed.elsewhere) == (2, ())


def event(id: str) -> dict[str, Any]:
    """An event as it waits."""
    return {
        "id": id,
        "agent": "spool-test",
        "budget_tokens": 9,
        "used_tokens": 1,
        "timestamp": "2026-11-21T08:00:00Z",
        "workspace": "default",
    }
