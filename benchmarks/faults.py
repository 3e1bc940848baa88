"""Upset the service and its database under load, and count what was acknowledged.

Every client sends until it is answered, as a client of a ledger should. After each round all that
was acknowledged has to be in the books, once, and the totals have to be those of the events.
"""

import argparse
import json
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from insistent import Insistent, Told
from kill import Sent, audit, count_up
from psycopg import sql
from servers import workplace
from upsets import Disk, Postgres, Service, Wire, disk, postgres

BEFORE_SECONDS = 0.6
AFTER_SECONDS = 0.6
FREEZE_SECONDS = 10.0
"""Longer than any request may wait: one that waits for the end of it is seen."""
AWAY_SECONDS = 2.0
DISK_MEGABYTES = 64

HEALED_SECONDS = 5.0
ANSWERED_SECONDS = 8.0
"""The longest that a request may wait while the database is silent."""
EXIT_SECONDS = 25.0
STALL = b"POST /usage/import HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n{"


@dataclass(slots=True, kw_only=True)
class Stage:
    """What a fault may upset."""

    database: str
    service: Service
    url: str
    """The database itself, without the wire between."""
    postgres: Postgres | None = None
    wire: Wire | None = None
    disk: Disk | None = None
    notes: list[str] = field(default_factory=list)
    misses: list[str] = field(default_factory=list)
    """Promises that were not kept."""

    def expect(self, name: str, value: float, bar: float, unit: str = "s") -> None:
        """Note a figure, and whether it is within its bar."""
        self.notes.append(f"{name} {value:.1f} {unit}")
        if value > bar:
            self.misses.append(f"{name}: {value:.1f} {unit}, {bar:g} are promised")

    def await_ready(self, wanted: int, *, within: float, word: str = "") -> None:
        """Wait until readiness answers a status that says a word."""
        began = time.monotonic()
        while True:
            status, text = self._ready()
            if status == wanted and word in text:
                break
            if time.monotonic() - began > within + 10:
                self.misses.append(f"/readyz is {status}, not {wanted}: {text[:300]}")
                return
            time.sleep(0.05)
        self.expect(f"/readyz {wanted} after", time.monotonic() - began, within)

    def _ready(self) -> tuple[int, str]:
        with socket.create_connection(("127.0.0.1", self.service.port), timeout=20) as line:
            line.sendall(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            answer = b"".join(iter(lambda: line.recv(1 << 16), b""))
        return int(answer.split()[1]), answer.decode()


def kill(stage: Stage) -> None:
    """kill -9 of the service."""
    stage.service.send(signal.SIGKILL)
    stage.service.ended()
    stage.service.start()


def stop(stage: Stage) -> None:
    """SIGTERM while an upload stands still."""
    with socket.create_connection(("127.0.0.1", stage.service.port), timeout=60) as upload:
        upload.sendall(STALL)
        time.sleep(0.2)
        stage.service.send(signal.SIGTERM)
        stage.expect("exit after", stage.service.ended(), EXIT_SECONDS)
    stage.service.start()


def freeze(stage: Stage) -> None:
    """SIGSTOP and SIGCONT of the service."""
    stage.service.send(signal.SIGSTOP)
    time.sleep(AWAY_SECONDS)
    stage.service.send(signal.SIGCONT)


def crash_postgres(stage: Stage) -> None:
    """PostgreSQL crashes (stop -m immediate), is away, and is started again."""
    server = _postgres(stage)
    server.stop("immediate")
    stage.await_ready(503, within=HEALED_SECONDS, word="not answering")
    time.sleep(AWAY_SECONDS)
    server.start()


def restart_postgres(stage: Stage) -> None:
    """PostgreSQL is restarted as its keepers do (stop -m fast)."""
    server = _postgres(stage)
    server.stop("fast")
    server.start()


def cut(stage: Stage) -> None:
    """All connections to PostgreSQL end at once, three times."""
    assert stage.wire is not None
    for _ in range(3):
        stage.wire.cut()
        time.sleep(0.3)


def lose_commits(stage: Stage) -> None:
    """PostgreSQL commits and its answer is lost, twenty times."""
    assert stage.wire is not None
    before = stage.wire.lost
    stage.wire.loses = 20
    give_up = time.monotonic() + 10
    while stage.wire.loses > 0 and time.monotonic() < give_up:
        time.sleep(0.02)
    stage.wire.loses = 0
    lost = stage.wire.lost - before
    stage.notes.append(f"answers lost {lost}")
    if lost < 10:
        stage.misses.append("hardly an answer was lost: the round shows nothing")


def freeze_postgres(stage: Stage) -> None:
    """PostgreSQL stands still (SIGSTOP), and goes on."""
    server = _postgres(stage)
    server.freeze()
    began = time.monotonic()
    stage.await_ready(503, within=HEALED_SECONDS)
    time.sleep(max(0.0, FREEZE_SECONDS - (time.monotonic() - began)))
    server.thaw()


def fill_disk(stage: Stage) -> None:
    """Somebody fills the disk, and frees it again."""
    assert stage.disk is not None
    stage.disk.fill()
    stage.await_ready(200, within=HEALED_SECONDS, word="disk is full")
    time.sleep(AWAY_SECONDS)
    stage.disk.free()


Fault = Callable[[Stage], None]

FAULTS: dict[str, tuple[Fault, tuple[str, ...]]] = {
    "kill": (kill, ("sqlite", "postgresql")),
    "stop": (stop, ("sqlite", "postgresql")),
    "freeze": (freeze, ("sqlite", "postgresql")),
    "disk": (fill_disk, ("sqlite", "postgresql")),
    "crash": (crash_postgres, ("postgresql",)),
    "restart": (restart_postgres, ("postgresql",)),
    "cut": (cut, ("postgresql",)),
    "commit": (lose_commits, ("postgresql",)),
    "silence": (freeze_postgres, ("postgresql",)),
}
"""By name: the fault, and the databases it happens to."""


def main() -> int:
    """Print a line for each round; the exit code says whether every promise was kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--faults", nargs="+", choices=FAULTS, default=list(FAULTS))
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument("--shutdown-seconds", default="15", help="as MEMBUDGET_SHUTDOWN_SECONDS")
    parser.add_argument("--folder", type=Path, help="where databases go (default: temp)")
    given = parser.parse_args()
    clean = True
    with workplace(given.folder) as place, ExitStack() as stack:
        server = None
        if "postgresql" in given.databases:
            server = stack.enter_context(postgres(place))
        for database in given.databases:
            asked = [name for name in given.faults if database in FAULTS[name][1]]
            for names in ([n for n in asked if n != "disk"], [n for n in asked if n == "disk"]):
                if names:
                    clean &= play(names, database, place, server, given)
    return int(not clean)


def play(
    names: list[str],
    database: str,
    place: Path,
    server: Postgres | None,
    given: argparse.Namespace,
) -> bool:
    """Rounds of faults on one database that keeps what earlier rounds left."""
    clean = True
    with ExitStack() as stack:
        on_disk = stack.enter_context(disk(DISK_MEGABYTES)) if names == ["disk"] else None
        stage = _stage(stack, database, place, server, on_disk, given.shutdown_seconds)
        stage.service.start()
        stack.callback(stage.service.stop)
        sent = Sent()
        for name, number in ((n, k) for n in names for k in range(1, given.rounds + 1)):
            stage.notes.clear()
            for line in _round(stage, FAULTS[name][0], sent, Told(), f"{name}-{number}"):
                print(f"{database} {name} round {number}: {line}", flush=True)
            clean &= not stage.misses
            stage.misses.clear()
        equal = audit(stage.url, place)
        print(f"{database} audit: {'all figures equal the events' if equal else 'differs'}")
    return clean and equal


def _round(stage: Stage, fault: Fault, sent: Sent, told: Told, prefix: str) -> Iterator[str]:
    with Insistent(stage.service.port, told, prefix).working():
        time.sleep(BEFORE_SECONDS)
        fault(stage)
        mended = time.monotonic()
        healed = _first_after(told, mended)
        time.sleep(AFTER_SECONDS)
    stage.expect("healed after", healed, HEALED_SECONDS)
    if stage.postgres is not None:
        stage.expect("longest answer", told.longest, ANSWERED_SECONDS)
    else:
        stage.notes.append(f"longest answer {told.longest:.1f} s")
    stage.await_ready(200, within=HEALED_SECONDS)
    sent.acknowledged |= told.events
    sent.allocations |= told.allocations
    found = count_up(stage.service.server, sent)
    if not found.is_clean:
        stage.misses.append("the books are not what was acknowledged")
    stage.misses.extend(told.faults[:5])
    refused = {status: count for status, count in told.statuses.items() if status >= 500}
    yield (
        f"acknowledged {found.acknowledged:,} found {found.found:,} double {found.double}"
        f" lost {found.lost} unlike {found.unlike}; unanswered {told.statuses[0]},"
        f" refused {json.dumps(refused)}, degraded {told.degraded}; {', '.join(stage.notes)}"
    )
    for miss in stage.misses:
        yield f"MISSED {miss}"


def _first_after(told: Told, moment: float) -> float:
    """Seconds till something was recorded again."""
    give_up = moment + 60
    while time.monotonic() < give_up:
        later = [at for at in told.acknowledged[-50:] if at >= moment]
        if later:
            return min(later) - moment
        time.sleep(0.01)
    return 60.0


def _stage(
    stack: ExitStack,
    database: str,
    place: Path,
    server: Postgres | None,
    small: Disk | None,
    shutdown_seconds: str,
) -> Stage:
    name = "upset_disk" if small else "upset"
    more = {"MEMBUDGET_SHUTDOWN_SECONDS": shutdown_seconds}
    if database == "sqlite":
        url = f"sqlite:///{small.place if small else place}/{name}.db"
        return Stage(database=database, service=Service(url, place, **more), url=url, disk=small)
    assert server is not None
    with psycopg.connect(server.url, autocommit=True) as admin:
        where = sql.SQL("")
        if small is not None:
            tablespace = sql.SQL("CREATE TABLESPACE small LOCATION {}")
            admin.execute(tablespace.format(sql.Literal(str(small.place))))
            where = sql.SQL("TABLESPACE small")
        admin.execute(sql.SQL("CREATE DATABASE {} {}").format(sql.Identifier(name), where))
    if small is not None:
        stack.callback(_drop, server, name)
    wire = Wire(server.port)
    stack.callback(wire.close)
    return Stage(
        database=database,
        service=Service(server.url_of(name, wire.port), place, **more),
        url=server.url_of(name),
        postgres=server,
        wire=wire,
        disk=small,
    )


def _drop(server: Postgres, name: str) -> None:
    """Drop a database and its tablespace, before their disk goes."""
    with psycopg.connect(server.url, autocommit=True) as admin:
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
        admin.execute("DROP TABLESPACE small")


def _postgres(stage: Stage) -> Postgres:
    assert stage.postgres is not None
    return stage.postgres


if __name__ == "__main__":
    sys.exit(main())
