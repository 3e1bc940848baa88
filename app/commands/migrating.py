"""Migrate a database and say from where to where."""

from collections.abc import Callable

from app.commands.trouble import MISUSED, Trouble, plainly, require_folder
from app.settings import Settings
from app.store.engines import make_engine
from app.store.migrate import current, downgrade, upgrade
from app.store.processlock import ProcessLock

EMPTY = "nothing"


def migrate(settings: Settings, *, revision: str, down: bool) -> tuple[str, str]:
    """Migrate to a revision; answers the revisions before and after."""
    url = settings.database_admin_url or settings.database_url
    from alembic.util import CommandError  # noqa: PLC0415 (slow to import, and seldom needed)

    act: Callable[..., None] = downgrade if down else upgrade
    require_folder(settings.database_url)
    with plainly(), ProcessLock(settings.database_url, url="http://127.0.0.1:0"):
        before = revision_of(url)
        try:
            act(url, revision=revision)
        except CommandError as error:
            raise Trouble(str(error), code=MISUSED) from error
        return before, revision_of(url)


def revision_of(url: str) -> str:
    """The revision that a database has."""
    engine = make_engine(url)
    try:
        with engine.connect() as connection:
            found = current(connection)
    finally:
        engine.dispose()
    return ", ".join(sorted(found)) or EMPTY
