"""Events a second in batches of 1,000 against the same service's single posts at c = 64."""

import argparse
import sys
from pathlib import Path

from events import batches, singles
from harness import Bar, Report, Target, arguments
from servers import postgres_database, service, workplace

SIZE = 1_000
BAR = Bar(at_least=8, goal=15)


def main() -> int:
    """Print one row for each database."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--databases", nargs="+", default=["sqlite"])
    parser.add_argument("--batch-connections", type=int, default=16)
    run = parser.parse_args()
    report = Report("POST /usage in batches of 1,000 against single posts", thing="ev")
    with workplace(run.folder) as place:
        if "sqlite" in run.databases:
            compare(report, "SQLite", f"sqlite:///{place}/ours.db", place, run)
        if "postgresql" in run.databases:
            with postgres_database("batches") as url:
                compare(report, "PostgreSQL", url, place, run)
    return int(report.failed)


def compare(report: Report, name: str, url: str, place: Path, run: argparse.Namespace) -> None:
    """The row of one kind of database."""
    with service(url, place) as membudget:
        ours = Target(
            server=membudget,
            path="/usage",
            templates=batches(SIZE),
            weight=SIZE,
            connections=run.batch_connections,
        )
        base = Target(server=membudget, path="/usage", templates=singles())
        report.compare(name, ours, base, connections=64, bar=BAR, run=run)


if __name__ == "__main__":
    sys.exit(main())
