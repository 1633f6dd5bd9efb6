"""A folder as the target of an export: what is written into it and removed from it, and what is left alone."""

import fcntl
import hashlib
import json
import os
import tempfile
from itertools import count
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exports.comparing import compare
from exports.contents import File, Planned, Source
from exports.folder import check_places, held
from exports.former import Disordered, read_former
from exports.tree import Tree
from exports.updating import Update
from kjxlkj.errors import Conflict, DomainError, Invalid
from tests.exports.conftest import tree

ABOUT = {"tool": "kjxlkj 1", "workspace": "team", "workspace_id": "w"}
READ = []
"""The paths whose texts were asked for."""


def source(path, content):
    """A note whose version tells of its content."""
    number = int.from_bytes(content[:6].ljust(6, b"\0"), "big") % 1_000_000
    return Source(path.encode()[:16].ljust(16, b"\0"), 1_700_000_000_000_001 + number, number + 1)


def export(root, files, *, about=ABOUT, dry_run=False):
    """As `write_folder`, of these paths and texts instead of a workspace's."""

    def read_files(batch):
        READ.extend(planned.path for planned in batch)
        return [
            File(path, files[path], {"id": str(UUID(bytes=s.id)), "version": s.version, "updated_at": s.updated_at})
            for path, s in ((planned.path, planned.source) for planned in batch)
        ]

    READ.clear()
    plan = [Planned(path, source(path, files[path]).packed()) for path in sorted(files)]
    with held(Path(root), dry_run=dry_run) as ours:
        former = read_former(ours, about)
        try:
            comparison = compare(plan, former, about["tool"], ours)
        except Disordered:
            former = read_former(ours, about, is_disordered=True)
            comparison = compare(plan, former, about["tool"], ours)
        check_places(ours, comparison, read_files)
        update = Update(ours, former, comparison, read_files)
        return update.tell() if dry_run else update.write(about, len(plan), lambda done: None)


def counts(outcome):
    return outcome.written, outcome.unchanged, outcome.removed


def content(root):
    return {path: data for path, data in tree(root).items() if path != "manifest.json"}


def listed(root):
    return [record["path"] for record in json.loads((root / "manifest.json").read_bytes())["files"]]


FILES = {"a.md": b"a", "b/c.md": b"c", "b/d/e.md": b"e"}


@pytest.fixture
def root(tmp_path):
    """A folder that holds an export."""
    root = tmp_path / "out"
    assert counts(export(root, FILES)) == (3, 0, 0)
    return root


def test_it_holds_the_files_and_their_manifest_and_nothing_else(root):
    assert content(root) == FILES
    assert listed(root) == sorted(FILES)


def test_the_same_again_reads_no_text_and_writes_nothing(root):
    before = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in root.rglob("*")}
    assert counts(export(root, FILES)) == (0, 3, 0)
    assert not READ
    assert {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in root.rglob("*")} == before


def test_only_what_changed_is_read_and_written_and_empty_folders_go(root):
    files = {"a.md": b"a", "b/c.md": b"C", "new/f.md": b"f"}
    kept = (root / "a.md").stat().st_ino
    assert counts(export(root, files)) == (2, 1, 1)
    assert READ == ["b/c.md", "new/f.md"]
    assert content(root) == files
    assert listed(root) == sorted(files)
    assert not (root / "b/d").exists()
    assert (root / "a.md").stat().st_ino == kept


def test_the_manifest_does_not_tell_how_it_came_about(root, tmp_path):
    files = {"a.md": b"x", "z.md": b"z"}
    export(root, files)
    export(tmp_path / "fresh", files)
    assert tree(root) == tree(tmp_path / "fresh")


def test_what_it_did_not_write_stays(root):
    others = {"README.md": b"mine", ".git/config": b"[core]", ".gitattributes": b"* -text", "b/d/mine.txt": b"x"}
    for path, data in others.items():
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_bytes(data)
    export(root, {"a.md": b"a"})
    assert content(root) == {"a.md": b"a", **others}
    export(root, {})
    assert content(root) == others


