"""Give a Claude Code session the memories that fit, when it starts and with every prompt.

It fails open: whatever happens, it ends with 0 and within two seconds, and the session goes on.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any, NoReturn

DEADLINE_SECONDS = 1.85
"""From the start of the process, as far as that is known."""
USUAL_START_SECONDS = 0.4
"""What loading Python takes, where it is not known."""
LAST_SECONDS = 0.1
"""What writing the answer may take of them."""
MOST_INPUT = 4 * 1024 * 1024
MOST_CHARACTERS = 9_500
"""Claude Code takes 10,000 of a hook's context."""
LONGEST_TASK = 8_000
FORGOTTEN_DAYS = 7
EVENTS = ("SessionStart", "UserPromptSubmit")
_BEGAN = time.monotonic()
SHARED = frozenset({"words", "title", "linked", "speaker", "date", "embedding"})
"""Parts of a score that a memory has only where it and the prompt have something in common."""
HEADLINE = "Memories of earlier work that may help (from membudget):"


def is_called(words: Sequence[str]) -> bool:
    """Whether a command line is the hook's: its first word that is no option of `membudget`."""
    if {"-h", "--help"} & {*words}:
        return False
    given = iter(words)
    for word in given:
        if word in ("--url", "--api-key"):
            next(given, None)
        elif not word.startswith("-"):
            return word == "hook"
    return False


def guarded(command: Callable[[], Any]) -> NoReturn:
    """Run the command so that it ends in time and with 0, whatever it does: 2 would keep the
    user's prompt from Claude."""
    timer = threading.Timer(left(), os._exit, (0,))
    timer.daemon = True
    timer.start()
    try:
        command()
    except SystemExit:
        pass
    except BaseException as error:  # noqa: BLE001 - whatever it is, the session goes on
        with suppress(OSError, ValueError):
            sys.stderr.write(f"membudget hook: {type(error).__name__}: {error}\n")
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    timer.cancel()
    raise SystemExit(0)


def left() -> float:
    """Seconds until the command must have ended."""
    try:
        began = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
        now = float(Path("/proc/uptime").read_text().split()[0])
        age = now - int(began) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        age = USUAL_START_SECONDS + time.monotonic() - _BEGAN
    return max(0.05, DEADLINE_SECONDS - age)


def hook(*, agent: str | None, project: str | None, workspace: str | None, max_tokens: int) -> None:
    """Read what happened from standard input, and write what is to be known of it."""
    happened = json.loads(sys.stdin.buffer.read(MOST_INPUT))
    event = happened.get("hook_event_name")
    if event not in EVENTS:
        sys.stderr.write(f"membudget hook: nothing to do for {event!r}\n")
        return
    task = str(happened.get("prompt") or "")[:LONGEST_TASK].strip()
    if event == "UserPromptSubmit" and not task:
        return
    session = Session(str(happened.get("session_id") or ""))
    if event == "SessionStart" and happened.get("source") != "resume":
        session.forget()
    found = _ask(agent, task or None, project=project, workspace=workspace, max_tokens=max_tokens)
    given = session.given()
    chosen = fitting([one for one in found if one["id"] not in given])
    if not chosen:
        return
    context = "\n\n".join([HEADLINE, *map(written, chosen)])
    said = {"hookSpecificOutput": {"hookEventName": event, "additionalContext": context}}
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()
    session.note([*given, *(one["id"] for one in chosen)])


def fitting(found: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The first that Claude Code takes, whole ones only."""
    left, chosen = MOST_CHARACTERS - len(HEADLINE), []
    for one in found:
        size = len(written(one)) + 2
        if size <= left:
            left -= size
            chosen.append(one)
    return chosen


def written(one: Mapping[str, Any]) -> str:
    """A memory under its name."""
    return f"## {one.get('path') or one['id']}\n\n{str(one['text']).strip()}"


def _ask(
    agent: str | None,
    task: str | None,
    *,
    project: str | None,
    workspace: str | None,
    max_tokens: int,
) -> list[Mapping[str, Any]]:
    """Memories that fit, best first; of a prompt's those only that have to do with it."""
    from membudget.client import Client  # noqa: PLC0415 - the deadline has begun before

    with Client(
        workspace=workspace,
        timeout=max(0.05, left() - LAST_SECONDS),
        retries=0,
        fallback=False,
        spool=False,
    ) as client:
        found = client.allocate(
            agent,
            task,
            project=project,
            max_tokens=max_tokens,
            select="stored",
            render="json",
            explain=task is not None,
            ttl_seconds=60,
        )
        texts = {one["id"]: one for one in json.loads(found.context or "[]")}
        selected = found.selection.selected if found.selection else ()
        return [
            texts[one.id]
            for one in selected
            if one.id in texts and (task is None or has_to_do(one.parts or ()))
        ]


def has_to_do(parts: Iterable[Sequence[Any]]) -> bool:
    """Whether something in a memory's score comes from the prompt: not its age or its length."""
    return any(name in SHARED and value > 0 for name, value, _ in parts)


class Session:
    """The memories that a session has been given: each is given once."""

    def __init__(self, id: str) -> None:
        from membudget._files import spools_folder  # noqa: PLC0415 - as above

        name = blake2b(id.encode("utf-8", "replace"), digest_size=12).hexdigest()
        self._path = spools_folder() / "hook" / f"{name}.json" if id else None

    def given(self) -> list[str]:
        """Their ids."""
        if self._path is None:
            return []
        try:
            found = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return []
        return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []

    def note(self, ids: Sequence[str]) -> None:
        """Remember these."""
        if self._path is not None:
            with suppress(OSError):
                self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._path.write_text(json.dumps(ids), encoding="utf-8")

    def forget(self) -> None:
        """The session's context is new; and what sessions of another week were given is let go."""
        if self._path is None:
            return
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
            for path in self._path.parent.glob("*.json"):
                _let_go(path)


def _let_go(path: Path) -> None:
    with suppress(OSError):
        if time.time() - path.stat().st_mtime > FORGOTTEN_DAYS * 86_400:
            path.unlink()
