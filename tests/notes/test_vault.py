import io
import os
import stat
import struct
import tempfile
import warnings
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kjxlkj.notes.front_matter import split
from kjxlkj.notes.vault import (
    AttachmentFile,
    Limits,
    NoteFile,
    Refused,
    Shape,
    Skipped,
    VaultError,
    is_note,
    is_skipped,
    read_vault,
)

NOBODY = 65534


def fill(root, files):
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    return root


def pack(target, files):
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return target


def entries_of(path) -> Any:
    return read_vault(path)


def content(entry):
    if isinstance(entry, NoteFile):
        return entry.text.encode()
    with entry.open() as stream:
        return stream.read()


def taken(path, **limits):
    """Path to bytes, read while the vault is open."""
    entries = read_vault(path, Limits(**limits))
    return {entry.path: content(entry) for entry in entries if isinstance(entry, NoteFile | AttachmentFile)}


def refused(path, **limits):
    return {e.path: e.code for e in read_vault(path, Limits(**limits)) if isinstance(e, Refused)}


@pytest.fixture(params=["folder", "zip"])
def vault(request, tmp_path):
    """Makes a vault of the same files in each of the two forms."""

    def make(files):
        return fill(tmp_path / "v", files) if request.param == "folder" else pack(tmp_path / "v.zip", files)

    return make


FILES = {
    "a b.md": b"\xef\xbb\xbf---\r\na: 1\r\n---\r\nx",
    "a/b.md": b"no final newline",
    "a/c.Markdown": b"",
    "a/picture.png": b"\x89PNG\0\xff",
    "a.md": "été 😀".encode(),
    "deep/er/note.md": b"y\n",
    "Cafe\u0301.md": b"decomposed",
    "Caf\u00e9.md": b"composed",
    'what? "is": this|*.md': b"not for Windows",
}


@contextmanager
def unprivileged_folder():
    """Root may read everything: as root, the block runs as nobody, in a folder of theirs."""
    with tempfile.TemporaryDirectory() as name:
        root = os.geteuid() == 0
        if root:
            os.chown(name, NOBODY, NOBODY)
            os.seteuid(NOBODY)
        try:
            yield Path(name)
        finally:
            if root:
                os.seteuid(0)


class TestWhatIsTaken:
    def test_every_byte_comes_back_in_the_order_of_the_paths(self, vault):
        got = taken(vault(FILES))
        assert got == FILES
        assert list(got) == sorted(FILES)

    def test_notes_and_attachments_are_told_apart(self, vault):
        kinds = {entry.path: type(entry) for entry in read_vault(vault(FILES))}
        assert kinds == {path: AttachmentFile if path.endswith("png") else NoteFile for path in FILES}

    def test_a_single_folder_at_the_top_is_kept(self, vault):
        assert list(taken(vault({"top/a.md": b"x"}))) == ["top/a.md"]

    def test_what_belongs_to_tools_or_is_hidden_is_counted_and_left(self, vault):
        hidden = [".git/config", ".obsidian/plugins/README.md", "a/.trash/x.md", ".DS_Store", "__MACOSX/._a.md", ".env"]
        files = dict.fromkeys([*hidden, "a.md", "...md", ".github/x.md", ".md", "a/.#lock.md"], b"x")
        entries = list(entries_of(vault(files)))
        assert sorted(e.path for e in entries if isinstance(e, NoteFile)) == ["...md", ".github/x.md", ".md", "a.md"]
        assert sum(isinstance(e, Skipped) for e in entries) == len(entries) - 4 >= 7
        assert not any(isinstance(e, Refused) for e in entries)

    def test_an_attachment_can_be_opened_twice_and_knows_its_size(self, vault):
        for entry in entries_of(vault({"a.bin": b"12345"})):
            assert (entry.size, content(entry), content(entry)) == (5, b"12345", b"12345")

    @settings(max_examples=50, deadline=None)
    @given(
        st.dictionaries(
            st.lists(st.sampled_from(["a", "A", "b c", "é", "e\u0301", "-", "a.md", "\n"]), min_size=1, max_size=3)
            .map("/".join)
            .map(lambda path: f"{path}.md"),
            st.binary(max_size=20),
            max_size=6,
        )
    )
    def test_folder_and_zip_of_the_same_files_read_the_same(self, files):
        with tempfile.TemporaryDirectory() as name:
            root = Path(name)
            files = {path: data for path, data in files.items() if f"{path}/" not in "".join(files)}
            (root / "v").mkdir()
            folder, archive = fill(root / "v", files), pack(root / "v.zip", files)
            assert list(read_vault(folder)) == list(read_vault(archive))
            texts = {p: d for p, d in files.items() if b"\0" not in d and d.decode(errors="replace").encode() == d}
            assert taken(folder) == texts


