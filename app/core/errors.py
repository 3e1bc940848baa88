"""Name every way a request can be wrong, each with a stable code.

DomainError
├── InvalidRequest        invalid_request       a value is out of range or contradicts another
│   ├── TooOld            too_old              usage of days whose events are kept no longer
│   ├── InvalidPolicy     invalid_policy       a profile, workspace or file breaks a rule
│   ├── InvalidPattern    invalid_pattern      a signal's pattern is no bounded RE2 pattern
│   ├── NotAvailable      not_available        a field that this version does not have yet
│   ├── BackupDamaged     backup_damaged       a backup is not what was written
│   └── BackupUnreadable  backup_unreadable    a backup is of a version that cannot be read here
├── Unauthorized          unauthorized          no key came, or one that is not known here
├── Forbidden             forbidden             the key does not allow it
│   ├── MissingScope      missing_scope         the key lacks the scope that the path asks for
│   └── BoundKey          bound_key             the path is about all workspaces, the key about some
├── RateLimited           rate_limited          the key has sent as many requests as it may
├── NotFound              not_found             no such object in this workspace
│   └── UnknownAgent      unknown_agent         strict was asked for and no agent has this name
├── Conflict              conflict              the object is in another state than asked for
│   ├── IdMismatch        id_mismatch           a known id came with another body
│   ├── IdempotencyMismatch  idempotency_mismatch  a key with another body
│   ├── JobRunning        job_running           a job asked for is being run already
│   ├── AlreadyFinished   already_finished      the run is booked already, with another body
│   └── BudgetExceeded    budget_exceeded       hard enforcement refused tokens over the budget
└── Unavailable           unavailable           what must be recorded cannot be recorded now
    ├── OutcomeUnknown    outcome_unknown       the database was lost while it committed
    └── StorageFull       storage_full          the disk is full
"""

from collections.abc import Sequence
from typing import Any, ClassVar


class DomainError(Exception):
    """A request that cannot be granted; `detail` says what to change."""

    code: ClassVar[str] = "domain_error"

    def __init__(
        self,
        detail: str,
        *,
        errors: Sequence[dict[str, Any]] = (),
        **extensions: Any,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)
        """One `{"loc": [...], "msg": "..."}` for each field at fault."""
        self.extensions = extensions
        """More members of the problem document, such as `candidates`."""


class InvalidRequest(DomainError):
    code = "invalid_request"


class TooOld(InvalidRequest):
    code = "too_old"


class InvalidPolicy(InvalidRequest):
    code = "invalid_policy"


class InvalidPattern(InvalidRequest):
    code = "invalid_pattern"


class NotAvailable(InvalidRequest):
    code = "not_available"


class BackupDamaged(InvalidRequest):
    code = "backup_damaged"


class BackupUnreadable(InvalidRequest):
    code = "backup_unreadable"


class Unauthorized(DomainError):
    code = "unauthorized"


class Forbidden(DomainError):
    code = "forbidden"


class MissingScope(Forbidden):
    code = "missing_scope"


class BoundKey(Forbidden):
    code = "bound_key"


class RateLimited(DomainError):
    code = "rate_limited"


class NotFound(DomainError):
    code = "not_found"


class UnknownAgent(NotFound):
    code = "unknown_agent"


class Conflict(DomainError):
    code = "conflict"


class IdMismatch(Conflict):
    code = "id_mismatch"


class IdempotencyMismatch(Conflict):
    code = "idempotency_mismatch"


class JobRunning(Conflict):
    code = "job_running"


class AlreadyFinished(Conflict):
    code = "already_finished"


class BudgetExceeded(Conflict):
    code = "budget_exceeded"


class Unavailable(DomainError):
    code = "unavailable"


class OutcomeUnknown(Unavailable):
    code = "outcome_unknown"


class StorageFull(Unavailable):
    code = "storage_full"
