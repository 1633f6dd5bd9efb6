"""Backups of every schema that we have had, and of other versions of PostgreSQL, come back and work.

`backups/` has one of each: made by the code of that time, with what was in it as JSON (`make_backup_fixture`).
"""

import hashlib
import json
import lzma
import os
import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from automation.models import Rule, Run
from exports import backup_file
from exports.models import ExportJob
from exports.verification import examine
from kjxlkj.jobs import services as jobs
from kjxlkj.notes.cause import by
from kjxlkj.notes.history import state_at
from kjxlkj.notes.models import Attachment, Note
from kjxlkj.notes.services import NewNote, create_note
from kjxlkj.workspaces.models import User, Workspace
from librarian.models import Operation
from librarian.services import Decision, review
from tests.exports.installation import LIVE, installed
from tests.exports.make_backup_fixture import contents
from tests.exports.servers import OTHERS, OURS, major

pytestmark = pytest.mark.xdist_group("restoring")

_BACKUPS = sorted((Path(__file__).parent / "backups").glob("*.dump.xz"))


@pytest.mark.parametrize("packed", _BACKUPS, ids=lambda path: path.name.partition(".")[0])
def test_a_backup_of_an_earlier_schema_comes_back_and_works(new_installation, packed, tmp_path, capsys):
    dump = tmp_path / packed.stem
    dump.write_bytes(lzma.decompress(packed.read_bytes()))
    _put_beside(tmp_path, bytes(range(256)))
    manifest = packed.with_name(f"{packed.stem}.json")
    call_command("restore_backup", str(dump), "--manifest", str(manifest), "--attachments", str(tmp_path))
    assert "put back into the storage: 1" in capsys.readouterr().out
    call_command("migrate", "--check", verbosity=0)
    _compare(json.loads(packed.with_name(f"{packed.stem.removesuffix('.dump')}.expected.json").read_text()))
    _work_on()


def _put_beside(folder, data):
    """As `backup_sql --attachments` lays the content of a file."""
    sha256 = hashlib.sha256(data).hexdigest()
    (folder / sha256[:2]).mkdir()
    (folder / sha256[:2] / sha256).write_bytes(data)


def _compare(expected):
    found = contents()
    for what in ("notes", "versions", "operations", "attachments"):
        assert found[what] == expected[what], what
    # What was restored is told of by events of its own.
    last = max(event["seq"] for event in expected["events"])
    assert [event for event in found["events"] if event["seq"] <= last] == expected["events"]
    unfinished = {job["id"] for job in expected["jobs"] if job["status"] in ("queued", "running")}
    assert [job for job in found["jobs"] if job["id"] not in unfinished] == [
        job for job in expected["jobs"] if job["id"] not in unfinished
    ]
    for run in Run.objects.filter(pk__in=unfinished):
        acts_outside = run.rule_snapshot["action_json"]["kind"] == "webhook"
        assert (run.status, run.error_code) == (("failed", "RESTORED") if acts_outside else ("queued", ""))


def _work_on():
    assert not Rule.objects.filter(next_tick_at__lte=timezone.now()).exists()
    for model in (Run, ExportJob):
        for job in model.objects.filter(status="queued"):
            jobs.execute(model._meta.label_lower, job.pk)
            job.refresh_from_db()
            assert job.status == "succeeded", job.error_detail
    owner = User.objects.get(email="owner@example.com")
    note = create_note(Workspace.objects.get(slug="team"), NewNote("New", "[[log]]"), cause=by(owner))
    assert note.links.get().target.path == "inbox/log.md"


# --- Other versions of PostgreSQL -----------------------------------------------------------------


def _dumped(path):
    call_command("backup_sql", "--to", str(path))
    return contents()


@pytest.mark.parametrize("folder", OTHERS, ids=major)
def test_a_backup_of_an_older_server_comes_back_on_a_newer_one_and_none_the_other_way(
    new_installation, django_db_blocker, folder, tmp_path, monkeypatch
):
    owner = User.objects.create(email="owner@example.com", name="Owner")
    call_command("demo", verbosity=0)
    ours = _dumped(tmp_path / "ours.dump")
    with ExitStack() as stack:
        other = stack.enter_context(installed(folder))
        other.make(LIVE, like="pattern")
        with other.in_use(monkeypatch):
            with pytest.raises(CommandError, match="SERVER_TOO_OLD"):
                call_command("restore_backup", str(tmp_path / "ours.dump"))
            call_command("demo", verbosity=0)
            theirs = _dumped(tmp_path / "theirs.dump")
            # With newer programs than its server is, too.
            monkeypatch.setenv("PATH", f"{OURS}{os.pathsep}{os.environ['PATH']}")
            newer = tmp_path / "newer.dump"
            assert _dumped(newer) == theirs
            assert examine(backup_file.read(newer))["ok"]
            monkeypatch.undo()
    assert contents() == ours
    assert theirs != ours
    call_command("restore_backup", str(tmp_path / "theirs.dump"), "--replace", "--yes")
    assert contents() == theirs
    assert owner not in User.objects.all()


# --- The whole of it --------------------------------------------------------------------------------


def test_a_vault_that_was_reviewed_survives_the_loss_of_everything(new_installation, files, tmp_path):
    """Every note with each of its versions, and every event."""
    corpora = os.environ.get("KJXLKJ_CORPORA")
    vaults = sorted(path for path in Path(corpora).iterdir() if path.is_dir())[:1] if corpora else []
    call_command("demo", *(["--vault", str(vaults[0])] if vaults else []), verbosity=0)
    for run in Run.objects.filter(status="queued"):
        jobs.execute("automation.run", run.pk)
    workspace = Workspace.objects.get()
    pending = Operation.objects.filter(status="pending").exclude(kind="defer").order_by("pk")[:6]
    kinds = ("reject", "apply", "apply")
    outcomes = review(
        [Decision(operation.pk, kinds[number % 3]) for number, operation in enumerate(pending)], actor=workspace.owner
    )
    assert {outcome.status for outcome in outcomes} == {"applied", "rejected"}
    before, texts = contents(), _every_version()
    assert len(before["notes"]) > 50
    call_command(
        "backup_sql", "--to", str(tmp_path / "all.dump"), "--attachments", str(tmp_path / "beside"), verbosity=0
    )
    with connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA public CASCADE")
        cursor.execute("CREATE SCHEMA public")
        cursor.execute("CREATE TABLE public.ruins (x int)")
    shutil.rmtree(files / "attachments")
    arguments = ["--attachments", str(tmp_path / "beside"), "--replace", "--yes"]
    call_command("restore_backup", str(tmp_path / "all.dump"), *arguments)
    assert contents() == before
    assert _every_version() == texts
    for attachment in Attachment.objects.live():
        assert hashlib.sha256(attachment.file.read()).hexdigest() == attachment.sha256


def _every_version():
    return {(note.pk, seq): state_at(note, seq) for note in Note.objects.all() for seq in range(1, note.version + 1)}
