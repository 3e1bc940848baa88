"""Answer where the money went, and how many tokens a text has."""

import sys

from membudget._say import say
from membudget._service import shared_client
from membudget.commands import output

DIMENSIONS = ("stage", "model", "agent", "user", "project", "day")


def costs(
    *, by: str, days: float | None, agent: str | None, workspace: str | None, as_json: bool
) -> None:
    """Where the money went, the dearest first."""
    output.check_one_of("--by", by, DIMENSIONS)
    found = shared_client().costs.breakdown(by, days=days, agent=agent, workspace=workspace)  # type: ignore[arg-type]
    if as_json:
        output.emit(found)
    if not found.items:
        output.stop("No usage is booked here.")
    if as_json:
        return
    rows = [
        (one.key or "(none)", f"{one.usd:f}", one.calls, one.input_tokens, one.output_tokens)
        for one in found.items
    ]
    output.table((by.capitalize(), "USD", "Calls", "Input", "Output"), rows)
    say(f"{found.total_usd:f} USD in {found.calls:,} calls")
    if found.unpriced:
        say(f"{found.unpriced:,} of them have no known price; they are not in the sum.")


def tokens(text: str | None, *, model: str | None, workspace: str | None, as_json: bool) -> None:
    """The tokens of a text, and how sure that is."""
    given = sys.stdin.read() if text is None else text
    found = shared_client().tokens.count(given, model=model, workspace=workspace)
    if as_json:
        output.emit(found)
        return
    (one,) = found.items
    error = "" if one.p95_error_pct is None else f", within {one.p95_error_pct:.3g} % (p95)"
    unit = "token" if found.total == 1 else "tokens"
    say(f"{found.total:,} {unit} ({one.exactness}, {one.encoding}{error})")
