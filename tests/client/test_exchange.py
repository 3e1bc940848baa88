"""Say how often a call is tried, how long it is waited for, and what an answer means."""

import json
import time
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from membudget import AsyncClient, errors
from membudget._answers import Answer, thing
from membudget._calls import Call
from membudget._exchange import (
    Failed,
    Patience,
    Pause,
    Send,
    backoff,
    exchange,
    refused,
)
from membudget._ledger import last_words
from tests.client.proxy import Handler, Proxy

URL = "http://membudget"
OK = Answer(200, {"content-type": "application/json"}, b"{}")
OUTCOMES = st.one_of(
    st.builds(Failed, st.just("why"), was_sent=st.booleans(), is_late=st.booleans()),
    st.builds(
        Answer,
        st.sampled_from([200, 400, 401, 404, 409, 422, 429, 500, 502, 503, 504, 507]),
        st.sampled_from([{}, {"retry-after": "0"}, {"retry-after": "nonsense"}]),
        st.sampled_from([b"{}", b"<html>", b'{"code": "unavailable", "detail": "x"}']),
    ),
)


def played(call: Call[Any], outcomes: list[Any], *, seconds: float = 60, retries: int = 3) -> Any:
    """What a call comes to when these answers come back, and how often it was sent."""
    flow = exchange(URL, call, Patience.of(seconds, retries))
    coming = iter(outcomes)
    sent = 0
    try:
        step = next(flow)
        while True:
            if isinstance(step, Pause):
                assert 0 <= step.seconds <= seconds
                step = flow.send(None)
                continue
            assert isinstance(step, Send)
            assert 0 < step.seconds <= seconds
            sent += 1
            outcome = next(coming, OK)
            step = flow.throw(outcome) if isinstance(outcome, Failed) else flow.send(outcome)
    except StopIteration as end:
        return sent, end.value
    except errors.MembudgetError as error:
        return sent, error


@given(st.lists(OUTCOMES, max_size=6), st.booleans(), st.integers(0, 5))
def test_a_call_is_sent_once_more_only_if_that_has_no_second_effect(
    outcomes: list[Any], is_repeatable: bool, retries: int
) -> None:
    call = Call(method="POST", path="/x", read=thing(), is_repeatable=is_repeatable)
    sent, ended = played(call, outcomes, retries=retries)
    assert sent <= retries + 1
    for outcome in outcomes[: sent - 1]:
        if isinstance(outcome, Failed):
            assert is_repeatable or not outcome.was_sent
        else:
            assert outcome.status in ((429, 502, 503, 504) if is_repeatable else (429, 503))
    if isinstance(ended, errors.MembudgetError):
        assert str(ended)
        assert ended.code


def test_no_attempt_is_made_when_there_is_no_time_for_it() -> None:
    call = Call(method="GET", path="/x", read=thing())
    busy = Answer(503, {"retry-after": "61"}, b"")
    sent, ended = played(call, [busy])
    assert sent == 1
    assert isinstance(ended, errors.ServiceUnavailable)
    assert ended.retry_after == 61


def test_a_deletion_whose_answer_was_lost_is_done() -> None:
    call = Call(method="DELETE", path="/x", read=lambda _: None)
    gone = Answer(404, {"content-type": "application/problem+json"}, b'{"code": "not_found"}')
    lost = Failed("lost", was_sent=True)
    assert played(call, [lost, gone]) == (2, None)
    assert isinstance(played(call, [gone])[1], errors.NotFound)


@given(st.integers(0, 60))
def test_waits_grow_and_are_bounded(attempt: int) -> None:
    assert 0.05 <= backoff(attempt) <= 2.0


@given(
    st.integers(300, 599),
    st.binary(max_size=40),
    st.sampled_from(["text/html", "application/problem+json"]),
)
def test_any_answer_means_an_error_that_can_be_read(status: int, content: bytes, kind: str) -> None:
    error = refused(URL, Answer(status, {"content-type": kind}, content))
    assert isinstance(error, errors.MembudgetError)
    assert error.status == status
    assert str(error)


@pytest.mark.parametrize("code", sorted(errors.BY_CODE))
def test_every_code_of_the_service_has_its_error(code: str) -> None:
    body = json.dumps({"code": code, "detail": "Change this.", "remaining": 3}).encode()
    error = refused(URL, Answer(409, {"content-type": "application/problem+json"}, body))
    assert type(error) is errors.BY_CODE[code]
    assert error.message.startswith("Change this.")


def test_a_code_of_tomorrow_is_an_error_of_its_status() -> None:
    answer = Answer(
        409, {"content-type": "application/problem+json"}, b'{"code": "newer", "detail": "d"}'
    )
    error = refused(URL, answer)
    assert (type(error), error.code) == (errors.Conflict, "newer")


def test_last_words_are_bounded() -> None:
    assert last_words(None) == {"success": True}
    assert last_words(KeyboardInterrupt())["error"] == "KeyboardInterrupt"
    assert len(last_words(ValueError("x" * 10_000))["error"] or "") == 2_000


async def test_a_cancelled_block_is_finished_as_a_failure(proxy: Proxy, workspace: str) -> None:
    async with AsyncClient(proxy.url, workspace=workspace) as client:
        with anyio.CancelScope() as scope:
            async with client.allocation("dbt-expert") as run:
                scope.cancel()
                await anyio.sleep_forever()
        assert run.event is not None
        assert not run.event.spooled
        (event,) = [one async for one in client.usage()]
        assert (event.id, event.success) == (run.event.id, False)


async def test_a_cancelled_block_without_the_service_is_spooled(
    proxy: Proxy, workspace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(handler: Handler, body: bytes) -> bool:
        time.sleep(0.5)
        handler.hang_up()
        return True

    monkeypatch.setattr("membudget.allocations.FAREWELL_SECONDS", 0.05)
    async with AsyncClient(proxy.url, workspace=workspace) as client:
        with anyio.CancelScope() as scope:
            async with client.allocation("dbt-expert") as run:
                proxy.fault = silent
                scope.cancel()
                await anyio.sleep_forever()
        assert run.event is not None
        assert run.event.spooled
        proxy.fault = None
        assert (await client.flush()).waiting == 0
        (event,) = [one async for one in client.usage()]
        assert (event.id, event.success) == (run.event.id, False)


def test_a_client_serves_one_event_loop_after_another(proxy: Proxy, workspace: str) -> None:
    client = AsyncClient(proxy.url, workspace=workspace)

    async def ask() -> str:
        async with client:
            return (await client.version()).name

    assert anyio.run(ask) == "membudget"
    assert anyio.run(ask) == "membudget"


@pytest.mark.parametrize("url", ["ftp://x", "localhost:8000", "http://"])
def test_an_address_that_is_none_is_said_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="MEMBUDGET_URL must be such as"):
        AsyncClient(url)
