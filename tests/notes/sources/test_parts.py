"""Zips within a zip that are parts of it: read as one vault, trusting them no more than the outer one."""

import io
import stat
import struct
import warnings
import zipfile

import pytest

from kjxlkj.notes.sources import NOTION
from kjxlkj.notes.vault import AttachmentFile, Limits, NoteFile, Refused, look_into, read_vault
from tests.notes.sources.conftest import packed

ONE, TWO = "Part-1.zip", "Part-2.zip"


def read(path, **limits):
    """Path to content, and path to code of refusal."""
    taken, refused = {}, {}
    for entry in read_vault(path, Limits(**limits), NOTION.shape):
        if isinstance(entry, NoteFile):
            taken[entry.path] = entry.text.encode()
        elif isinstance(entry, AttachmentFile):
            with entry.open() as stream:
                taken[entry.path] = stream.read()
        elif isinstance(entry, Refused):
            refused[entry.path] = entry.code
    return taken, refused


@pytest.fixture(params=["vault", "vault.zip"])
def vault(request, laid_out):
    return lambda files: laid_out(files, request.param)


def test_their_files_stand_in_their_place(vault):
    inner = packed({"a.md": "x"})
    path = vault({ONE: packed({"p/a.md": "1", "b.png": "2", "own.zip": inner}), f"sub/{TWO}": packed({"c.md": "3"})})
    taken, refused = read(path)
    assert taken == {"p/a.md": b"1", "b.png": b"2", "own.zip": inner, "sub/c.md": b"3"}
    assert not refused
    assert sorted(look_into(path, lambda name: False, None, NOTION.shape).names) == sorted(taken)


def test_other_sources_keep_a_zip_as_a_file(vault):
    path = vault({ONE: packed({"a.md": "1"})})
    assert [type(entry) for entry in read_vault(path)] == [AttachmentFile]


def test_a_name_in_two_parts_is_taken_once(vault):
    taken, refused = read(vault({ONE: packed({"a.md": "1"}), TWO: packed({"a.md": "2"})}))
    assert taken == {"a.md": b"1"}
    assert refused == {"a.md": "DUPLICATE_NAME"}


def test_no_path_of_a_part_leads_out(vault):
    taken, refused = read(
        vault({f"sub/{ONE}": packed({"../../x.md": "1", "/y.md": "2", "C:/z.md": "3", "ok.md": "4"})})
    )
    assert taken == {"sub/ok.md": b"4"}
    assert set(refused.values()) == {"PATH_UNSAFE"}


def test_a_link_in_a_part_is_refused(vault):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        link = zipfile.ZipInfo("l.md")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    assert read(vault({ONE: buffer.getvalue()})) == ({}, {"l.md": "SYMLINK_OUTSIDE"})


@pytest.mark.parametrize(
    "content",
    [b"", b"no zip", packed({"a.md": "x"})[:-30], packed({"a.md": "x" * 99})[20:]],
    ids=["empty", "no zip", "without end", "without beginning"],
)
def test_a_damaged_part_is_named_and_stops_nothing(vault, content):
    taken, refused = read(vault({ONE: content, TWO: packed({"b.md": "2"}), "c.md": "3"}))
    assert {path: taken[path] for path in ("b.md", "c.md")} == {"b.md": b"2", "c.md": b"3"}
    assert refused.get(ONE, "DAMAGED") == "DAMAGED"


def test_a_bomb_in_a_part_goes_off_nowhere(laid_out):
    bomb = packed({f"{number}.bin": b"\0" * 3_000_000 for number in range(9)})
    path = laid_out({ONE: bomb, TWO: bomb, "z.md": "z"}, "vault.zip")
    taken, refused = read(path, ratio=10, ratio_from=4_000_000)
    assert "ZIP_BOMB" in refused.values()
    assert sum(map(len, taken.values())) <= 4_000_000


def test_parts_of_parts_are_files(vault):
    deep = packed({"a.md": "x"})
    for _ in range(5):
        deep = packed({ONE: deep})
    taken, _ = read(vault({ONE: deep}))
    assert list(taken) == [ONE]
    assert zipfile.is_zipfile(io.BytesIO(taken[ONE]))


def test_more_entries_than_the_limit_are_refused(vault):
    path = vault({ONE: packed({f"{number}.md": "x" for number in range(9)})})
    assert read(path, entries=5) == ({}, {ONE: "VAULT_TOO_LARGE"})


def test_the_entries_of_all_parts_count_together(vault):
    halves = [packed({f"{half}{number}.md": "x" for number in range(3)}) for half in "ab"]
    taken, refused = read(vault({ONE: halves[0], TWO: halves[1]}), entries=5)
    assert list(taken) == ["a0.md", "a1.md", "a2.md"]
    assert refused == {TWO: "VAULT_TOO_LARGE"}


def test_a_name_twice_in_a_part_and_a_long_one_are_refused(vault):
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w") as archive:
        warnings.simplefilter("ignore")
        archive.writestr("a.md", "1")
        archive.writestr("a.md", "2")
        archive.writestr("x" * 300 + ".md", "3")
    taken, refused = read(vault({f"sub/{ONE}": buffer.getvalue()}))
    assert taken == {"sub/a.md": b"1"}
    assert sorted(refused.values()) == ["DUPLICATE_NAME", "NAME_TOO_LONG"]


def test_an_encrypted_entry_of_a_part_is_refused(vault):
    data = bytearray(packed({"a.md": "1"}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.index(signature) + offset
        data[at : at + 2] = struct.pack("<H", 1)
    assert read(vault({ONE: bytes(data)})) == ({}, {"a.md": "ENCRYPTED"})
