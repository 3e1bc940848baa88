"""The log is JSON lines without the text that came in."""

import json
import logging
import subprocess
import sys

from app.logs import describe
from tests.data import REPOSITORY

SPEAK = """
import logging, structlog
from app.logs import set_up
set_up()
log = structlog.get_logger("membudget")
log.info("started", port=1)
try:
    try:
        int("a secret of a user")
    except ValueError as error:
        raise RuntimeError("it was: " + str(error)) from error
except RuntimeError as error:
    log.error("fault", exc_info=error)
    logging.getLogger("uvicorn.error").exception("Exception in ASGI application")
logging.getLogger("alembic").info("not said")
"""


def test_lines_are_json_and_hold_no_message_of_an_exception() -> None:
    spoken = subprocess.run(
        [sys.executable, "-c", SPEAK], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stderr

    lines = [json.loads(line) for line in spoken.splitlines()]

    assert [line["event"] for line in lines] == [
        "started",
        "fault",
        "Exception in ASGI application",
    ]
    assert "secret" not in spoken
    for line in lines[1:]:
        kinds = [cause["type"] for cause in line["error"]]
        assert kinds == ["builtins.RuntimeError", "builtins.ValueError"]
    assert all({"level", "timestamp"} <= line.keys() for line in lines)


def test_an_exception_is_described_by_where_it_was_raised() -> None:
    try:
        logging.getLevelNamesMapping()["no such level"]
    except KeyError as error:
        (described,) = describe(error)
    assert described["type"] == "builtins.KeyError"
    assert described["frames"][-1].startswith(__name__)
