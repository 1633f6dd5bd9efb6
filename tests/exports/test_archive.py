import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
import unicodedata
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exports.archive import ArchiveWriter
from exports.paths import Wanted, export_paths
from kjxlkj.notes.vault import AttachmentFile, NoteFile, Skipped, is_note, read_vault

CORPORA = Path(os.environ.get("KJXLKJ_CORPORA", Path(__file__).parents[2].parent / "shared" / "corpora"))


def archive(files, about=None, target=None):
    """The zip of path to bytes, as an export makes it: legal paths, the original ones in the manifest."""
    paths = export(files)
    target = target or io.BytesIO()
    with ArchiveWriter(target, about) as writer:
        for path, original in sorted((path, original) for original, path in paths.items()):
            writer.add(path, files[original], {"original_path": original} if path != original else None)
    return target.getvalue()


def imported(data):
    with tempfile.NamedTemporaryFile(suffix=".zip") as file:
        file.write(data)
        file.flush()
        entries: Any = read_vault(Path(file.name))
        return {e.path: e.text.encode() if isinstance(e, NoteFile) else e.open().read() for e in entries}


class Unseekable(io.RawIOBase):
    """A pipe or a socket."""

    def __init__(self):
        self.data = bytearray()

    def writable(self):
        return True

    def write(self, chunk):
        self.data += chunk
        return len(chunk)

    def getvalue(self):
        return bytes(self.data)


class TestArchiveWriter:
    def test_it_holds_what_was_added_and_a_manifest_at_the_end(self):
        data = archive({"a.md": b"x", "b/\u00e9.md": "é".encode()}, {"workspace": "demo"})
        with zipfile.ZipFile(io.BytesIO(data)) as made:
            assert made.testzip() is None
            assert made.namelist() == ["a.md", "b/\u00e9.md", "manifest.json"]
            assert made.read("b/\u00e9.md") == "é".encode()
            manifest = json.loads(made.read("manifest.json"))
        assert (manifest["kjxlkj"], manifest["workspace"], manifest["count"]) == (1, "demo", 2)
        assert manifest["files"] == [
            {"path": "a.md", "sha256": hashlib.sha256(b"x").hexdigest(), "size": 1},
            {"path": "b/\u00e9.md", "sha256": hashlib.sha256("é".encode()).hexdigest(), "size": 2},
        ]

    def test_an_empty_one(self):
        with zipfile.ZipFile(io.BytesIO(archive({}))) as made:
            assert json.loads(made.read("manifest.json"))["files"] == []

    def test_add_answers_the_digest_and_takes_chunks(self):
        target = io.BytesIO()
        with ArchiveWriter(target) as writer:
            assert writer.add("a.bin", iter([b"ab", b"", b"c"])) == hashlib.sha256(b"abc").hexdigest()
        with zipfile.ZipFile(target) as made:
            assert made.read("a.bin") == b"abc"
            assert json.loads(made.read("manifest.json"))["files"][0]["size"] == 3

    @pytest.mark.parametrize("path", ["a.md", "b.md"])
    def test_paths_come_in_order_and_once(self, path):
        with ArchiveWriter(io.BytesIO()) as writer:
            writer.add("b.md", b"")
            with pytest.raises(ValueError, match="before"):
                writer.add(path, b"")

    def test_the_same_notes_give_the_same_bytes_in_another_process_and_time_zone(self):
        script = (
            "import sys; from tests.exports.test_archive import archive;"
            "sys.stdout.buffer.write(archive({'é.md': b'x' * 5000, 'a.bin': b'y'}))"
        )
        made = [
            subprocess.run(
                [sys.executable, "-c", script],
                env={**os.environ, "TZ": zone, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[2])},
                capture_output=True,
                check=True,
            ).stdout
            for zone, seed in (("UTC", "1"), ("Asia/Tokyo", "2"))
        ]
        assert made[0] == made[1] == archive({"a.bin": b"y", "é.md": b"x" * 5000})

    def test_every_entry_has_the_same_time_and_rights(self):
        with zipfile.ZipFile(io.BytesIO(archive({"a.md": b"", "b.bin": b""}))) as made:
            assert {info.date_time for info in made.infolist()} == {(1980, 1, 1, 0, 0, 0)}
            assert {info.external_attr >> 16 for info in made.infolist()} == {0o100644}

    def test_it_can_be_streamed(self):
        files = {"a.md": b"x" * 10_000, "b.bin": b"y"}
        assert imported(archive(files, target=Unseekable())) == files

    def test_a_torn_one_does_not_look_whole(self):
        target = io.BytesIO()

        def tear():
            with ArchiveWriter(target) as writer:
                writer.add("a.md", b"x")
                raise OSError("disk full")

        with pytest.raises(OSError, match="disk full"):
            tear()
        assert not zipfile.is_zipfile(io.BytesIO(target.getvalue()))

    def test_memory_does_not_grow_with_an_attachment(self):
        import tracemalloc

        class Sink(Unseekable):
            def write(self, chunk):
                return len(chunk)

        sink: Any = Sink()
        noise = os.urandom(1024 * 1024)
        tracemalloc.start()
        with ArchiveWriter(sink) as writer:
            writer.add("big.bin", (noise for _ in range(40)))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 8 * 1024 * 1024