def test_a_file_changed_by_hand_is_told_of_and_made_anew(root):
    (root / "a.md").write_bytes(b"A")  # of the same size
    (root / "b/c.md").write_bytes(b"longer")
    outcome = export(root, {"a.md": b"a", "b/d/e.md": b"e"})
    assert counts(outcome) == (1, 1, 1)
    assert outcome.changed_by_hand == ["b/c.md", "a.md"]
    assert content(root) == {"a.md": b"a", "b/d/e.md": b"e"}


def test_a_file_that_is_missing_comes_back(root):
    (root / "a.md").unlink()
    outcome = export(root, FILES)
    assert (counts(outcome), outcome.changed_by_hand) == ((1, 2, 0), [])
    assert content(root) == FILES


def test_a_file_that_was_only_touched_is_not_read_from_the_database(root):
    """As after a `git checkout`."""
    for path in FILES:
        os.utime(root / path)
    assert counts(export(root, FILES)) == (0, 3, 0)
    assert not READ
    assert not (root / ".kjxlkj").exists()


def test_a_new_version_with_the_same_text_is_not_written(root):
    kept = (root / "a.md").stat().st_ino
    text = (root / "manifest.json").read_text().replace('"version"', '"former"')
    (root / "manifest.json").write_text(text)
    assert counts(export(root, FILES)) == (0, 3, 0)
    assert len(READ) == 3
    assert (root / "a.md").stat().st_ino == kept


def test_texts_are_made_again_by_another_version_of_the_program(root):
    assert counts(export(root, FILES, about={**ABOUT, "tool": "kjxlkj 2"})) == (0, 3, 0)
    assert len(READ) == 3


def test_a_dry_run_tells_the_same_and_changes_nothing(root):
    (root / "a.md").write_bytes(b"by hand")
    before = tree(root)
    files = {"a.md": b"x", "b/c.md": b"c", "new.md": b"n"}
    told = export(root, files, dry_run=True)
    assert tree(root) == before
    assert told == export(root, files)


def test_a_dry_run_makes_no_folder(tmp_path):
    assert counts(export(tmp_path / "none", FILES, dry_run=True)) == (3, 0, 0)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("layout", [{"indent": 2}, {"sort_keys": True, "indent": None}])
def test_a_manifest_that_another_program_laid_out_is_understood(root, layout):
    manifest = json.loads((root / "manifest.json").read_bytes())
    manifest["files"].reverse()
    ours = (root / "manifest.json").read_bytes()
    (root / "manifest.json").write_text(json.dumps(manifest, **layout))
    assert counts(export(root, FILES)) == (0, 3, 0)
    assert (root / "manifest.json").read_bytes() == ours
    (root / "manifest.json").write_text(json.dumps(manifest, **layout))
    assert counts(export(root, {"a.md": b"a"})) == (0, 1, 2)
    assert content(root) == {"a.md": b"a"}


# --- What is in the way ---------------------------------------------------------------------------


def refused(root, files, code):
    before = tree(root) if root.is_dir() else None
    with pytest.raises(DomainError) as error:
        export(root, files)
    assert error.value.code == code
    assert (tree(root) if root.is_dir() else None) == before
    assert not (root / ".kjxlkj").is_dir()
    return error.value


@pytest.mark.parametrize("blocker", ["new.md", "b/new.md", "new"])
def test_a_file_of_somebody_else_in_the_way_is_named_before_anything_is_written(root, blocker):
    (root / blocker).write_bytes(b"mine")
    error = refused(root, {"new.md": b"x", "b/new.md": b"x", "new/x.md": b"x"}, "EXPORT_PATH_TAKEN")
    assert error.details == {"paths": [blocker]}
    assert blocker in error.message


def test_a_file_with_the_very_bytes_is_taken_over(root):
    (root / "new.md").write_bytes(b"x")
    assert counts(export(root, {**FILES, "new.md": b"x"})) == (0, 4, 0)
    assert "new.md" in listed(root)


