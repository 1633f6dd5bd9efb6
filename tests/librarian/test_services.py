"""Deciding: each alone, under versions and locks, and undone without touching what came after."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import DatabaseError, connections, transaction

from automation.models import Run
from automation.services import create_rule
from kjxlkj.errors import Forbidden, NotFound
from kjxlkj.notes.cause import by
from kjxlkj.notes.models import Note, NoteEvent, NoteLink
from kjxlkj.notes.services import delete_note, restore_note, update_note
from kjxlkj.workspaces.models import Workspace, WorkspaceEvent
from kjxlkj.workspaces.services import set_member
from librarian.models import Operation
from librarian.services import Decision, review
from librarian.undoing import undo, undo_operation, undo_run
from tests.librarian.conftest import op


def apply(operation, owner, **fields):
    return review([Decision(operation.id, "apply", **fields)], actor=owner)[0]


def fresh(row):
    return type(row).objects.get(pk=row.pk)


@pytest.mark.django_db
def test_accepting_writes_the_note_through_its_one_door(propose, notes, owner, run):
    operation = propose(op("relink_note", notes["alpha"], links=[("Beta", "Beta"), ("Gamma plan", "Gamma plan")]))[0]
    outcome = apply(operation, owner)
    assert (outcome.status, outcome.code, outcome.note_version) == ("applied", "", 2)
    note = fresh(notes["alpha"])
    assert note.body == "Alpha talks of [[Beta]] and of [[Gamma plan]].\n"
    assert set(NoteLink.objects.filter(source=note).values_list("target__title", flat=True)) == {"Beta", "Gamma plan"}
    event = NoteEvent.objects.get(note=note, seq=2)
    assert (event.cause, event.run_id, event.operation_id, event.actor) == ("operation", run.id, operation.id, owner)
    operation = fresh(operation)
    assert (operation.status, operation.decided_by, operation.applied_event) == ("applied", owner, event)
    assert WorkspaceEvent.objects.filter(type="operation.applied", run_id=run.id, note_id=note.id).count() == 1


@pytest.mark.django_db
def test_a_retitled_note_is_still_found_by_its_old_title(propose, notes, owner):
    apply(propose(op("relink_note", notes["alpha"], links=[("Beta", "Beta")]))[0], owner)
    apply(propose(op("retitle_note", notes["beta"], title="Second letter"))[0], owner)
    beta = fresh(notes["beta"])
    assert (beta.title, beta.aliases) == ("Second letter", ["Beta"])
    assert NoteLink.objects.get(source=notes["alpha"]).target == beta


@pytest.mark.django_db
def test_a_title_that_a_person_has_given_meanwhile_is_no_alias_of_itself(propose, notes, owner):
    retitle = propose(op("retitle_note", notes["beta"], title="Second letter"))[0]
    update_note(notes["beta"], base_version=1, cause=by(owner), title="Second letter")
    assert apply(retitle, owner, base_version=2).code == "NO_CHANGE"
    assert (fresh(notes["beta"]).version, fresh(notes["beta"]).aliases) == (2, [])


@pytest.mark.django_db
def test_creating_and_questions(propose, owner, workspace):
    created, question = propose(
        op("create_note", target_path="new.md", title="New", body_markdown="Text\n", tags=("a",)),
        op("defer", target_path="alpha.md"),
    )
    assert apply(created, owner).note_version == 1
    note = Note.objects.get(workspace=workspace, path="new.md")
    assert (note.title, note.body, note.tags, fresh(created).target_note) == ("New", "Text\n", ["a"], note)
    assert apply(question, owner).status == "applied"


@pytest.mark.django_db
def test_each_decision_stands_or_falls_alone(propose, notes, owner):
    good, bad, rejected = propose(
        op("retitle_note", notes["beta"], title="B"),
        op("retitle_note", notes["gamma"], title="G"),
        op("retag_note", notes["alpha"], tags=("x",)),
    )
    update_note(notes["gamma"], base_version=1, cause=by(owner), title="Moved on")
    outcomes = review(
        [Decision(bad.id, "apply"), Decision(good.id, "apply"), Decision(rejected.id, "reject", " not now ")],
        actor=owner,
    )
    assert [(outcome.status, outcome.code) for outcome in outcomes] == [
        ("pending", "VERSION_CONFLICT"),
        ("applied", ""),
        ("rejected", ""),
    ]
    assert outcomes[0].note_version == 2
    assert (fresh(rejected).reject_code, fresh(rejected).reject_reason) == ("REJECTED_BY_PERSON", "not now")


@pytest.mark.django_db
def test_operations_of_one_run_on_one_note_follow_each_other(propose, notes, owner):
    operations = propose(
        op("retitle_note", notes["alpha"], title="A"),
        op("retag_note", notes["alpha"], tags=("one", "two")),
        op("relink_note", notes["alpha"], links=[("Beta", "Beta")]),
    )
    outcomes = review([Decision(operation.id, "apply") for operation in operations], actor=owner)
    assert [(outcome.code, outcome.note_version) for outcome in outcomes] == [("", 2), ("", 3), ("", 4)]


@pytest.mark.django_db
def test_what_only_adds_is_accepted_for_the_present_version(propose, notes, owner):
    retag, relink = propose(
        op("retag_note", notes["alpha"], tags=("two",)), op("relink_note", notes["alpha"], links=[("Beta", "Beta")])
    )
    changed = update_note(notes["alpha"], base_version=1, cause=by(owner), body="Now of Beta.\n", tags=["one", "three"])
    assert apply(retag, owner).code == "VERSION_CONFLICT"
    assert apply(retag, owner, base_version=1).code == "VERSION_CONFLICT"
    assert apply(retag, owner, base_version=changed.version).note_version == 3
    assert apply(relink, owner, base_version=3).note_version == 4
    note = fresh(notes["alpha"])
    assert (note.tags, note.body) == (["three", "two"], "Now of [[Beta]].\n")


@pytest.mark.django_db
def test_a_rewrite_of_a_changed_note_needs_the_reviewers_own_words(propose, notes, owner):
    rewrite = propose(op("rewrite_note", notes["alpha"], body_markdown="Whole new text.\n"))[0]
    update_note(notes["alpha"], base_version=1, cause=by(owner), body="Mine.\n")
    assert apply(rewrite, owner, base_version=2).code == "VERSION_CONFLICT"
    merged = {"body_markdown": "Mine, and new text.\n"}
    assert apply(rewrite, owner, base_version=2, edits=merged).status == "applied"
    assert fresh(notes["alpha"]).body == "Mine, and new text.\n"
    assert fresh(rewrite).edited


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("edits", "field"),
    [
        ({"title": ""}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"tags": ["a"]}, "edits.tags"),
        ({"nonsense": 1}, "edits.nonsense"),
    ],
)
def test_a_bad_edit_is_named_and_changes_nothing(propose, notes, owner, edits, field):
    operation = propose(op("retitle_note", notes["beta"], title="B"))[0]
    outcome = apply(operation, owner, edits=edits)
    assert (outcome.status, outcome.code) == ("pending", "INVALID_FIELD")
    assert field in outcome.message
    assert fresh(notes["beta"]).version == 1


@pytest.mark.django_db
def test_edits_that_mean_two_things_or_none_change_nothing(propose, notes, owner):
    retag, relink = propose(
        op("retag_note", notes["alpha"], tags=("two",)), op("relink_note", notes["alpha"], links=[("Beta", "Beta")])
    )
    links, body = [{"text": "Beta", "target": "Beta"}], "Alpha talks of Beta and of [[Gamma plan]].\n"
    assert apply(retag, owner, edits={"tags": {"a": 1}}).code == "INVALID_FIELD"
    assert apply(relink, owner, edits={"links": links, "body_markdown": body}).code == "INVALID_FIELD"
    assert fresh(notes["alpha"]).version == 1


@pytest.mark.django_db
def test_links_lead_to_notes_that_are_there_when_they_are_accepted(propose, notes, owner):
    links, body = propose(
        op("relink_note", notes["alpha"], links=[("Beta", "Beta")]),
        op("relink_note", notes["gamma"], links=[("Plans", "Beta")]),
    )
    delete_note(notes["beta"], base_version=1, cause=by(owner))
    assert (apply(links, owner).status, apply(links, owner).code) == ("pending", "LINK_TARGET_UNKNOWN")
    assert apply(body, owner, edits={"body_markdown": "[[Delta|Plans]].\n"}).code == "LINK_TARGET_UNKNOWN"
    edited = {"links": [{"text": "Gamma plan", "target": "docs/gamma"}]}
    assert apply(links, owner, edits=edited).status == "applied"
    assert fresh(notes["alpha"]).body == "Alpha talks of Beta and of [[docs/gamma|Gamma plan]].\n"


@pytest.mark.django_db
def test_a_note_that_says_never_since_the_proposal_is_left_alone(propose, notes, owner):
    operation = propose(op("retag_note", notes["alpha"], tags=("two",)))[0]
    note = update_note(notes["alpha"], base_version=1, cause=by(owner), front_matter="---\nlibrarian: never\n---\n")
    outcome = apply(operation, owner, base_version=note.version)
    assert (outcome.status, outcome.code) == ("pending", "TARGET_EXCLUDED")
    assert fresh(note).version == 2
    assert review([Decision(operation.id, "reject")], actor=owner)[0].status == "rejected"


@pytest.mark.django_db
def test_a_decision_is_taken_once(propose, notes, owner):
    operation = propose(op("retitle_note", notes["beta"], title="B"))[0]
    apply(operation, owner)
    again = review([Decision(operation.id, "reject")], actor=owner)[0]
    assert (again.status, again.code) == ("applied", "ALREADY_DECIDED")
    assert "Owner" in again.message


@pytest.mark.django_db
def test_who_decides_what_was_undone_is_told_who_undid_it(propose, notes, owner, editor):
    operation = propose(op("retitle_note", notes["beta"], title="B"))[0]
    apply(operation, owner)
    undo([operation], actor=editor)
    again = review([Decision(operation.id, "apply")], actor=owner)[0]
    assert "was reverted by Editor at" in again.message


@pytest.mark.django_db
def test_a_rejection_taken_back_is_for_people_even_if_its_rule_was_about_to_apply_it(propose, notes, owner):
    operation = propose(op("retitle_note", notes["beta"], title="B"))[0]
    Operation.objects.filter(pk=operation.pk).update(auto_apply=True)
    review([Decision(operation.id, "reject")], actor=owner)
    undo([operation], actor=owner)
    operation.refresh_from_db()
    assert (operation.status, operation.auto_apply) == ("pending", False)


@pytest.mark.django_db(transaction=True)
def test_of_two_reviewers_at_once_one_wins_and_the_other_is_told(propose, notes, owner):
    operation = propose(op("retag_note", notes["alpha"], tags=("x",)))[0]

    def decide(number):
        try:
            return review([Decision(operation.id, "apply" if number % 2 else "reject")], actor=owner)[0]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(decide, range(6)))
    assert sorted(outcome.code for outcome in outcomes) == ["", *["ALREADY_DECIDED"] * 5]
    assert fresh(notes["alpha"]).version == (2 if fresh(operation).status == "applied" else 1)


@pytest.mark.django_db
def test_deciding_takes_an_editor_and_strangers_learn_nothing(propose, notes, editor, viewer, outsider):
    operation = propose(op("retitle_note", notes["beta"], title="B"))[0]
    with pytest.raises(Forbidden):
        review([Decision(operation.id, "apply")], actor=viewer)
    with pytest.raises(NotFound, match="no such operation"):
        review([Decision(operation.id, "apply")], actor=outsider)
    assert review([Decision(operation.id, "apply")], actor=editor)[0].status == "applied"


@pytest.mark.django_db
def test_undoing_a_run_brings_back_every_note_but_those_changed_since(propose, notes, owner, run, workspace):
    operations = propose(
        op("retitle_note", notes["alpha"], title="A"),
        op("retag_note", notes["alpha"], tags=("x",)),
        op("retitle_note", notes["beta"], title="B"),
        op("create_note", target_path="new.md", title="New", body_markdown="x"),
        op("rewrite_note", notes["gamma"], body_markdown="Other.\n"),
    )
    review([Decision(operation.id, "apply") for operation in operations], actor=owner)
    update_note(fresh(notes["beta"]), base_version=2, cause=by(owner), body="touched")
    outcomes = {outcome.operation.id: outcome for outcome in undo_run(run, actor=owner)}
    assert [outcomes[operation.id].code for operation in operations] == ["", "", "CHANGED_SINCE", "", ""]
    assert "“B”" in outcomes[operations[2].id].message
    alpha, gamma = fresh(notes["alpha"]), fresh(notes["gamma"])
    assert (alpha.title, alpha.tags, alpha.aliases, gamma.body) == ("Alpha", ["one"], [], "Plans.\n")
    assert not Note.objects.live().filter(workspace=workspace, path="new.md").exists()
    assert NoteEvent.objects.filter(note=alpha, cause="undo").count() == 2
    assert undo_operation(fresh(operations[0]), actor=owner).code == "NOT_APPLIED"


@pytest.mark.django_db
def test_a_note_that_was_changed_and_changed_back_is_not_changed_since(propose, notes, owner):
    operation = propose(op("retag_note", notes["alpha"], tags=("two",)))[0]
    apply(operation, owner)
    text = fresh(notes["alpha"]).body
    for version, values in enumerate([{"tags": ["three"], "body": "Other.\n"}, {"tags": ["two"]}], start=2):
        update_note(fresh(notes["alpha"]), base_version=version, cause=by(owner), **values)
    refused = undo_operation(operation, actor=owner)
    assert (refused.code, "version 3" in refused.message) == ("CHANGED_SINCE", True)
    update_note(fresh(notes["alpha"]), base_version=4, cause=by(owner), body=text)
    note = delete_note(fresh(notes["alpha"]), base_version=5, cause=by(owner))
    assert undo_operation(operation, actor=owner).code == "CHANGED_SINCE"
    restore_note(note, base_version=6, cause=by(owner))
    assert undo_operation(operation, actor=owner).status == "reverted"
    assert (fresh(notes["alpha"]).tags, fresh(notes["alpha"]).body) == (["one"], text)


@pytest.mark.django_db
def test_who_loses_the_right_half_way_is_told_of_each_what_was_not_undone(propose, notes, owner, viewer):
    operation = propose(op("retag_note", notes["alpha"], tags=("two",)))[0]
    apply(operation, owner)
    outcome = undo_operation(operation, actor=viewer)
    assert (outcome.code, outcome.status) == ("ROLE_FORBIDDEN", "applied")
    assert fresh(notes["alpha"]).tags == ["two"]


@pytest.mark.django_db
def test_whoever_may_not_undo_all_undoes_none(propose, notes, owner, outsider, editor):
    mine = propose(op("retag_note", notes["alpha"], tags=("two",)))[0]
    apply(mine, owner)
    elsewhere = Workspace.objects.get(slug="elsewhere")
    rule = create_rule(elsewhere, actor=outsider, name="R", action_json={"kind": "librarian_structure"})
    run = Run.objects.create(workspace=elsewhere, rule=rule, trigger="manual")
    question = Operation(workspace=elsewhere, run=run, index=0, kind="defer", confidence=1, reason="?")
    question.save()
    set_member(elsewhere, editor, "viewer", actor=outsider)
    with pytest.raises(Forbidden):
        undo([mine, question], actor=editor)
    assert fresh(mine).status == "applied"


@pytest.mark.django_db
def test_the_database_refuses_every_other_path(propose, notes, owner):
    operation = propose(op("retitle_note", notes["beta"], title="B"))[0]
    review([Decision(operation.id, "reject")], actor=owner)
    for status in ("applied", "reverted"):
        with pytest.raises(DatabaseError, match="Invalid transition"), transaction.atomic():
            Operation.objects.filter(pk=operation.pk).update(status=status)


@pytest.mark.django_db
def test_what_a_check_refused_never_waits_for_a_person(propose, notes, owner):
    (operation,) = propose(op("retitle_note", notes["beta"], title="Beta"))
    assert operation.reject_code == "NO_CHANGE"
    assert undo([operation], actor=owner)[0].code == "NOT_APPLIED"
    with pytest.raises(DatabaseError, match="Cannot update"), transaction.atomic():
        Operation.objects.filter(pk=operation.pk).update(status="pending")