class TestWhatIsRefused:
    def test_bad_utf8_by_its_offset_and_others_go_on(self, vault):
        path = vault({"bad.md": b"abc\xff", "good.md": b"x", "wide.md": "x".encode("utf-16")})
        entries = {entry.path: entry for entry in entries_of(path)}
        assert (entries["bad.md"].code, entries["wide.md"].code) == ("BAD_UTF8", "BAD_UTF8")
        assert "byte 3" in entries["bad.md"].reason
        assert "UTF-16" in entries["wide.md"].reason
        assert isinstance(entries["good.md"], NoteFile)

    def test_a_nul(self, vault):
        entries = list(entries_of(vault({"a.md": "é\0".encode()})))
        assert (entries[0].code, "byte 2" in entries[0].reason) == ("NUL", True)

    def test_a_note_is_measured_by_its_body(self, vault):
        block = b"---\na: " + b"x" * 500 + b"\n---\n"
        files = {"fits.md": block + b"y" * 100, "not.md": block + b"y" * 101, "huge.md": b"y" * 2_000_000}
        path = vault(files)
        assert len(split(files["fits.md"].decode())[1]) == 100
        assert refused(path, note_bytes=100) == {"not.md": "TOO_LARGE", "huge.md": "TOO_LARGE"}
        assert list(taken(path, note_bytes=100)) == ["fits.md"]

    def test_an_attachment_over_its_limit(self, vault):
        path = vault({"a.bin": b"12345", "b.bin": b"123456"})
        assert refused(path, attachment_bytes=5) == {"b.bin": "TOO_LARGE"}

    def test_a_path_over_the_limit(self, vault):
        assert refused(vault({"a/" * 30 + "b.md": b"x"}), path_characters=60)[("a/" * 30) + "b.md"] == "NAME_TOO_LONG"

    @pytest.mark.parametrize(
        ("make", "code"),
        [
            (lambda path: None, "VAULT_NOT_FOUND"),
            (lambda path: path.write_bytes(b"no zip"), "VAULT_NOT_A_ZIP"),
            (lambda path: path.write_bytes(b""), "VAULT_NOT_A_ZIP"),
            (lambda path: path.write_bytes(b"PK\x05\x06" + b"\xff" * 18), "VAULT_NOT_A_ZIP"),
        ],
    )
    def test_what_is_neither_folder_nor_zip_at_once(self, tmp_path, make, code):
        make(tmp_path / "v.zip")
        with pytest.raises(VaultError) as fault:
            read_vault(tmp_path / "v.zip")
        assert fault.value.code == code
        assert fault.value.message.endswith(".")


def test_a_path_of_too_many_names_is_refused(vault):
    deep, deeper = "d/" * 63 + "a.md", "e/" * 64 + "a.md"
    assert refused(vault({deep: b"x", deeper: b"x"})) == {deeper: "PATH_TOO_DEEP"}


