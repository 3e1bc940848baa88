"""Laws of archives: what was packed is read, and no archive costs more than it may."""

import gzip
import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import InvalidRequest
from app.gateways.archives import MAX_FILE, MAX_MEMBERS, MAX_UNPACKED, is_archive, unpack

NOW = 1_700_000_000_000_000
FORMATS = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)

names = st.text(st.characters(codec="utf-8", exclude_characters="\0/\\"), min_size=1, max_size=60)
paths = st.lists(names, min_size=1, max_size=5).map("/".join).filter(lambda p: p.strip("./"))


def packed(
    *members: tuple[str, bytes], format: int = tarfile.GNU_FORMAT, mtime: float = 0, **more: object
) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            info.mtime = mtime
            for key, value in more.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


@given(
    members=st.lists(st.tuples(paths, st.binary(max_size=2000)), max_size=5),
    format=st.sampled_from(FORMATS[1:]),
    mtime=st.integers(0, NOW // 1_000_000),
    is_zipped=st.booleans(),
)
def test_what_was_packed_is_read(
    members: list[tuple[str, bytes]], format: int, mtime: int, is_zipped: bool
) -> None:
    data = packed(*members, format=format, mtime=mtime)
    files, refused = unpack(gzip.compress(data) if is_zipped else data, now=NOW)

    assert refused == []
    assert [(one.path, one.data) for one in files] == members
    assert {one.modified_at for one in files} <= {mtime * 1_000_000}


def test_the_plainest_format_is_read_with_its_long_names() -> None:
    name = "/".join(["folder"] * 20) + "/file.md"
    files, _ = unpack(packed((name, b"x"), format=tarfile.USTAR_FORMAT), now=NOW)

    assert [one.path for one in files] == [name]


@pytest.mark.parametrize("type_", [b"1", b"2", b"3", b"4", b"6", b"S", b"9"])
def test_what_is_no_plain_file_is_named(type_: bytes) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        odd = tarfile.TarInfo("patterns/odd.md")
        odd.type, odd.linkname = type_, "/etc/passwd"
        archive.addfile(odd)
        archive.addfile(tarfile.TarInfo("patterns/good.md"))
    files, refused = unpack(buffer.getvalue(), now=NOW)

    assert [one.path for one in files] == ["patterns/good.md"]
    assert [one.path for one in refused] == ["patterns/odd.md"]


@pytest.mark.parametrize("start", [b"PK\x03\x04", b"BZh9", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"])
def test_other_kinds_of_archives_are_refused_by_their_beginning(start: bytes) -> None:
    assert is_archive(start)
    with pytest.raises(InvalidRequest, match=r"taken as \.tar\.gz"):
        unpack(start + bytes(100), now=NOW)


def test_a_large_file_is_named_and_not_read() -> None:
    data = packed(("large.md", bytes(MAX_FILE + 1)), ("good.md", b"x"))
    files, refused = unpack(gzip.compress(data), now=NOW)

    assert [one.path for one in files] == ["good.md"]
    assert [one.path for one in refused] == ["large.md"]


def test_a_sparse_file_is_named() -> None:
    data = packed(("a.md", b"x"), format=tarfile.PAX_FORMAT, pax_headers={"GNU.sparse.major": "1"})
    assert [one.path for one in unpack(data, now=NOW)[1]] == ["a.md"]


@pytest.mark.parametrize("mtime", ["nan", "inf", "-1", "1e400", "99999999999999999999"])
def test_a_time_that_cannot_be_is_now(mtime: str) -> None:
    data = packed(("a.md", b"x"), format=tarfile.PAX_FORMAT, pax_headers={"mtime": mtime})
    files, _ = unpack(data, now=NOW)

    assert [one.modified_at for one in files] == [NOW]


def test_an_archive_that_is_cut_off_is_refused_whole() -> None:
    whole = gzip.compress(packed(*((f"{n}.md", bytes(700)) for n in range(30))))
    for length in range(2, len(whole) - 1, 7):
        with pytest.raises(InvalidRequest, match="no whole"):
            unpack(whole[:length], now=NOW)


@given(data=st.data())
def test_damage_is_refused_or_harmless(data: st.DataObject) -> None:
    whole = bytearray(packed(("patterns/a.md", b"x" * 600), ("b.md", b"y")))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        files, refused = unpack(bytes(whole), now=NOW)
    except InvalidRequest:
        return
    assert len(files) + len(refused) <= 2


def test_damaged_contents_of_a_compressed_archive_are_refused() -> None:
    whole = bytearray(gzip.compress(packed(("a.md", b"x" * 600)), compresslevel=0))
    whole[whole.index(b"xxx") + 1] = ord("y")
    with pytest.raises(InvalidRequest):
        unpack(bytes(whole), now=NOW)


def test_a_bomb_is_refused() -> None:
    header = packed(("a.md", b""))[:512]
    size = MAX_UNPACKED * 4
    forged = header[:124] + f"{size:011o}".encode() + b"\0" + header[136:]
    forged = forged[:148] + b" " * 8 + forged[156:]
    forged = forged[:148] + f"{sum(forged):06o}\0 ".encode() + forged[156:]
    for bomb in (forged, forged + bytes(MAX_UNPACKED)):
        with pytest.raises(InvalidRequest, match="unpacks to more"):
            unpack(gzip.compress(bomb, compresslevel=1), now=NOW)


def test_zeros_behind_an_archive_are_bounded_too() -> None:
    with pytest.raises(InvalidRequest, match="unpacks to more"):
        unpack(gzip.compress(bytes(MAX_UNPACKED + 1024), compresslevel=1), now=NOW)


def test_more_members_than_a_tree_has_are_refused() -> None:
    header = packed(("a.md", b""))[:512]
    with pytest.raises(InvalidRequest, match="members"):
        unpack(gzip.compress(header * (MAX_MEMBERS + 1) + bytes(1024)), now=NOW)


def test_extensions_without_end_are_refused() -> None:
    note = packed(("x" * 200, b""))[: 3 * 512]
    assert note[156] == ord("L")
    with pytest.raises(InvalidRequest, match="no whole"):
        unpack(gzip.compress(note[:1024] * 100 + bytes(1024)), now=NOW)


@pytest.mark.parametrize(
    "record", [b"0 path=x\n", b"99999 path=x\n", b"11 path=xyz", b"\xff x=1\n"]
)
def test_records_that_lie_about_their_length_are_refused(record: bytes) -> None:
    data = bytearray(packed(("a" * 200, b""), format=tarfile.PAX_FORMAT))
    assert data[156] == ord("x")
    data[512:1024] = record.ljust(512, b"\0")
    with pytest.raises(InvalidRequest, match="no whole"):
        unpack(bytes(data), now=NOW)


def test_an_archive_is_known_by_how_it_begins() -> None:
    data = packed(("a.md", b"x"))
    assert is_archive(data)
    assert is_archive(gzip.compress(data))
    assert not is_archive(b'{"text": "a"}\n' * 100)
    assert not is_archive(b"")
