"""Wire the house: the only place that opens the store, the policies and the routes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from anyio import to_thread
from fastapi import FastAPI
from sqlalchemy import make_url
from starlette.types import ASGIApp

from app import __version__, clock
from app.api import errors
from app.api.dependencies import House
from app.api.middleware import Edge
from app.api.routes import (
    allocations,
    backups,
    complexity,
    config,
    cost_budgets,
    costs,
    jobs,
    keys,
    lifecycle,
    memories,
    minify,
    needs,
    operations,
    policies,
    pools,
    recommendations,
    reports,
    search,
    simulate,
    system,
    tokens,
    usage,
    workspaces,
)
from app.api.routing import express
from app.api.schemas.memories import describe_memories
from app.api.schemas.operations import describe_operations
from app.api.schemas.usage import describe_usage
from app.api.scopes import describe_scopes
from app.flows.authenticate import Doorkeeper, keep_noting, note
from app.flows.backup import Backups
from app.flows.follow_policies import follow
from app.flows.record_lists import LongLists
from app.flows.run_jobs import Jobs
from app.gateways.backups import BackupFolder
from app.gateways.beside import Beside
from app.gateways.prices import PriceList
from app.gateways.thinking import Thinking
from app.gateways.tokens import TokenCounter
from app.jobs.auditing import auditing
from app.jobs.backups import back_up, backup, keep_backing_up, standing
from app.jobs.refitting import then_refit
from app.jobs.reporting import reporting
from app.jobs.retention import retention
from app.jobs.runner import keep_time
from app.presets.grades import shipped_grades
from app.presets.loader import shipped
from app.settings import Settings
from app.store.costshelf import CostShelf
from app.store.database import SYSTEM, Store
from app.store.directory import Directory
from app.store.groupcache import GroupCache
from app.store.keyring import KeyRing
from app.store.migrate import upgrade
from app.store.processlock import ProcessLock
from app.store.shelf import PolicyShelf
from app.store.textcache import SharedTexts, TextCache

log = structlog.get_logger("membudget")

SUMMARY = "Token budgets for AI agents: what a run deserves, what fits, what it used."

HOT = (("POST", "/allocate"), ("POST", "/usage"))
"""What agents call on every run: answered without the router."""


def create_app(
    settings: Settings, *, keeps_time: bool = True, reader: Sequence[str] = ()
) -> FastAPI:
    """The service as an ASGI application; it opens the database when it starts.

    `keeps_time`: it runs jobs when they are due, if the settings say so. `reader`: the command that
    starts a process which reads long lists of events, once they come.
    """
    house = furnish(settings, reader=reader)
    store = house.store
    new_backup_id = partial(house.new_id, "bak", SYSTEM)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with ProcessLock(settings.database_url, url=address(settings)):
            await to_thread.run_sync(upgrade, settings.database_admin_url or settings.database_url)
            store.start()
            try:
                await follow(store, house.shelf, settings.policy_files, now=clock.now())
                await house.costs.refresh(store)
                await house.ring.refresh(store)
                tasks = [
                    asyncio.create_task(_keep_following(house, settings)),
                    asyncio.create_task(keep_noting(store, house.ring, now=house.now_micros)),
                ]
                interval = settings.backup_interval
                if interval:
                    backing_up = keep_backing_up(
                        house.backups, interval, now=clock.now, new_id=new_backup_id
                    )
                    tasks.append(asyncio.create_task(backing_up))
                if keeps_time and house.jobs.is_on:
                    tasks.append(asyncio.create_task(_keep_time(house)))
                log.info("started", version=__version__, database=store.engine.dialect.name)
                yield
                for task in tasks:
                    task.cancel()
                    with suppress(asyncio.CancelledError):
                        await task
                await note(store, house.ring, house.now_micros())
                if interval and house.backups.has_changes:
                    await back_up(house.backups, now=clock.now, new_id=new_backup_id)
            finally:
                await _close(house)
                log.info("stopped")

    app = FastAPI(
        title="membudget",
        version=__version__,
        summary=SUMMARY,
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False},
    )
    app.state.house = house
    write = app.openapi
    app.openapi = lambda: describe_scopes(errors.describe_problems(_described(write())))  # type: ignore[method-assign]  # FastAPI's own way to extend the document
    errors.install(app)
    for module in (
        allocations,
        usage,
        complexity,
        policies,
        workspaces,
        config,
        cost_budgets,
        costs,
        system,
        backups,
        jobs,
        keys,
        simulate,
        recommendations,
        needs,  # before reports: `/reports/{id}` would take its name
        reports,
        lifecycle,
        tokens,
        minify,
        operations,
        pools,
        search,
        memories,  # last: `/memories/{id}` would take the names that others have below it
    ):
        app.router.routes += module.router.routes
    inner = app.build_middleware_stack
    edge = _edge_of(app, house, settings)
    app.build_middleware_stack = lambda: edge(inner())  # type: ignore[method-assign]  # outermost
    return app


async def _close(house: House) -> None:
    """Let what is in hand be written, and let go of everything."""
    if house.lists is not None:
        await house.lists.close()
    await to_thread.run_sync(house.store.close)
    house.texts.shared.close()


def _edge_of(app: FastAPI, house: House, settings: Settings) -> Callable[[ASGIApp], Edge]:
    """What lets requests in, around an application."""
    return partial(
        Edge,
        application=app,
        express=express(allocations.router, usage.router, paths=HOT),
        ring=house.ring,
        doorkeeper=Doorkeeper(house.store, house.ring),
        rate_limit=settings.rate_limit,
        body_limit=settings.body_limit_bytes,
        upload_limit=settings.upload_limit_bytes,
        access_log=settings.access_log,
    )


def furnish(settings: Settings, *, reader: Sequence[str] = ()) -> House:
    """What the service is made of, nothing of it open yet."""
    admin_key = None if settings.admin_key is None else settings.admin_key.get_secret_value()
    store = Store(
        settings.database_url,
        queue_limit=settings.write_queue_limit,
        pooled=settings.database_admin_url is not None,
    )
    shelf, counter, prices = PolicyShelf(shipped()), TokenCounter(), PriceList()
    backups = Backups(store, BackupFolder(backup_folder(settings)), keep=settings.backup_keep)
    zone = ZoneInfo(settings.timezone)
    costs = CostShelf(prices.price)
    cache = GroupCache()
    handlers = {
        **{
            job: then_refit(handler, store, shelf)
            for job, handler in reporting(store, shelf, cache, zone, new_id=clock.new_id).items()
        },
        "retention": retention(
            store,
            shelf,
            counter,
            new_id=clock.new_id,
            usage_days=settings.usage_retention_days,
        ),
        "backup": backup(backups, partial(clock.new_id, "bak", SYSTEM)),
        "audit": auditing(store),
    }
    return House(
        store=store,
        shelf=shelf,
        directory=Directory(),
        cache=cache,
        texts=TextCache(hot_store(settings)),
        prices=prices,
        costs=costs,
        lists=LongLists(store, Beside(reader), shelf.identify, costs) if reader else None,
        grades=shipped_grades(),
        tokens=counter,
        thinking=Thinking(),
        zone=zone,
        ttl_seconds=settings.allocation_ttl_seconds,
        ring=KeyRing(asks=settings.asks_for_key, admin_key=admin_key),
        backups=backups,
        jobs=Jobs(
            store,
            handlers,
            zone,
            is_on=settings.scheduler == "on",
            new_owner=partial(clock.new_id, "own", SYSTEM),
            others={"backup": standing(backups, settings.backup_interval)},
        ),
    )


def _described(document: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI document with the shapes that bodies are read by."""
    for describe in (describe_usage, describe_memories, describe_operations):
        document = describe(document)
    return document