class TestFolders:
    def test_links_are_followed_to_files_inside_only(self, tmp_path):
        root = fill(tmp_path / "v", {"a.md": b"x", "sub/b.md": b"y", ".git/config": b"key"})
        (tmp_path / "secret.md").write_bytes(b"secret")
        targets = {
            "in.md": "sub/b.md", "out.md": "../secret.md", "abs.md": str(tmp_path / "secret.md"), "loop.md": "loop.md",
            "dir": "sub", "up": "..", "gone.md": "nowhere.md", "conf.txt": ".git/config", "self": ".",
        }  # fmt: skip
        for name, target in targets.items():
            (root / name).symlink_to(target)
        assert taken(root) == {"a.md": b"x", "in.md": b"y", "sub/b.md": b"y"}
        assert refused(root) == {
            "out.md": "SYMLINK_OUTSIDE", "abs.md": "SYMLINK_OUTSIDE", "up": "SYMLINK_OUTSIDE",
            "conf.txt": "SYMLINK_OUTSIDE", "loop.md": "SYMLINK_LOOP", "dir": "SYMLINK_FOLDER",
            "self": "SYMLINK_FOLDER", "gone.md": "UNREADABLE",
        }  # fmt: skip

    def test_the_vault_itself_may_be_a_link(self, tmp_path):
        root = fill(tmp_path / "v", {"a.md": b"x"})
        (root / "b.md").symlink_to("a.md")
        (tmp_path / "link").symlink_to(root)
        assert taken(tmp_path / "link") == {"a.md": b"x", "b.md": b"x"}

    def test_a_pipe_is_named_and_never_waited_for(self, tmp_path):
        os.mkfifo(tmp_path / "pipe.md")
        assert refused(tmp_path) == {"pipe.md": "SPECIAL_FILE"}

    def test_a_name_that_is_not_utf8(self, tmp_path):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/b\xff.md")).write_bytes(b"x")
        assert refused(tmp_path) == {"b\\udcff.md": "NAME_NOT_UTF8"}

    def test_what_may_not_be_read(self):
        with unprivileged_folder() as folder:
            fill(folder, {"a.md": b"x", "d/b.md": b"x", "z.md": b"x"})
            (folder / "a.md").chmod(0)
            (folder / "d").chmod(0)
            assert refused(folder) == {"a.md": "UNREADABLE", "d": "UNREADABLE"}
            (folder / "d").chmod(0o700)

    def test_a_file_that_opens_and_cannot_be_read(self):
        """As on a disk that fails: the kernel has files like that, the memory at address 0 for one."""
        entries = read_vault(Path("/proc/self"), Limits(note_bytes=10), Shape(is_note=lambda path: True))
        found = next(entry for entry in entries if entry.path == "mem")
        assert isinstance(found, Refused)
        assert found.code == "UNREADABLE"

    def test_a_vault_that_may_not_be_listed(self):
        with unprivileged_folder() as folder:
            (folder / "d").mkdir(mode=0)
            with pytest.raises(VaultError, match="permissions") as fault:
                read_vault(folder / "d")
            assert fault.value.code == "VAULT_UNREADABLE"
            (folder / "d").chmod(0o700)

    def test_a_file_that_is_gone_when_its_turn_comes(self, tmp_path):
        fill(tmp_path, {"a.md": b"x", "b.md": b"x", "c.md": b"x"})
        entries = read_vault(tmp_path)
        first = next(entries)
        (tmp_path / "b.md").unlink()
        assert [type(entry) for entry in (first, *entries)] == [NoteFile, Refused, NoteFile]


