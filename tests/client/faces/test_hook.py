"""The hook: memories that fit for a session, each once; and nothing that ever holds a prompt up."""

import io
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from membudget import Client
from membudget.commands import hook
from tests.client.faces.test_pages import DOCS, FENCE
from tests.client.proxy import proxied, stalling

START = {"session_id": "s1", "hook_event_name": "SessionStart", "source": "startup"}
PROMPT = {
    "session_id": "s1",
    "hook_event_name": "UserPromptSubmit",
    "prompt": "How do we make incremental dbt models faster?",
}


@pytest.fixture
def hooked(
    service: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    """The context that an event brings, without the hurry; empty if it brings none."""
    monkeypatch.setattr(hook, "left", lambda: 60.0)

    def ask(event: dict[str, Any], workspace: str, **asked: Any) -> str:
        given = io.TextIOWrapper(io.BytesIO(json.dumps(event).encode()))
        monkeypatch.setattr(sys, "stdin", given)
        capsys.readouterr()
        options = {"agent": None, "project": None, "max_tokens": 2_000, **asked}
        hook.hook(workspace=workspace, **options)
        out = capsys.readouterr().out
        if not out:
            return ""
        said = json.loads(out)["hookSpecificOutput"]
        assert said["hookEventName"] == event["hook_event_name"]
        return str(said["additionalContext"])

    return ask


def keep(service: str, workspace: str, *texts: str) -> None:
    with Client(service, workspace=workspace) as client:
        client.memories.add([{"text": one} for one in texts])


def test_a_session_is_given_each_memory_once(service: str, hooked: Any) -> None:
    keep(service, "once", "Incremental dbt models are partitioned by day.")
    assert "partitioned by day" in hooked(START, "once")
    assert hooked(PROMPT, "once") == ""
    assert "partitioned by day" in hooked({**PROMPT, "session_id": "s2"}, "once")
    keep(service, "once", "A dbt model that is incremental needs a unique key.")
    found = hooked(PROMPT, "once")
    assert "unique key" in found
    assert "partitioned by day" not in found
    assert hooked({**START, "source": "resume"}, "once") == ""
    assert "partitioned by day" in hooked({**START, "source": "compact"}, "once")


def test_a_prompt_brings_what_has_to_do_with_it_and_nothing_else(service: str, hooked: Any) -> None:
    long = " It is told here at length, and at more length, so that the text is a long one." * 20
    keep(
        service,
        "few",
        "Incremental dbt models are partitioned by day." + long,
        "Invoices of the bakery are paid on Fridays." + long,
        "The garden needs water in July." + long,
    )
    found = hooked(PROMPT, "few", max_tokens=50_000)
    assert "partitioned by day" in found
    assert "bakery" not in found
    assert "garden" not in found
    assert hooked({**PROMPT, "prompt": "Rename the login button"}, "few") == ""
    assert "bakery" in hooked({**PROMPT, "prompt": "Which invoices are open?"}, "few")


def test_what_is_given_fits(service: str, hooked: Any) -> None:
    keep(service, "fits", *(f"Incremental dbt model {at}: " + "word " * 300 for at in range(40)))
    whole = hooked(PROMPT, "fits", max_tokens=100_000)
    assert 5_000 < len(whole) <= 10_000
    one = hooked({**PROMPT, "session_id": "s3"}, "fits", max_tokens=400)
    assert one.count("Incremental dbt model") == 1


def test_other_events_and_empty_prompts_bring_nothing(service: str, hooked: Any) -> None:
    keep(service, "other", "Incremental dbt models are partitioned by day.")
    assert hooked({"hook_event_name": "Stop"}, "other") == ""
    assert hooked({**PROMPT, "prompt": " "}, "other") == ""


@pytest.mark.parametrize("given", [b"", b"nonsense", b"[1]", b"\xff", b"{}", json.dumps(PROMPT)])
@pytest.mark.parametrize("words", ["", "--max-tokens x", "--nonsense", "more", "--project ''"])
def test_it_ends_with_zero_whatever_it_is_given(away: str, given: Any, words: str) -> None:
    ended = run(given, words, away)
    assert (ended.returncode, ended.stdout) == (0, b"")


def test_it_ends_when_the_service_stalls_or_nothing_is_written(service: str) -> None:
    released = threading.Event()
    with proxied(service) as proxy:
        proxy.fault = stalling(released)
        assert (run(json.dumps(START), "", proxy.url).returncode, released.is_set()) == (0, False)
        released.set()
    reading, writing = os.pipe()  # nobody ever writes or closes it
    try:
        command = [sys.executable, "-m", "membudget", "hook"]
        assert subprocess.run(command, stdin=reading, check=False, timeout=60).returncode == 0
    finally:
        os.close(reading)
        os.close(writing)


def run(given: Any, words: str, url: str) -> "subprocess.CompletedProcess[bytes]":
    """The command as Claude Code runs it."""
    return subprocess.run(
        [sys.executable, "-m", "membudget", "--url", url, "hook", *words.split()],
        input=given if isinstance(given, bytes) else given.encode(),
        capture_output=True,
        check=False,
        timeout=60,
    )


def test_the_settings_of_the_page_name_it() -> None:
    page = Path(DOCS / "claude-code.md").read_text(encoding="utf-8")
    (settings,) = [one["body"] for one in FENCE.finditer(page) if one["kind"] == "json"]
    hooks = json.loads(settings)["hooks"]
    assert hooks.keys() == set(hook.EVENTS)
    for (group,) in hooks.values():
        (one,) = group["hooks"]
        assert one["type"] == "command"
        assert hook.is_called(one["command"].split()[1:])
        assert one["timeout"] >= 2