NAMES = st.lists(
    st.sampled_from(
        ["a", "A", "é", "e\u0301", "ß", "SS", "con", "NUL.x", ".git", ".", "~", " ", "?", ":", "\\", "\n", "日"]
    )
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), max_size=4),
    min_size=1,
    max_size=3,
).map("".join)
PATHS = (
    st.tuples(st.lists(NAMES, max_size=2), NAMES, st.sampled_from([".md", ".MD", ".png", ""]))
    .map(lambda parts: "/".join([*parts[0], parts[1] + parts[2]]))
    .filter(lambda path: path and not {".", ".."} & set(path.split("/")))
)


def export(paths):
    return {key: path for path, key in export_paths(Wanted(path, path, is_note=is_note(path)) for path in paths)}


class TestExportPaths:
    @pytest.mark.parametrize(
        "path",
        [
            "a.md",
            "a b/c (1).md",
            "日本/é😀.md",
            "e\u0301.md",
            "a.b.c.md",
            "...md",
            ".github/x.md",
            "-x.md",
            "it's & #1.md",
        ],
    )
    def test_a_legal_path_stays(self, path):
        assert export([path]) == {path: path}

    @pytest.mark.parametrize(
        ("path", "begins"),
        [
            ("what?.md", "what_~"),
            ("a:b/c.md", "a_b~"),
            ("back\\slash.md", "back_slash~"),
            ("trailing./x.md", "trailing_~"),
            ("space /x.md", "space_~"),
            ("CON.md", "_CON~"),
            ("aux/x.md", "_aux~"),
            ("lpt1.tar.md", "_lpt1.tar~"),
            (".git/x.md", "_~"),
            (".env", "_~"),
            ("._a.md", "_._a~"),
            (".MD/a.png", "_~"),
            ("line\nbreak.md", "line_break~"),
            ("x" * 300 + ".md", "xxx"),
            ("é" * 200 + ".md", "ééé"),
        ],
    )
    def test_a_path_that_some_system_refuses_is_replaced_and_keeps_its_kind(self, path, begins):
        made = export([path])[path]
        assert made.startswith(begins)
        assert is_note(made) == is_note(path)
        assert all(len(name.encode()) <= 255 for name in made.split("/"))

    def test_all_files_of_a_renamed_folder_stay_together(self):
        made = export(["what?/a.md", "what?/b.md"])
        assert len({path.split("/")[0] for path in made.values()}) == 1

    def test_of_colliding_paths_the_first_keeps_its_name(self):
        made = export(["note.md", "Note.md", "NOTE.md", "caf\u00e9.md", "cafe\u0301.md"])
        kept = {path for path, name in made.items() if path == name}
        assert kept == {"NOTE.md", "cafe\u0301.md"}

    def test_a_file_does_not_take_the_name_of_a_folder(self):
        made = export(["Data", "data/x.md"])
        assert made["data/x.md"] == "data/x.md"
        assert made["Data"].startswith("Data~")

    def test_the_manifest_has_its_name_for_itself(self):
        assert export(["Manifest.json"])["Manifest.json"].startswith("Manifest~")
        assert export(["a/manifest.json"])["a/manifest.json"] == "a/manifest.json"

    @pytest.mark.parametrize("folder", ["manifest.json", "Manifest.JSON", ".kjxlkj", ".KJXLKJ"])
    def test_no_folder_of_notes_has_a_name_that_an_export_needs(self, folder):
        made = export([f"{folder}/a.md", f"{folder}/b/c.md", f"x/{folder}/a.md"])
        assert {path.split("/")[0].casefold() for path in made.values()}.isdisjoint({"manifest.json", ".kjxlkj"})
        assert len({path.split("/")[0] for path in made.values()}) == 2
        assert made[f"x/{folder}/a.md"] == f"x/{folder}/a.md"
        assert all(export([name]) == {name: name} for name in made.values())

    @pytest.mark.parametrize("path", ["?/" * 400 + "a.md", "é/" * 340 + "a.md", "a/" * 510 + "note"])
    def test_a_path_that_our_own_import_would_refuse_becomes_a_name_at_the_top(self, path):
        assert len(path.encode()) <= 1024
        made = export_paths([Wanted(1, path), Wanted(2, f"{path[:-4]}b")])
        assert len({name for name, _ in made}) == 2
        assert not any("/" in name for name, _ in made)
        assert all(is_note(name) for name, _ in made)

    @pytest.mark.parametrize("path", ["a.md", "b/" + "c" * 250 + ".MD"])
    def test_an_attachment_with_the_name_of_a_note_gets_another(self, path):
        [(name, _)] = export_paths([Wanted(1, path, is_note=False)])
        assert name.endswith(".file")

    def test_a_note_without_a_path_gets_one_of_its_title(self):
        made = export_paths([Wanted(1, "", "What: a/b?", "0190-0000abcdef123456"), Wanted(2, "", " . ", "id")])
        assert made == [("What a b abcdef123456.md", 1), ("note id.md", 2)]

    def test_a_note_whose_path_is_no_file_name_of_a_note_becomes_one(self):
        assert export_paths([Wanted("1", "folder/note")]) == [("folder/note.md", "1")]

    @given(st.lists(PATHS, unique=True, max_size=8), st.randoms())
    def test_on_any_paths(self, paths, random):
        made = export(paths)
        folded = [unicodedata.normalize("NFD", unicodedata.normalize("NFD", p).casefold()) for p in made.values()]
        assert len(set(folded)) == len(paths)
        assert not any(other.startswith(f"{path}/") for path in folded for other in folded)
        for path, name in made.items():
            assert not any(set(part) & set('<>:"|?*\\\n') or part != part.rstrip(" .") for part in name.split("/"))
            assert all(0 < len(part.encode()) <= 255 for part in name.split("/"))
            assert is_note(path) == is_note(name)
            assert export([name]) == {name: name}
        shuffled = random.sample(paths, len(paths))
        assert export(shuffled) == made


class TestRoundTrip:
    @settings(deadline=None)
    @given(
        st.dictionaries(
            PATHS.filter(lambda path: all(path.split("/"))),
            st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])).map(str.encode),
            max_size=6,
        )
    )
    def test_import_of_an_export_gives_every_path_and_byte_back(self, files):
        assert imported(archive(files)) == files

    @pytest.mark.parametrize("name", ["18f-blog", "digitalgov", "flancia-garden", "windows-driver-docs"])
    def test_corpus(self, name, tmp_path):
        corpus = CORPORA / f"{name}.zip"
        if not corpus.exists():
            pytest.skip(f"the corpus {name} is not here")
        files = {}
        for entry in read_vault(corpus):
            assert isinstance(entry, NoteFile | AttachmentFile | Skipped)
            if isinstance(entry, NoteFile):
                files[entry.path] = entry.text.encode()
        with zipfile.ZipFile(corpus) as source:
            assert files == {path: source.read(path) for path in source.namelist() if path.endswith(".md")}
        assert imported(archive(files)) == files
