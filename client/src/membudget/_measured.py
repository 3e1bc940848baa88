"""Say what was measured in the words of the service."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from unicodedata import category

from membudget._timing import Finished

LONGEST_TYPE, LONGEST_NAME, LONGEST_RUN = 100, 200, 400
MOST_DEPENDENCIES = 64
BREAKING = frozenset({"Cc", "Zl", "Zp"})
"""What no name may hold, by Unicode's categories: signs of control and ends of lines."""


def wired_all(ended: Iterable[tuple[str, Finished]], wall: float) -> list[dict[str, Any]]:
    """Operations, each with its id, as `POST /operations` takes them."""
    return [wired(one, id=id, wall=wall) for id, one in ended]


def wired(one: Finished, *, id: str, wall: float) -> dict[str, Any]:
    """An operation as it is sent. `wall`: seconds since 1970 when its clock was 0.

    What the service does not take is left out: characters
    that cannot be printed, ends of very long names, dependencies beyond the 64th.
    """
    name = fit(one.name, LONGEST_NAME) or "(unnamed)"
    parent = None if one.inside is None else fit(one.inside, LONGEST_NAME)
    needed = None
    if one.depends_on is not None:
        needed = [fit(other, LONGEST_NAME) for other in one.depends_on]
        needed = [other for other in needed if other not in ("", name)][:MOST_DEPENDENCIES]
    return {
        "id": id,
        "type": fit(one.kind, LONGEST_TYPE) or "other",
        "name": name,
        "started_at": datetime.fromtimestamp(wall + one.began, UTC),
        "duration_seconds": one.seconds,
        "run_id": None if one.part_of is None else fit(one.part_of, LONGEST_RUN) or None,
        "parent": None if parent in ("", name) else parent,
        "depends_on": needed,
        "success": not one.failed,
    }


def fit(text: str, longest: int) -> str:
    """A name as the service takes one: what can be printed of it, as far as there is room; empty
    where that is nothing to be seen."""
    text = text.encode(errors="replace").decode()
    text = "".join(sign for sign in text if category(sign) not in BREAKING)[:longest]
    is_seen = any(not sign.isspace() and category(sign) != "Cf" for sign in text)
    return text if is_seen else ""
