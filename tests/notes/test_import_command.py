"""`manage.py import_notes`: what it says and how it ends."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from kjxlkj.notes.models import Note
from kjxlkj.workspaces.models import Workspace
from kjxlkj.workspaces.services import system_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def files(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "files"


@pytest.fixture
def vault(tmp_path):
    root = tmp_path / "vault"
    root.mkdir()
    (root / "a.md").write_text("# A\n")
    (root / "b.md").write_text("# B\n")
    return root


def run(*args, **options):
    """(exit status, stdout, stderr)"""
    out, err = StringIO(), StringIO()
    try:
        call_command("import_notes", *args, stdout=out, stderr=err, **options)
    except CommandError as error:
        return error.returncode, out.getvalue(), err.getvalue() + str(error)
    return 0, out.getvalue(), err.getvalue()


def test_it_says_what_it_did_and_then_that_nothing_has_changed(vault, workspace):
    status, out, _ = run(vault, workspace="team")
    assert status == 0
    assert "2 created, 0 changed, 0 unchanged, 0 deleted" in out
    status, out, _ = run(vault, workspace="team")
    assert status == 0
    assert "0 created, 0 changed, 2 unchanged" in out
    assert "Nothing has changed." in out


def test_a_refused_file_is_named_and_makes_the_exit_status_1(vault, workspace):
    (vault / "bad.md").write_bytes(b"\xff")
    status, out, err = run(vault, workspace="team")
    assert status == 1
    assert "refused: bad.md: It is not UTF-8 at byte 0" in err
    assert "2 created" in out
    assert "1 refused" in out


def test_warnings_are_shown_up_to_a_number_and_all_of_them_on_request(vault, workspace):
    for number in range(30):
        (vault / f"{number}.md").write_text("---\na: [\n---\n")
    status, _, err = run(vault, workspace="team", dry_run=True)
    assert status == 0
    assert err.count("kept as text") == 20
    assert "10 more warnings" in err
    assert run(vault, workspace="team", dry_run=True, verbosity=2)[2].count("kept as text") == 30


def test_a_workspace_is_made_only_when_asked_for(vault, db):
    status, _, err = run(vault, workspace="new")
    assert status == 2
    assert "There is no workspace “new”" in err
    assert run(vault, workspace="new", create=True, dry_run=True)[1].startswith("Notes: 2 created")
    assert not Workspace.objects.exists()
    assert run(vault, workspace="new", create=True)[0] == 0
    assert Workspace.objects.get(slug="new").owner == system_user()


def test_a_new_workspace_belongs_to_the_superuser_if_there_is_one(vault, superuser):
    assert run(vault, workspace="new", create=True)[0] == 0
    assert Workspace.objects.get(slug="new").owner == superuser


def test_a_named_person_acts_with_their_own_rights(vault, workspace, editor, admin):
    status, _, err = run(vault, workspace="team", email=editor.email)
    assert status == 2
    assert "Your role here is editor" in err
    assert run(vault, workspace="team", email="nobody@example.com")[0] == 2
    assert run(vault, workspace="team", email=admin.email)[0] == 0
    assert Note.objects.get(path="a.md").history.get().actor == admin


def test_without_a_name_the_system_acts(vault, workspace):
    run(vault, workspace="team")
    assert Note.objects.get(path="a.md").history.get().actor == system_user()


def test_a_wrong_path_leaves_no_workspace_behind(tmp_path, db):
    status, _, err = run(tmp_path / "nothing", workspace="new", create=True)
    assert status == 2
    assert "There is nothing at" in err
    assert not Workspace.objects.exists()


def test_a_file_that_is_no_zip_is_wrong_usage(tmp_path, workspace):
    (tmp_path / "vault.zip").write_text("no zip")
    status, _, err = run(tmp_path / "vault.zip", workspace="team")
    assert status == 2
    assert "neither a folder nor a whole zip" in err
    assert "[VAULT_NOT_A_ZIP]" in err


def test_nothing_reads_a_vault_into_an_archived_workspace(vault, workspace):
    Workspace.objects.filter(pk=workspace.pk).update(state="archived")
    status, _, err = run(vault, workspace="team")
    assert status == 2
    assert "archived" in err


def test_it_says_what_it_took_the_vault_for(vault, workspace):
    assert "Taken as plain files." in run(vault, workspace="team")[1]
    (vault / ".obsidian").mkdir()
    assert "Taken as an Obsidian vault, by .obsidian." in run(vault, workspace="team")[1]
    assert "Taken as an export of Bear." in run(vault, workspace="team", source="bear")[1]


def test_an_unknown_source_is_refused_with_those_that_are_known(vault, workspace):
    with pytest.raises(CommandError, match="choose from 'auto', 'obsidian', 'logseq', 'notion', 'bear', 'plain'"):
        call_command("import_notes", vault, "--workspace", "team", "--from", "evernote")
    assert not Note.objects.exists()


def test_what_is_not_as_it_was_is_counted_and_named_in_a_report(vault, workspace, tmp_path):
    (vault / "c.md").write_text("[[nothing]] ![](gone.png)\n\n[[nobody]]")
    (vault / "bad.md").write_bytes(b"\xff")
    out = run(vault, workspace="team")[1]
    assert "Worth a look: 1 LINK_BROKEN, 2 PAGE_MISSING. --report FILE.json names each." in out
    status, out, _ = run(vault, workspace="team", report=tmp_path / "report.json")
    assert status == 1
    assert f"The report is in {tmp_path / 'report.json'}." in out
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["source"], report["recognised_by"], report["unchanged"]) == ("plain", "", 3)
    assert report["lost_by_code"] == {"LINK_BROKEN": 1, "PAGE_MISSING": 2}
    assert report["lost"][-1] == {
        "path": "c.md", "line": 3, "code": "PAGE_MISSING", "text": "There is no page [[nobody]] (yet)."
    }  # fmt: skip
    assert [refused["code"] for refused in report["refused"]] == ["BAD_UTF8"]


def test_a_report_that_has_no_place_is_told_before_anything_is_done(vault, workspace, tmp_path):
    status, _, err = run(vault, workspace="team", report=tmp_path / "none" / "report.json")
    assert status == 2
    assert "there is no folder" in err
    assert not Note.objects.exists()
