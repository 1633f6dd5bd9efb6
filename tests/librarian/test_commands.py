"""Review from the console."""

import json
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command

from kjxlkj.notes.cause import by
from kjxlkj.notes.models import Note
from kjxlkj.notes.services import update_note
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
