"""Read single values of other programs' logs: strictly, and never a text that somebody wrote."""

import hashlib
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from app.core.errors import InvalidRequest
from app.core.ids import base32
from app.core.usage import MAX_TOKENS
from app.core.windows import micros

AHEAD = timedelta(hours=1)
"""How far the clock of a log may run ahead of ours; `POST /usage` allows the same."""

MAX_USD = 100_000
MAX_SECONDS = 31_536_000
NANO = 1_000_000_000

_PLAIN_ID = re.compile(r"[A-Za-z0-9_.:\-]{1,150}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_MILLISECONDS = 100_000_000_000
"""Numbers from here on are milliseconds since 1970, not seconds."""


def tokens_of(given: Any, name: str) -> int:
    """A number of tokens; nothing is zero. Errors: InvalidRequest naming the field."""
    if given is None or given == "":
        return 0
    try:
        number = Decimal(str(given)) if not isinstance(given, bool) else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite() or number < 0:
        raise InvalidRequest(f"{name} is no number of tokens")
    if number > MAX_TOKENS:
        raise InvalidRequest(f"{name} is more than {MAX_TOKENS:,}")
    if number != int(number):
        raise InvalidRequest(f"{name} is no number of tokens")
    return int(number)


def nano_usd_of(given: Any, name: str) -> int | None:
    """An amount of USD in nano-USD; None where there is none. Errors: InvalidRequest."""
    if given is None or given == "":
        return None
    try:
        usd = Decimal(str(given)) if not isinstance(given, bool) else None
    except InvalidOperation:
        usd = None
    if usd is None or not usd.is_finite() or not 0 <= usd <= MAX_USD:
        raise InvalidRequest(f"{name} is no amount of USD from 0 to {MAX_USD:,}")
    return round(usd * NANO)


def moment_of(given: Any, name: str, now: datetime) -> datetime:
    """A moment in UTC, from ISO 8601 (UTC where it has no zone) or seconds since 1970.

    Errors: InvalidRequest naming the field; also if it is before 1970 or after `now`.
    """
    found: datetime | None = None
    try:
        if isinstance(given, str) and not given.replace(".", "", 1).isdigit():
            found = datetime.fromisoformat(given.strip())
        elif isinstance(given, int | float | str) and not isinstance(given, bool):
            seconds = float(given)
            seconds = seconds / 1000 if seconds >= _MILLISECONDS else seconds
            found = datetime.fromtimestamp(seconds, UTC)
        if found is not None:
            found = (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        found = None
    if found is None:
        raise InvalidRequest(f"{name} is no time")
    if found > now + AHEAD:
        raise InvalidRequest(f"{name} is more than an hour in the future")
    if micros(found) < 0:
        raise InvalidRequest(f"{name} lies before 1970")
    return found


def label_of(given: Any, longest: int = 400) -> str | None:
    """A name as it may be kept, or None where it is none: empty, too long, not printable."""
    if not isinstance(given, str):
        return None
    name = given.strip()
    return name if 0 < len(name) <= longest and not _CONTROL.search(name) else None


def name_of(given: Any) -> str | None:
    """A name that may stand in a path: of a project, say."""
    name = label_of(given, 200)
    return name if name and "/" not in name and "*" not in name else None


def agent_of(given: Any) -> str | None:
    """An agent's name, with at most one type before a slash."""
    parts = [part.strip() for part in (label_of(given, 200) or "").split("/") if part.strip()]
    type_, rest = "/".join(parts[:1]), ":".join(parts[1:])
    return f"{type_}/{rest}" if rest else type_ or None


def event_id(source: str, given: str, *apart: str) -> str:
    """The id of an event, the same for the same call: the database counts it once.

    `apart`: what else tells calls apart where the given id alone may not.
    """
    if not apart and _PLAIN_ID.fullmatch(given):
        return f"{source}:{given}"
    digest = hashlib.blake2b(digest_size=15)
    for part in (given, *apart):
        digest.update(f"{len(part)}:{part}".encode("utf-8", "surrogatepass"))
    return f"{source}:{base32(int.from_bytes(digest.digest(), 'big'), 24)}"
