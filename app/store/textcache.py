"""Remember texts of memories, read and counted: by their digest, so never out of date."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from threading import Lock
from typing import Protocol

from app.core.recall import KeptText

MAX_CHARACTERS = 16_000_000
"""Of texts that are kept; with what is read in them some 100 MB at worst."""
OVERHEAD = 100
"""Characters that a text counts besides its own."""


class SharedTexts(Protocol):
    """Texts with their words, by digest, that replicas share; it may forget, and never fails."""

    @property
    def trouble(self) -> str | None:
        """What is not well with it."""

    def get_many(self, workspace: str, contents: Iterable[bytes]) -> dict[bytes, tuple[str, str]]:
        """Those of the texts that it has."""

    def put_many(self, workspace: str, texts: Mapping[bytes, tuple[str, str]]) -> None:
        """Keep texts."""

    def close(self) -> None:
        """Use it no more."""


class Unshared:
    """Nothing is shared: every replica asks the database."""

    trouble: str | None = None

    def get_many(self, workspace: str, contents: Iterable[bytes]) -> dict[bytes, tuple[str, str]]:
        """None of them."""
        return {}

    def put_many(self, workspace: str, texts: Mapping[bytes, tuple[str, str]]) -> None:
        """Keep none."""

    def close(self) -> None:
        """Nothing is open."""


class TextCache:
    """Texts by workspace and digest; the least recently used go first."""

    def __init__(self, shared: SharedTexts | None = None) -> None:
        self.shared = shared or Unshared()
        """Asked for what is not at hand, before the database is."""
        self._texts: OrderedDict[tuple[str, bytes], KeptText] = OrderedDict()
        self._characters = 0
        self._lock = Lock()

    def get_many(self, workspace: str, contents: Iterable[bytes]) -> dict[bytes, KeptText]:
        """Those of the texts that are at hand."""
        found: dict[bytes, KeptText] = {}
        with self._lock:
            for content in contents:
                key = (workspace, content)
                kept = self._texts.get(key)
                if kept is not None:
                    self._texts.move_to_end(key)
                    found[content] = kept
        return found

    def put(self, workspace: str, content: bytes, kept: KeptText) -> None:
        """Keep a text."""
        with self._lock:
            if (workspace, content) in self._texts:
                return
            self._texts[workspace, content] = kept
            self._characters += len(kept.text) + OVERHEAD
            while self._characters > MAX_CHARACTERS and len(self._texts) > 1:
                _, old = self._texts.popitem(last=False)
                self._characters -= len(old.text) + OVERHEAD
