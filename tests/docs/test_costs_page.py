"""The page on costs: its examples work as typed and answer what it says."""

import json
import re
import shlex

import httpx

from tests.data import REPOSITORY
from tests.running import running

PAGE = (REPOSITORY / "docs" / "costs.md").read_text(encoding="utf-8")
HERE = "http://127.0.0.1:8000"


def typed() -> list[httpx.Request]:
    """The requests of the page's commands."""
    found = []
    for command in re.findall(r"(?s)```bash\n(.*?)```", PAGE):
        words = iter(shlex.split(command.replace("\\\n", " ")))
        assert next(words) == "curl"
        method, url, body = "", "", None
        for word in words:
            if word in ("-X", "-d", "-H"):
                value = next(words)
                method = value if word == "-X" else method
                body = value if word == "-d" else body
            elif word != "-s":
                url = word
        assert url.startswith(HERE)
        method = method or ("GET" if body is None else "POST")
        found.append(httpx.Request(method, url, content=body or ""))
    return found


async def test_the_examples_work_as_typed(sqlite_url: str) -> None:
    answers = []
    async with running(sqlite_url) as service:
        for request in typed():
            answer = await service.client.request(
                request.method, request.url.raw_path.decode(), content=request.content
            )
            assert answer.is_success, (request.url, answer.text)
            answers.append(answer.json())
        (event,) = (await service.client.get("/usage")).json()["items"]

        predicted = re.findall(r"(?m)^(\{\"current_usd.*\})$", PAGE)[0]
        recommended = re.findall(r"recommend-model` `(\{.*?\})`", PAGE)[0]
        answer = await service.client.post("/costs/predict", content=predicted)
        assert answer.json()["total_usd"] == "1.5075"
        answer = await service.client.post("/costs/recommend-model", content=recommended)
        assert answer.json()["grade"] in ("medium", "high")

    shown = json.loads(re.findall(r"(?s)```json\n(.*?)```", PAGE)[0])
    assert answers[0] == shown
    assert event["input_tokens"] == 130_213
    assert event["cost_usd"] == "0.04355025"
    assert "130,213" in PAGE
    assert event["cost_usd"] in PAGE
