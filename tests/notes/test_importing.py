"""Vaults coming in: what is written, what is left alone, what is refused."""

import json
import stat
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from automation.models import Rule, Run
from kjxlkj.errors import Forbidden, Invalid
from kjxlkj.notes.cause import by
from kjxlkj.notes.files import file_of
from kjxlkj.notes.importing import import_vault
from kjxlkj.notes.models import Attachment, CauseKind, Note, NoteLink
from kjxlkj.notes.services import NewNote, create_note, delete_note, update_note
from kjxlkj.workspaces.models import WorkspaceEvent
from tests.jobs.conftest import wait_for
from tests.notes.test_vault import unprivileged_folder

PLAN = (
    "---\ntitle: The plan # ours\ntags: [Big Idea, later]\naliases: [Masterplan]\n---\n"
    "See [[log]] and [x](sub/log.md).\n"
)


@pytest.fixture(autouse=True)
def files(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "files"
    return settings.MEDIA_ROOT


@pytest.fixture
def vault(tmp_path):
    root = tmp_path / "vault"
    write(root, {"plan.md": PLAN, "sub/log.md": "# Log\r\nno last line", "sub/picture.png": b"\x89PNG" * 10})
    return root


def write(root: Path, files: dict[str, str | bytes]) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def counts(report):
    return (report.created, report.changed, report.unchanged, report.deleted)


@pytest.mark.django_db
def test_files_become_notes_with_what_their_front_matter_says(workspace, owner, vault):
    report = import_vault(workspace, vault, actor=owner)
    assert counts(report) == (2, 0, 0, 0)
    plan, log = Note.objects.filter(workspace=workspace).order_by("path")
    assert (plan.path, plan.title, plan.tags, plan.aliases) == (
        "plan.md",
        "The plan",
        ["big-idea", "later"],
        ["Masterplan"],
    )
    assert plan.front_matter + plan.body == PLAN
    assert plan.metadata == {"title": "The plan", "tags": ["Big Idea", "later"], "aliases": ["Masterplan"]}
    assert (log.title, log.front_matter, log.body) == ("log", "", "# Log\r\nno last line")
    assert set(plan.links.values_list("target_id", flat=True)) == {log.id}
    assert plan.history.get().cause == CauseKind.IMPORT
    assert plan.history.get().actor == owner


@pytest.mark.django_db
def test_each_new_note_is_told_of_once_and_rules_hear_of_it(workspace, owner, vault):
    rule = Rule.objects.create(
        workspace=workspace,
        name="R",
        trigger="note.created",
        condition_json={"folder": "sub"},
        action_json={"kind": "export_markdown"},
    )
    import_vault(workspace, vault, actor=owner)
    events = WorkspaceEvent.objects.filter(workspace=workspace, type="note.created")
    assert sorted(event.payload["path"] for event in events) == ["plan.md", "sub/log.md"]
    source = Run.objects.get(rule=rule).sources.get()
    assert source.note.path == "sub/log.md"


@pytest.mark.django_db
def test_a_second_import_changes_nothing(workspace, owner, vault):
    import_vault(workspace, vault, actor=owner)
    events = WorkspaceEvent.objects.count()
    report = import_vault(workspace, vault, actor=owner)
    assert counts(report) == (0, 0, 2, 0)
    assert report.changes_nothing
    assert report.attachments_unchanged == 1
    assert WorkspaceEvent.objects.count() == events
    assert set(Note.objects.values_list("version", flat=True)) == {1}


@pytest.mark.django_db
def test_the_file_that_an_edited_note_would_have_changes_nothing_either(workspace, owner, vault):
    import_vault(workspace, vault, actor=owner)
    plan = Note.objects.get(path="plan.md")
    plan = update_note(plan, base_version=1, cause=by(owner), title="Another: plan", tags=["later", "new"])
    text, untold = file_of(plan)
    assert untold == {}
    assert "# ours" in text
    write(vault, {"plan.md": text})
    assert counts(import_vault(workspace, vault, actor=owner)) == (0, 0, 2, 0)


@pytest.mark.django_db
def test_a_changed_file_makes_a_new_version(workspace, owner, vault):
    import_vault(workspace, vault, actor=owner)
    write(vault, {"plan.md": PLAN.replace("later]", "sooner]").replace("See", "Look at")})
    assert counts(import_vault(workspace, vault, actor=owner)) == (0, 1, 1, 0)
    plan = Note.objects.get(path="plan.md")
    assert (plan.version, plan.tags) == (2, ["big-idea", "sooner"])
    assert plan.metadata["tags"] == ["Big Idea", "sooner"]
    assert plan.body.startswith("Look at")
    assert plan.history.get(seq=2).changed == ["body", "front_matter", "tags"]


@pytest.mark.django_db
def test_a_deleted_note_leaves_its_path_to_the_file(workspace, owner, vault):
    import_vault(workspace, vault, actor=owner)
    delete_note(Note.objects.get(path="plan.md"), base_version=1, cause=by(owner))
    assert counts(import_vault(workspace, vault, actor=owner)) == (1, 0, 1, 0)
    assert Note.objects.live().filter(path="plan.md").count() == 1


@pytest.mark.django_db
def test_an_edited_file_of_a_note_without_a_path_changes_that_note(workspace, owner, make_note, tmp_path):
    note = make_note("Idea", body="Before.\n")
    record = {"path": "Idea 1.md", "original_path": "", "id": str(note.id), "sha256": "as it was", "title": "Idea"}
    manifest = json.dumps({"kjxlkj": 1, "files": [record]})
    write(tmp_path / "out", {"manifest.json": manifest, "Idea 1.md": "---\ntitle: Better\n---\nAfter.\n"})
    assert counts(import_vault(workspace, tmp_path / "out", actor=owner)) == (0, 1, 0, 0)
    note = Note.objects.get(workspace=workspace)
    assert (note.path, note.title, note.body) == ("", "Better", "After.\n")


@pytest.mark.django_db
def test_what_has_no_file_any_more_is_deleted_if_asked_for(workspace, owner, vault):
    import_vault(workspace, vault, actor=owner)
    create_note(workspace, NewNote("Never was a file"), cause=by(owner))
    (vault / "plan.md").unlink()
    (vault / "sub/picture.png").unlink()
    assert counts(import_vault(workspace, vault, actor=owner)) == (0, 0, 1, 0)
    report = import_vault(workspace, vault, actor=owner, delete_missing=True)
    assert counts(report) == (0, 0, 1, 1)
    assert report.attachments_deleted == 1
    assert sorted(Note.objects.live().values_list("path", flat=True)) == ["", "sub/log.md"]
    assert not Attachment.objects.live().exists()


@pytest.mark.django_db
def test_a_note_whose_file_is_refused_is_not_missing(workspace, owner, vault):
    import_vault(workspace, vault, actor=owner)
    write(vault, {"plan.md": b"\xff\xfe broken"})
    report = import_vault(workspace, vault, actor=owner, delete_missing=True)
    assert [(refused.path, refused.code) for refused in report.refused] == [("plan.md", "BAD_UTF8")]
    assert counts(report) == (0, 0, 1, 0)


@pytest.mark.django_db
def test_what_is_in_a_folder_that_cannot_be_read_is_not_missing(workspace, owner):
    with unprivileged_folder() as vault:
        write(vault, {"a.md": "a", "sub/in/b.md": "b", "sub/c.png": b"c", "subway.md": "no longer there"})
        import_vault(workspace, vault, actor=owner)
        (vault / "subway.md").unlink()
        (vault / "sub").chmod(0)
        report = import_vault(workspace, vault, actor=owner, delete_missing=True)
        (vault / "sub").chmod(0o700)
    assert [(refused.path, refused.code) for refused in report.refused] == [("sub", "UNREADABLE")]
    assert (counts(report), report.attachments_deleted) == ((0, 0, 1, 1), 0)


@pytest.mark.django_db
def test_a_note_whose_renamed_file_is_refused_is_not_missing(workspace, owner, vault):
    """An archive of ours has it under another name than the workspace."""
    write(vault, {"what_.md": "x", "manifest.json": '{"kjxlkj": 1, "files": [{"path": "what_.md", '
                                                   '"sha256": "0", "original_path": "what?.md"}]}'})  # fmt: skip
    import_vault(workspace, vault, actor=owner)
    write(vault, {"what_.md": b"\0"})
    report = import_vault(workspace, vault, actor=owner, delete_missing=True)
    assert [(refused.path, refused.code) for refused in report.refused] == [("what?.md", "NUL")]
    assert counts(report) == (0, 0, 2, 0)


@pytest.mark.django_db
def test_an_empty_vault_deletes_nothing(workspace, owner, vault, tmp_path):
    import_vault(workspace, vault, actor=owner)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(Invalid) as error:
        import_vault(workspace, empty, actor=owner, delete_missing=True)
    assert error.value.code == "VAULT_EMPTY"
    assert Note.objects.live().count() == 2


@pytest.mark.django_db
def test_a_dry_run_says_the_same_and_writes_nothing(workspace, owner, vault, files):
    write(vault, {"bad.md": b"a\0b", "back\\slash.md": "x"})
    said = import_vault(workspace, vault, actor=owner, dry_run=True)
    assert not Note.objects.exists()
    assert not Attachment.objects.exists()
    assert not files.exists()
    assert said == import_vault(workspace, vault, actor=owner)
    (vault / "plan.md").unlink()
    said = import_vault(workspace, vault, actor=owner, dry_run=True, delete_missing=True)
    assert Note.objects.live().count() == 2
    assert said == import_vault(workspace, vault, actor=owner, delete_missing=True)


@pytest.mark.django_db
def test_what_cannot_be_taken_is_named_and_stops_nothing_else(workspace, owner, vault, settings):
    settings.NOTE_BODY_MAX_BYTES = 1000
    write(
        vault,
        {
            "back\\slash.md": "x",
            "big.md": "x" * 1001,
            "nul.md": b"a\0b",
            "long" + "é" * 100 + "/" + "é" * 120 + "/" + "é" * 120 + "/" + "é" * 120 + "/" + "é" * 100 + ".md": "x",
            "odd.md": "---\nkey: [never closed\n---\nbody\n",
        },
    )
    report = import_vault(workspace, vault, actor=owner)
    codes = {refused.path[:4]: refused.code for refused in report.refused}
    assert codes == {"back": "INVALID_FIELD", "big.": "TOO_LARGE", "nul.": "NUL", "long": "INVALID_FIELD"}
    assert [path for path, _ in report.warnings] == ["odd.md"]
    assert Note.objects.get(path="odd.md").front_matter == "---\nkey: [never closed\n---\n"
    assert report.created == 3


@pytest.mark.django_db
def test_paths_keep_their_white_space(workspace, owner, vault):
    write(vault, {" plan.md": "one", "plan .md": "two"})
    report = import_vault(workspace, vault, actor=owner)
    assert not report.refused
    assert set(Note.objects.values_list("path", flat=True)) == {" plan.md", "plan .md", "plan.md", "sub/log.md"}


@pytest.mark.django_db
def test_a_zip_says_the_same_as_its_folder(workspace, owner, vault, tmp_path):
    import_vault(workspace, vault, actor=owner)
    with zipfile.ZipFile(tmp_path / "vault.zip", "w") as archive:
        for file in vault.rglob("*.*"):
            archive.write(file, file.relative_to(vault))
    assert import_vault(workspace, tmp_path / "vault.zip", actor=owner).changes_nothing


@pytest.mark.django_db
def test_the_same_content_is_stored_once_and_privately(workspace, owner, vault, files):
    write(vault, {"copy.png": b"\x89PNG" * 10})
    report = import_vault(workspace, vault, actor=owner)
    assert report.attachments_stored == 2
    one, two = Attachment.objects.all()
    assert one.file.name == two.file.name == f"attachments/{one.sha256[:2]}/{one.sha256}"
    assert [path.name for path in files.rglob("*") if path.is_file()] == [one.sha256]
    assert one.file.read() == b"\x89PNG" * 10
    assert stat.S_IMODE(Path(one.file.path).stat().st_mode) == 0o600


@pytest.mark.django_db
def test_lost_content_comes_back_with_the_next_import(workspace, owner, vault, files):
    import_vault(workspace, vault, actor=owner)
    attachment = Attachment.objects.get()
    Path(attachment.file.path).unlink()
    import_vault(workspace, vault, actor=owner)
    assert Attachment.objects.get().file.read() == b"\x89PNG" * 10


@pytest.mark.django_db
def test_a_deleted_attachment_comes_back_under_its_path(workspace, owner, vault):
    import_vault(workspace, vault, actor=owner)
    Attachment.objects.update(deleted_at=timezone.now())
    assert import_vault(workspace, vault, actor=owner).attachments_stored == 1
    assert Attachment.objects.get().deleted_at is None


@pytest.mark.django_db
def test_editors_do_not_import(workspace, editor, vault):
    with pytest.raises(Forbidden):
        import_vault(workspace, vault, actor=editor)
    assert not Note.objects.exists()


def waiting_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")  # within a transaction it would not be looked at again
        cursor.execute("SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
        return cursor.fetchone() is not None


def apart(work, *args, **kwargs):
    """On a connection of its own."""
    try:
        return work(*args, **kwargs)
    finally:
        connections.close_all()


@pytest.mark.django_db(transaction=True)
def test_an_edit_made_meanwhile_is_reported_and_not_lost(workspace, owner, vault):
    import_vault(workspace, vault, actor=owner)
    write(vault, {"plan.md": "changed", "sub/log.md": "changed as well"})
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            update_note(Note.objects.get(path="plan.md"), base_version=1, cause=by(owner), body="by a person")
            importing = pool.submit(apart, import_vault, workspace, vault, actor=owner)
            wait_for(waiting_for_a_lock)
        report = importing.result(timeout=30)
    assert [(refused.path, refused.code) for refused in report.refused] == [("plan.md", "VERSION_CONFLICT")]
    assert counts(report) == (0, 1, 0, 0)
    assert Note.objects.get(path="plan.md").body == "by a person"
    assert Note.objects.get(path="sub/log.md").body == "changed as well"


@pytest.mark.django_db(transaction=True)
def test_a_note_and_a_link_to_it_written_at_the_same_time_find_each_other(workspace, owner):
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            target = create_note(workspace, NewNote("Target"), cause=by(owner))
            writing = pool.submit(apart, create_note, workspace, NewNote("Source", body="[[target]]"), cause=by(owner))
            wait_for(lambda: waiting_for_a_lock() or writing.done())
        writing.result(timeout=30)
    assert NoteLink.objects.get().target_id == target.id
