"""Say what was measured in the words of the service."""

from datetime import UTC, datetime
from typing import Any

from membudget._timing import Finished

LONGEST_TYPE, LONGEST_NAME, LONGEST_RUN = 100, 200, 400
MOST_DEPENDENCIES = 64


def wired(one: Finished, *, prefix: str, wall: float) -> dict[str, Any]:
    """An operation as `POST /operations` takes it. `wall`: seconds since 1970 when its clock was 0.

    Its id is the same whenever it is sent. What the service does not take is left out: characters
    that cannot be printed, ends of very long names, dependencies beyond the 64th.
    """
    name = _fit(one.name, LONGEST_NAME) or "(unnamed)"
    parent = None if one.inside is None else _fit(one.inside, LONGEST_NAME)
    needed = None
    if one.depends_on is not None:
        needed = [_fit(other, LONGEST_NAME) for other in one.depends_on]
        needed = [other for other in needed if other not in ("", name)][:MOST_DEPENDENCIES]
    return {
        "id": f"{prefix}_{one.number}",
        "type": _fit(one.kind, LONGEST_TYPE) or "other",
        "name": name,
        "started_at": datetime.fromtimestamp(wall + one.began, UTC),
        "duration_seconds": one.seconds,
        "run_id": None if one.part_of is None else _fit(one.part_of, LONGEST_RUN) or None,
        "parent": None if parent in ("", name) else parent,
        "depends_on": needed,
        "success": not one.failed,
    }


def _fit(text: str, longest: int) -> str:
    return "".join(sign for sign in text if sign >= " " and sign != "\x7f")[:longest]
