"""Tell whose request it is, and note now and then that keys were used."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import structlog

from app.core.errors import DomainError, Unauthorized, Unavailable
from app.core.keys import Key
from app.store.database import SYSTEM, Store
from app.store.keyring import SETTING_ID, KeyRing
from app.store.keys import note_uses

PATIENCE_SECONDS = 2.0
PAUSE_SECONDS = 0.02
"""Between two looks for keys that are not known: strangers cost no more than that."""

NOTE_SECONDS = 30.0

log = structlog.get_logger("membudget")


class Doorkeeper:
    """Looks a key up again before it turns somebody away: another replica may have made it."""

    def __init__(self, store: Store, ring: KeyRing) -> None:
        self._store = store
        self._ring = ring
        self._looking: asyncio.Task[bool] | None = None
        self._next = 0.0

    async def find(self, secret: bytes | None, now: Callable[[], int]) -> Key:
        """The key. Errors: Unauthorized; Unavailable where that cannot be known now."""
        if secret is None:
            raise Unauthorized("This service asks for a key: send it as `Authorization: Bearer …`.")
        await self._look_again()
        key = self._ring.find(secret, now)
        if key is None:
            raise Unauthorized(
                "This key is not known here: it may be mistyped, expired, rotated or revoked. "
                "Whoever runs the service makes keys by POST /keys or `membudget-server keys`."
            )
        return key

    async def _look_again(self) -> None:
        """Read keys anew, all who wait together.

        A look that began before a request came may have missed its key: it waits for the next.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                if self._looking is not None and not self._looking.done():
                    await asyncio.shield(self._looking)
                if self._looking is None or self._looking.done():
                    self._looking = asyncio.create_task(self._look())
                if await asyncio.shield(self._looking):
                    return
        raise Unavailable(
            "This key is not known yet, and the database does not answer; try again shortly."
        )

    async def _look(self) -> bool:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self._next - loop.time())
        try:
            await self._ring.refresh(self._store)
        except DomainError:
            return False
        finally:
            self._next = loop.time() + PAUSE_SECONDS
        return True


async def keep_noting(store: Store, ring: KeyRing, *, now: Callable[[], int]) -> None:
    """Write down, twice a minute, when keys were last used: none of it is on a request's way."""
    while True:
        await asyncio.sleep(NOTE_SECONDS)
        await note(store, ring, now())


async def note(store: Store, ring: KeyRing, now: int) -> None:
    """Write down that keys were used; if that fails, the next time says it."""
    used, ring.used = ring.used - {SETTING_ID}, set()
    if not used:
        return
    try:
        await store.write(SYSTEM, note_uses, dict.fromkeys(used, now))
    except DomainError as error:
        ring.used |= used
        log.warning("key_uses_not_noted", code=error.code)
