"""Take uploads as the raw body or as the multipart field `file`, in chunks."""

from collections.abc import AsyncIterator
from typing import Any

from fastapi import Request
from starlette.datastructures import UploadFile

from app.core.errors import InvalidRequest

CHUNK = 1 << 18
JSON = "application/json"


def upload_docs(*media_types: str, required: bool = True) -> dict[str, Any]:
    """What the reference says of a body that is a file of one of these types.

    `required`: whether an empty file is refused.
    """
    form = {
        "type": "object",
        "properties": {"file": {"type": "string", "format": "binary"}},
        "required": ["file"],
    }
    content: dict[str, Any] = {
        media: {"schema": {} if media == JSON else {"type": "string", "format": "binary"}}
        for media in media_types
    }
    content["multipart/form-data"] = {"schema": form}
    return {"requestBody": {"required": required, "content": content}}


async def upload(request: Request) -> AsyncIterator[bytes]:
    """The bytes that were sent."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        async for chunk in request.stream():
            yield chunk
        return
    async with request.form(max_files=1, max_fields=8) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise InvalidRequest("Send the file as the multipart field `file`.")
        while chunk := await file.read(CHUNK):
            yield chunk


async def whole_upload(request: Request) -> bytes:
    """All bytes that were sent; the edge has limited how many."""
    return b"".join([chunk async for chunk in upload(request)])
