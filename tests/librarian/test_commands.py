"""Review from the console."""

import json
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command

from kjxlkj.notes.cause import by
from kjxlkj.notes.models import Note
from kjxlkj.notes.services import update_note
from librarian.batches import decide_together
from librarian.models import Operation
from tests.librarian.conftest import op

pytestmark = pytest.mark.django_db


@pytest.fixture
def operations(propose, notes):
    return propose(op("retitle_note", notes["beta"], title="B"), op("retag_note", notes["alpha"], tags=("x",)))


def test_pending_proposals_are_listed_as_json_lines(operations, capsys):
    call_command("review", workspace="team")
    listed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["id"], row["kind"]) for row in listed] == [
        (str(operations[0].id), "retitle_note"),
        (str(operations[1].id), "retag_note"),
    ]


def test_decisions_are_carried_out(operations, notes, editor, capsys):
    ids = [operation.id for operation in operations]
    call_command("review", workspace="team", email=editor.email, apply=[ids[0]], reject=[ids[1]], reason="no")
    assert Note.objects.get(pk=notes["beta"].pk).title == "B"
    assert Operation.objects.get(pk=ids[1]).reject_reason == "no"
    assert capsys.readouterr().out.split() == [str(ids[0]), "applied", str(ids[1]), "rejected"]


def test_what_could_not_be_carried_out_is_told_and_ends_in_status_1(operations, notes, editor, owner, capsys):
    update_note(notes["beta"], base_version=1, cause=by(owner), title="Moved")
    with pytest.raises(CommandError) as raised:
        call_command("review", workspace="team", email=editor.email, apply=[operations[0].id])
    assert raised.value.returncode == 1
    assert "VERSION_CONFLICT" in capsys.readouterr().out


def test_unknown_operations_and_missing_rights_do_nothing(operations, viewer, editor):
    with pytest.raises(CommandError, match="OPERATION_NOT_FOUND"):
        call_command("review", workspace="team", email=editor.email, apply=[uuid4()])
    with pytest.raises(CommandError, match="ROLE_FORBIDDEN"):
        call_command("review", workspace="team", email=viewer.email, apply=[operations[0].id])


@pytest.mark.parametrize("what", ["operation", "batch", "run"])
def test_what_was_decided_is_undone(what, operations, notes, run, editor, capsys):
    ids = [operation.id for operation in operations]
    batch, _ = decide_together(ids, "apply", actor=editor)
    named = {"operation": ids, "batch": batch.id, "run": run.id}
    call_command("undo", email=editor.email, **{what: named[what]})
    assert sorted(capsys.readouterr().out.splitlines()) == sorted(f"{each} reverted" for each in ids)
    assert Note.objects.get(pk=notes["beta"].pk).title == "Beta"


def test_what_was_rejected_waits_again(operations, editor, capsys):
    decide_together([operations[0].id], "reject", actor=editor)
    call_command("undo", email=editor.email, operation=[operations[0].id])
    assert capsys.readouterr().out == f"{operations[0].id} pending\n"


def test_what_was_changed_since_is_told_and_ends_in_status_1(operations, notes, editor, capsys):
    decide_together([operations[0].id], "apply", actor=editor)
    update_note(notes["beta"], base_version=2, cause=by(editor), title="Mine")
    with pytest.raises(CommandError) as raised:
        call_command("undo", operation=[operations[0].id])
    assert raised.value.returncode == 1
    assert "CHANGED_SINCE" in capsys.readouterr().out


@pytest.mark.parametrize("what", ["operation", "batch", "run"])
def test_there_is_nothing_to_undo_for_strangers_and_under_unknown_ids(what, operations, run, editor, outsider):
    ids = [operation.id for operation in operations]
    batch, _ = decide_together(ids, "apply", actor=editor)
    named = {"operation": ids, "batch": batch.id, "run": run.id}
    with pytest.raises(CommandError, match="_NOT_FOUND"):
        call_command("undo", email=outsider.email, **{what: named[what]})
    unknown = [uuid4()] if what == "operation" else uuid4()
    with pytest.raises(CommandError, match="_NOT_FOUND"):
        call_command("undo", email=editor.email, **{what: unknown})
    assert set(Operation.objects.values_list("status", flat=True)) == {"applied"}


def test_the_undo_of_a_viewer_is_refused(operations, viewer, editor):
    decide_together([operations[0].id], "apply", actor=editor)
    with pytest.raises(CommandError, match="ROLE_FORBIDDEN"):
        call_command("undo", email=viewer.email, operation=[operations[0].id])
