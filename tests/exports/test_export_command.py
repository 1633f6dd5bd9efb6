"""`manage.py export_markdown`."""

import subprocess
from io import BytesIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from kjxlkj.notes.attachments import content_of, save_attachments, store
from kjxlkj.notes.cause import by
from kjxlkj.notes.services import NewNote, create_note, delete_note, update_note
from tests.exports.conftest import archive, entries, tree

pytestmark = pytest.mark.django_db(transaction=True)


def export(target, *args):
    call_command("export_markdown", "--workspace", "team", "--to", str(target), *args)


def test_it_writes_the_archive_whole_in_place_of_the_former(workspace, notes, tmp_path):
    target = tmp_path / "out" / "team.zip"
    target.parent.mkdir()
    target.write_text("the former one")
    export(target)
    assert target.read_bytes() == archive(workspace)
    assert list(target.parent.iterdir()) == [target]


def test_it_takes_a_filter(notes, tmp_path):
    export(tmp_path / "a.zip", "--filter", '{"folder": "inbox"}')
    assert set(entries((tmp_path / "a.zip").read_bytes())) == {"inbox/log.md", "manifest.json"}


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--filter", "{"], "not JSON"),
        (["--filter", '{"colour": 1}'], r"\$\.colour: .*\[RULE_INVALID\]"),
        (["--filter", "[]"], "expected an object"),
        (["--as", "nobody@example.com"], "no active account"),
    ],
)
def test_wrong_usage_is_named_and_touches_nothing(notes, tmp_path, args, said):
    target = tmp_path / "team.zip"
    target.write_text("the former one")
    with pytest.raises(CommandError, match=said) as error:
        export(target, *args)
    assert error.value.returncode == 2
    assert target.read_text() == "the former one"


def test_a_target_that_cannot_be_written_is_named(notes, tmp_path):
    with pytest.raises(CommandError, match="cannot be written"):
        export(tmp_path / "nowhere" / "team.zip")


@pytest.mark.parametrize("to", ["team.zip", "team"])
def test_a_fault_of_the_storage_is_not_told_as_one_of_the_target(workspace, notes, tmp_path, files, to):
    content = content_of(lambda: BytesIO(b"a picture"))
    save_attachments(workspace.id, [("p.png", store(content, lambda: BytesIO(b"a picture")))])
    lies = files / content.name
    lies.unlink()
    lies.symlink_to("/proc/self/mem")  # which opens and cannot be read
    with pytest.raises(CommandError, match="STORAGE_UNAVAILABLE") as error:
        export(tmp_path / to)
    assert "--to" not in str(error.value)


def test_a_named_person_needs_the_right(notes, editor, tmp_path):
    with pytest.raises(CommandError, match="Your role here is editor"):
        export(tmp_path / "team.zip", "--as", editor.email)


# --- Into a folder --------------------------------------------------------------------------------


def test_a_folder_holds_what_the_archive_holds(workspace, notes, tmp_path, capsys):
    export(tmp_path / "team")
    assert tree(tmp_path / "team") == entries(archive(workspace))
    assert capsys.readouterr().out == "Files: 3 written, 0 unchanged, 0 removed.\n"


def test_only_what_changed_leaves_the_database(owner, notes, tmp_path, capsys):
    export(tmp_path / "team")
    update_note(notes[0], base_version=1, cause=by(owner), tags=["b"])
    capsys.readouterr()
    with CaptureQueriesContext(connection) as queries:
        export(tmp_path / "team")
    assert capsys.readouterr().out == "Files: 1 written, 2 unchanged, 0 removed.\n"
    (texts,) = (query["sql"] for query in queries if "body, front_matter" in query["sql"])
    assert notes[0].pk.hex in texts
    assert notes[1].pk.hex not in texts
    with CaptureQueriesContext(connection) as queries:
        export(tmp_path / "team")
    assert not any("body, front_matter" in query["sql"] for query in queries)


