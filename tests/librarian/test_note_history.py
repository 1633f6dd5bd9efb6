"""What a note's history tells of proposals: the rule behind them, who decided, and that they were undone."""

import re

import pytest
from django.test import Client
from django.urls import reverse

from automation.services import launch_rule
from kjxlkj.notes.cause import Cause
from kjxlkj.notes.models import CauseKind
from kjxlkj.notes.services import update_note
from librarian.services import APPLY, Decision, apply_by_itself, review
from librarian.undoing import undo
from tests.librarian.conftest import op

pytestmark = pytest.mark.django_db


@pytest.fixture
def history(viewer):
    """The entries of a note's history as its page shows them, newest first, without their markup."""

    def read(note):
        client = Client()
        client.force_login(viewer, backend="django.contrib.auth.backends.ModelBackend")
        page = client.get(reverse("admin:notes_note_change", args=[note.pk])).content.decode()
        read.page = page.split('<ol class="timeline">')[1].split("</ol>")[0]
        entries = re.findall(r"<li>(.*?)</li>", read.page, re.DOTALL)
        return [" ".join(re.sub(r"<[^>]+>", " ", entry).split()) for entry in entries]

    return read


def test_an_accepted_proposal_and_its_undoing_name_person_rule_run_and_operation(
    history, propose, notes, editor, owner, run, rule
):
    (operation,) = propose(op("retag_note", notes["alpha"], tags=("two",), reason="It is about two."))
    review([Decision(operation.id, APPLY)], actor=editor)
    operation.refresh_from_db()
    undo([operation], actor=owner)
    undone, accepted, first = history(notes["alpha"])
    assert re.fullmatch(r"Version 3 tags undone by Owner, .* from rule R : operation , run", undone)
    assert re.fullmatch(
        r"Version 2 tags accepted by Editor, .* from rule R : operation , run It is about two\.", accepted
    )
    assert first.startswith("Version 1 the first version written by Owner")
    for name, row in (("automation_rule_change", rule), ("review_run", run), ("review_operation", operation)):
        assert history.page.count(f'href="{reverse(f"admin:{name}", args=[row.pk])}"') == 2


def test_what_a_rule_applied_by_itself_says_so(history, propose, notes, run):
    (operation,) = propose(op("retag_note", notes["alpha"], tags=("two",)))
    apply_by_itself(operation, "As its like were accepted.")
    (applied, _) = history(notes["alpha"])
    assert re.fullmatch(r"Version 2 tags applied by the rule itself, .* As its like were accepted\. because", applied)


def test_a_run_that_is_not_kept_any_more_is_not_linked_to(history, notes, owner, rule):
    run = launch_rule(rule, actor=owner).runs[0]
    cause = Cause(CauseKind.OPERATION, owner, run.id)
    update_note(notes["alpha"], base_version=1, cause=cause, tags=["two"])
    assert "from rule R : run" in history(notes["alpha"])[0]
    run.delete()
    assert "from a run that is not kept any more" in history(notes["alpha"])[0]
    assert str(run.pk) not in history.page


def test_the_rules_of_a_history_are_asked_for_at_once(history, propose, notes, editor, connection_queries):
    def accept(tag):
        (operation,) = propose(op("retag_note", notes["alpha"], tags=(tag,)))
        outcome = review([Decision(operation.id, APPLY)], actor=editor)
        assert not outcome[0].code

    accept("a")
    few = connection_queries(lambda: history(notes["alpha"]))
    for tag in "bcdef":
        accept(tag)
    assert connection_queries(lambda: history(notes["alpha"])) == few
