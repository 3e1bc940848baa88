"""Run a job of the service and watch it to its end, however long that takes."""

import time
from collections.abc import Iterable

from membudget import errors, results
from membudget._exchange import Flow, Patience, Pause, exchange
from membudget._requests import Requests

GLANCE_SECONDS = 5.0
"""What one look at the jobs may take."""
BEGIN_SECONDS = 10.0
"""How long a run that was asked for may not be seen, before it counts as never begun."""
SILENCE_SECONDS = 30.0
"""How long the service may not answer while a job runs: it may be starting again."""
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 2.0
"""Seconds between looks: half as much again each time."""
UNSEEN = frozenset({"backup"})
"""Jobs of which the list shows what is done, and not what is being done."""
OVER = frozenset({"done", "failed"})

Seen = tuple[str, object] | None


def run_and_watch(
    url: str, requests: Requests, name: str, *, patience: Patience
) -> Flow[results.JobRun]:
    """The run of a job as it ended; `patience` is what asking for it may take, not the run.

    Errors: ServiceTimeout, if the service does not answer or falls silent; JobRunning, NotFound.
    """
    glance = min(patience.left, GLANCE_SECONDS)
    before = _seen(name, (yield from exchange(url, requests.jobs(), patience)))
    asked = time.monotonic()
    try:
        call = requests.run_job(name)
        return (yield from exchange(url, call, Patience.of(glance, patience.retries)))
    except errors.UnexpectedAnswer:
        raise
    except errors.ServiceUnavailable as error:
        if error.problem:
            raise
        unanswered = error
    heard, pause = asked, FIRST_PAUSE
    while True:
        yield Pause(pause)
        pause = min(LONGEST_PAUSE, 1.5 * pause)
        now = time.monotonic()
        try:
            found = yield from exchange(url, requests.jobs(), Patience.of(glance, 0))
        except errors.ServiceUnavailable:
            if now - heard > SILENCE_SECONDS:
                raise errors.ServiceTimeout(
                    f"The membudget service at {url} has not answered for {now - heard:.0f} "
                    f"seconds, and how the job {name} ends is not known: ask "
                    "`membudget jobs status` when it is up again."
                ) from unanswered
            continue
        heard = now
        run = _last(name, found)
        if run is None or _seen(name, found) == before or not run.on_demand:
            if now - asked > BEGIN_SECONDS:
                raise unanswered
        elif run.status in OVER:
            return run


def _last(name: str, found: Iterable[results.Job]) -> results.JobRun | None:
    return next((one.last_run for one in found if one.name == name), None)


def _seen(name: str, found: Iterable[results.Job]) -> Seen:
    run = _last(name, found)
    return None if run is None else (run.period, run.started_at)
