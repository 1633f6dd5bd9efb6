"""What applies by itself: earned, told, looked at again, done once, and stopped by whoever wants it stopped."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.db import connections, transaction
from django.urls import reverse
from django.utils import timezone

from automation.models import Rule, Run
from automation.services import create_rule, delete_rule, update_rule
from kjxlkj.jobs.registry import chores
from kjxlkj.notes.cause import by
from kjxlkj.notes.models import Note, NoteEvent
from kjxlkj.notes.services import NewNote, create_note, update_note
from kjxlkj.workspaces.models import WorkspaceEvent
from kjxlkj.workspaces.services import archive_workspace
from librarian.auto_apply import apply_waiting, mark
from librarian.gates import gates
from librarian.models import Operation
from librarian.plan import Plan, read_plan
from librarian.services import Decision, review
from librarian.undoing import undo_operation, undo_run
from tests.librarian.conftest import op

AUTO = {
    "kind": "librarian_structure",
    "plan": {
        "review": "auto",
        "auto_apply": {"retag_note": 0.9},
        "auto_apply_gate": {"decisions": 3, "rate": 0.7},
    },
}
PLAN = read_plan(AUTO)
CHANGED = "Its rule was changed, and does not ask for it any more."


def fresh(row):
    return type(row).objects.get(pk=row.pk)


def gate(rule, plan=PLAN):
    (found,) = gates(rule.id, plan)
    return found


@pytest.fixture
def auto(rule, owner):
    return update_rule(rule, actor=owner, action_json=AUTO)


@pytest.fixture
def earned(auto, decided):
    """The rule, with its gate for surer retags open."""
    decided("accepted", 4)
    return auto


@pytest.fixture
def marked(earned, run, check):
    """Proposals as the end of a run writes them."""

    def write(*proposals, model="qwen3"):
        operations = check(*proposals)
        there = run.operations.count()
        for operation in operations:
            operation.model = model
            operation.index += there
        with transaction.atomic():
            mark(run, PLAN, operations)
            Operation.objects.bulk_create(operations)
        return operations

    return write


@pytest.fixture
def waiting(marked, notes):
    (operation,) = marked(op("retag_note", notes["alpha"], tags=("one", "two"), confidence=0.95))
    assert operation.auto_apply
    return operation


def waits_for_people(operation, why):
    row = fresh(operation)
    assert row.warnings == [f"Not applied by itself. {why}"]
    return (row.status, row.auto_apply, row.decided_at) == ("pending", False, None)


@pytest.mark.django_db
class TestGate:
    def test_there_is_none_unless_a_rule_asks_for_it(self, rule, decided):
        decided("accepted", 50)
        assert gates(rule.id, Plan()) == []
        manual = {"plan": {"review": "manual", "auto_apply": {"retag_note": 0.5}}}
        assert gates(rule.id, read_plan(manual)) == []

    def test_thirty_decisions_at_95_percent_are_asked_for_unless_a_rule_says_otherwise(self, rule, decided):
        plan = read_plan({"plan": {"review": "auto", "auto_apply": {"retag_note": 0.9}}})
        decided("accepted", 29)
        assert not gate(rule, plan).is_open
        assert gate(rule, plan).why == "29 of 30 decisions; people review them until then."
        decided("rejected")
        assert gate(rule, plan).is_open
        assert gate(rule, plan).why == "29 of the last 30 such proposals were accepted (96.6 %, 95 % needed)."
        decided("undone")
        assert not gate(rule, plan).is_open

    def test_exactly_the_rate_is_enough(self, rule, decided):
        plan = read_plan(
            {"plan": {"review": "auto", "auto_apply": {"retag_note": 0}, "auto_apply_gate": {"decisions": 20}}}
        )
        decided("accepted", 19)
        decided("rejected", 1)
        assert gate(rule, plan).is_open

    def test_undoing_what_was_applied_by_itself_closes_it(self, earned, decided):
        assert gate(earned).is_open
        decided("by_itself", 10)
        assert (gate(earned).decided, gate(earned).accepted) == (4, 4)
        decided("undone_by_itself", 2)
        found = gate(earned)
        assert (found.decided, found.accepted, found.is_open) == (6, 4, False)
        assert found.why == (
            "4 of the last 6 such proposals were accepted (66.6 %, 70 % needed); people review them until more are."
        )

    def test_a_hundred_good_years_do_not_outweigh_what_goes_wrong_now(self, earned, decided):
        decided("accepted", 300)
        decided("rejected", 31)
        assert (gate(earned).decided, gate(earned).accepted, gate(earned).is_open) == (100, 69, False)

    def test_a_rule_that_asks_for_more_than_a_hundred_can_still_earn_it(self, rule, decided):
        gated = {"decisions": 150, "rate": 0.9}
        plan = read_plan({"plan": {"review": "auto", "auto_apply": {"retag_note": 0.9}, "auto_apply_gate": gated}})
        decided("accepted", 150)
        assert gate(rule, plan).is_open

    def test_other_rules_models_kinds_and_bands_earn_nothing_for_it(self, auto, decided, workspace, owner, run):
        decided("accepted", 5, model="gpt")
        decided("accepted", 5, kind="retitle_note")
        decided("accepted", 5, confidence=0.85)
        decided("pending")
        found = {(each.model, each.band): each.decided for each in gates(auto.id, PLAN)}
        assert found == {("gpt", 9): 5, ("qwen3", 9): 0}

    def test_a_threshold_within_a_band_takes_the_band_whole(self, rule, decided):
        plan = read_plan({"plan": {"review": "auto", "auto_apply": {"retag_note": 0.85}}})
        decided("accepted", 2, confidence=0.81)
        decided("accepted", 2, confidence=0.79)
        assert [(each.band, each.decided) for each in gates(rule.id, plan)] == [(8, 2)]

    def test_any_number_of_gates_takes_two_statements(self, rule, decided, django_assert_num_queries):
        plan = read_plan({"plan": {"review": "auto", "auto_apply": {"retag_note": 0}}})
        for tenth in range(10):
            decided("accepted", confidence=tenth / 10)
        with django_assert_num_queries(2):
            assert len(gates(rule.id, plan)) == 10


@pytest.mark.django_db
class TestMark:
    def marks(self, run, operations, plan=PLAN, model="qwen3"):
        for operation in operations:
            operation.model = model
        sentences = mark(run, plan, operations)
        return [operation.auto_apply for operation in operations], sentences

    def test_marks_what_is_named_sure_enough_and_without_warnings(self, earned, run, check, notes):
        operations = check(
            op("retag_note", notes["alpha"], tags=("x",), confidence=0.9),
            op("retag_note", notes["beta"], tags=("x",), confidence=0.89),
            op("retitle_note", notes["beta"], title="B", confidence=1.0),
            op("retag_note", notes["gamma"], tags=("x",), confidence=0.97),
        )
        operations[3].warnings = ["The note was cut."]
        assert self.marks(run, operations) == (
            [True, False, False, False],
            ["Retag at 90–100 % by qwen3: 1 with warnings; people review it."],
        )

    def test_says_why_others_wait(self, auto, run, check, notes, decided):
        decided("accepted", 2)
        operations = check(op("retag_note", notes["alpha"], tags=("x",), confidence=0.9))
        assert self.marks(run, operations) == (
            [False],
            ["Retag at 90–100 % by qwen3: 2 of 3 decisions; people review them until then."],
        )

    def test_what_one_model_earned_is_not_anothers(self, earned, run, check, notes):
        operations = check(op("retag_note", notes["alpha"], tags=("x",), confidence=0.9))
        assert self.marks(run, operations, model="other")[0] == [False]

    def test_leaves_what_a_check_refused(self, earned, run, check, notes):
        (refused,) = check(op("retag_note", notes["alpha"], tags=("one",), confidence=0.95))
        assert refused.status == "rejected"
        assert self.marks(run, [refused]) == ([False], [])

    def test_asks_nothing_of_the_database_where_it_is_off(self, run, check, notes, django_assert_num_queries):
        operations = check(op("retag_note", notes["alpha"], tags=("x",), confidence=1.0))
        with django_assert_num_queries(0):
            assert self.marks(run, operations, Plan()) == ([False], [])

    @pytest.mark.parametrize("kind", ["create_note", "rewrite_note"])
    def test_new_and_rewritten_notes_only_where_they_are_named(self, earned, run, check, notes, decided, kind):
        decided("accepted", 5, kind=kind)
        fields = {"target_path": "new.md", "title": "New"} if kind == "create_note" else {"note": notes["beta"]}
        asked = op(
            kind, fields.pop("note", None), body_markdown="# Beta\n\nNothing here. Text\n", confidence=1.0, **fields
        )
        named = read_plan({"plan": {**AUTO["plan"], "auto_apply": {kind: 0.9}}})
        assert self.marks(run, check(asked))[0] == [False]
        assert self.marks(run, check(asked), named)[0] == [True]


@pytest.mark.django_db
class TestApply:
    def test_is_a_chore_of_every_sweep(self):
        assert apply_waiting in list(chores())

    def test_applies_as_a_person_would_and_says_that_nobody_did(self, waiting, notes, run):
        assert apply_waiting() == 1
        note = fresh(notes["alpha"])
        assert (note.tags, note.version) == (["one", "two"], 2)
        operation = fresh(waiting)
        event = NoteEvent.objects.get(note=note, seq=2)
        assert (operation.status, operation.decided_by, operation.applied_event) == ("applied", None, event)
        assert operation.decided_at is not None
        assert (event.actor, event.cause, event.operation_id, event.run_id) == (None, "operation", operation.id, run.id)
        assert event.reason == "Applied by itself: 4 of the last 4 such proposals were accepted. because"
        told = WorkspaceEvent.objects.get(type="operation.applied")
        assert (told.actor, told.payload["automatic"], told.payload["operation_id"]) == (None, True, str(operation.id))
        assert apply_waiting() == 0

    def test_the_oldest_come_first_and_some_wait_for_the_next_sweep(self, marked, notes, monkeypatch):
        operations = marked(*(op("retag_note", note, tags=("x",), confidence=0.95) for note in notes.values()))
        monkeypatch.setattr("librarian.auto_apply._BATCH", 2)
        assert apply_waiting() == 2
        assert [fresh(operation).status for operation in operations] == ["applied", "applied", "pending"]
        assert apply_waiting() == 1

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            ({"enabled": False}, "Its rule is disabled."),
            ({"action_json": {**AUTO, "plan": {**AUTO["plan"], "review": "manual"}}}, CHANGED),
            ({"action_json": {**AUTO, "plan": {**AUTO["plan"], "auto_apply": {"retag_note": 0.99}}}}, CHANGED),
            ({"action_json": {**AUTO, "plan": {**AUTO["plan"], "auto_apply": {"relink_note": 0.1}}}}, CHANGED),
            (
                {"action_json": {**AUTO, "plan": {**AUTO["plan"], "auto_apply_gate": {"decisions": 5, "rate": 0.7}}}},
                "4 of 5 decisions; people review them until then.",
            ),
            ({"action_json": {"kind": "webhook", "url": "https://example.com/"}}, CHANGED),
        ],
    )
    def test_the_rule_as_it_is_now_decides(self, waiting, earned, owner, notes, change, why):
        update_rule(fresh(earned), actor=owner, **change)
        assert apply_waiting() == 0
        assert waits_for_people(waiting, why)
        assert fresh(notes["alpha"]).version == 1

    def test_nothing_of_a_deleted_rule(self, waiting, earned, owner):
        delete_rule(fresh(earned), actor=owner)
        assert apply_waiting() == 0
        assert waits_for_people(waiting, "Its rule was deleted.")

    def test_a_gate_that_closes_in_the_midst_stops_the_rest(self, waiting, earned, decided):
        decided("rejected", 2)
        assert apply_waiting() == 0
        assert waits_for_people(waiting, gate(earned).why)

    def test_a_note_that_has_moved_on_is_left_to_people(self, waiting, notes, owner):
        update_note(notes["alpha"], base_version=1, cause=by(owner), tags=["one", "mine"])
        assert apply_waiting() == 0
        assert waits_for_people(
            waiting,
            "The note has changed since this was proposed: it is at version 2, the proposal is of 1. "
            "Look at it again, then accept it for the present version.",
        )
        assert fresh(notes["alpha"]).tags == ["mine", "one"]

    def test_one_that_breaks_does_not_stand_in_the_others_way(self, waiting, decided, workspace, owner, caplog):
        broken = create_rule(workspace, actor=owner, name="Broken", action_json=AUTO)
        Rule.objects.filter(pk=broken.pk).update(action_json={**AUTO, "plan": "written by nobody that we know"})
        run = Run.objects.create(workspace=workspace, rule=broken, trigger="manual", rule_snapshot={})
        (first,) = decided("pending", of=run, auto_apply=True)
        Operation.objects.filter(pk=first.pk).update(created_at=waiting.created_at - timedelta(days=1))
        assert apply_waiting() == 1
        assert waits_for_people(first, "It met with an error, which the log of the workers tells.")
        assert fresh(waiting).status == "applied"
        assert f"operation {first.pk} could not be applied by itself" in caplog.text

    def test_an_archived_workspace_is_left_alone_until_it_is_reopened(self, waiting, workspace, owner):
        archive_workspace(workspace, actor=owner)
        assert apply_waiting() == 0
        assert (fresh(waiting).status, fresh(waiting).auto_apply) == ("pending", True)

    def test_is_undone_as_others_are_and_counts_against_it(self, waiting, notes, owner, earned):
        apply_waiting()
        outcome = undo_operation(fresh(waiting), actor=owner)
        assert (outcome.status, outcome.code) == ("reverted", "")
        assert fresh(notes["alpha"]).tags == ["one"]
        assert (gate(earned).decided, gate(earned).accepted) == (5, 4)

    def test_undoing_a_run_also_stops_what_it_would_have_applied_yet(self, waiting, run, owner):
        undo_run(run, actor=owner)
        assert apply_waiting() == 0
        assert waits_for_people(waiting, "Its run was undone.")

    def test_the_reviewer_reads_why_on_the_card_and_in_the_api(self, waiting, earned, owner, client_for, client):
        update_rule(fresh(earned), actor=owner, enabled=False)
        apply_waiting()
        client.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
        page = client.get(reverse("admin:review_operation", args=[waiting.pk])).content.decode()
        assert "Not applied by itself. Its rule is disabled." in page
        told = client_for(owner).get(f"/api/operations/{waiting.pk}").json()
        assert (told["auto_apply"], told["warnings"]) == (False, ["Not applied by itself. Its rule is disabled."])

    def test_a_long_reason_is_cut_to_what_is_kept_of_it(self, waiting):
        assert Operation.objects.all().leave_to_people("Why? " * 100) == 1
        (told,) = fresh(waiting).warnings
        assert (len(told), told[-1]) == (200, "…")
        assert Operation.objects.all().leave_to_people("Again.") == 0

    def test_who_decides_later_is_told_that_the_rule_was_first(self, waiting, owner):
        apply_waiting()
        (outcome,) = review([Decision(waiting.id, "reject")], actor=owner)
        assert outcome.code == "ALREADY_DECIDED"
        assert "applied by the rule itself" in outcome.message


class TestAtOnce:
    """With real transactions on connections of their own."""

    @pytest.mark.django_db(transaction=True)
    def test_two_sweeps_and_a_person_decide_each_operation_once(self, marked, workspace, owner, run, notes):
        made = [
            create_note(workspace, NewNote(f"N{i}", "Text.\n", f"many/{i}.md", tags=["x"]), cause=by(owner))
            for i in range(30)
        ]
        operations = Operation.objects.bulk_create(
            Operation(
                workspace=workspace,
                run=run,
                index=1000 + i,
                operation_id=f"m{i}",
                kind="retag_note",
                model="qwen3",
                target_note=note,
                target_path=note.path,
                tags=["x", "y"],
                confidence=0.95,
                base_version=1,
                fingerprint=f"m{i}",
                auto_apply=True,
            )
            for i, note in enumerate(made)
        )
        start = Barrier(3)

        def sweep():
            try:
                start.wait()
                return apply_waiting()
            finally:
                connections.close_all()

        def person():
            try:
                start.wait()
                return review([Decision(row.id, "apply") for row in reversed(operations)], actor=owner)
            finally:
                connections.close_all()

        with ThreadPoolExecutor(3) as pool:
            sweeps = [pool.submit(sweep), pool.submit(sweep)]
            outcomes = pool.submit(person).result()
            swept = sum(each.result() for each in sweeps)
        mine = sum(not outcome.code for outcome in outcomes)
        assert swept + mine + apply_waiting() == 30
        assert {outcome.code for outcome in outcomes} <= {"", "ALREADY_DECIDED"}
        assert set(Note.objects.filter(path__startswith="many/").values_list("version", flat=True)) == {2}
        rows = Operation.objects.filter(index__gte=1000)
        assert set(rows.values_list("status", flat=True)) == {"applied"}
        assert rows.filter(decided_by=owner).count() == mine

    @pytest.mark.django_db(transaction=True)
    def test_what_somebody_decides_just_now_is_skipped_and_not_waited_for(self, waiting, owner):
        with ThreadPoolExecutor(1) as pool, transaction.atomic():
            Operation.objects.select_for_update(no_key=True).get(pk=waiting.pk)

            def sweep():
                try:
                    return apply_waiting()
                finally:
                    connections.close_all()

            assert pool.submit(sweep).result(timeout=20) == 0
        assert fresh(waiting).auto_apply
        assert apply_waiting() == 1

    @pytest.mark.django_db(transaction=True)
    def test_a_sweep_that_is_cut_off_has_done_nothing(self, waiting, notes, monkeypatch):
        def cut_off(*args, **kwargs):
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr("librarian.services.record_decision", cut_off)
            with pytest.raises(KeyboardInterrupt):
                apply_waiting()
        assert (fresh(waiting).status, fresh(waiting).auto_apply) == ("pending", True)
        assert fresh(notes["alpha"]).version == 1
        assert apply_waiting() == 1
        assert timezone.now() >= fresh(waiting).decided_at