async def _keep_time(house: House) -> None:
    """Run jobs when they are due; readiness tells if that has ended."""
    try:
        async with asyncio.TaskGroup() as both:
            for run in (house.jobs.run_due, house.jobs.run_hourly):
                both.create_task(keep_time(house.jobs, now=house.now_micros, run=run))
    finally:
        house.jobs.trouble = "The scheduler has stopped: no job runs by itself; restart."


async def _keep_following(house: House, settings: Settings) -> None:
    """Follow keys and policy changed by other replicas, and the policy files, once a second."""
    while True:
        await asyncio.sleep(settings.policy_poll_seconds)
        try:
            await house.ring.refresh(house.store)
            generation = house.shelf.generation
            await follow(house.store, house.shelf, settings.policy_files, now=clock.now())
            await house.costs.refresh(house.store)
            if generation != house.shelf.generation:  # another replica has restored a backup
                house.forget()
        except Exception as error:  # noqa: BLE001 (following goes on, whatever happened)
            log.warning("policy_not_followed", kind=type(error).__name__)


def hot_store(settings: Settings) -> SharedTexts | None:
    """What replicas share through Redis, if there is one."""
    if settings.redis_url is None:
        return None
    from app.gateways.hotstore import HotStore  # noqa: PLC0415 (slow to load; most do without)

    return HotStore(settings.redis_url.get_secret_value())


def backup_folder(settings: Settings) -> Path:
    """Where the backups are."""
    if settings.backup_dir is not None:
        return settings.backup_dir
    url = make_url(settings.database_url)
    is_file = url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:")
    beside = Path(str(url.database)).parent if is_file else Path()
    return beside / "membudget-backups"


def address(settings: Settings) -> str:
    """Where the service can be reached from this machine."""
    return f"http://{settings.host}:{settings.port}"
