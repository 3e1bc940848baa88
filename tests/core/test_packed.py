"""Laws of packed scopes: what is joined is merged, what is unpacked is what was packed."""

from hypothesis import given
from hypothesis import strategies as st

from app.core.packed import pack, unpack
from app.core.usage import SCOPE, Cell, UsageEvent, fold_hours
from tests.core.runs import runs


def scopes_of(events: list[UsageEvent]) -> dict[str, Cell]:
    """The scopes of events, whatever their agent and hour."""
    found: dict[str, Cell] = {}
    for (family, _, _, _, scope, _), cell in fold_hours(events).items():
        if family == SCOPE:
            found.setdefault(scope, Cell()).add(cell)
    return found


@given(st.lists(st.lists(runs, max_size=6), max_size=4))
def test_joined_encodings_are_the_merged_scopes(batches: list[list[UsageEvent]]) -> None:
    joined = b"".join(pack(scopes_of(events).items()) for events in batches)

    together = scopes_of([event for events in batches for event in events])
    assert unpack(joined) == together
    assert unpack(pack(unpack(joined).items())) == together


@given(st.lists(runs, max_size=20))
def test_packing_again_changes_nothing(events: list[UsageEvent]) -> None:
    joined = b"".join(pack(scopes_of([event]).items()) for event in events)

    once = pack(unpack(joined).items())

    assert pack(unpack(once).items()) == once
    assert unpack(once) == scopes_of(events)
