"""Rules from the console."""

from uuid import UUID

import pytest
from django.core.management import CommandError, call_command

from automation.models import Run
from automation.services import create_rule
from kjxlkj.notes.cause import by
from kjxlkj.notes.services import NewNote, create_note

pytestmark = pytest.mark.django_db


@pytest.fixture
def rule(workspace, owner):
    create_note(workspace, NewNote("One", path="one.md"), cause=by(owner))
    return create_rule(workspace, actor=owner, name="Tidy", action_json={"kind": "librarian_structure"})


@pytest.mark.parametrize("named_by", ["name", "id"])
def test_launching_prints_the_runs(rule, owner, capsys, named_by):
    call_command("launch_rule", str(getattr(rule, named_by)), workspace="team", email=owner.email)
    assert [UUID(line) for line in capsys.readouterr().out.split()] == [Run.objects.get().id]


def test_an_unknown_rule_names_those_there_are(rule, owner):
    with pytest.raises(CommandError, match="Tidy"):
        call_command("launch_rule", "Tydi", workspace="team", email=owner.email)


def test_the_named_persons_rights_count(rule, viewer):
    with pytest.raises(CommandError, match="ROLE_FORBIDDEN"):
        call_command("launch_rule", "Tidy", workspace="team", email=viewer.email)
