"""Name workspaces in ids: the tag that every id of ours ends in."""

import hashlib
from functools import lru_cache

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32 in lower case: sorts like the numbers it stands for."""

TAG_LENGTH = 8


@lru_cache(maxsize=10_000)
def tag_of(workspace: str) -> str:
    """Eight characters that stand for a workspace at the end of its ids."""
    digest = hashlib.blake2b(workspace.encode(), digest_size=5).digest()
    return base32(int.from_bytes(digest, "big"), TAG_LENGTH)


def tag_in(id_: str) -> str | None:
    """The tag of an id of ours, or None where it has none."""
    tag = id_.rpartition("_")[2]
    return tag if len(tag) == TAG_LENGTH and "_" in id_ else None


def event_id_of(allocation_id: str) -> str:
    """The id of the one usage event that an allocation ends in."""
    return "use_" + allocation_id.removeprefix("alc_")


_PAIRS = tuple(high + low for high in ALPHABET for low in ALPHABET)


def base32(number: int, length: int) -> str:
    """The lowest `length` base 32 digits of a number."""
    digits = []
    for _ in range(length // 2):
        digits.append(_PAIRS[number & 1023])
        number >>= 10
    if length % 2:
        digits.append(ALPHABET[number & 31])
    digits.reverse()
    return "".join(digits)
