"""Remember texts of memories, read and counted: by their digest, so never out of date."""

from collections.abc import Collection, Iterable, Mapping
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
    """Texts by workspace and digest, in two generations of half the size each.

    What is used is young. When the young are too many they become the old, and the old that
    nobody has used since they became so are forgotten: using a text again costs no more than
    finding it.
    """

    def __init__(self, shared: SharedTexts | None = None) -> None:
        self.shared = shared or Unshared()
        """Asked for what is not at hand, before the database is."""
        self._young: dict[tuple[str, bytes], KeptText] = {}
        self._old: dict[tuple[str, bytes], KeptText] = {}
        self._characters = 0
        """Of the young."""
        self._lock = Lock()

    def get_many(self, workspace: str, contents: Collection[bytes]) -> dict[bytes, KeptText]:
        """Those of the texts that are at hand."""
        young = self._young
        found = {
            content: kept
            for content in contents
            if (kept := young.get((workspace, content))) is not None
        }
        for content in contents:
            if content not in found:
                kept = self._old.get((workspace, content))
                if kept is not None:
                    found[content] = kept
                    self.put(workspace, content, kept)
        return found

    def put(self, workspace: str, content: bytes, kept: KeptText) -> None:
        """Keep a text."""
        with self._lock:
            if (workspace, content) in self._young:
                return
            self._young[workspace, content] = kept
            self._characters += len(kept.text) + OVERHEAD
            if self._characters > MAX_CHARACTERS // 2:
                self._old, self._young = self._young, {}
                self._characters = 0
