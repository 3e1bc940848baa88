"""A folder of backups holds whole files only, and knows its own."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.core.backups import Manifest, from_line, to_line
from app.core.errors import BackupDamaged, NotFound, Unavailable
from app.gateways.backups import ABANDONED_SECONDS, BackupFolder

MANIFEST = Manifest(id="", created_at=1, schema="1", tables={"t": 2})


def id_of(number: int) -> str:
    return f"bak_{number:022d}_ae98hkdt"


def first_line(number: int) -> bytes:
    return to_line(Manifest(id=id_of(number), created_at=1, schema="1", tables={"t": 2}))


@pytest.fixture
def folder(tmp_path: Path) -> BackupFolder:
    return BackupFolder(tmp_path / "not" / "there" / "yet")


names = st.text(max_size=30)


@given(
    id_=names,
    at=st.integers(-(2**62), 2**62),
    schema=names,
    tables=st.dictionaries(names, st.integers(0, 2**40), max_size=5),
)
def test_a_manifest_is_read_as_it_was_written(
    id_: str, at: int, schema: str, tables: dict[str, int]
) -> None:
    manifest = Manifest(id=id_, created_at=at, schema=schema, tables=tables)
    assert from_line(to_line(manifest)) == manifest


@given(line=st.binary(max_size=40) | st.sampled_from([b"[]", b"1", b"null", b"{}", b'"x"']))
def test_what_is_no_manifest_is_damaged(line: bytes) -> None:
    with pytest.raises(BackupDamaged):
        from_line(line)


@given(lines=st.lists(st.binary(max_size=50).map(lambda line: line.replace(b"\n", b"") + b"\n")))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
def test_lines_come_back_as_they_went(folder: BackupFolder, lines: list[bytes]) -> None:
    kept = folder.write(id_of(len(folder.newest_first())), [MANIFEST_LINE, *lines])
    assert folder.verify(kept)
    assert list(folder.lines(kept)) == lines


MANIFEST_LINE = to_line(MANIFEST)


def test_a_write_that_fails_leaves_nothing(folder: BackupFolder) -> None:
    def lines() -> Iterator[bytes]:
        yield first_line(1)
        raise Unavailable("the database went away")

    with pytest.raises(Unavailable):
        folder.write(id_of(1), lines())
    assert list(folder.path.iterdir()) == []


def test_only_whole_files_of_its_own_are_listed(folder: BackupFolder, tmp_path: Path) -> None:
    assert folder.newest_first() == []
    old, new = (folder.write(id_of(number), [first_line(number)]) for number in (1, 2))
    (folder.path / "notes.txt").write_text("mine")
    (folder.path / f".{id_of(3)}.part").write_bytes(b"growing")
    (folder.path / old.path.name.replace(old.id, id_of(4))).symlink_to("/etc/passwd")
    (folder.path / old.path.name.replace(old.id, id_of(5))).mkdir()

    assert folder.newest_first() == [new, old]
    for unknown in (id_of(3), id_of(4), id_of(5), "../x", "notes.txt", ""):
        with pytest.raises(NotFound):
            folder.find(unknown)


def test_a_file_under_the_name_of_another_is_damaged(folder: BackupFolder) -> None:
    kept = folder.write(id_of(1), [first_line(1)])
    kept.path.rename(folder.path / kept.path.name.replace(kept.id, id_of(2)))
    with pytest.raises(BackupDamaged):
        folder.manifest(folder.find(id_of(2)))


def test_a_change_of_bytes_is_seen_after_they_were_right(folder: BackupFolder) -> None:
    kept = folder.write(id_of(1), [first_line(1)])
    assert folder.is_intact(kept)
    kept.path.write_bytes(kept.path.read_bytes()[:-1])
    assert not folder.is_intact(folder.find(id_of(1)))


def test_backups_are_for_their_owner_only(folder: BackupFolder) -> None:
    kept = folder.write(id_of(1), [first_line(1)])
    assert kept.path.stat().st_mode & 0o077 == 0


def test_pruning_keeps_the_newest_and_what_is_being_written(folder: BackupFolder) -> None:
    written = [folder.write(id_of(number), [first_line(number)]) for number in range(4)]
    growing, abandoned = (folder.path / f".{id_of(number)}.part" for number in (8, 9))
    long_ago = time.time() - ABANDONED_SECONDS - 60
    for path in (growing, abandoned):
        path.write_bytes(b"half")
    os.utime(abandoned, (long_ago, long_ago))

    folder.prune(2)

    assert folder.newest_first() == [written[3], written[2]]
    assert growing.exists()
    assert not abandoned.exists()
