"""Prove that texts do no harm where they are stored, exported or logged."""

import csv
import io
import json
import subprocess
import sys
import time
from typing import Any

import httpx

from tests.data import REPOSITORY

EVENT = {"agent": "a/b", "budget_tokens": 10, "used_tokens": 5}
FORMULAS = ("=", "+", "-", "@", "\t", "\r")
MILLION = "a" * 1_000_000
LONG: list[tuple[str, Any]] = [
    ("/allocate", {"agent": MILLION}),
    ("/allocate", {"agent": "x", "task": MILLION}),
    ("/allocate", {"agent": "x", "memories": [{"id": "m", "text": MILLION}]}),
    ("/usage", {**EVENT, "task": MILLION}),
    ("/usage", {**EVENT, "metadata": {MILLION: MILLION}}),
    ("/complexity", {"text": MILLION}),
    ("/memories", {"text": MILLION}),
    ("/memories/search", {"query": MILLION}),
    ("/tokens/count", {"text": MILLION}),
    ("/minify", {"context": {"a": MILLION}, "max_tokens": 10}),
    ("/operations", {"type": "llm", "name": MILLION, "duration_seconds": 1}),
    ("/keys", {"name": MILLION, "scopes": ["use"]}),
]


async def test_texts_of_a_million_characters_do_no_harm(light_client: httpx.AsyncClient) -> None:
    for path, body in LONG:
        began = time.process_time()
        response = await light_client.post(path, json=body)
        taken = time.process_time() - began
        assert response.status_code < 500, (path, response.text[:300])
        assert taken < 5, f"{path} takes {taken:.1f} s of CPU"
        if response.status_code >= 400:
            assert len(response.content) < 3_000, path
            assert MILLION[:200] not in response.text, path
    assert (await light_client.get("/readyz")).status_code == 200


async def test_no_cell_of_an_export_is_a_formula(light_client: httpx.AsyncClient) -> None:
    texts = {beginning + "cmd|' /C calc'!A0" for beginning in FORMULAS}
    events = [{**EVENT, "task": text, "metadata": {"a": text}} for text in texts]
    assert (await light_client.post("/usage", json=events)).status_code == 201
    told = await light_client.get("/usage/export", params={"format": "csv"})
    rows = list(csv.DictReader(io.StringIO(told.text, newline="")))
    assert {row["task"] for row in rows} == {"'" + text for text in texts}
    assert not [cell for row in rows for cell in row.values() if cell.startswith(FORMULAS)]


FORGED = 'x\r\n{"event":"forged"}\n\x1b[2Jy\u2028z'
"""A text that would be lines of a log, or move a terminal's cursor, if it were written down raw."""

SPEAK = """
import asyncio, sys
from urllib.parse import quote
from app.logs import set_up
from tests.running import running

async def speak(url, text):
    sent, escape = quote(text, safe=""), {"user-agent": "\\x1b[2J", "x-y": "\\x1b[2J"}
    async with running(url, access_log=True) as service:
        ask = service.client.request
        event = {"agent": text, "task": text, "budget_tokens": 1, "used_tokens": 1}
        for answer in (
            await ask("POST", "/allocate", json={"agent": text, "task": text}, headers=escape),
            await ask("POST", "/usage", json=event),
            await ask("GET", f"/{sent}"),
            await ask("GET", f"/memories/{sent}?{sent}={sent}"),
            await ask("PUT", f"/profiles/{sent}", json={text: text}),
            await ask("POST", "/config/import", content=text),
            await ask("POST", "/costs/estimate", json={"model": text, "input_tokens": 1}),
        ):
            assert answer.status_code < 500

set_up()
asyncio.run(speak(sys.argv[1], sys.argv[2]))
"""


def test_no_text_forges_a_line_of_the_log(sqlite_url: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SPEAK, sqlite_url, FORGED],
        cwd=REPOSITORY,
        capture_output=True,
        check=False,
    )
    said = done.stderr.decode()
    assert done.returncode == 0, said
    lines = [json.loads(line) for line in said.split("\n") if line]
    assert all(line["event"] != "forged" for line in lines)
    assert sum(line["event"] == "request" for line in lines) == 7
    assert {sign for sign in said if not sign.isprintable()} == {"\n"}
