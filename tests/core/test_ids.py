"""Laws of ids: each ends in its workspace's tag, which says where to look for it."""

from hypothesis import given
from hypothesis import strategies as st

from app.clock import new_id
from app.core.ids import ALPHABET, TAG_LENGTH, base32, event_id_of, tag_in, tag_of

workspaces = st.text(min_size=1, max_size=40).filter(lambda name: name.isprintable())


@given(workspace=workspaces)
def test_an_id_names_its_workspace(workspace: str) -> None:
    assert tag_in(new_id("use", workspace)) == tag_of(workspace)


@given(workspace=workspaces)
def test_a_tag_is_five_letters_of_the_alphabet(workspace: str) -> None:
    tag = tag_of(workspace)

    assert len(tag) == TAG_LENGTH
    assert set(tag) <= set(ALPHABET)


def test_few_of_many_workspaces_share_a_tag() -> None:
    tags = {tag_of(f"workspace-{number}") for number in range(10_000)}

    assert len(tags) >= 9_990


def test_tags_never_change() -> None:
    assert [tag_of(name) for name in ("default", "legal", "ü")] == [
        "dc0vv2d8",
        "gwjwdmsm",
        "8hfsq4jh",
    ]


@given(one=st.integers(0, 32**10 - 1), other=st.integers(0, 32**10 - 1))
def test_base_32_sorts_like_its_numbers(one: int, other: int) -> None:
    assert (base32(one, 10) < base32(other, 10)) == (one < other)


def test_a_foreign_id_has_no_tag() -> None:
    for foreign in ("", "use", "abcde", "use_", "use_abc", "my-run-0001"):
        assert tag_in(foreign) is None


def test_the_event_of_an_allocation_follows_from_its_id() -> None:
    allocation = new_id("alc", "legal")

    assert event_id_of(allocation) == allocation.replace("alc_", "use_")
    assert tag_in(event_id_of(allocation)) == tag_of("legal")


def test_ids_of_later_moments_sort_later() -> None:
    ids = [new_id("use", "legal") for _ in range(200)]

    stamps = [one[: len("use_") + 10] for one in ids]
    assert stamps == sorted(stamps)
    assert len(set(ids)) == len(ids)
