"""What comes in goes out again to the byte; what goes out comes in again as it was."""

import io
import json
import os
import shutil
import tempfile
import tracemalloc
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from threading import Event

import pytest
from django.db import connections
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import kjxlkj
from exports.markdown_export import write_archive, write_folder
from kjxlkj.errors import DomainError
from kjxlkj.ids import new_id
from kjxlkj.notes.attachments import content_of, save_attachments, store
from kjxlkj.notes.cause import by
from kjxlkj.notes.checks import CHECKS
from kjxlkj.notes.files import file_of
from kjxlkj.notes.front_matter import parse, recall, split
from kjxlkj.notes.importing import import_vault
from kjxlkj.notes.models import Attachment, Note, NoteEvent, NoteLink
from kjxlkj.notes.services import (
    NewNote,
    NoteChange,
    change_notes,
    create_note,
    create_notes,
    delete_note,
    update_note,
)
from kjxlkj.workspaces.models import WorkspaceEvent
from kjxlkj.workspaces.services import create_workspace
from tests.exports.conftest import archive, entries, manifest, originals, tree

pytestmark = pytest.mark.django_db(transaction=True)

FILES_OF_A_PART = 300
CORPORA = Path(os.environ.get("KJXLKJ_CORPORA", Path(kjxlkj.__file__).parents[1].parent / "shared" / "corpora"))

PIECES = [
    "---\n", "---\r\n", "--- \n", "...\n", "\n", "\r\n", "\r", "\ufeff", "title: x\n", "title: 'it''s'\n", "title:\n",
    "title: [a, b]\n", "title: 2024-01-01\n", "tags: [Big Idea, b]\n", "tags:\n  - one\n  - \"two\" # why\n",
    "tags: one two\r\n", "Tags: &t [x]\n", "other: *t\n", "aliases: [A, B]\n", "alias: " + "long " * 60 + "\n",
    "key: [\n", "key: |\n  ---\n  text\n", "{a: b}\n", "# Heading\n", "text", " ", "\t", "```\n---\n", "[[link]]",
    "[[a|b]] ", "😀", "e\u0301", "é", "\x0b", "\u2028", "{{< x >}}\n", "tag: \"\\u0000\"\n", "title: \"\\ud800\"\n",
    "title: " + "w" * 250 + "\n", "? complex\n: value\n", "<<: {a: 1}\n", "%YAML 1.1\n", "a: !!binary aGk=\n",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES) | st.text(st.characters(exclude_categories=["Cs"]), max_size=5), max_size=12)
NOTES = TEXTS.map(lambda pieces: "".join(pieces).replace("\0", ""))
NAMES = st.sampled_from(
    [
        "a",
        "A",
        "b",
        "é",
        "e\u0301",
        "CON",
        "x:y",
        "dot.",
        " blank",
        "blank ",
        "n" * 120,
        "ß",
        "日本",
        "😀",
        "a?",
        "README",
        "LPT1.txt",
        "nul",
        "manifest",
        "日" * 80,
    ]
)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)


@st.composite
def vaults(draw) -> dict[str, bytes]:
    """A tree of files: no name is a file and a folder at once."""
    notes = {f"{path}.md": text.encode() for path, text in draw(st.dictionaries(PATHS, NOTES, max_size=6)).items()}
    others = {f"{path}.bin": data for path, data in draw(st.dictionaries(PATHS, st.binary(), max_size=3)).items()}
    return {**notes, **others}


NASTY = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def new_workspace(owner):
    return create_workspace(slug=f"w-{new_id()}", name="W", owner=owner)


