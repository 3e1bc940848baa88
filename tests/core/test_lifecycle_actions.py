"""Laws of actions: what was done can be taken back exactly, and only while it still holds."""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import from_json, to_json

from app.core.lifecycle import Edit, Proposal
from app.core.lifecycle_actions import Deed, Step, do, is_as_seen, steps_of, undo
from app.core.memory import Memory, content_of
from tests.core.cards import NOW_MICROS, card

names = st.sampled_from(["roles/a", "specialists/b", "roles/c"])

FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "agent": st.none() | names,
    "scope": st.none() | st.sampled_from(["global", "working"]),
    "path": st.none() | st.text(max_size=9),
    "used_by_agents": st.lists(names, max_size=3).map(tuple),
    "state": st.sampled_from(["active", "archived", "deleted"]),
    "text": st.text(min_size=1, max_size=9),
    "metadata": st.dictionaries(st.text(max_size=3), st.integers() | st.lists(st.none())),
}

edits = st.fixed_dictionaries({}, optional=FIELDS)
memories = st.fixed_dictionaries(FIELDS).map(
    lambda fields: Memory(id="m", workspace="w", created_at=1, modified_at=2, state_at=3, **fields)
)


def step(memory: Memory, fields: dict[str, Any]) -> Step:
    seen = card(
        "m",
        content=content_of(memory.text),
        agent=memory.agent,
        scope=memory.scope,
        path=memory.path,
        project=memory.project,
    )
    proposal = Proposal(memory_id="m", score=1.0, reason="because", source="now", target="then")
    return Step(seen=seen, edit=Edit(memory_id="m", fields=fields), proposal=proposal)


def stored(deed: Deed) -> Deed:
    """A deed as it comes back from the database."""
    return replace(
        deed, before=from_json(to_json(deed.before)), after=from_json(to_json(deed.after))
    )


@given(memories, edits)
def test_what_was_done_is_taken_back_exactly(memory: Memory, fields: dict[str, Any]) -> None:
    after, deed = do(memory, step(memory, fields), NOW_MICROS)
    assert undo(after, stored(deed)) == memory


@given(memories, edits, edits)
def test_it_is_taken_back_only_while_it_still_holds(
    memory: Memory, fields: dict[str, Any], later: dict[str, Any]
) -> None:
    after, deed = do(memory, step(memory, fields), NOW_MICROS)
    changed = replace(after, **later)
    touched = [name for name in fields if getattr(changed, name) != getattr(after, name)]
    assert (undo(changed, stored(deed)) is None) is bool(touched)


@given(memories, edits)
def test_new_metadata_joins_what_there_is(memory: Memory, fields: dict[str, Any]) -> None:
    after, _ = do(memory, step(memory, fields), NOW_MICROS)
    assert after.metadata == {**memory.metadata, **fields.get("metadata", {})}


@given(memories, edits)
def test_a_memory_is_as_seen_until_its_place_or_text_changes(
    memory: Memory, fields: dict[str, Any]
) -> None:
    seen = step(memory, {}).seen
    changed = replace(memory, **{"state": "active", **fields})
    kept = ("agent", "scope", "path", "text")
    same = all(getattr(changed, name) == getattr(memory, name) for name in kept)
    assert is_as_seen(changed, seen) is (same and changed.state == "active")


def test_a_memory_that_is_gone_cannot_come_back() -> None:
    _, deed = do(
        Memory(id="m", workspace="w", text="t", created_at=1, modified_at=1),
        step(Memory(id="m", workspace="w", text="t", created_at=1, modified_at=1), {}),
        NOW_MICROS,
    )
    assert undo(None, deed) is None


def test_a_memory_is_changed_once_an_action() -> None:
    first, second = (
        Proposal(
            memory_id="m",
            score=1.0,
            reason=reason,
            edits=(Edit(memory_id="m", fields={"scope": reason}),),
        )
        for reason in ("one", "two")
    )
    (only,) = steps_of([first, second], {"m": card("m")})
    assert only.edit.fields == {"scope": "one"}
