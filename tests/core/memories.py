"""Strategies of memories, for tests of whatever carries them."""

from typing import Any

from hypothesis import strategies as st

from app.core.memory import Candidate

names = st.text("ab-é", min_size=1, max_size=4)
shares = st.floats(0, 1)


def candidates(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Candidate]:
    """Candidates with these fields drawn; the others are as a request leaves them out."""
    return st.fixed_dictionaries(fields).map(lambda given: Candidate(**given))


def memory_fields(moments: st.SearchStrategy[int]) -> dict[str, st.SearchStrategy[Any]]:
    """What a memory may have besides its id, text, metadata and state."""
    return {
        "created_at": moments,
        "modified_at": moments,
        "project": st.none() | names,
        "agent": st.none() | names,
        "scope": st.none() | names,
        "path": st.none() | names,
        "last_accessed_at": st.none() | moments,
        "access_count": st.integers(0, 2**53),
        "importance": shares,
        "confidence": st.none() | shares,
        "relevance": st.none() | shares,
        "used_by_agents": st.lists(names, max_size=2).map(tuple),
        "session": st.none() | names,
        "speaker": st.none() | names,
        "position": st.none() | st.integers(-(2**53), 2**53),
        "pinned": st.booleans(),
        "group": st.none() | names,
        "expires_at": st.none() | moments,
        "embedding": st.none()
        | st.lists(
            st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=3
        ).map(tuple),
    }