def import_files(workspace, files, actor):
    with tempfile.TemporaryDirectory() as root:
        for name, content in files.items():
            path = Path(root, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return import_vault(workspace, Path(root), actor=actor)


def import_archive(workspace, data, actor):
    with tempfile.NamedTemporaryFile(suffix=".zip") as file:
        file.write(data)
        file.flush()
        return import_vault(workspace, Path(file.name), actor=actor)


@contextmanager
def exported_folder(workspace):
    with tempfile.TemporaryDirectory() as root:
        write_folder(Path(root, "out"), workspace, {})
        yield Path(root, "out")


def traces(workspace):
    """What any write would leave: versions and events."""
    notes = Note.objects.filter(workspace=workspace).order_by("id").values_list("id", "version", "updated_at")
    return (
        list(notes),
        NoteEvent.objects.filter(note__workspace=workspace).count(),
        WorkspaceEvent.objects.filter(workspace=workspace).count(),
    )


def said(workspace):
    """Everything that notes say, by path."""
    notes = Note.objects.live().filter(workspace=workspace)
    fields = ("path", "title", "body", "front_matter", "metadata", "tags", "aliases", "kind")
    links = NoteLink.objects.filter(workspace=workspace).order_by("source__path", "position")
    return (
        {row["path"]: row for row in notes.values(*fields)},
        list(links.values_list("source__path", "raw", "target__path")),
        dict(Attachment.objects.live().filter(workspace=workspace).values_list("path", "sha256")),
    )


@NASTY
@given(files=vaults())
@example(files={"a.md": b"\xef\xbb\xbf---\r\ntitle: x\r\n---\r\nbody", "b.md": b"---\nnot: closed", "c.md": b""})
@example(
    files={"a.md": b"---\n---\n---\ntitle: x\n---\n", "b.md": b"...", "c.md": b"---\ntags: " + b"t," * 90 + b"\n---"}
)
@example(
    files={
        "manifest.json.md": b"---\na: &x 1\nb: *x\ntags: &t [p, q]\ntopics: *t\n---\n\xf0\x9f\x98\x80",
        "CON.md": b"---\r\n# why\r\ntitle: 'x'\r\n---\r\n\r\n---\nno: block\n---\n",
        "nul": b"\0",
        "a/con/x.md": b"[[CON]] [m](../../CON.md)",
        "n" * 250 + ".md": b"```\n---\ntitle: no\n---\n```",
    }
)
@example(files={"é.md": b"1", "e\u0301.md": b"2", "A.md": b"3", "a.md": b"4", "a.bin": b"5", "A.bin": b"6"})
def test_import_then_export_gives_back_every_file(owner, files):
    workspace = new_workspace(owner)
    report = import_files(workspace, files, owner)
    assert not report.refused
    data = archive(workspace)
    assert originals(data) == files
    assert archive(workspace) == data
    before = traces(workspace)
    assert import_files(workspace, files, owner).changes_nothing
    assert import_archive(workspace, data, owner).changes_nothing
    with exported_folder(workspace) as folder:
        assert tree(folder) == entries(data)
        assert import_vault(workspace, folder, actor=owner).changes_nothing
        assert traces(workspace) == before
        others = [new_workspace(owner), new_workspace(owner)]
        assert not import_archive(others[0], data, owner).refused
        assert not import_vault(others[1], folder, actor=owner).refused
    for other in others:
        assert said(other) == said(workspace)
        assert originals(archive(other)) == files


@settings(max_examples=300, deadline=None)
@given(text=NOTES.map(lambda text: f"---\n{text}\n---\n"))
@example(text="---\ntitle: x\nTags: [1, a]\n---\n")
@example(text="---\ntags: a b\naliases: [x, ~]\n---\n")
@example(text="---\ntitle: [x]\ntags: {a: b}\n---\n")
@example(text="---\ntitle: A\nTitle: B\n---\n")
def test_metadata_tells_what_the_block_told_or_nothing(text):
    parsed = parse(split(text)[0])
    recalled = recall(json.loads(json.dumps(parsed.metadata)))
    if recalled is not None:
        assert (recalled.title, recalled.tags, recalled.aliases) == (parsed.title, parsed.tags, parsed.aliases)


@settings(max_examples=300, deadline=None)
@given(text=NOTES.map(lambda text: f"---\n{text}\n---\n"), as_read=st.booleans())
@example(text="---\ntitle: x\ntags: [a, b]\naliases: [Y]\n---\n", as_read=True)
@example(text="---\ntitle: x\nTags: [q]\ntags: [a]\n---\n", as_read=False)
@example(text="---\ntags: [b, a]\n---\n", as_read=False)
def test_a_block_that_seems_to_tell_all_does_so(text, as_read):
    front_matter, body = split(text)
    parsed = parse(front_matter)
    told = (parsed.title or "a", parsed.tags, CHECKS["aliases"](parsed.aliases))
    title, tags, aliases = told
    if not as_read:
        try:  # the values as they stand, in the form in which notes have them
            title = CHECKS["title"](parsed.metadata.get("title", title))
            tags = CHECKS["tags"](parsed.metadata.get("tags", tags))
            aliases = CHECKS["aliases"](parsed.metadata.get("aliases", aliases))
        except DomainError:
            return
    note = Note(path="a.md", title=title, tags=tags, aliases=aliases, metadata=parsed.metadata)
    note.front_matter, note.body = front_matter, body
    if file_of(note) == (text, {}):
        assert (title, tags, set(aliases)) == (told[0], told[1], set(told[2]))


TITLES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20).filter(str.strip)
TAGS = st.lists(st.sampled_from(["a", "b/c", "über", "2024", "yes", "null", "a-b", "#x", "😀"]), max_size=4)


