from uuid import uuid4

import pytest

from kjxlkj.errors import Forbidden, Invalid, NotFound
from kjxlkj.notes.cause import by
from kjxlkj.notes.services import update_note
from kjxlkj.workspaces.models import WorkspaceEvent
from librarian.batches import MOST, decide_together, undo_batch, visible_batches
from librarian.models import Batch, Operation
from tests.librarian.conftest import op

pytestmark = pytest.mark.django_db


@pytest.fixture
def operations(propose, notes):
    return propose(*(op("retag_note", note, tags=(*note.tags, "billing")) for note in notes.values()))


def ids(operations):
    return [operation.id for operation in operations]


def statuses(operations):
    found = dict(Operation.objects.filter(pk__in=ids(operations)).values_list("pk", "status"))
    return [found[operation.pk] for operation in operations]


def test_many_are_accepted_with_one_press_and_undone_with_one(operations, notes, editor):
    batch, outcomes = decide_together(ids(operations), "apply", actor=editor)
    assert [outcome.status for outcome in outcomes] == ["applied"] * 3
    assert (batch.size, batch.refusals, batch.decided_by) == (3, [], editor)
    assert set(Operation.objects.values_list("batch_id", "via")) == {(batch.pk, "bulk")}
    assert [outcome.status for outcome in undo_batch(batch, actor=editor)] == ["reverted"] * 3
    for note in notes.values():
        before = note.tags
        note.refresh_from_db()
        assert (note.tags, note.version) == (before, 3)


def test_many_are_rejected_and_wait_again_after_the_undo(operations, editor):
    batch, _ = decide_together(ids(operations), "reject", actor=editor, reason=" Not useful ")
    assert set(Operation.objects.values_list("status", "reject_reason")) == {("rejected", "Not useful")}
    undo_batch(batch, actor=editor)
    assert set(Operation.objects.values_list("status", "reject_reason", "decided_by", "batch")) == {
        ("pending", "", None, None)
    }
    told = WorkspaceEvent.objects.filter(type="operation.reverted").values_list("payload__decision", flat=True)
    assert list(told) == ["reject"] * 3
    batch, _ = decide_together(ids(operations), "apply", actor=editor)
    assert statuses(operations) == ["applied"] * 3


def test_what_could_not_be_done_is_kept_by_id_and_the_others_are_done(operations, notes, editor, owner):
    update_note(notes["beta"], base_version=1, cause=by(owner), tags=["mine"])
    batch, outcomes = decide_together(ids(operations), "apply", actor=editor)
    assert statuses(operations) == ["applied", "pending", "applied"]
    batch.refresh_from_db()
    (refusal,) = batch.refusals
    assert refusal["operation_id"] == str(operations[1].id)
    assert refusal["code"] == outcomes[1].code == "VERSION_CONFLICT"


def test_the_undo_leaves_alone_what_was_changed_since_and_names_it(operations, notes, editor):
    batch, _ = decide_together(ids(operations), "apply", actor=editor)
    update_note(notes["gamma"], base_version=2, cause=by(editor), body="Mine.\n")
    outcomes = {outcome.operation.id: outcome for outcome in undo_batch(batch, actor=editor)}
    assert outcomes[operations[2].id].code == "CHANGED_SINCE"
    assert "Gamma plan" in outcomes[operations[2].id].message
    assert statuses(operations) == ["reverted", "reverted", "applied"]


def test_an_operation_decided_by_somebody_else_is_no_part_of_the_batch(operations, editor, owner):
    decide_together(ids(operations)[:1], "reject", actor=owner)
    batch, outcomes = decide_together(ids(operations), "apply", actor=editor)
    assert outcomes[0].code == "ALREADY_DECIDED"
    assert str(owner) in outcomes[0].message
    undo_batch(batch, actor=editor)
    assert statuses(operations) == ["rejected", "reverted", "reverted"]


def test_nothing_is_done_for_whom_may_not_or_with_what_is_not_there(operations, viewer, outsider, editor):
    with pytest.raises(Forbidden):
        decide_together(ids(operations), "apply", actor=viewer)
    with pytest.raises(NotFound):
        decide_together(ids(operations), "apply", actor=outsider)
    with pytest.raises(NotFound):
        decide_together([*ids(operations), uuid4()], "apply", actor=editor)
    assert statuses(operations) == ["pending"] * 3
    assert not Batch.objects.exists()


@pytest.mark.parametrize("number", [0, MOST + 1])
def test_none_and_too_many_are_refused(number, editor):
    with pytest.raises(Invalid, match=f"1 to {MOST}"):
        decide_together([uuid4() for _ in range(number)], "apply", actor=editor)


def test_one_named_twice_is_refused(operations, editor):
    with pytest.raises(Invalid, match="each once"):
        decide_together([operations[0].id, operations[0].id], "apply", actor=editor)


def test_a_batch_is_seen_by_those_who_see_one_of_its_operations(operations, editor, viewer, outsider):
    batch, _ = decide_together(ids(operations), "apply", actor=editor)
    assert list(visible_batches(viewer)) == [batch]
    assert not visible_batches(outsider).exists()
    with pytest.raises(Forbidden):
        undo_batch(batch, actor=viewer)
    with pytest.raises(NotFound):
        undo_batch(batch, actor=outsider)
    assert statuses(operations) == ["applied"] * 3
