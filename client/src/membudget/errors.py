"""Name every way a call can fail, by the service's code, each saying what to do.

MembudgetError
├── ServiceUnavailable     nobody answers, or what must be recorded cannot be recorded now
│   ├── ServiceTimeout     no answer within the time that the call had
│   ├── StorageFull        the service's disk is full
│   ├── TooManyRequests    the service asks for patience
│   └── UnexpectedAnswer   something answers that is no membudget service
├── InvalidRequest         a value is out of range or contradicts another
│   ├── InvalidPolicy      a profile, workspace or file breaks a rule
│   └── NotAvailable       a field that this version of the service does not have yet
├── Unauthorized           the key is missing or wrong
├── Forbidden              the key may not do this
├── NotFound               no such object in this workspace
│   └── UnknownAgent       `strict` was asked for and no agent has this name
├── Conflict               the object is in another state than asked for
│   ├── AlreadyFinished    the run is booked already, with another report
│   ├── BudgetExceeded     hard enforcement refused tokens over the budget
│   ├── IdMismatch         a known id came with another body
│   └── JobRunning         a job asked for is being run already
├── ServiceFault           the service failed; its log has the details
└── SpoolFull              the disk or the spool has no room for events that wait
"""

from collections.abc import Mapping, Sequence
from typing import Any


class MembudgetError(Exception):
    """A call that failed; its text says what to do."""

    code = "error"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        status: int | None = None,
        problem: Mapping[str, Any] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        """The service's stable code."""
        self.status = status
        """The HTTP status; None where nobody answered."""
        self.problem: Mapping[str, Any] = problem or {}
        """The problem document as it was answered."""
        self.retry_after = retry_after
        """Seconds that the service asks to wait."""

    @property
    def errors(self) -> Sequence[Mapping[str, Any]]:
        """Fields at fault: `{"loc": [...], "msg": "..."}` each."""
        found = self.problem.get("errors")
        return found if isinstance(found, list) else ()


class ServiceUnavailable(MembudgetError):
    """Nobody answers, or what must be recorded cannot be recorded now."""

    code = "unavailable"


class ServiceTimeout(ServiceUnavailable):
    """No answer within the time that the call had."""

    code = "timeout"


class StorageFull(ServiceUnavailable):
    """The service's disk is full."""

    code = "storage_full"


class TooManyRequests(ServiceUnavailable):
    """The service asks for patience."""

    code = "too_many_requests"


class UnexpectedAnswer(ServiceUnavailable):
    """Something answers that is no membudget service."""

    code = "unexpected_answer"


class InvalidRequest(MembudgetError):
    """A value is out of range or contradicts another."""

    code = "invalid_request"


class InvalidPolicy(InvalidRequest):
    """A profile, workspace or file breaks a rule."""

    code = "invalid_policy"


class NotAvailable(InvalidRequest):
    """A field that this version of the service does not have yet."""

    code = "not_available"


class Unauthorized(MembudgetError):
    """The key is missing or wrong."""

    code = "unauthorized"


class Forbidden(MembudgetError):
    """The key may not do this."""

    code = "forbidden"


class NotFound(MembudgetError):
    """No such object in this workspace."""

    code = "not_found"


class UnknownAgent(NotFound):
    """`strict` was asked for and no agent has this name."""

    code = "unknown_agent"

    @property
    def candidates(self) -> Sequence[Mapping[str, Any]]:
        """The nearest names: `{"name": ..., "score": ...}` each."""
        found = self.problem.get("candidates")
        return found if isinstance(found, list) else ()


class Conflict(MembudgetError):
    """The object is in another state than asked for."""

    code = "conflict"


class AlreadyFinished(Conflict):
    """The run is booked already, with another report."""

    code = "already_finished"


class BudgetExceeded(Conflict):
    """Hard enforcement refused tokens over the budget; nothing was recorded."""

    code = "budget_exceeded"

    @property
    def remaining(self) -> int | None:
        """Tokens that are left."""
        found = self.problem.get("remaining")
        return found if isinstance(found, int) else None


class IdMismatch(Conflict):
    """A known id came with another body."""

    code = "id_mismatch"


class JobRunning(Conflict):
    """A job asked for is being run already."""

    code = "job_running"


class ServiceFault(MembudgetError):
    """The service failed and stored nothing; its log has the details."""

    code = "internal_error"


class SpoolFull(MembudgetError):
    """The disk or the spool has no room for events that wait."""

    code = "spool_full"


_KINDS: tuple[type[MembudgetError], ...] = (
    *(ServiceUnavailable, StorageFull, TooManyRequests, InvalidRequest, InvalidPolicy),
    *(NotAvailable, Unauthorized, Forbidden, NotFound, UnknownAgent, Conflict, AlreadyFinished),
    *(BudgetExceeded, IdMismatch, JobRunning, ServiceFault),
)
BY_CODE: Mapping[str, type[MembudgetError]] = {kind.code: kind for kind in _KINDS}
BY_STATUS: Mapping[int, type[MembudgetError]] = {
    400: InvalidRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    422: InvalidRequest,
    429: TooManyRequests,
    500: ServiceFault,
    502: ServiceUnavailable,
    503: ServiceUnavailable,
    504: ServiceTimeout,
    507: StorageFull,
}
