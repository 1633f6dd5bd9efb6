"""The life of a Markdown export."""

import hashlib
from datetime import date

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from automation.models import Run
from automation.services import create_rule
from exports.models import ExportJob
from exports.services import (
    cancel_export,
    open_artifact,
    queue_markdown_export,
    request_markdown_export,
    retry_export,
)
from kjxlkj.errors import Conflict, Forbidden
from kjxlkj.notes.attachments import content_of, save_attachments, store
from kjxlkj.notes.filters import ConditionInvalid
from kjxlkj.notes.models import Attachment
from kjxlkj.workspaces.models import WorkspaceEvent
from tests.exports.conftest import archive, entries, execute

pytestmark = pytest.mark.django_db(transaction=True)


def told(workspace) -> list[str]:
    events = WorkspaceEvent.objects.filter(workspace=workspace, type__startswith="export.")
    return list(events.order_by("seq").values_list("type", flat=True))


@pytest.fixture
def attachment(workspace):
    data = b"a picture"
    content = store(content_of(lambda: ContentFile(data)), lambda: ContentFile(data))
    save_attachments(workspace.id, [("img/p.png", content)])
    return Attachment.objects.get()


def test_a_finished_export_has_a_whole_artifact(workspace, admin, notes, attachment, files):
    job = execute(request_markdown_export(workspace, actor=admin))
    assert (job.status, job.error_code) == ("succeeded", "")
    data = open_artifact(job).read()
    assert data == archive(workspace)
    assert job.size == len(data)
    assert job.sha256 == hashlib.sha256(data).hexdigest()
    assert job.filename.startswith("team-")
    assert date.fromisoformat(job.filename.removeprefix("team-").removesuffix(".zip"))
    assert job.summary_json == {"notes": 3, "attachments": 1, "edited": 2, "told_by_manifest": 0}
    assert entries(data)["img/p.png"] == b"a picture"
    assert (job.progress_done, job.progress_total) == (4, 4)
    assert not list((files / ".incoming").iterdir())


def test_every_step_is_told_with_its_actor(workspace, admin, notes):
    job = execute(request_markdown_export(workspace, actor=admin))
    assert told(workspace) == ["export.queued", "export.running", "export.succeeded"]
    last = WorkspaceEvent.objects.filter(type="export.succeeded").get()
    assert last.actor == admin
    assert last.payload["sha256"] == job.sha256
    assert last.payload["export_id"] == str(job.pk)


def test_a_second_delivery_does_nothing(workspace, owner, notes):
    job = execute(request_markdown_export(workspace, actor=owner))
    before = ExportJob.objects.values().get()
    execute(job)
    assert ExportJob.objects.values().get() == before
    assert len(told(workspace)) == 3


def test_what_an_attempt_that_was_cut_off_has_left_is_cleared(workspace, owner, notes):
    job = request_markdown_export(workspace, actor=owner)
    default_storage.save(f"exports/{job.pk}/left.zip", ContentFile(b"torn"))
    execute(job)
    assert [f"exports/{job.pk}/{name}" for name in default_storage.listdir(f"exports/{job.pk}")[1]] == [job.file.name]


def test_a_condition_chooses_notes_and_keeps_attachments(workspace, owner, notes, attachment):
    job = execute(request_markdown_export(workspace, actor=owner, condition={"folder": "inbox"}))
    assert set(entries(open_artifact(job).read())) == {"inbox/log.md", "img/p.png", "manifest.json"}


def test_a_bad_condition_is_refused_before_anything_is_written(workspace, owner):
    with pytest.raises(ConditionInvalid):
        request_markdown_export(workspace, actor=owner, condition={"colour": "red"})
    assert not ExportJob.objects.exists()


def test_editors_do_not_export(workspace, editor):
    with pytest.raises(Forbidden):
        request_markdown_export(workspace, actor=editor)


