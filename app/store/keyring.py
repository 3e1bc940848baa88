"""Hold every key in memory, as new as the counter of changes says."""

from collections.abc import Callable
from threading import Lock

from app.core.keys import RIGHTS, Key, digest_of, is_same, secrets_of
from app.store.database import Store, Tx
from app.store.keys import epoch, list_keys

SETTING_ID = "setting"
"""The id that stands for the key of the environment."""


class KeyRing:
    """Who is let in, by the digest of what they show."""

    def __init__(self, *, asks: bool | None, admin_key: str | None) -> None:
        """`asks`: for a key always, never, or (None) once there is one."""
        self._asks = asks
        self._setting = None if admin_key is None else _key_of_setting(admin_key)
        self._by_digest: dict[bytes, tuple[Key, bytes, int | None]] = {}
        self._count = 0
        self._epoch = -1
        self._lock = Lock()
        self.used: set[str] = set()
        """Ids of keys that were shown since somebody last asked."""
        self._hang([])

    @property
    def has_setting(self) -> bool:
        """Whether the environment has a key."""
        return self._setting is not None

    @property
    def is_open(self) -> bool:
        """Whether requests need no key."""
        if self._asks is not None:
            return not self._asks
        return self._setting is None and not self._count

    def find(self, secret: bytes, now: Callable[[], int]) -> Key | None:
        """The key whose secret this is, if it lets anybody in now (µs)."""
        digest = digest_of(secret)
        found = self._by_digest.get(digest)
        if found is None:
            return None
        key, kept, ends = found
        if not is_same(digest, kept) or (ends is not None and now() >= ends):
            return None
        self.used.add(key.id)
        return key

    async def refresh(self, store: Store) -> None:
        """Follow what any replica changed."""
        await store.read(self.refresh_now)

    def refresh_now(self, tx: Tx) -> None:
        """`refresh` within a transaction."""
        version = epoch(tx)
        if version == self._epoch:
            return
        held = list_keys(tx)
        with self._lock:
            if version > self._epoch:
                self._hang(held)
                self._epoch = version

    def _hang(self, held: list[Key]) -> None:
        found = {digest: (key, digest, ends) for key in held for digest, ends in secrets_of(key)}
        if self._setting is not None:
            found[self._setting.digest] = (self._setting, self._setting.digest, None)
        self._by_digest, self._count = found, len(held)


def _key_of_setting(secret: str) -> Key:
    return Key(
        id=SETTING_ID,
        name="MEMBUDGET_ADMIN_KEY",
        rights=frozenset(RIGHTS),
        workspaces=(),
        created_at=0,
        expires_at=None,
        digest=digest_of(secret),
    )
