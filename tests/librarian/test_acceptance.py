"""How proposals were received: what counts for and against them, and in which band."""

from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone

from librarian.acceptance import Row, acceptance, band_label, band_of, newest, of_rule, of_workspace, percent
from librarian.models import Operation
from librarian.services import Decision, review
from librarian.undoing import undo_operation
from tests.librarian.conftest import op

pytestmark = pytest.mark.django_db

SURE = pytest.approx(0.95)


def counted(rule):
    return [(row.decided, row.accepted) for row in acceptance(of_rule(rule.id))]


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("accepted", [(1, 1)]),
        ("rejected", [(1, 0)]),
        ("edited", [(1, 0)]),
        ("undone", [(1, 0)]),
        ("undone_by_itself", [(1, 0)]),
        ("by_itself", []),
        ("pending", []),
    ],
)
def test_only_what_people_took_as_it_was_counts_for_it(decided, rule, how, expected):
    decided(how)
    assert counted(rule) == expected


def test_what_a_check_refused_and_what_was_only_asked_count_for_nothing(decided, rule):
    decided("rejected", decided_by=None, decided_at=None, reject_code="NOTHING_CHANGES")
    decided("accepted", kind="defer")
    assert counted(rule) == []


def test_decisions_as_people_make_them(propose, notes, owner, rule):
    accepted, edited, rejected, undone = propose(
        op("retitle_note", notes["alpha"], title="A"),
        op("retag_note", notes["alpha"], tags=("x",)),
        op("retitle_note", notes["beta"], title="B"),
        op("retitle_note", notes["gamma"], title="G"),
    )
    review(
        [
            Decision(accepted.id, "apply"),
            Decision(edited.id, "apply", edits={"tags": ["y"]}),
            Decision(rejected.id, "reject"),
            Decision(undone.id, "apply"),
        ],
        actor=owner,
    )
    sure = pytest.approx(0.9)
    assert acceptance(of_rule(rule.id)) == [
        Row("", "retag_note", 9, 1, 0, sure),
        Row("", "retitle_note", 9, 3, 2, sure),
    ]
    undo_operation(undone, actor=owner)
    assert acceptance(of_rule(rule.id))[1] == Row("", "retitle_note", 9, 3, 1, sure)


def test_bands_are_tenths_and_the_last_holds_one(decided, rule):
    for hundredths in range(101):
        decided("accepted", confidence=hundredths / 100)
    rows = acceptance(of_rule(rule.id))
    assert [(row.band, row.decided) for row in rows] == [(9, 11), *((band, 10) for band in range(8, -1, -1))]
    # The database and we agree on each.
    for row in rows:
        mine = [confidence for confidence in range(101) if band_of(confidence / 100) == row.band]
        assert mine == list(range(row.band * 10, row.band * 10 + row.decided))
    assert [band_label(0), band_label(9)] == ["0–10 %", "90–100 %"]


def test_models_kinds_and_workspaces_are_kept_apart_in_one_statement(
    decided, rule, workspace, outsider, django_assert_num_queries
):
    decided("accepted", 3)
    decided("rejected", 1)
    decided("accepted", 2, model="gpt")
    decided("accepted", 1, kind="retitle_note")
    with django_assert_num_queries(1):
        rows = acceptance(of_workspace(workspace.id))
    assert rows == [
        Row("gpt", "retag_note", 9, 2, 2, SURE),
        Row("qwen3", "retag_note", 9, 4, 3, SURE),
        Row("qwen3", "retitle_note", 9, 1, 1, SURE),
    ]
    assert rows[1].rate == 0.75
    assert acceptance(of_workspace(outsider.memberships.get().workspace_id)) == []


def test_the_newest_are_taken_of_each_group_by_when_they_were_decided(decided, rule):
    old = decided("rejected", 5)
    Operation.objects.filter(pk__in=[row.pk for row in old]).update(decided_at=F("decided_at") - timedelta(days=1))
    decided("accepted", 4)
    decided("rejected", 2, model="gpt", decided_at=timezone.now() - timedelta(days=9))
    assert acceptance(newest(of_rule(rule.id), 4)) == [
        Row("gpt", "retag_note", 9, 2, 0, SURE),
        Row("qwen3", "retag_note", 9, 4, 4, SURE),
    ]
    assert acceptance(newest(of_rule(rule.id), 6))[1] == Row("qwen3", "retag_note", 9, 6, 4, SURE)


def test_the_undo_of_an_old_acceptance_is_among_the_newest_decisions(propose, decided, notes, owner, editor, rule):
    (old,) = propose(op("retag_note", notes["alpha"], tags=("x",), confidence=0.95))
    review([Decision(old.id, "apply")], actor=owner)
    Operation.objects.filter(pk=old.pk).update(decided_at=F("decided_at") - timedelta(days=300), model="qwen3")
    decided("accepted", 5)
    assert [(row.decided, row.accepted) for row in acceptance(newest(of_rule(rule.id), 5))] == [(5, 5)]
    undo_operation(old, actor=editor)
    assert [(row.decided, row.accepted) for row in acceptance(newest(of_rule(rule.id), 5))] == [(5, 4)]
    old.refresh_from_db()
    assert (old.decided_by, old.undone_by) == (owner, editor)


def test_a_share_is_not_rounded_up_over_a_bound():
    assert [percent(0.95), percent(0.9496), percent(1.0), percent(2 / 3)] == ["95 %", "94.9 %", "100 %", "66.6 %"]
