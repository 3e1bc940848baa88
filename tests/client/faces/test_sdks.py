"""Run the examples for the SDKs of OpenAI and Anthropic: theirs and ours real, the model not.

A small server stands for the vendors: it speaks their wire, and answers always the same.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from membudget import Client
from tests.data import REPOSITORY

SAID = "Because the warehouse was suspended."
MEMORY = "The nightly run was slow on Monday: the warehouse had been suspended."


class Vendor(ThreadingHTTPServer):
    """Answers questions; `asked` has their paths and bodies."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.asked: list[tuple[str, dict[str, Any]]] = []


class Answering(BaseHTTPRequestHandler):
    server: Vendor

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, body))
        answers = {"/v1/chat/completions": of_openai, "/v1/messages": of_anthropic}
        data = json.dumps(answers[self.path](body["model"])).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Nobody reads along."""


def of_openai(model: str) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_770_000_000,
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": SAID},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 70, "completion_tokens": 8, "total_tokens": 78},
    }


def of_anthropic(model: str) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [{"type": "text", "text": SAID}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 20, "cache_read_input_tokens": 50, "output_tokens": 8},
    }


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with Vendor() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("sdk", ["openai", "anthropic"])
def test_an_answer_knows_what_fits_and_is_booked(service: str, vendor: Vendor, sdk: str) -> None:
    with Client(service) as client:
        client.memories.add(MEMORY, agent="specialists/dbt-expert", scope="agent_recent")
        before = {one.id for one in client.usage()}
        url = f"http://127.0.0.1:{vendor.server_port}"
        done = subprocess.run(
            [sys.executable, str(REPOSITORY / f"docs/examples/with_{sdk}.py")],
            env={
                "PATH": "",
                "HOME": os.environ.get("HOME", "/nonexistent"),
                "PYTHONPATH": os.pathsep.join(sys.path),
                "MEMBUDGET_URL": service,
                "OPENAI_API_KEY": "any",
                "OPENAI_BASE_URL": f"{url}/v1",
                "ANTHROPIC_API_KEY": "any",
                "ANTHROPIC_BASE_URL": url,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout.strip()) == (0, SAID), done.stderr
        ((_, asked),) = vendor.asked
        assert MEMORY in json.dumps(asked)
        (event,) = [one for one in client.usage() if one.id not in before]
    assert (event.agent, event.model) == ("specialists/dbt-expert", asked["model"])
    assert (event.input_tokens, event.output_tokens, event.success) == (70, 8, True)
    assert event.used_tokens > 0
    assert event.cost_usd