LATER = {
    "title": TITLES,
    "tags": TAGS,
    "aliases": st.lists(TITLES, max_size=3),
    "body": NOTES,
    "path": st.sampled_from(["a.md", "", "b/CON.md", "B/con.md", "e\u0301.md", "x?.md", "no-suffix"]),
}
CHANGES = st.lists(st.fixed_dictionaries({}, optional=LATER).filter(bool), min_size=1, max_size=3)


@NASTY
@given(text=NOTES, changes=CHANGES)
@example(text="---\nkey: [\n---\n", changes=[{"title": "x", "tags": ["a"], "path": "a.md"}])
@example(text="body", changes=[{"title": "x", "body": "---\ntitle: no\n---\n"}])
@example(text="---\ntitle: &a x\nother: *a\n---\n", changes=[{"title": "y", "tags": ["a"]}, {"path": ""}])
@example(text="\ufeffx", changes=[{"tags": ["a"]}, {"tags": []}])
@example(text="---\r\ntitle: x\r\n---\r\n", changes=[{"body": "y"}, {"title": "a"}])
def test_a_changed_note_goes_out_and_comes_in_again_as_it_is(owner, text, changes):
    workspace = new_workspace(owner)
    import_files(workspace, {"a.md": text.encode(), "beside.bin": b"x"}, owner)
    note = Note.objects.get(workspace=workspace)
    with exported_folder(workspace) as folder:
        for values in changes:
            note = update_note(note, base_version=note.version, cause=by(owner), **values)
            write_folder(folder, workspace, {})
        data = archive(workspace)
        assert tree(folder) == entries(data)
        before = traces(workspace)
        assert import_archive(workspace, data, owner).changes_nothing
        assert import_vault(workspace, folder, actor=owner).changes_nothing
        assert traces(workspace) == before
        other = new_workspace(owner)
        assert not import_vault(other, folder, actor=owner).refused
    copy = Note.objects.get(workspace=other)
    assert (copy.title, copy.tags, copy.aliases, copy.body[-len(note.body) :]) == (
        note.title, note.tags, note.aliases, note.body[-len(note.body) :],
    )  # fmt: skip
    assert import_archive(other, data, owner).changes_nothing


def test_deleted_notes_and_attachments_do_not_go_out(workspace, owner, notes):
    delete_note(notes[0], base_version=1, cause=by(owner))
    save_attachments(workspace.id, [("gone.bin", store(content_of(io.BytesIO), io.BytesIO))])
    Attachment.objects.update(deleted_at=notes[0].created_at)
    assert set(originals(archive(workspace))) == {"inbox/log.md", ""}


