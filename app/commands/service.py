"""Reach the service: the one that runs, or one of our own for as long as a command lasts."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from app.commands.serving import Server, configure, wait_for_database
from app.commands.trouble import MISUSED, Say, Trouble
from app.main import create_app
from app.settings import Settings
from app.store.processlock import DatabaseInUse

COMMANDS_OWN = {"host": "127.0.0.1", "port": 0, "backup_interval_seconds": 0, "auth": "off"}
"""Settings of a service that lasts as long as a command: it does nothing by itself, and asks for
no key, since whoever opens the database has everything."""

TIMEOUT = httpx.Timeout(600, connect=5)
TRIES = 6
NAMED_FAULTS = 20
KEY_IS_A_SETTING = " Set MEMBUDGET_API_KEY."


class Inner(Server):
    """A server inside a command, which keeps its own way with signals."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def reach(
    settings: Settings, *, url: str | None, warn: Say
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the service at `url`, of the one that holds the SQLite file, or of our own."""
    async with AsyncExitStack() as stack:
        transport = None
        if url is None:
            try:
                transport = await stack.enter_async_context(_own(settings, warn))
            except DatabaseInUse as held:
                if not serves(held):
                    raise
                url = held.url
        client = httpx.AsyncClient(
            base_url=url or "http://membudget",
            transport=transport,
            timeout=TIMEOUT,
            headers={"Authorization": f"Bearer {settings.key}"} if settings.key else {},
        )
        await stack.enter_async_context(client)
        try:
            yield client
        except httpx.InvalidURL as error:
            raise Trouble(
                f"{url!r} is no URL such as http://127.0.0.1:8000.", code=MISUSED
            ) from error
        except httpx.ConnectError as error:
            raise Trouble(f"No service answers at {url}.") from error
        except httpx.TransportError as error:
            raise Trouble(f"The service went away ({type(error).__name__}); try again.") from error


def serves(held: DatabaseInUse) -> bool:
    """Whether the process that holds a database can be asked; a command cannot."""
    return bool(held.url) and not str(held.url).endswith(":0")


@asynccontextmanager
async def _own(settings: Settings, warn: Say) -> AsyncIterator[httpx.AsyncHTTPTransport]:
    """The service in this process, on a socket that only this user can open."""
    wait_for_database(settings, warn=warn)
    app = create_app(settings.model_copy(update=COMMANDS_OWN), keeps_time=False)
    started = asyncio.Event()
    with TemporaryDirectory(prefix="membudget-") as folder:
        path = f"{folder}/socket"
        config = configure(app, shutdown_seconds=settings.shutdown_seconds, socket_path=path)
        server = Inner(config, started.set)
        async with app.router.lifespan_context(app):
            serving = asyncio.create_task(server.serve())
            serving.add_done_callback(lambda _: started.set())
            try:
                await started.wait()
                if serving.done():
                    serving.result()
                yield httpx.AsyncHTTPTransport(uds=path)
            finally:
                server.should_exit = True
                await serving


async def ask(client: httpx.AsyncClient, method: str, path: str, **given: Any) -> httpx.Response:
    """The answer to a request that may be repeated; Trouble when it is refused."""
    for further in reversed(range(TRIES)):
        response = await client.request(method, path, **given)
        if response.status_code != 503 or not further:
            break
        await asyncio.sleep(float(response.headers.get("retry-after", 1)))
    refuse(response)
    return response


def refuse(response: httpx.Response) -> None:
    """Raise what a problem document says, if the (read) answer is one."""
    if response.status_code < 400:
        return
    try:
        problem = response.json()
        detail = str(problem["detail"])
        faults = problem.get("errors", [])
    except (ValueError, KeyError, TypeError):
        raise Trouble(f"{response.url} answers {response.status_code}; is it membudget?") from None
    if response.status_code == 401:
        detail += KEY_IS_A_SETTING
    lines = [
        f"  {'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults[:NAMED_FAULTS]
    ]
    if len(faults) > NAMED_FAULTS:
        lines.append(f"  … and {len(faults) - NAMED_FAULTS} more")
    raise Trouble("\n".join([detail, *lines]))
