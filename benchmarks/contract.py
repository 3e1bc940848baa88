"""Hold the service to its OpenAPI document with schemathesis, in an environment of its own.

It makes requests that fit the document and requests that do not: none may be a 5xx, answers have
the statuses, media types and shapes that the document says, and what does not fit is refused.
"""

import argparse
import shlex
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from servers import postgres_database, service, workplace

SCHEMATHESIS = "uvx --from schemathesis==4.32.5 st"
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
)
KEY = "key-of-the-contract-run"
CONFIG = """
[checks.negative_data_rejection]
# Its own list lacks 413: a text that is too long may make the body too large, which is a refusal.
expected-statuses = ["400", "401", "403", "404", "405", "406", "409", "413", "415", "422"]
"""


def main() -> int:
    """The status of schemathesis: 0 if it found nothing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--phases", default="coverage,fuzzing")
    parser.add_argument("--examples", type=int, default=50, help="of each operation, when fuzzing")
    parser.add_argument("--only", default="", help="a regular expression of paths")
    parser.add_argument("--seed", default="7")
    parser.add_argument("--schemathesis", default=SCHEMATHESIS, help="the command that runs it")
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    with workplace(given.folder) as place, ExitStack() as stack:
        url = f"sqlite:///{place}/contract.db"
        if given.database == "postgresql":
            url = stack.enter_context(postgres_database("contract"))
        server = stack.enter_context(service(url, place, MEMBUDGET_ADMIN_KEY=KEY))
        (place / "schemathesis.toml").write_text(CONFIG)
        command = [
            *shlex.split(given.schemathesis),
            *("run", f"http://127.0.0.1:{server.port}/openapi.json", "--no-color"),
            *("--header", f"Authorization: Bearer {KEY}"),
            *("--checks", ",".join(CHECKS), "--continue-on-failure", "--suppress-health-check=all"),
            *("--phases", given.phases, "--max-examples", str(given.examples)),
            *("--seed", given.seed),
            *(("--include-path-regex", given.only) if given.only else ()),
        ]
        return subprocess.run(command, cwd=place, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