def test_damaged_content_fails_the_export_by_name(workspace, owner, notes, attachment, files):
    (lies,) = (path for path in files.rglob("*") if path.is_file())
    lies.write_bytes(lies.read_bytes()[::-1])
    job = execute(request_markdown_export(workspace, actor=owner))
    assert (job.status, job.error_code) == ("failed", "ATTACHMENT_CONTENT_DAMAGED")
    assert "img/p.png" in job.error_detail
    assert attachment.file.name in job.error_detail
    assert not job.file


def test_lost_content_fails_the_export_by_name_and_leaves_no_artifact(workspace, owner, notes, attachment, files):
    attachment.file.storage.delete(attachment.file.name)
    job = execute(request_markdown_export(workspace, actor=owner))
    assert (job.status, job.error_code) == ("failed", "ATTACHMENT_CONTENT_MISSING")
    assert "img/p.png" in job.error_detail
    assert not job.file
    assert told(workspace)[-1] == "export.failed"
    assert not [path for path in files.rglob("*") if path.is_file()]
    with pytest.raises(Conflict) as error:
        open_artifact(job)
    assert error.value.code == "EXPORT_FAILED"


def test_an_unfinished_export_has_nothing_to_fetch(workspace, owner, notes):
    job = request_markdown_export(workspace, actor=owner)
    with pytest.raises(Conflict) as error:
        open_artifact(job)
    assert error.value.code == "EXPORT_NOT_READY"


def test_an_artifact_that_is_gone_is_said_to_be(workspace, owner, notes):
    job = execute(request_markdown_export(workspace, actor=owner))
    default_storage.delete(job.file.name)
    with pytest.raises(Conflict) as error:
        open_artifact(job)
    assert error.value.code == "EXPORT_GONE"


def test_a_cancelled_export_does_not_run(workspace, owner, notes):
    job = cancel_export(request_markdown_export(workspace, actor=owner), actor=owner)
    assert (job.status, job.error_code) == ("failed", "CANCELLED")
    assert execute(job).file.name == ""


def test_an_archived_workspace_can_still_be_taken_out(workspace, owner, notes):
    type(workspace).objects.update(state="archived")
    workspace.refresh_from_db()
    assert execute(request_markdown_export(workspace, actor=owner)).status == "succeeded"


def test_a_failed_export_is_tried_again_as_a_new_one_of_the_same_run(workspace, owner, admin, notes):
    rule = create_rule(workspace, actor=owner, name="R", action_json={"kind": "export_markdown"})
    run = Run.objects.create(workspace=workspace, rule=rule, trigger="manual")
    failed = cancel_export(
        queue_markdown_export(workspace, created_by=owner, condition={"tag": "a"}, run=run), actor=owner
    )
    again = retry_export(failed, actor=admin)
    assert (again.run, again.condition_json, again.created_by) == (run, {"tag": "a"}, admin)
    assert set(entries(open_artifact(execute(again)).read())) == {"plan.md", "manifest.json"}
    failed.refresh_from_db()
    assert failed.status == "failed"


@pytest.mark.parametrize("state", ["queued", "succeeded"])
def test_only_a_failed_export_is_tried_again(workspace, owner, notes, state):
    job = request_markdown_export(workspace, actor=owner)
    if state == "succeeded":
        execute(job)
    with pytest.raises(Conflict) as error:
        retry_export(job, actor=owner)
    assert error.value.code == "EXPORT_NOT_FAILED"
    assert ExportJob.objects.count() == 1


@pytest.mark.parametrize("write", [cancel_export, retry_export])
def test_who_may_not_order_an_export_neither_ends_nor_repeats_one(workspace, owner, editor, superuser, notes, write):
    job = request_markdown_export(workspace, actor=owner)
    with pytest.raises(Forbidden):
        write(job, actor=editor)
    backup = ExportJob.objects.create(kind="sql")
    with pytest.raises(Forbidden):
        write(backup, actor=owner)
    cancel_export(backup, actor=superuser)
    assert retry_export(backup, actor=superuser).kind == "sql"
