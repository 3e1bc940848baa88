"""State what a key may do, where, and until when."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import BoundKey, InvalidRequest, MissingScope, NotFound
from app.core.keys import (
    MAX_GRACE_SECONDS,
    RIGHTS,
    SECOND,
    Key,
    LastAdminKey,
    WorkspaceNeeded,
    admit,
    digest_of,
    home_of,
    may,
    reaches,
    require_reach,
    require_right,
    require_spare,
    rotated,
    secrets_of,
)

NOW = 1_800_000_000_000_000
rights = st.sets(st.sampled_from(RIGHTS), min_size=1)
names = st.text("abc", min_size=1, max_size=3)
places = st.lists(names, max_size=3, unique=True).map(sorted)
ends = st.none() | st.integers(NOW - 10, NOW + 10)


def key(**fields: object) -> Key:
    made = Key(
        id="key_1",
        name="k",
        rights=frozenset({"admin"}),
        workspaces=(),
        created_at=NOW - 100,
        expires_at=None,
        digest=digest_of("one"),
    )
    return replace(made, **fields)


@given(rights, st.sets(st.sampled_from(RIGHTS)))
def test_admin_has_every_right_and_others_what_they_name(held: set[str], needed: set[str]) -> None:
    one = key(rights=frozenset(held))
    assert may(one, needed) == ("admin" in held or bool(held & needed))


@given(rights, places, st.sets(st.sampled_from(RIGHTS)), st.booleans())
def test_what_is_about_the_whole_house_is_nothing_for_bound_keys(
    held: set[str], bound: list[str], needed: set[str], whole: bool
) -> None:
    one = key(rights=frozenset(held), workspaces=tuple(bound))
    refused = None
    try:
        require_right(one, needed, whole_house=whole)
    except (MissingScope, BoundKey) as error:
        refused = type(error)
    if not may(one, needed):
        assert refused is MissingScope
    else:
        assert refused is (BoundKey if whole and bound else None)


@given(places, names)
def test_a_bound_key_reaches_its_workspaces_and_no_other(bound: list[str], wanted: str) -> None:
    one = key(workspaces=tuple(bound))
    assert reaches(None, wanted)
    assert reaches(one, wanted) == (not bound or wanted in bound)
    if not reaches(one, wanted):
        with pytest.raises(NotFound) as caught:
            require_reach(one, wanted)
        assert wanted not in caught.value.detail.split()


@given(places)
def test_the_home_of_a_key_is_within_its_reach(bound: list[str]) -> None:
    one = key(workspaces=tuple(bound))
    try:
        home = home_of(one)
    except WorkspaceNeeded:
        assert len(bound) > 1
        assert "default" not in bound
    else:
        assert reaches(one, home)
        assert home == ("default" if len(bound) != 1 else bound[0])


def test_of_several_workspaces_default_is_the_home() -> None:
    assert home_of(key(workspaces=("a", "default"))) == "default"
    assert home_of(None) == "default"


@given(ends, st.integers(0, MAX_GRACE_SECONDS), st.integers(0, MAX_GRACE_SECONDS))
def test_at_most_two_secrets_are_good_and_none_beyond_the_keys_end(
    expires_at: int | None, first: int, second: int
) -> None:
    one = key(expires_at=expires_at)
    two = rotated(one, digest_of("two"), grace_seconds=first, now=NOW)
    three = rotated(two, digest_of("three"), grace_seconds=second, now=NOW + 5)
    good = dict(secrets_of(two))
    assert good[digest_of("two")] == expires_at
    assert (digest_of("one") in good) == (first > 0)
    if first:
        until = NOW + first * SECOND
        assert good[digest_of("one")] == (until if expires_at is None else min(until, expires_at))
    assert digest_of("one") not in dict(secrets_of(three))
    assert len(secrets_of(three)) == (2 if second else 1)


@given(
    st.lists(st.tuples(rights, places, ends), max_size=4),
    st.tuples(rights, places, ends),
    st.booleans(),
)
def test_there_is_always_a_key_that_can_make_keys(
    held: list[tuple[set[str], list[str], int | None]],
    new: tuple[set[str], list[str], int | None],
    has_setting: bool,
) -> None:
    def made(number: int, of: tuple[set[str], list[str], int | None]) -> Key:
        return key(
            id=f"key_{number}",
            rights=frozenset(of[0]),
            workspaces=tuple(of[1]),
            expires_at=of[2],
        )

    kept: list[Key] = []
    for number, one in enumerate([*held, new]):
        try:
            admit(made(number, one), kept, has_setting=has_setting, now=NOW)
        except InvalidRequest:
            continue
        kept.append(made(number, one))
    while kept:
        for one in list(kept):
            try:
                require_spare(one, kept, has_setting=has_setting)
            except LastAdminKey:
                continue
            kept.remove(one)
            break
        else:
            break
    lasting = [one for one in kept if "admin" in one.rights and not one.workspaces]
    assert len(kept) in (0, 1)
    assert len(lasting) == len(kept)
    assert not (has_setting and kept)
