"""Take the key under which a request may be repeated."""

import hashlib

from fastapi import Request

from app.core.errors import InvalidRequest

MAX_KEY = 255

IDEMPOTENCY_KEY = {
    "parameters": [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "schema": {"type": "string", "maxLength": MAX_KEY},
            "description": "The same key and body: the first answer again.",
        }
    ]
}


async def idempotency(request: Request) -> tuple[str | None, bytes | None]:
    """The request's key and a digest of its body; None and None where it has no key.

    Errors: InvalidRequest for a key that is empty, too long or not printable.
    """
    if b"idempotency-key" not in dict(request.scope["headers"]):
        return None, None
    key = request.headers["idempotency-key"]
    if not (0 < len(key) <= MAX_KEY and key.isprintable()):
        raise InvalidRequest(f"Idempotency-Key takes 1 to {MAX_KEY} printable characters.")
    return key, hashlib.blake2b(await request.body(), digest_size=16).digest()