def test_a_database_that_was_set_back_counts_its_versions_anew(workspace, owner, notes, tmp_path):
    """The same note at the same version says something else: its time tells."""
    update_note(notes[0], base_version=1, cause=by(owner), body="lost")
    export(tmp_path / "team")
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE notes_note DISABLE TRIGGER USER")
        cursor.execute("UPDATE notes_note SET body = 'kept', updated_at = now() WHERE id = %s", [notes[0].pk])
        cursor.execute("ALTER TABLE notes_note ENABLE TRIGGER USER")
    export(tmp_path / "team")
    assert tree(tmp_path / "team") == entries(archive(workspace))


def test_a_folder_takes_a_filter_and_gives_up_what_it_leaves_out(notes, tmp_path, capsys):
    export(tmp_path / "team")
    capsys.readouterr()
    export(tmp_path / "team", "--filter", '{"folder": "inbox"}')
    assert set(tree(tmp_path / "team")) == {"inbox/log.md", "manifest.json"}
    assert capsys.readouterr().out == "Files: 0 written, 1 unchanged, 2 removed.\n"


def test_a_dry_run_writes_nothing(notes, tmp_path, capsys):
    export(tmp_path / "team", "--dry-run")
    said = capsys.readouterr().out
    assert said == "Files: 3 written, 0 unchanged, 0 removed.\nThis was a dry run: nothing was written.\n"
    assert not (tmp_path / "team").exists()


def test_a_dry_run_is_for_folders(notes, tmp_path):
    with pytest.raises(CommandError, match="it is for folders"):
        export(tmp_path / "team.zip", "--dry-run")


def test_changes_by_hand_are_named(notes, tmp_path, capsys):
    export(tmp_path / "team")
    (tmp_path / "team/plan.md").write_text("by hand")
    export(tmp_path / "team")
    assert capsys.readouterr().err == (
        "changed by hand since the last export, and now as the workspace has it: plan.md\n"
    )


@pytest.mark.parametrize("args", [["--filter", '{"colour": 1}'], ["--filter", "{"], ["--as", "nobody@example.com"]])
def test_wrong_usage_makes_no_folder(notes, tmp_path, args):
    with pytest.raises(CommandError) as error:
        export(tmp_path / "team", *args)
    assert error.value.returncode == 2
    assert not (tmp_path / "team").exists()


def test_what_is_in_the_way_is_named_with_its_code(notes, tmp_path):
    (tmp_path / "team").mkdir()
    (tmp_path / "team/plan.md").write_text("mine")
    with pytest.raises(CommandError, match=r"plan\.md.*\[EXPORT_PATH_TAKEN\]") as error:
        export(tmp_path / "team")
    assert error.value.returncode == 2
    assert tree(tmp_path / "team") == {"plan.md": b"mine"}


def test_it_feeds_a_git_repository(workspace, owner, notes, tmp_path):
    root = tmp_path / "repository"

    def git(*args):
        identity = ["-c", "user.name=T", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
        done = subprocess.run(["git", "-C", root, *identity, *args], capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    subprocess.run(["git", "init", "-q", root], check=True)
    (root / "README.md").write_text("About.\n")
    (root / ".gitattributes").write_text("* -text\n")
    export(root)
    git("add", "-A")
    git("commit", "-q", "-m", "first")
    export(root)
    assert git("status", "--porcelain") == []
    update_note(notes[0], base_version=1, cause=by(owner), body="New.\n")
    delete_note(notes[1], base_version=1, cause=by(owner))
    create_note(workspace, NewNote("More", "x", "more.md"), cause=by(owner))
    export(root)
    assert git("status", "--porcelain") == [" D inbox/log.md", " M manifest.json", " M plan.md", "?? more.md"]
    git("checkout", "-q", ".")
    export(root)
    assert git("status", "--porcelain") == [" D inbox/log.md", " M manifest.json", " M plan.md", "?? more.md"]
    assert (root / "README.md").read_text() == "About.\n"
