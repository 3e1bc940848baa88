"""Single `POST /usage`, acknowledged after commit, against an ORM session and commit a request."""

import argparse
import sys
from pathlib import Path

from events import singles
from harness import Bar, Report, Target, arguments
from servers import baseline, postgres_database, service, workplace

SQLITE = {
    16: Bar(at_least=4, goal=6),
    64: Bar(at_least=5, goal=8),
    256: Bar(at_least=8, goal=12),
}
POSTGRESQL = {16: Bar(at_least=2.5, goal=2.5), 64: Bar(at_least=2.5, goal=2.5)}


def main() -> int:
    """Print one row for each database and number of connections."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument("--connections", type=int, nargs="+", default=[16, 64, 256])
    run = parser.parse_args()
    report = Report("POST /usage, one event a request, against ORM and commit a request")
    with workplace(run.folder) as place:
        if "sqlite" in run.databases:
            urls = (f"sqlite:///{place}/ours.db", f"sqlite:///{place}/base.db")
            compare(report, "SQLite", urls, SQLITE, place, run)
        if "postgresql" in run.databases:
            with postgres_database("ours") as ours, postgres_database("base") as base:
                compare(report, "PostgreSQL", (ours, base), POSTGRESQL, place, run)
    return int(report.failed)


def compare(
    report: Report,
    name: str,
    urls: tuple[str, str],
    bars: dict[int, Bar],
    place: Path,
    run: argparse.Namespace,
) -> None:
    """The rows of one kind of database."""
    bodies = singles()
    with (
        service(urls[0], place) as membudget,
        baseline("orm", place, BASELINE_DATABASE_URL=urls[1]) as orm,
    ):
        ours = Target(server=membudget, path="/usage", templates=bodies)
        base = Target(server=orm, path="/usage", templates=bodies)
        for c, bar in bars.items():
            if c in run.connections:
                report.compare(f"{name} c = {c}", ours, base, connections=c, bar=bar, run=run)


if __name__ == "__main__":
    sys.exit(main())
