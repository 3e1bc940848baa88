"""Call a plain function beside the event loop, without ever waiting for it at the end."""

import contextvars
import inspect
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import anyio
from anyio import from_thread
from anyio.lowlevel import current_token


class TaskAborted(RuntimeError):
    """A task ended itself by something that is no ordinary error: an exit, or a cancellation."""


async def call(func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """What a function returns: awaited if it is asynchronous, else run in a thread."""
    if is_async(func):
        return await func(*args, **kwargs)
    answered = await run_in_thread(partial(func, *args, **kwargs))
    if inspect.isawaitable(answered):
        return await answered
    return answered


def is_async(func: Callable[..., Any]) -> bool:
    """Whether calling it gives something to await, as far as can be seen without calling it."""
    while isinstance(func, partial):
        func = func.func
    return inspect.iscoroutinefunction(func) or inspect.iscoroutinefunction(
        getattr(func, "__call__", None)  # noqa: B004 (objects whose call is asynchronous)
    )


async def run_in_thread(func: Callable[[], Any]) -> Any:
    """What the function returns or raises, from a thread of its own.

    Cancelled, this returns at once, and the thread, which nothing can end, goes on alone: it is a
    daemon, so that the program's end does not wait for it. (anyio's own threads would hold it up.)
    """
    done = anyio.Event()
    token = current_token()
    answers: list[tuple[Any, BaseException | None]] = []
    context = contextvars.copy_context()

    def work() -> None:
        try:
            answers.append((context.run(func), None))
        except BaseException as error:  # noqa: BLE001 (told to whoever waits)
            answers.append((None, error))
        with suppress(RuntimeError):  # the loop has ended: nobody waits
            from_thread.run_sync(done.set, token=token)

    threading.Thread(target=work, name="membudget task", daemon=True).start()
    await done.wait()
    answered, error = answers[0]
    if error is None:
        return answered
    if isinstance(error, Exception):
        raise error
    raise TaskAborted(f"the function raised {type(error).__name__}") from error
