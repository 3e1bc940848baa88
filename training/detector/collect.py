"""Keep of other people's texts what a fit needs: which features they have, not what they say.

    uv run python -m training.detector.collect FILE ...        writes collected.jsonl

Each line of a file has `text`, `source`, `licence`, and two labels, `first` and `second`. Of a text
are kept its labels, where it stands, and, sorted, those of its signals, words and pairs of words
that several of our own texts have: it cannot be read again from these. A licence that does not
allow to use and pass on is refused.
"""

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from app.core.reading import read
from training.detector.data import COLLECTED, texts
from training.detector.matrix import Columns, columns_of

FREE = "MIT Apache BSD ISC MPL Mozilla Unlicense CC0 Zope Python HPND".split()


def main() -> None:
    """Read the files that are named, write what is kept."""
    rows = [
        json.loads(line)
        for name in sys.argv[1:]
        for line in Path(name).read_text(encoding="utf-8").split("\n")
        if line
    ]
    refused = {row["licence"] for row in rows if not any(one in row["licence"] for one in FREE)}
    if refused:
        sys.exit(f"Not free to use: {', '.join(sorted(refused))}. Leave these lines out.")
    columns = columns_of([read(row["text"]) for row in texts()])
    kept = sorted(json.dumps(kept_of(row, columns), ensure_ascii=False) for row in rows)
    COLLECTED.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
    print(f"{len(kept)} texts of {len({row['source'] for row in rows})} sources")


def kept_of(row: Mapping[str, Any], columns: Columns) -> dict[str, Any]:
    """What is kept of a text."""
    reading = read(row["text"])
    signals = _known(reading.signals, columns.signals)
    return {
        "source": row["source"],
        "licence": row["licence"],
        "first": row["first"],
        "second": row["second"],
        "count": len(reading.vocabulary),
        "signals": {name: reading.signals[name] for name in signals},
        "words": _known(reading.vocabulary, columns.words),
        "pairs": _known(reading.pairs, columns.pairs),
    }


def _known(names: Iterable[str], ours: Mapping[str, int]) -> list[str]:
    return sorted(name for name in names if name in ours)


if __name__ == "__main__":
    main()