def test_the_manifest_tells_what_the_files_cannot(workspace, owner, notes):
    odd = create_notes(
        workspace,
        [NewNote("Odd", "x", "odd.md", tags=["t"], front_matter="---\nkey: [\n---\n")],
        cause=by(owner),
    )[0]
    records = manifest(archive(workspace))
    assert records["odd.md"]["title"] == "Odd"
    assert records["odd.md"]["tags"] == ["t"]
    assert records["odd.md"]["id"] == str(odd.id)
    assert records["plan.md"]["version"] == 1
    assert not {"title", "tags"} & set(records["plan.md"])
    (nameless,) = (record for record in records.values() if record.get("original_path") == "")
    assert nameless["path"].startswith("No file yet")
    assert nameless["path"].endswith(".md")


def test_an_older_archive_never_writes_two_files_into_one_note(workspace, owner):
    """`a.md` has moved to where `b.md` was: the archive's `a.md` is not the note that bears its id now."""
    first, second = create_notes(
        workspace, [NewNote("A", "text of a\n", "a.md"), NewNote("B", "text of b\n", "b.md")], cause=by(owner)
    )
    data = archive(workspace)
    delete_note(second, base_version=1, cause=by(owner))
    update_note(first, base_version=1, cause=by(owner), path="b.md")
    import_archive(workspace, data, owner)
    texts = {note.path: note.body for note in Note.objects.live().filter(workspace=workspace)}
    assert texts == {"a.md": "text of a\n", "b.md": "text of b\n"}
    assert import_archive(workspace, data, owner).changes_nothing


def test_a_notes_kind_comes_along(workspace, owner):
    create_note(workspace, NewNote("Settings", "x\n", "settings.md", kind="settings"), cause=by(owner))
    other = new_workspace(owner)
    import_archive(other, archive(workspace), owner)
    assert Note.objects.get(workspace=other).kind == "settings"


def test_two_writers_do_not_tear_an_archive(workspace, owner, notes):
    """One snapshot: what is written while the archive is made is not in it."""

    def work():
        try:
            update_note(notes[0], base_version=1, cause=by(owner), body="later")
            create_notes(workspace, [NewNote("Late", path="late.md")], cause=by(owner))
        finally:
            connections.close_all()

    def write_meanwhile(done, total):
        if done == 0:
            # On another connection, for this one is reading its snapshot.
            with ThreadPoolExecutor(1) as pool:
                pool.submit(work).result(timeout=30)

    before = archive(workspace)
    target = io.BytesIO()
    write_archive(target, workspace, {}, write_meanwhile)
    assert target.getvalue() == before
    assert set(entries(archive(workspace))) > set(entries(before))


def test_an_export_stays_whole_while_another_writes_as_fast_as_it_can(workspace, owner, tmp_path):
    """Each write changes two notes at once: an export that saw the one and not the other would be torn."""
    news = [NewNote(f"{number:03}", "0", f"{number:03}.md") for number in range(400)]
    pairs = create_notes(workspace, news, cause=by(owner))
    first, last = pairs[0], pairs[-1]
    over, written = Event(), Event()

    def write():
        try:
            for number in count(1):
                values = {"body": str(number)}
                changes = [NoteChange(note.id, number, values) for note in (first, last)]
                change_notes(workspace.id, changes, cause=by(owner))
                if number == 3:
                    written.set()
                if over.is_set():
                    return number
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        try:
            assert written.wait(30)
            exports = []
            for _ in range(5):
                data = entries(archive(workspace))
                write_folder(tmp_path / "out", workspace, {})
                exports += [data, tree(tmp_path / "out")]
        finally:
            over.set()
        assert writing.result(timeout=30) > 3
    assert all(files["000.md"] == files["399.md"] for files in exports)
    assert len({files["000.md"] for files in exports}) > 1


