"""`POST /allocate` with detection, durably logged, against a bare FastAPI echo of its models."""

import json
import sys

from harness import Bar, Report, Target, arguments
from load import NUMBER
from servers import baseline, service, workplace

TASKS = (
    "Show current Snowflake status",
    "List all dbt models",
    "Analyze slow queries",
    "Troubleshoot cross-system freshness",
    "Investigate pipeline failure",
    "Analyze dbt model performance",
    "Design end-to-end data architecture for new platform",
)
AGENTS = ("dbt-expert", "specialists/aws-expert", "analytics-engineer", "data-architect-role")
BAR = Bar(at_least=0.6, goal=0.75)


def main() -> int:
    """Print one row for each number of connections."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--connections", type=int, nargs="+", default=[16, 64])
    run = parser.parse_args()
    bodies = tuple(
        json.dumps({"agent": agent, "task": f"{task}, run {NUMBER.decode()}"})
        for agent in AGENTS
        for task in TASKS
    )
    with workplace(run.folder) as place:
        database = f"sqlite:///{place}/ours.db"
        with service(database, place) as membudget, baseline("echo", place) as echo:
            report = Report("POST /allocate against a FastAPI echo")
            ours = Target(server=membudget, path="/allocate", templates=bodies)
            base = Target(server=echo, path="/allocate", templates=bodies)
            for c in run.connections:
                report.compare(f"c = {c}", ours, base, connections=c, bar=BAR, run=run)
    return int(report.failed)


if __name__ == "__main__":
    sys.exit(main())
