"""Serve until told to stop: bind, wait for the database, answer, finish what is in flight."""

import asyncio
import gc
import ipaddress
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable
from types import FrameType

import uvicorn
from fastapi import FastAPI
from sqlalchemy.exc import DBAPIError

from app.commands.beside import COMMAND
from app.commands.trouble import MISUSED, Say, Trouble, plainly, require_folder, sqlite_file
from app.commands.wire import JoinedProtocol
from app.main import create_app
from app.settings import Settings
from app.store.database import Store
from app.store.keys import has_keys

BACKLOG = 2048
OPEN_FILES = 65_536
KEEP_ALIVE_SECONDS = 65
"""Longer than the minute that balancers keep idle connections, so that they close first."""

GC_THRESHOLDS = (20_000, 20, 50)
"""Requests make short-lived values without cycles: look for cycles seldom."""

TURN_SECONDS = 0.001
"""How long a thread keeps Python's lock from one that waits for it: the writer, whose commit is
done, has a dozen answers in hand. Python's own 5 ms are as long as the commit."""

DATABASE_PATIENCE = 30.0
DATABASE_PAUSE = 3.0

REFUSALS = ("3D000", "28000", "28P01", "42501")
"""SQLSTATEs that waiting does not mend: no such database, user or password, or no right to it."""

REFUSAL_TEXTS = (
    "does not exist",
    "authentication failed",
    "no password supplied",
    "not permitted to log in",
    "no pg_hba.conf entry",
    "permission denied for database",
)
"""The same in words: libpq keeps the SQLSTATE of a refused connection to itself."""


class Server(uvicorn.Server):
    """A server that says when it accepts connections."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()


def configure(
    app: FastAPI, *, shutdown_seconds: int, socket_path: str | None = None
) -> uvicorn.Config:
    """How the application is served, wherever it is."""
    return uvicorn.Config(
        app.build_middleware_stack(),  # FastAPI's own entrance looks for telemetry on each request
        uds=socket_path,
        loop="uvloop",
        http=JoinedProtocol,
        ws="none",
        lifespan="off",  # ours runs around the server, so that its errors reach the command
        access_log=False,
        server_header=False,
        log_config=None,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=shutdown_seconds,
    )


def serve(settings: Settings, *, say: Say, warn: Say) -> None:
    """Serve until SIGTERM or SIGINT; whatever was acknowledged is then in the database."""
    allow_many_files()
    sys.setswitchinterval(TURN_SECONDS)
    signal.signal(signal.SIGTERM, _leave)
    listener = bind(settings)
    with listener, plainly():
        wait_for_database(settings, warn=warn)
        require_key(settings, listener)
        host, port = reachable(listener)
        here = settings.model_copy(update={"host": host, "port": port})
        app = create_app(here, reader=COMMAND if settings.reads_beside else ())
        url = f"http://{host}:{port}"
        server = Server(
            configure(app, shutdown_seconds=settings.shutdown_seconds),
            lambda: say(f"membudget serves {url} – see {url}/docs; Ctrl+C stops it."),
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, server.handle_exit)
        with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
            runner.run(_run(app, server, listener))


def allow_many_files() -> None:
    """Take as many connections as the system lets us: each is an open file."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if most == resource.RLIM_INFINITY else min(most, OPEN_FILES)
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def _leave(number: int, frame: FrameType | None) -> None:
    """Stop at once: nothing is open yet. A container's first process would not stop by itself."""
    raise SystemExit(0)


async def _run(app: FastAPI, server: Server, listener: socket.socket) -> None:
    async with app.router.lifespan_context(app):
        gc.collect()
        gc.freeze()  # what start-up made stays: collections need not look at it again
        gc.set_threshold(*GC_THRESHOLDS)
        if not server.should_exit:
            await server.serve(sockets=[listener])


def bind(settings: Settings) -> socket.socket:
    """A socket on the address of the settings; port 0 takes a free one."""
    host, port = settings.host, settings.port
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise Trouble(f"MEMBUDGET_HOST: {host!r} is no address of this machine.") from error
    family, _, _, _, address = found[0]
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(0)  # claims the port: two could be bound to it before either listens
    except OSError as error:
        listener.close()
        reason = error.strerror or str(error)
        raise Trouble(
            f"Cannot listen on {host}:{port} ({reason}); choose another with --port."
        ) from error
    return listener


def require_key(settings: Settings, listener: socket.socket) -> None:
    """Refuse to serve strangers without a key. Errors: Trouble."""
    if settings.auth == "off" or settings.admin_key is not None or _has_keys(settings):
        return
    if settings.auth == "on":
        raise Trouble(
            "MEMBUDGET_AUTH=on needs a key: set MEMBUDGET_ADMIN_KEY, or make one with "
            "membudget-server keys create NAME --scope admin.",
            code=MISUSED,
        )
    if not ipaddress.ip_address(listener.getsockname()[0]).is_loopback:
        raise Trouble(
            f"Without a key anybody who reaches {settings.host} could use and change everything. "
            "Set MEMBUDGET_ADMIN_KEY, or make a key with membudget-server keys create, or serve "
            "127.0.0.1, or put a gateway that checks callers in front and set MEMBUDGET_AUTH=off.",
            code=MISUSED,
        )


def _has_keys(settings: Settings) -> bool:
    """Whether the database holds a key; one that is not there yet holds none."""
    path = sqlite_file(settings.database_url)
    if settings.database_url.startswith("sqlite") and (path is None or not path.exists()):
        return False
    store = Store(settings.database_url)
    try:
        return store.read_now(has_keys)
    finally:
        store.engine.dispose()


def reachable(listener: socket.socket) -> tuple[str, int]:
    """Host (as URLs write it) and port under which this machine reaches a listener."""
    host, port = listener.getsockname()[:2]
    if listener.family == socket.AF_INET6:
        return ("[::1]" if host == "::" else f"[{host}]"), port
    return ("127.0.0.1" if host == "0.0.0.0" else host), port


def own_url(settings: Settings) -> str:
    """Where a service with these settings is reached from this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


def wait_for_database(settings: Settings, *, warn: Say) -> None:
    """Return once PostgreSQL answers; it may start at the same time as we do.

    Errors: Trouble if it does not, or if waiting cannot help.
    """
    require_folder(settings.database_url)
    if settings.database_url.startswith("sqlite"):
        return
    store = Store(settings.database_admin_url or settings.database_url)
    give_up = time.monotonic() + DATABASE_PATIENCE
    try:
        while True:
            try:
                store.engine.connect().close()
                return
            except DBAPIError as error:
                reason = " ".join(str(error.orig).split())
                if is_refusal(error, reason):
                    raise Trouble(
                        f"PostgreSQL refuses: {reason}. Create the database and the user, or "
                        "change MEMBUDGET_DATABASE_URL (MEMBUDGET_DATABASE_ADMIN_URL)."
                    ) from error
                if time.monotonic() + DATABASE_PAUSE > give_up:
                    raise Trouble(f"PostgreSQL does not answer: {reason}") from error
                warn(f"Waiting for PostgreSQL: {reason}")
                time.sleep(DATABASE_PAUSE)
    finally:
        store.engine.dispose()


def is_refusal(error: DBAPIError, reason: str) -> bool:
    """Whether PostgreSQL answers, and will give the same answer again."""
    if getattr(error.orig, "sqlstate", None) in REFUSALS:
        return True
    return any(text in reason for text in REFUSAL_TEXTS)