def test_a_folder_of_somebody_else_in_the_way_is_named(root):
    (root / "new.md/in").mkdir(parents=True)
    (root / "new.md/in/it").write_bytes(b"mine")
    refused(root, {"new.md": b"x"}, "EXPORT_PATH_TAKEN")
    (root / "new.md/in/it").unlink()
    export(root, {"new.md": b"x"})  # empty folders hold nothing of anybody's
    assert content(root) == {"new.md": b"x"}


@pytest.mark.parametrize("link", ["b", "b/d", "a.md", "new.md", "new"])
def test_a_link_is_never_followed(root, tmp_path, link):
    outside = tmp_path / "outside"
    (outside / "d").mkdir(parents=True)
    secrets = {"c.md": b"secret", "d/e.md": b"secret", "e.md": b"secret", "x.md": b"secret"}
    for path, data in secrets.items():
        (outside / path).write_bytes(data)
    if (root / link).is_dir():
        (root / link).rename(tmp_path / "moved")
    (root / link).unlink(missing_ok=True)
    (root / link).symlink_to(outside if link in {"b", "b/d", "new"} else outside / "x.md")
    wanted = {**FILES, "new.md": b"x", "new/x.md": b"x"}
    error = refused(root, wanted, "EXPORT_PATH_TAKEN")
    assert error.details == {"paths": [link]}
    export(root, {})
    assert tree(outside) == secrets
    assert (root / link).is_symlink()


def test_a_file_may_become_a_folder_and_a_folder_a_file(tmp_path):
    root = tmp_path / "out"
    export(root, {"x": b"1", "y/a/b.md": b"2", "z.md/q.md": b"3"})
    files = {"x/a.md": b"1", "y": b"2", "z.md": b"3"}
    assert counts(export(root, files)) == (3, 0, 3)
    assert content(root) == files


@pytest.mark.parametrize("path", ["../precious", "/etc/precious", "b/../../precious", ".git/config", "b//c", "."])
def test_a_manifest_from_elsewhere_cannot_remove_what_it_likes(root, tmp_path, path):
    (tmp_path / "precious").write_bytes(b"x")
    (root / ".git").mkdir()
    (root / ".git/config").write_bytes(b"x")
    manifest = json.loads((root / "manifest.json").read_bytes())
    manifest["files"].append({"path": path, "sha256": "", "size": 1})
    (root / "manifest.json").write_text(json.dumps(manifest))
    export(root, {"a.md": b"a"})
    assert (tmp_path / "precious").exists()
    assert (root / ".git/config").exists()