def zip_of(entries):
    """The bytes of a zip of (name or ZipInfo, content), names twice and all."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings(action="ignore"):
        for info, data in entries:
            archive.writestr(info, data)
    return buffer.getvalue()


class TestZips:
    @pytest.mark.parametrize(
        "name",
        ["/abs.md", "../up.md", "a/../../up.md", "C:/x.md", "c:x.md", "a\\b.md", "..\\x.md", "a//b.md", "./a.md"],
    )
    def test_a_path_that_leads_elsewhere(self, tmp_path, name):
        path = pack(tmp_path / "v.zip", {name: b"x", "ok.md": b"y"})
        assert refused(path) == {name: "PATH_UNSAFE"}
        assert taken(path) == {"ok.md": b"y"}

    def test_a_name_with_a_nul(self, tmp_path):
        path = tmp_path / "v.zip"
        path.write_bytes(zip_of([("aXb.md", b"x")]).replace(b"aXb.md", b"a\0b.md"))
        assert refused(path) == {"a\\0b.md": "PATH_UNSAFE"}

    def test_a_name_twice(self, tmp_path):
        path = tmp_path / "v.zip"
        path.write_bytes(zip_of([("a.md", b"first"), ("b.md", b"x"), ("a.md", b"second")]))
        assert taken(path) == {"a.md": b"first", "b.md": b"x"}
        assert refused(path) == {"a.md": "DUPLICATE_NAME"}

    def test_links_and_special_files(self, tmp_path):
        infos = []
        for name, mode in {"link.md": stat.S_IFLNK, "pipe.md": stat.S_IFIFO, "file.md": stat.S_IFREG}.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (mode | 0o644) << 16
            infos.append((info, b"/etc/passwd"))
        path = tmp_path / "v.zip"
        path.write_bytes(zip_of(infos))
        assert refused(path) == {"link.md": "SYMLINK_OUTSIDE", "pipe.md": "SPECIAL_FILE"}

    def test_an_encrypted_entry(self, tmp_path):
        data = bytearray(zip_of([("a.md", b"x"), ("b.md", b"y")]))
        for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            place = data.index(signature) + offset
            data[place] |= 1
        (tmp_path / "v.zip").write_bytes(data)
        assert refused(tmp_path / "v.zip") == {"a.md": "ENCRYPTED"}
        assert taken(tmp_path / "v.zip") == {"b.md": b"y"}

    @pytest.mark.parametrize("name", ["a.md", "a.bin"])
    def test_a_damaged_entry(self, tmp_path, name):
        text = os.urandom(5000).hex().encode()
        data = bytearray(zip_of([(name, text), ("z.md", b"y")]))
        data[2000] ^= 0xFF
        (tmp_path / "v.zip").write_bytes(data)
        assert refused(tmp_path / "v.zip") == {name: "DAMAGED"}
        assert taken(tmp_path / "v.zip") == {"z.md": b"y"}

    def test_an_unknown_packing(self, tmp_path):
        data = bytearray(zip_of([("a.md", b"x" * 100)]))
        for signature, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
            place = data.index(signature) + offset
            data[place : place + 2] = struct.pack("<H", 97)
        (tmp_path / "v.zip").write_bytes(data)
        assert refused(tmp_path / "v.zip") == {"a.md": "PACKING_UNKNOWN"}

    @pytest.mark.parametrize(
        ("raw", "expected"),
        [("Größe.md".encode(), {"Größe.md": None}), (b"Gr\x94\xe1e.md", {"Gr\\udc94\\udce1e.md": "NAME_NOT_UTF8"})],
    )
    def test_a_name_without_the_utf8_flag_is_taken_if_it_is_utf8(self, tmp_path, raw, expected):
        placeholder = "x" * (len(raw) - 3) + ".md"
        data = zip_of([(placeholder, b"x")]).replace(placeholder.encode(), raw)
        (tmp_path / "v.zip").write_bytes(data)
        codes = {e.path: getattr(e, "code", None) for e in read_vault(tmp_path / "v.zip")}
        assert codes == expected

    def test_a_bomb_is_stopped_by_what_comes_out_of_it(self, tmp_path):
        zeros = b"0" * 300_000
        path = pack(tmp_path / "v.zip", {f"{n}.bin": zeros for n in range(10)})
        codes = refused(path, ratio=100, ratio_from=1_000_000)
        assert set(codes.values()) == {"ZIP_BOMB"}
        assert 5 <= len(codes) < 10
        assert refused(path, ratio=10_000) == {}
        assert set(refused(path, inflated_bytes=500_000).values()) == {"ZIP_BOMB"}

    def test_a_header_that_lies_about_the_size(self, tmp_path):
        data = bytearray(zip_of([("a.bin", b"0" * 1_000_000)]))
        for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
            place = data.index(signature) + offset
            data[place : place + 4] = struct.pack("<I", 10)
        (tmp_path / "v.zip").write_bytes(data)
        assert refused(tmp_path / "v.zip") == {"a.bin": "DAMAGED"}

    def test_too_many_entries(self, tmp_path):
        path = pack(tmp_path / "v.zip", {f"{n}.md": b"" for n in range(11)})
        with pytest.raises(VaultError, match="11 entries"):
            read_vault(path, Limits(entries=10))

    @settings(max_examples=150, deadline=None)
    @given(st.data())
    def test_no_damage_raises_anything_but_a_vault_error(self, data):
        whole = bytearray(zip_of([("a.md", b"hello " * 50), ("b/c.bin", bytes(range(256))), ("é.md", b"x")]))
        for _ in range(data.draw(st.integers(1, 6))):
            whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
        with tempfile.NamedTemporaryFile(suffix=".zip") as file:
            file.write(whole[: data.draw(st.integers(0, len(whole))) or None])
            file.flush()
            try:
                for entry in read_vault(Path(file.name)):
                    entry.path.encode()
            except VaultError:
                pass


class TestOurOwnManifest:
    def test_it_is_no_attachment_and_restores_the_paths(self, vault):
        manifest = (
            b'{"kjxlkj": 1, "files": [{"path": "a~1.md", "original_path": "A?.md", "id": "7",'
            b' "sha256": "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"},'
            b' {"path": "b.md", "sha256": "0", "id": "8"}]}'
        )
        entries = list(entries_of(vault({"manifest.json": manifest, "a~1.md": b"x", "b.md": b"edited since"})))
        assert [(e.path, e.text) for e in entries] == [("A?.md", "x"), ("b.md", "edited since")]
        assert (entries[0].recorded["id"], entries[1].recorded) == ("7", {"id": "8"})

    def test_a_note_and_a_file_beside_it_may_have_one_path(self, vault):
        manifest = b'{"kjxlkj": 1, "files": [{"path": "a.png.md", "original_path": "a.png"}]}'
        found = list(entries_of(vault({"manifest.json": manifest, "a.png": b"x", "a.png.md": b"y"})))
        assert sorted((type(entry).__name__, entry.path) for entry in found) == [
            ("AttachmentFile", "a.png"),
            ("NoteFile", "a.png"),
        ]

    @pytest.mark.parametrize("manifest", [b'{"name": "an app"}', b"not json", b"[1]", b"\xff"])
    def test_somebody_elses_is_an_attachment(self, vault, manifest):
        assert taken(vault({"manifest.json": manifest}))["manifest.json"] == manifest

    @pytest.mark.parametrize("original", ["../up.md", "/abs.md", "a/../b.md", "a\\u0000.md"])
    def test_it_cannot_lead_out_of_the_vault(self, vault, original):
        manifest = f'{{"kjxlkj": 1, "files": [{{"path": "a.md", "original_path": "{original}"}}]}}'.encode()
        assert refused(vault({"manifest.json": manifest, "a.md": b"x"})) == {"a.md": "PATH_UNSAFE"}

    @pytest.mark.parametrize(
        "files", ["7", "[7]", "[{}]", '[{"path": ["a.md"]}]', '[{"path":"a.md","original_path":7}]']
    )
    def test_a_broken_one_loses_no_note(self, vault, files):
        manifest = f'{{"kjxlkj": 1, "files": {files}}}'.encode()
        assert taken(vault({"manifest.json": manifest, "a.md": b"x"}))["a.md"] == b"x"

    def test_it_cannot_give_one_path_to_two(self, vault):
        manifest = b'{"kjxlkj": 1, "files": [{"path": "b.md", "original_path": "a.md"}]}'
        assert refused(vault({"manifest.json": manifest, "a.md": b"x", "b.md": b"y"})) == {"b.md": "DUPLICATE_NAME"}


def test_the_predicates_agree_with_what_is_read():
    assert is_note("a.MD")
    assert not is_note("a.mdx")
    assert is_skipped("a/.Git/x.md")
    assert not is_skipped("a/.github/x.md")
    assert is_skipped(".github/x.yml")
