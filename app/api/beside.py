"""Read long lists of usage events in a process of its own, so that the service's has time to book.

A group of bodies comes in; rows of their events go out, and what those of a workspace come to
together. Whatever cannot be read is left to the service, which says what is wrong with it.
"""

import marshal
import pickle
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from app.api.reach import asked_by, home
from app.api.schemas.cloudevents import CLOUDEVENTS, read_cloudevents
from app.api.schemas.usage import UsageEventIn, read_events, to_event
from app.core.counting import pairs_in
from app.core.keys import DEFAULT_WORKSPACE, Key
from app.core.price_overrides import Stated, stated_price
from app.core.pricing import Price, Service
from app.core.unread import Found, Group, Identity, Named, Together, Unread
from app.core.usage import UsageEvent, fold_hours
from app.store.usage_rows import rows_of, to_row

Listed = Callable[[str, int, Service], Price | None]
"""model, moment, service → the published price."""

Ask = Callable[[list[Named]], Sequence[Identity]]
"""Whom the service knows under names."""

MOST_NAMES = 100_000


@dataclass(slots=True)
class Reader:
    """What a process that reads keeps between groups."""

    new_id: Callable[[str, str], str]
    listed: Listed
    _names: dict[Named, Identity] = field(default_factory=dict)
    _stated: Stated = field(default_factory=dict)

    def answer(self, message: bytes, ask: Callable[[bytes], bytes]) -> bytes:
        """What a group comes to; `ask` puts a question to the service meanwhile."""

        def identities(names: list[Named]) -> Sequence[Identity]:
            known: Sequence[Identity] = marshal.loads(ask(marshal.dumps(names)))
            return known

        group: Group = pickle.loads(message)  # the service wrote it, nobody else
        return marshal.dumps(self.read(group, identities))

    def read(self, group: Group, ask: Ask) -> Found:
        """Read a group."""
        if group.stated is not None:
            self._stated = group.stated
        if group.forgets or len(self._names) > MOST_NAMES:
            self._names.clear()
        given = [_given(body) for body in group.bodies]
        named = {name for one in given if one is not None for name in one.names}
        unknown = [name for name in named if name not in self._names]
        if unknown:
            self._names.update(zip(unknown, ask(unknown), strict=True))
        lists = [
            None if one is None else self._events(one.events, body)
            for one, body in zip(given, group.bodies, strict=True)
        ]
        rows = [None if events is None else list(map(to_row, events)) for events in lists]
        return rows, together(lists), [(name, self._names[name]) for name in named]

    def _events(self, given: Sequence[UsageEventIn], body: Unread) -> list[UsageEvent] | None:
        with _asked_by(body.key):
            try:
                return [
                    to_event(
                        one,
                        index=index,
                        identify=self._identify,
                        new_id=self.new_id,
                        now=body.now,
                        price_of=self._price,
                    )
                    for index, one in enumerate(given)
                ]
            except Exception:  # noqa: BLE001 (the service reads it again, and says what is wrong)
                return None

    def _identify(self, workspace: str, agent: str, agent_type: str | None) -> Identity:
        return self._names[workspace, agent, agent_type]

    def _price(self, workspace: str, model: str, at: int, service: Service) -> Price | None:
        own = stated_price(self._stated, (workspace, DEFAULT_WORKSPACE), model, at, service)
        return self.listed(model, at, service) if own is None else own


@dataclass(frozen=True, slots=True)
class _Given:
    events: Sequence[UsageEventIn]
    names: set[Named]


def _given(body: Unread) -> _Given | None:
    """The events of a body as they were sent, and whom they name; None where it is refused."""
    read = read_cloudevents if body.kind.startswith(CLOUDEVENTS) else read_events
    with _asked_by(body.key):
        try:
            events = read(body.raw)
            names = {
                (one.get("workspace") or home(), one["agent"], one.get("agent_type"))
                for one in events
            }
        except Exception:  # noqa: BLE001 (the service reads it again, and says what is wrong)
            return None
    return _Given(events, names)


def _asked_by(key: Key | None) -> AbstractContextManager[None]:
    return nullcontext() if key is None else asked_by(key)


def together(lists: Sequence[Sequence[UsageEvent] | None]) -> list[Together]:
    """What lists of one workspace come to, as far as each of their events only adds to it."""
    shares: defaultdict[str, list[int]] = defaultdict(list)
    ids: defaultdict[str, set[str]] = defaultdict(set)
    for number, events in enumerate(lists):
        if not events or not _only_adds(events):
            continue
        workspace = events[0].workspace
        its = {event.id for event in events}
        if len(its) == len(events) and ids[workspace].isdisjoint(its):
            ids[workspace] |= its
            shares[workspace].append(number)
    found: list[Together] = []
    for workspace, numbers in shares.items():
        events = [event for number in numbers for event in lists[number] or ()]
        cells = rows_of(workspace, fold_hours(events))
        moments = [event.at for event in events]
        found.append((workspace, numbers, cells, min(moments), max(moments)))
    return found


def _only_adds(events: Sequence[UsageEvent]) -> bool:
    """Whether all are of one workspace, end no allocation and teach nothing of counting."""
    workspace = events[0].workspace
    if any(one.workspace != workspace or one.allocation_id is not None for one in events):
        return False
    return not pairs_in(events)
