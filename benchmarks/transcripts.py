"""Import transcripts of any size and say how much memory and time that takes.

The transcripts are made as they are read: a pipe stands in for the file, so that 2 GB need no
disk. Lines are as Claude Code writes them: long answers of tools between calls that come in
several lines each.

    .venv/bin/python benchmarks/transcripts.py --megabytes 200
    .venv/bin/python benchmarks/transcripts.py --megabytes 2000
    .venv/bin/python benchmarks/transcripts.py --write FOLDER --megabytes 20
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
FILE_BYTES = 4 << 20
FILLER = "lorem ipsum dolor sit amet " * 200
AGENTS = (None, None, "Explore", "general-purpose", "code-reviewer", "test-runner")
MIDDLES = {
    None: 78_000,
    "Explore": 24_000,
    "general-purpose": 41_000,
    "code-reviewer": 16_000,
    "test-runner": 9_000,
}


def session(number: int, chance: random.Random, size: int) -> Iterator[bytes]:
    """Lines of one session, about `size` bytes."""
    agent = AGENTS[number % len(AGENTS)]
    at = datetime.now(UTC) - timedelta(days=chance.uniform(1, 60))
    about = {
        "sessionId": f"session-{number:08d}",
        "cwd": f"/srv/code/project-{number % 7}",
        "version": "2.1.29",
        "isSidechain": agent is not None,
    }
    if agent is not None:
        about |= {"agentId": f"a{number:06x}", "attributionAgent": agent}
    written = call = 0
    context = 14_000
    while written < size:
        call += 1
        at += timedelta(seconds=chance.uniform(3, 60))
        grown = int(chance.lognormvariate(7.4, 1.0))
        context = context + grown if context < chance.gauss(MIDDLES[agent], 9_000) * 1.6 else 14_000
        stamp = {**about, "timestamp": at.isoformat().replace("+00:00", "Z")}
        answer = FILLER[: int(chance.lognormvariate(7.5, 1.0))]
        lines = [{**stamp, "type": "user", "message": {"role": "user", "content": answer}}]
        for part, output in ((0, 1), (1, int(chance.lognormvariate(5.5, 1.0)) + 2)):
            usage = {
                "input_tokens": 6,
                "cache_creation_input_tokens": grown,
                "cache_read_input_tokens": max(0, context - grown - 6),
                "output_tokens": output,
            }
            message = {
                "id": f"msg_{number:012d}{call:012d}",
                "model": "claude-sonnet-4-5-20250929",
                "role": "assistant",
                "content": [{"type": "text", "text": FILLER[:200]}],
                "stop_reason": None if not part else "tool_use",
                "usage": usage,
            }
            lines.append({**stamp, "type": "assistant", "message": message})
        for line in lines:
            raw = json.dumps(line).encode() + b"\n"
            written += len(raw)
            yield raw


def lines(megabytes: int, seed: int = 7) -> Iterator[bytes]:
    """Lines of many sessions one after another."""
    chance = random.Random(seed)
    left = megabytes << 20
    number = 0
    while left > 0:
        for line in session(number, chance, min(left, FILE_BYTES)):
            left -= len(line)
            yield line
        number += 1


def write(folder: Path, megabytes: int) -> None:
    """A folder of files as Claude Code leaves them."""
    chance = random.Random(7)
    for number in range(max(1, (megabytes << 20) // FILE_BYTES * 8)):
        path = folder / f"-srv-code-project-{number % 7}" / f"session-{number:08d}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(session(number, chance, FILE_BYTES // 8)))
        os.utime(path, (time.time() - 86_400,) * 2)


def measure(megabytes: int, folder: Path) -> None:
    """Import through a pipe, as `import -` does, in a process of its own."""
    command = [sys.executable, "-m", "app", "import", "-"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    environment["MEMBUDGET_DATABASE_URL"] = f"sqlite:///{folder / 'transcripts.db'}"
    started = time.monotonic()
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    sent = 0

    def feed() -> None:
        nonlocal sent
        assert process.stdin is not None
        with process.stdin as pipe:
            for line in lines(megabytes):
                pipe.write(line)
                sent += len(line)

    feeder = threading.Thread(target=feed)
    feeder.start()
    assert process.stdout is not None
    said = process.stdout.read().decode()
    feeder.join()
    process.wait()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(said.strip())
    print(
        f"{sent / (1 << 20):,.0f} MiB, exit {process.returncode}: peak memory"
        f" {used.ru_maxrss / 1024:,.0f} MiB, {used.ru_utime + used.ru_stime:.1f} s of CPU,"
        f" {time.monotonic() - started:.1f} s with the making of the lines"
    )


def main() -> None:
    """Measure, or write a folder to look at."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--write", type=Path, help="write a folder of transcripts instead")
    chosen = parser.parse_args()
    if chosen.write:
        write(chosen.write, chosen.megabytes)
        return
    with tempfile.TemporaryDirectory() as folder:
        measure(chosen.megabytes, Path(folder))


if __name__ == "__main__":
    main()