@pytest.mark.parametrize("path", ["z\\ud800.md", "z" * 300, f"z/{'y' * 300}/x.md"])
def test_a_name_in_the_manifest_that_no_file_can_have_ends_no_export(root, path):
    line = f',\n{{"path": "{path}", "sha256": "", "size": 1}}\n]}}\n'
    data = (root / "manifest.json").read_bytes()
    (root / "manifest.json").write_bytes(data.replace(b"\n]}\n", line.encode()))
    assert counts(export(root, {"a.md": b"A", "b/c.md": b"c"})) == (1, 1, 1)
    assert listed(root) == ["a.md", "b/c.md"]


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"name": "my app"}', '{"kjxlkj": 1, "files": [{', "<<<<<<< HEAD\n"])
def test_a_manifest_that_is_not_ours_or_damaged_is_left_alone(root, text):
    (root / "manifest.json").write_text(text)
    refused(root, FILES, "EXPORT_MANIFEST_UNREADABLE")


def test_a_line_of_the_manifest_that_was_torn_is_told_of(root):
    data = (root / "manifest.json").read_bytes()
    (root / "manifest.json").write_bytes(data.replace(b'"path": "b/c.md"', b'"path": 5'))
    refused(root, FILES, "EXPORT_MANIFEST_UNREADABLE")


def test_a_manifest_of_a_later_format_or_another_workspace_is_left_alone(root):
    manifest = json.loads((root / "manifest.json").read_bytes())
    (root / "manifest.json").write_text(json.dumps({**manifest, "kjxlkj": 2}))
    refused(root, FILES, "EXPORT_MANIFEST_NEWER")
    (root / "manifest.json").write_text(json.dumps({**manifest, "workspace_id": "another"}))
    refused(root, FILES, "EXPORT_OTHER_WORKSPACE")


def test_a_manifest_that_tells_the_name_of_its_workspace_alone_is_taken_at_that(root):
    """As those of former versions do."""
    manifest = json.loads((root / "manifest.json").read_bytes())
    del manifest["workspace_id"]
    (root / "manifest.json").write_text(json.dumps({**manifest, "workspace": "another"}))
    refused(root, FILES, "EXPORT_OTHER_WORKSPACE")
    (root / "manifest.json").write_text(json.dumps(manifest))
    assert counts(export(root, FILES)) == (0, 3, 0)


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    refused(tmp_path / "file", FILES, "EXPORT_TARGET_NOT_A_FOLDER")


def test_a_folder_that_cannot_be_made_is_told_of(tmp_path):
    refused(tmp_path / "no" / "where", FILES, "EXPORT_FOLDER_UNWRITABLE")


def test_a_folder_that_cannot_be_written_to_is_told_of(root):
    def attempt():
        if os.getuid() == 0:
            os.setuid(65534)
        with pytest.raises(Invalid) as error:
            export(root, {"a.md": b"changed"})
        assert error.value.code == "EXPORT_FOLDER_UNWRITABLE"

    root.chmod(0o555)
    for folder in [root, *root.parents][:-2]:
        if folder != root:
            folder.chmod(0o755)
    assert in_a_child(attempt) == 0


def test_two_exports_do_not_meet_in_one_folder(root):
    descriptor = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(Conflict) as error:
            export(root, FILES)
        assert error.value.code == "EXPORT_FOLDER_BUSY"
    finally:
        os.close(descriptor)
    export(root, FILES)


# --- Cut off --------------------------------------------------------------------------------------


def in_a_child(work):
    """The exit status of a process that does the work: 0, or 1 where it failed, or its own."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_at(step, root, files):
    """Export in a process that ends, with nothing flushed or tidied, at its `step`th call that changes the folder.
    Returns whether it came to that."""

    def work():
        steps = count()

        def dying(call):
            def stepped(*args, **kwargs):
                if next(steps) == step:
                    os._exit(9)
                return call(*args, **kwargs)

            return stepped

        for name in ("place", "remove", "write", "set_time"):
            setattr(Tree, name, dying(getattr(Tree, name)))
        for name in ("replace", "unlink", "rmdir", "makedirs", "fsync"):
            setattr(os, name, dying(getattr(os, name)))
        export(root, files)

    status = in_a_child(work)
    assert status in {0, 9}
    return status == 9


BEFORE = {"a.md": b"a", "b/c.md": b"c", "gone/x.md": b"x", "same.md": b"s", "was": b"file"}
AFTER = {"a.md": b"A", "b/new.md": b"n", "same.md": b"s", "was/folder.md": b"f", "z.md": b"z"}
MINE = {"README.md": b"mine", "gone/mine.txt": b"mine", ".git/HEAD": b"ref"}


def prepared(root):
    export(root, BEFORE)
    for path, data in MINE.items():
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_bytes(data)


@pytest.mark.parametrize("next_files", [AFTER, BEFORE, {}], ids=["goes on", "goes back", "all gone"])
def test_whenever_it_is_killed_the_next_export_repairs(tmp_path, next_files):
    for step in count():
        root = tmp_path / str(step)
        prepared(root)
        if not killed_at(step, root, AFTER):
            break
        assert MINE.items() <= content(root).items()
        outcome = export(root, next_files)
        assert not outcome.changed_by_hand
        assert content(root) == {**next_files, **MINE}
        assert listed(root) == sorted(next_files)
        assert not (root / ".kjxlkj").exists()
    assert step > 15


def test_what_somebody_puts_there_after_a_kill_is_not_ours(tmp_path):
    for step in count():
        root = tmp_path / str(step)
        prepared(root)
        if not killed_at(step, root, AFTER):
            break
        if not (root / "z.md").exists():
            (root / "z.md").write_bytes(b"mine")
            with pytest.raises(Conflict):
                export(root, AFTER)
            export(root, BEFORE)
            assert (root / "z.md").read_bytes() == b"mine"
    assert step > 15


def test_after_a_kill_attachments_are_looked_for_again(root):
    """On a disk without regard to case the former name of one may still be listed, and its removal removes it."""
    digest = hashlib.sha256(b"a").hexdigest()
    picture = Source(b"x" * 16, 1, sha256=digest)
    (root / "a.png").write_bytes(b"a")
    (root / "manifest.json").write_text(
        json.dumps({**ABOUT, "kjxlkj": 1, "files": [{"path": "a.png", "sha256": digest, "size": 1}]})
    )
    (root / ".kjxlkj").mkdir()
    (root / ".kjxlkj/manifest.json").write_bytes(b"")
    ours = Tree(root)
    comparison = compare([Planned("a.png", picture.packed())], read_former(ours, ABOUT), ABOUT["tool"], ours)
    assert [change.planned.path for change in comparison.changes] == ["a.png"]


NAMES = st.sampled_from(["a.md", "b.md", "c/a.md", "c/b/a.md", "c", "d.md/x.md", "d.md", "\u00e9.md"])
STATES = st.dictionaries(NAMES, st.sampled_from([b"", b"1", b"2", b"33"]), max_size=6).filter(
    lambda files: not any(other.startswith(f"{path}/") for path in files for other in files)
)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(STATES, st.none() | st.integers(0, 30)), min_size=1, max_size=5), STATES)
def test_after_any_exports_and_kills_it_holds_the_last_state_and_what_is_not_ours(runs, last):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "out")
        root.mkdir()
        (root / "mine.txt").write_bytes(b"mine")
        for files, step in runs:
            if step is None:
                export(root, files)
            else:
                killed_at(step, root, files)
        outcome = export(root, last)
        assert content(root) == {**last, "mine.txt": b"mine"}
        assert listed(root) == sorted(last)
        assert not outcome.changed_by_hand
        assert counts(export(root, last)) == (0, len(last), 0)


# --- What is in the folder that an export works in ------------------------------------------------


@pytest.mark.parametrize("link", [os.symlink, os.link], ids=["symlink", "hard link"])
@pytest.mark.parametrize("name", ["0", "manifest.json", "former.json"])
def test_a_link_in_the_folder_that_it_works_in_leads_to_no_write(root, tmp_path, link, name):
    """As a repository that was cloned can bring one along."""
    precious = tmp_path / "precious"
    precious.write_bytes(b"mine")
    (root / ".kjxlkj").mkdir()
    if name == "former.json":
        (root / ".kjxlkj/manifest.json").write_bytes((root / "manifest.json").read_bytes())
    link(precious, root / ".kjxlkj" / name)
    export(root, {"a.md": b"A"})
    assert precious.read_bytes() == b"mine"
    assert content(root).items() >= {"a.md": b"A"}.items()


def test_what_somebody_else_has_in_that_folder_stays_and_is_not_in_the_way(root):
    (root / ".kjxlkj/0").mkdir(parents=True)
    (root / ".kjxlkj/0/mine.txt").write_bytes(b"mine")
    (root / ".kjxlkj/2026").write_bytes(b"mine")
    files = {f"{number}.md": b"x" for number in range(120)}
    export(root, files)
    assert content(root) == {**files, ".kjxlkj/0/mine.txt": b"mine", ".kjxlkj/2026": b"mine"}


@pytest.mark.parametrize("name", ["manifest.json", "former.json"])
def test_a_folder_where_the_next_manifest_grows_is_named(root, name):
    (root / ".kjxlkj" / name).mkdir(parents=True)
    with pytest.raises(Conflict) as error:
        export(root, {"a.md": b"A"})
    assert (error.value.code, error.value.details) == ("EXPORT_PATH_TAKEN", {"paths": [f".kjxlkj/{name}"]})
    assert content(root) == FILES