def peak(work):
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_follow_the_size_of_notes(workspace, owner, tmp_path):
    size, number = 1_000_000, 60
    (tmp_path / "vault").mkdir()
    for name in range(number):
        (tmp_path / f"vault/{name}.md").write_text(f"[[none {name}]]\n" + "word \n" * (size // 6 - 5))
    assert peak(lambda: import_vault(workspace, tmp_path / "vault", actor=owner)) < 80_000_000
    assert peak(lambda: write_folder(tmp_path / "out", workspace, {})) < 40_000_000
    with open(os.devnull, "wb") as sink:
        assert peak(lambda: write_archive(sink, workspace, {})) < 40_000_000


def test_the_order_in_which_notes_came_does_not_show(owner):
    """Nor whether the last of them came long after the first: but their ids do, so the manifest aside."""
    files = {f"{name}.md": name.encode() for name in ("b", "A", "a", "é", "e\u0301", "c?", "c:")}
    made = []
    for names in (sorted(files), sorted(files, reverse=True)):
        workspace = new_workspace(owner)
        for name in names:
            import_files(workspace, {name: files[name]}, owner)
        data = entries(archive(workspace))
        del data["manifest.json"]
        made.append(list(data.items()))
    assert made[0] == made[1]


def test_the_demo_vault_comes_back(workspace, owner):
    vault = Path(kjxlkj.__file__).parent / "demo" / "vault"
    import_vault(workspace, vault, actor=owner)
    assert originals(archive(workspace)) == tree(vault)


def test_a_vault_that_is_a_folder_can_be_exported_into(workspace, owner, tmp_path):
    """What is there already is taken over."""
    vault = Path(kjxlkj.__file__).parent / "demo" / "vault"
    shutil.copytree(vault, tmp_path / "vault")
    import_vault(workspace, tmp_path / "vault", actor=owner)
    assert write_folder(tmp_path / "vault", workspace, {}).written == 0
    assert {path: data for path, data in tree(tmp_path / "vault").items() if path != "manifest.json"} == tree(vault)


def part_of(corpus, target):
    with zipfile.ZipFile(corpus) as file, zipfile.ZipFile(target, "w") as part:
        paths = sorted(path for path in file.namelist() if not path.endswith("/"))
        for path in paths[:: max(1, len(paths) // FILES_OF_A_PART)]:
            part.writestr(path, file.read(path))
    return target


@pytest.mark.parametrize("name", ["18f-blog", "digitalgov", "flancia-garden", "windows-driver-docs"])
def test_a_part_of_a_real_vault_comes_back(workspace, owner, name, tmp_path):
    """`benchmarks.import_export` compares all of it."""
    corpus = CORPORA / f"{name}.zip"
    if not corpus.exists():
        pytest.skip(f"{corpus.name} is not there")
    part = part_of(corpus, tmp_path / "part.zip")
    report = import_vault(workspace, part, actor=owner)
    refused = {entry.path for entry in report.refused}
    with zipfile.ZipFile(part) as file:
        came = {path: file.read(path) for path in file.namelist() if path not in refused}
    data = archive(workspace)
    went = originals(data)
    assert len(went) == report.created + report.attachments_stored == len(came) - report.skipped
    assert all(came[path] == content for path, content in went.items())
    before = traces(workspace)
    assert import_archive(workspace, data, owner).changes_nothing
    write_folder(tmp_path / "out", workspace, {})
    assert tree(tmp_path / "out") == entries(data)
    assert import_vault(workspace, tmp_path / "out", actor=owner).changes_nothing
    assert write_folder(tmp_path / "out", workspace, {}).written == 0
    assert traces(workspace) == before
    other = new_workspace(owner)
    assert not import_vault(other, tmp_path / "out", actor=owner).refused
    assert said(other) == said(workspace)


def test_a_block_at_its_largest_takes_no_more_and_the_manifest_tells_the_rest(workspace, owner):
    block = "---\ntitle: T\nlong: " + "x" * (256 * 1024 - 40) + "\n---\n"
    (note,) = create_notes(workspace, [NewNote("T", "body\n", "a.md", front_matter=block)], cause=by(owner))
    tags = [f"{'t' * 58}-{number}" for number in range(20)]
    update_note(note, base_version=1, cause=by(owner), tags=tags)
    data = archive(workspace)
    assert entries(data)["a.md"].decode() == f"{block}body\n"
    other = new_workspace(owner)
    import_archive(other, data, owner)
    assert Note.objects.get(workspace=other).tags == sorted(tags)
