"""Laws of packed scopes: what is joined is merged, what is unpacked is what was packed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.packed import pack, unpack, unpack_tokens
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


@given(st.lists(st.lists(runs, max_size=6), max_size=4))
def test_tokens_alone_are_those_of_the_scopes(batches: list[list[UsageEvent]]) -> None:
    joined = b"".join(pack(scopes_of(events).items()) for events in batches)

    assert unpack_tokens(joined) == {
        scope: cell.used + cell.unbudgeted for scope, cell in unpack(joined).items()
    }


@given(st.lists(runs, min_size=1, max_size=6), st.integers(1, 400))
def test_what_is_cut_off_is_refused_the_same_by_both(events: list[UsageEvent], cut: int) -> None:
    short = pack(scopes_of(events).items())[:-cut]

    try:
        told = {scope: cell.used + cell.unbudgeted for scope, cell in unpack(short).items()}
    except ValueError:
        with pytest.raises(ValueError, match="packed scopes"):
            unpack_tokens(short)
    else:
        assert unpack_tokens(short) == told
