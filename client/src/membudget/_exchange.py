"""Carry a call through to its answer: attempts, patience, and what a failure means.

It does no I/O: a flow yields steps, a client of either kind takes them and hands back what came.
"""

import random
import re
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from membudget import errors
from membudget._answers import Answer, problem_of
from membudget._calls import Call

T = TypeVar("T")

REPEATED = frozenset({429, 502, 503, 504})
"""Statuses after which a call is tried again."""
FIRST_WAIT, LONGEST_WAIT = 0.1, 2.0
"""Seconds between attempts: doubled each time, and of that half to all, by chance."""
LONGEST_QUOTE = 200


class Failed(Exception):
    """No answer came; `was_sent`: the service may have acted all the same."""

    def __init__(self, reason: str, *, was_sent: bool, is_late: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.was_sent = was_sent
        self.is_late = is_late


@dataclass(frozen=True, slots=True)
class Send:
    """Send a request and answer what came back, within so many seconds. Errors: Failed."""

    call: Call[Any]
    seconds: float


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Work:
    """Do something that blocks, on disk say; its errors come back into the flow."""

    do: Callable[[], Any]


Step = Send | Pause | Work
Flow = Generator[Step, Any, T]


@dataclass(frozen=True, slots=True)
class Patience:
    """When a call must have ended, and how often it may be tried again."""

    until: float
    """On the monotonic clock."""
    retries: int

    @classmethod
    def of(cls, seconds: float, retries: int) -> "Patience":
        """From now on."""
        return cls(time.monotonic() + seconds, retries)

    @property
    def left(self) -> float:
        """Seconds."""
        return self.until - time.monotonic()


def exchange(url: str, call: Call[T], patience: Patience) -> Flow[T]:
    """What the service answers, after as many attempts as that takes. Errors: MembudgetError."""
    attempt = 0
    while True:
        retry_after = None
        try:
            answer = yield Send(call, max(0.001, patience.left))
        except Failed as failure:
            error: errors.MembudgetError = unreached(url, failure)
            may_repeat = call.is_repeatable or not failure.was_sent
        else:
            if 200 <= answer.status < 300 or (
                call.method == "DELETE" and attempt and answer.status == 404
            ):
                return understood(url, call, answer)
            error = refused(url, answer)
            retry_after = error.retry_after
            may_repeat = answer.status in REPEATED and (
                call.is_repeatable or answer.status in (429, 503)
            )
        wait = backoff(attempt) if retry_after is None else retry_after
        if not may_repeat or attempt >= patience.retries or wait >= patience.left:
            raise error
        yield Pause(wait)
        attempt += 1


def backoff(attempt: int) -> float:
    """Seconds to wait after an attempt, by chance, so that clients do not come all at once."""
    longest = min(LONGEST_WAIT, FIRST_WAIT * float(2**attempt))
    return longest * (0.5 + random.random() / 2)


def understood(url: str, call: Call[T], answer: Answer) -> T:
    """An answer as the value it is. Errors: UnexpectedAnswer."""
    try:
        return call.read(answer)
    except ValueError as error:
        raise errors.UnexpectedAnswer(
            f"What {url} answered to {call.method} {call.path} is no answer of a membudget "
            f"service that this client knows ({error}); check MEMBUDGET_URL, and that client and "
            "service are of like versions.",
            status=answer.status,
        ) from error


def unreached(url: str, failure: Failed) -> errors.ServiceUnavailable:
    """Nobody answered, in words that say what to do."""
    if failure.is_late:
        return errors.ServiceTimeout(
            f"The membudget service at {url} did not answer in time ({failure.reason}); "
            "see its log, or give the client a longer `timeout`."
        )
    return errors.ServiceUnavailable(
        f"No membudget service answers at {url} ({failure.reason}). Start it with "
        "`membudget-server serve`, or set MEMBUDGET_URL to where it is."
    )


def refused(url: str, answer: Answer) -> errors.MembudgetError:
    """What an answer that is no success means."""
    problem = problem_of(answer)
    retry_after = _seconds(answer.headers.get("retry-after"))
    by_status = errors.BY_STATUS.get(answer.status)
    if problem is None:
        return _foreign(url, answer, by_status, retry_after)
    code = problem["code"]
    kind = errors.BY_CODE.get(code) or by_status or errors.MembudgetError
    detail = problem.get("detail") or problem.get("title") or code
    return kind(
        f"{detail}{_ADVICE.get(answer.status, '')}",
        code=code,
        status=answer.status,
        problem=problem,
        retry_after=retry_after,
    )


_ADVICE = {
    401: " Give the client an `api_key`, or set MEMBUDGET_API_KEY.",
    403: " Use a key that has this scope and workspace.",
    503: " The service cannot record anything now; it recovers by itself.",
    507: " Make room on the service's disk.",
}


def _foreign(
    url: str,
    answer: Answer,
    by_status: type[errors.MembudgetError] | None,
    retry_after: float | None,
) -> errors.MembudgetError:
    """An answer that no membudget service gave: of a proxy before it, or of something else."""
    said = answer.content[:LONGEST_QUOTE].decode("utf-8", "replace").strip()
    if by_status is not None and (
        answer.status in (401, 403) or issubclass(by_status, errors.ServiceUnavailable)
    ):
        return by_status(
            f"What stands before the membudget service at {url} answered {answer.status}; is the "
            f"service up behind it?{_ADVICE[answer.status] if answer.status in (401, 403) else ''}",
            status=answer.status,
            retry_after=retry_after,
        )
    if answer.status >= 500:
        return errors.ServiceFault(
            f"{url} failed with {answer.status}; see the log of the service.",
            status=answer.status,
        )
    return errors.UnexpectedAnswer(
        f"{url} answered {answer.status}, and not as a membudget service does "
        f"({said!r}); check MEMBUDGET_URL.",
        status=answer.status,
    )


def _seconds(retry_after: str | None) -> float | None:
    """What a Retry-After header asks for, in seconds from now."""
    if retry_after is None:
        return None
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", retry_after):
        return float(retry_after)
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except ValueError:
        return None
