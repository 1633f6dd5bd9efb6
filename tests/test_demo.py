"""`manage.py demo`: the first workspace."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from automation.models import Rule, Run
from kjxlkj.notes.cause import by
from kjxlkj.notes.models import Attachment, Note
from kjxlkj.notes.services import update_note
from kjxlkj.workspaces.models import Workspace
from kjxlkj.workspaces.services import create_owner, system_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def files(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "files"


def demo(**options):
    out, err = StringIO(), StringIO()
    call_command("demo", stdout=out, stderr=err, **options)
    return out.getvalue(), err.getvalue()


def test_it_brings_a_vault_rules_and_work_for_the_librarian():
    demo()
    workspace = Workspace.objects.get(slug="demo")
    assert workspace.owner == system_user()
    assert Note.objects.filter(workspace=workspace).count() == 99
    assert Attachment.objects.filter(workspace=workspace).count() == 2
    assert set(Rule.objects.values_list("name", "trigger", "enabled")) == {
        ("File the inbox", "note.changed", True),
        ("Markdown archive", "manual", True),
        ("Tidy the vault", "manual", True),
    }
    run = Run.objects.get()
    assert (run.status, run.rule.name, run.sources.count()) == ("queued", "Tidy the vault", 99)


def test_a_second_time_it_does_nothing_and_undoes_nothing():
    demo()
    note = Note.objects.filter(path__startswith="inbox/").first()
    update_note(note, base_version=1, cause=by(system_user()), title="As a person wants it")
    runs = Run.objects.count()
    assert "is there already" in demo()[0]
    note.refresh_from_db()
    assert (note.title, note.version) == ("As a person wants it", 2)
    assert Run.objects.count() == runs
    assert Rule.objects.count() == 3


def test_what_was_cut_off_after_the_import_is_completed():
    demo()
    Run.objects.all().delete()
    Rule.objects.all().delete()
    assert "99 unchanged" in demo()[0]
    assert (Rule.objects.count(), Run.objects.count()) == (3, 1)


def test_it_passes_to_the_first_owner():
    demo()
    owner = create_owner(email="first@example.com", password="correct horse battery staple")
    assert Workspace.objects.get(slug="demo").owner == owner


def test_a_vault_of_ones_own_names_the_workspace_and_what_is_refused(tmp_path):
    vault = tmp_path / "Våra anteckningar 2026"
    vault.mkdir()
    (vault / "a.md").write_text("# A")
    (vault / "bad.md").write_bytes(b"\xff")
    _, said = demo(vault=vault)
    assert "refused: bad.md" in said
    workspace = Workspace.objects.get()
    assert (workspace.slug, workspace.name) == ("vara-anteckningar-2026", "Våra anteckningar 2026")
    assert Note.objects.filter(workspace=workspace).count() == 1
    assert Run.objects.count() == 1


def test_a_vault_without_notes_still_gets_its_rules(tmp_path):
    vault = tmp_path / "empty"
    vault.mkdir()
    demo(vault=vault)
    assert (Rule.objects.count(), Run.objects.count()) == (3, 0)


@pytest.mark.parametrize(("command", "options"), [("demo", {}), ("import_notes", {"workspace": "new", "create": True})])
def test_what_is_no_vault_leaves_no_workspace_behind(tmp_path, command, options):
    path = tmp_path / "notes.txt"
    path.write_text("no zip")
    given = {"vault": path} if command == "demo" else {}
    with pytest.raises(CommandError, match="neither a folder nor a whole zip"):
        call_command(command, *([] if given else [str(path)]), **given, **options)
    assert not Workspace.objects.exists()
