"""Whether the section that answers a question survives at half the tokens, and what it costs."""

import argparse
import json
import re
import sys
import tarfile
import time
from pathlib import Path

from harness import Limits

from app.core.minifying import minify
from app.core.minifying_pieces import HEADING, pieces_of
from app.gateways.tokens import TokenCounter

HERE = Path(__file__).parent
COUNTER = TokenCounter()
BESIDE = 4
"""Files that stand beside the question's in a context of several."""
LONG = 400_000


def main() -> int:
    """Print the figures and judge those that have a bar."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive", type=Path, help="claude-memory.tar.gz")
    parser.add_argument("--held", action="store_true", help="the questions that were held out, too")
    parser.add_argument("--lost", action="store_true", help="name the sections that are lost")
    run = parser.parse_args()
    files = read(run.archive)
    asked = json.loads((HERE / "minify_questions.json").read_text(encoding="utf-8"))
    questions = asked["tune"] + (asked["held"] if run.held else [])
    limits = Limits(f"Minifying to half the tokens: {len(questions)} questions, the whole section")
    for title, several in (("one file", False), (f"{1 + BESIDE} files", True)):
        kept, cut = survival(files, questions, several=several, names_lost=run.lost)
        limits.judge(f"{title}: sections lost", 100 - kept, "% ", bar=10.0, goal=5.0)
        limits.show(f"{title}: lost by plain truncation", 100 - cut, "% ")
    cpu = cost(files)
    limits.judge(f"CPU of {LONG:,} characters", cpu, "s ", bar=0.5, goal=0.25)
    return int(limits.failed)


def read(archive: Path) -> dict[str, str]:
    """The texts of the tree by path."""
    with tarfile.open(archive) as tree:
        return {
            member.name.split(".claude/memory/")[1]: file.read().decode()
            for member in tree.getmembers()
            if member.isfile() and member.name.endswith(".md")
            if (file := tree.extractfile(member)) is not None
        }


def survival(
    files: dict[str, str], questions: list[list[str]], *, several: bool, names_lost: bool
) -> tuple[float, float]:
    """Per cent of questions whose whole section is kept: by minifying, and by truncation."""
    names = sorted({path for path, _, _ in questions})
    kept = cut = 0
    for number, (path, heading, question) in enumerate(questions):
        at = names.index(path)
        order = [names[(at + step) % len(names)] for step in range(1, BESIDE + 1)]
        order.insert(number % (BESIDE + 1), path)
        context = {name: files[name] for name in (order if several else [path])}
        half = sum(COUNTER.count_many(list(context.values()))) // 2
        made = minify(context, half, COUNTER.count_many, task=question)
        assert made.tokens <= half
        wanted = section(files[path], heading)
        survives = holds(made.context.get(path, ""), wanted)
        kept += survives
        cut += holds(truncated(context, half).get(path, ""), wanted)
        if names_lost and not survives:
            print(f"  lost: {path} | {heading}")
    return 100 * kept / len(questions), 100 * cut / len(questions)


def section(text: str, heading: str) -> list[str]:
    """The heading and the pieces of its section."""
    pieces = pieces_of(text)
    (number,) = {
        one.section
        for one in pieces
        if one.kind == HEADING and one.text.lstrip("# ").strip() == heading
    }
    return [one.text for one in pieces if one.section == number]


def holds(text: str, wanted: list[str]) -> bool:
    """Whether a text has all pieces, in their order."""
    at = 0
    for piece in wanted:
        at = text.find(piece, at)
        if at < 0:
            return False
        at += len(piece)
    return True


def truncated(context: dict[str, str], room: int) -> dict[str, str]:
    """The texts one after the other till the room is used up, cut at a word."""
    kept = {}
    for key, text in context.items():
        if (tokens := COUNTER.count(text)) > room:
            parts = re.findall(r"\S+\s*", text)
            low, high = 0, len(parts)
            while low < high:
                middle = (low + high + 1) // 2
                fits = COUNTER.count("".join(parts[:middle])) <= room
                low, high = (middle, high) if fits else (low, middle - 1)
            text = "".join(parts[:low])
            tokens = COUNTER.count(text)
        kept[key] = text
        room -= tokens
    return kept


def cost(files: dict[str, str]) -> float:
    """Seconds of CPU to halve 400,000 characters for a task; the best of three."""
    texts: dict[str, str] = {}
    length = 0
    while length < LONG:
        for path in sorted(files):
            piece = files[path][: LONG - length]
            texts[f"{len(texts)} {path}"] = piece
            length += len(piece)
    half = sum(COUNTER.count_many(list(texts.values()))) // 2
    found = []
    for _ in range(3):
        started = time.process_time()
        minify(texts, half, COUNTER.count_many, task="How is a dbt model made incremental?")
        found.append(time.process_time() - started)
    return min(found)


if __name__ == "__main__":
    sys.exit(main())
