"""Say in one line what keeps a command from its work, and stop."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from app.core.errors import DomainError
from app.settings import Settings
from app.store.processlock import DatabaseInUse

Say = Callable[[str], None]
"""Tell whoever typed the command a line."""

FAILED, MISUSED = 1, 2
"""Exit codes: it did not work; it was asked for wrongly."""


class Trouble(Exception):
    """A command cannot go on; the message is one line for whoever typed it."""

    def __init__(self, message: str, *, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code


def read_settings(**given: object) -> Settings:
    """Settings from the environment, with options that were given in their place."""
    chosen = {name: value for name, value in given.items() if value is not None}
    try:
        settings = Settings(**chosen)  # type: ignore[arg-type]  # pydantic checks them
        address = make_url(settings.database_url)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = "".join(f"MEMBUDGET_{part}: ".upper() for part in first["loc"][:1])
        raise Trouble(f"{name}{_explain(first)}", code=MISUSED) from error
    except (ArgumentError, ValueError) as error:
        raise _strange_database() from error
    if address.get_backend_name() not in ("sqlite", "postgresql"):
        raise _strange_database()
    return settings


def sqlite_file(database_url: str) -> Path | None:
    """The file of a SQLite database; None for any other."""
    address = make_url(database_url)
    if address.get_backend_name() != "sqlite" or address.database in (None, "", ":memory:"):
        return None
    return Path(str(address.database))


def require_folder(database_url: str) -> None:
    """Refuse a SQLite database whose folder is absent. Errors: Trouble."""
    path = sqlite_file(database_url)
    if path is not None and not path.parent.is_dir():
        raise Trouble(
            f"There is no folder {path.parent} for the database: make it, or name another "
            "with --database-url or MEMBUDGET_DATABASE_URL."
        )


@contextmanager
def plainly() -> Iterator[None]:
    """Turn what is expected to go wrong with a database into one line."""
    try:
        yield
    except DatabaseInUse as error:
        if error.url and error.url.endswith(":0"):
            raise Trouble(
                "Another command uses this database; try again when it is done."
            ) from error
        raise Trouble(str(error)) from error
    except DomainError as error:
        raise Trouble(error.detail) from error
    except DBAPIError as error:
        reason = " ".join(str(error.orig).split())
        raise Trouble(f"The database refuses: {reason}") from error
    except BrokenPipeError:
        raise  # whoever reads our output has had enough
    except OSError as error:
        raise Trouble(f"{error.strerror or error}: {error.filename or 'the system'}") from error


def _explain(fault: ErrorDetails) -> str:
    """What a setting must be."""
    given = fault.get("ctx", {})
    if fault["type"] == "value_error":
        return str(given["error"])
    if fault["type"] == "too_short":
        return f"must have at least {given['min_length']} characters"
    return fault["msg"]


def _strange_database() -> Trouble:
    return Trouble(
        "MEMBUDGET_DATABASE_URL must be sqlite:///file.db or postgresql://user@host/name.",
        code=MISUSED,
    )
