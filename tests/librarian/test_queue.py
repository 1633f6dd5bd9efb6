"""The queue without HTTP: what it is narrowed to, what it groups, and that paging meets everything once."""

from datetime import timedelta
from urllib.parse import parse_qsl
from uuid import UUID, uuid4

import pytest
from django.db import transaction
from django.http import QueryDict
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from automation.services import create_rule
from kjxlkj.notes.cause import by
from kjxlkj.notes.services import NewNote, create_notes, update_note
from kjxlkj.pagination import encode_cursor
from kjxlkj.workspaces.services import create_workspace
from librarian import queue
from librarian.batches import decide_together
from librarian.groups import MOST_IN_A_CARD, SEEN, group_words, rest_of
from librarian.models import Operation
from librarian.queue import changes_for_later, pending_for, queue_page
from librarian.queue_filters import Filters, facets

pytestmark = pytest.mark.django_db


def asked(**values):
    query = QueryDict(mutable=True)
    query.update(values)
    return query


def next_of(page):
    return asked(**dict(parse_qsl(page.next_query)))


@pytest.fixture
def pending(run, workspace):
    """Operations that wait, made without the checks: `pending(2, kind="retag_note", …)`."""

    def make(count=1, *, age=timedelta(), notes=None, **fields):
        there = Operation.objects.count()
        values = {"kind": "retitle_note", "title": "T", "reason": "because", "confidence": 0.7, "base_version": 1}
        values |= {"workspace": workspace, "run": run, **fields}
        made = Operation.objects.bulk_create(
            Operation(
                index=there + number,
                operation_id=f"op{number}",
                fingerprint=str(uuid4()),
                target_note=notes[number] if notes else None,
                target_path=notes[number].path if notes else f"new/{there + number}.md",
                **values,
            )
            for number in range(count)
        )
        if age:
            Operation.objects.filter(pk__in=[each.pk for each in made]).update(created_at=timezone.now() - age)
        return made

    return make


def ids(page):
    """Of operations on cards of their own."""
    return [entry.card.operation.pk for entry in page.entries if entry.card]


def of(operations):
    return [operation.pk for operation in operations]


class TestFilters:
    @pytest.fixture
    def others(self, pending, notes, workspace, owner):
        """One of each that only one filter passes."""
        elsewhere = create_workspace(slug="other", name="Other", owner=owner)
        pending()
        rule = create_rule(workspace, actor=owner, name="Second", action_json={"kind": "librarian_structure"})
        run = rule.runs.create(workspace=workspace, trigger="manual", rule_snapshot={"name": "Second"})
        return {
            "workspace": (pending(workspace=elsewhere), "other"),
            "rule": (pending(run=run), str(rule.pk)),
            "kind": (pending(kind="retag_note"), "retag_note"),
            "model": (pending(model="qwen3"), "qwen3"),
            "confidence": (pending(confidence=0.9), "0.9"),
            "folder": (pending(notes=[notes["gamma"]]), "/docs/"),
            "age": (pending(age=timedelta(days=8)), "older-7"),
            "change_key": (pending(kind="relink_note", change_key="a → b"), "a → b"),
        }

    @pytest.mark.parametrize(
        "name", ["workspace", "rule", "kind", "model", "confidence", "folder", "age", "change_key"]
    )
    def test_each_narrows_the_queue(self, owner, others, name):
        made, value = others[name]
        page = queue_page(owner, asked(**{name: value}))
        assert ids(page) == of(made)
        assert page.total == page.entry_count == 1

    def test_the_newer_and_those_of_no_model(self, owner, others):
        assert queue_page(owner, asked(age="newer-7")).total == len(others)
        assert queue_page(owner, asked(model="(none)")).total == len(others)

    def test_the_folder_is_that_of_the_note_as_it_is_now(self, owner, pending, notes):
        made = pending(notes=[notes["alpha"]])
        update_note(notes["alpha"], base_version=1, cause=by(owner), path="moved/alpha.md")
        assert ids(queue_page(owner, asked(folder="moved"))) == of(made)
        assert queue_page(owner, asked(folder="mov")).total == 0

    @pytest.mark.parametrize(
        "name,value",
        [
            ("workspace", "a\0"),
            ("rule", "x"),
            ("kind", "nonsense"),
            ("model", "\0"),
            ("confidence", "nan"),
            ("confidence", "0.123"),
            ("age", "older-5"),
            ("age", "older-²"),
            ("folder", "///"),
            ("change_key", "\0"),
            ("sort", "colour"),
            ("after", "y"),
            ("after", encode_cursor(["risk", 1, 2])),
            ("after", encode_cursor(["risk", "2026-01-01T00:00:00", [0, 1, "2026-01-01T00:00:00Z", "x"]])),
            ("after", encode_cursor(["risk", "0001-01-01T00:00:00+14:00", [0, 1, "2026-01-01T00:00:00Z", "x"]])),
            ("after", encode_cursor(["risk", "2026-01-01T00:00:00Z", [10**400, 1, "2026-01-01T00:00:00Z", "x"]])),
        ],
    )
    def test_what_cannot_be_is_not_set(self, owner, others, name, value):
        page = queue_page(owner, asked(**{"sort": "risk", name: value}))
        assert (page.total, page.entry_count) == (len(others) + 1, len(others) + 1)
        assert (page.query, page.sort, page.before) == ("", "age" if name == "sort" else "risk", 0)

    def test_choices_count_what_waits_behind_them_with_the_other_filters_as_they_are(self, owner, others):
        found = facets(pending_for(owner), Filters(confidence="0.9", workspace="other"), timezone.now())
        assert found.total == 0
        assert [(each.value, each.count) for each in found.workspaces] == [("team", 1)]
        assert [(each.value, each.count) for each in found.confidences] == [("0.7", 1), ("0.5", 1)]
        found = facets(pending_for(owner), Filters(), timezone.now())
        assert {each.label: each.count for each in found.rules} == {"R": 8, "Second": 1}
        assert {each.value: each.count for each in found.models} == {"(none)": 8, "qwen3": 1}
        assert {each.value: each.count for each in found.folders} == {"new": 8, "docs": 1}
        assert {each.value: each.count for each in found.ages} == {
            **{f"newer-{days}": 8 for days in (1, 7)},
            "newer-30": 9,
            **{f"older-{days}": 1 for days in (1, 7)},
        }

    def test_a_place_of_another_order_is_none(self, owner, pending):
        pending(queue.PAGE_SIZE + 1)
        after = queue_page(owner, asked()).after
        assert queue_page(owner, asked(after=after)).before == queue.PAGE_SIZE
        assert queue_page(owner, asked(after=after, sort="risk")).before == 0


class TestOrder:
    def test_by_age_the_oldest_come_first(self, owner, pending):
        young, old = pending(2), pending(age=timedelta(days=1))
        assert ids(queue_page(owner, asked())) == of([*old, *young])

    def test_by_risk_texts_come_before_tags_and_doubts_before_certainty(self, owner, pending):
        kinds = ["defer", "retag_note", "retitle_note", "relink_note", "create_note", "rewrite_note"]
        by_kind = [pending(kind=kind)[0] for kind in kinds]
        sure, unsure = pending(kind="create_note", confidence=0.8)[0], pending(kind="create_note", confidence=0.2)[0]
        warned = pending(kind="create_note", confidence=0.9, warnings=["look"])[0]
        creations = [warned, unsure, by_kind[4], sure]
        expected = [by_kind[5], *creations, by_kind[3], by_kind[2], by_kind[1], by_kind[0]]
        assert ids(queue_page(owner, asked(sort="risk"))) == of(expected)


class TestGroups:
    def test_the_same_change_to_many_notes_is_one_entry_at_the_place_of_its_first(self, owner, pending):
        first, same, last = pending(), pending(3, kind="retag_note", change_key="+billing"), pending()
        (alike,) = pending(kind="retag_note", change_key="+billing", confidence=0.1)
        page = queue_page(owner, asked())
        assert [bool(entry.group) for entry in page.entries] == [False, True, False]
        assert ids(page) == of([*first, *last])
        group = page.entries[1].group
        assert (group.size, group.words, group.may_decide) == (4, "Add tag billing", True)
        assert [member.id for member in group.members] == of([alike, *same])
        assert (page.total, page.entry_count, page.last) == (6, 3, 3)

    def test_one_alone_other_kinds_and_other_workspaces_are_no_group(self, owner, pending):
        elsewhere = create_workspace(slug="other", name="Other", owner=owner)
        made = pending(kind="retag_note", change_key="+a")
        made += pending(kind="relink_note", change_key="+a")
        made += pending(kind="retag_note", change_key="+a", workspace=elsewhere)
        assert ids(queue_page(owner, asked())) == of(made)

    def test_those_alike_under_the_present_filters_count(self, owner, pending):
        made = pending(kind="retag_note", change_key="+a", confidence=0.9)
        pending(kind="retag_note", change_key="+a", confidence=0.3)
        assert ids(queue_page(owner, asked())) == []
        assert ids(queue_page(owner, asked(confidence="0.9"))) == of(made)

    def test_its_operations_can_be_seen_one_by_one(self, owner, pending):
        made = pending(3, kind="retag_note", change_key="+a")
        pending()
        assert ids(queue_page(owner, asked(single="1", change_key="+a", kind="retag_note"))) == of(made)

    def test_a_card_lists_the_first_and_then_as_many_as_one_can_look_at(self, owner, pending):
        made = pending(MOST_IN_A_CARD + 30, kind="retag_note", change_key="+a", reason="one")
        Operation.objects.filter(pk=made[1].pk).update(reason="other")
        (entry,) = queue_page(owner, asked()).entries
        group = entry.group
        assert (len(group.members), group.size, group.left) == (SEEN, len(made), len(made) - SEEN)
        assert (group.reasons, group.other_reasons) == (2, ["other"])
        rest = rest_of(pending_for(owner), made[SEEN - 1], [made[0].workspace_id])
        assert [member.id for member in rest.members] == of(made[SEEN:MOST_IN_A_CARD])
        assert rest.beyond_a_card
        decide_together(of(made), "reject", actor=owner)
        assert rest_of(pending_for(owner), made[SEEN - 1], []) is None

    @pytest.mark.parametrize(
        "kind,key,words",
        [
            ("retag_note", "+a", "Add tag a"),
            ("retag_note", "+a +b -c", "Add tags a, b and remove tag c"),
            ("retag_note", "-c", "Remove tag c"),
            ("relink_note", "Beta → docs/beta", "Link Beta → docs/beta"),
        ],
    )
    def test_says_what_is_done(self, kind, key, words):
        assert group_words(kind, key) == words


def test_changes_of_texts_are_worked_out_for_the_first_cards_alone():
    kinds = ["create_note", "rewrite_note", "retag_note", "relink_note", "rewrite_note", "retitle_note", "defer"]
    operations = [Operation(kind=kind) for kind in kinds]
    assert changes_for_later(operations) == {operations[3].pk, operations[4].pk}
    long, of_a_long_note = Operation(kind="rewrite_note", body_markdown="x" * 10_000), Operation(kind="rewrite_note")
    of_a_long_note.note_length = 10_000
    assert changes_for_later([long, of_a_long_note]) == {long.pk, of_a_long_note.pk}


def members(key):
    alike = {"workspace": key.workspace_id, "kind": key.kind, "change_key": key.change_key}
    return of(Operation.objects.pending().filter(**alike))


SPECS = st.tuples(
    st.sampled_from(["retag_note", "relink_note"]),
    st.sampled_from(["", "", "+a", "+b"]),
    st.sampled_from([0.3, 0.9]),
    st.booleans(),
    st.integers(0, 3),
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(specs=st.lists(SPECS, max_size=18), sort=st.sampled_from(["age", "risk"]), data=st.data())
def test_paging_meets_everything_that_waits_exactly_once(pending, owner, monkeypatch, specs, sort, data):
    """Whatever is grouped, in both orders, while some of it is decided between the pages."""
    monkeypatch.setattr(queue, "PAGE_SIZE", 2)
    with transaction.atomic():
        made = []
        for kind, key, confidence, warned, age in specs:
            warnings = ["look"] if warned else []
            made += pending(kind=kind, change_key=key, confidence=confidence, warnings=warnings)
            Operation.objects.filter(pk=made[-1].pk).update(created_at=timezone.now() - timedelta(minutes=age))
        met: list[UUID] = []
        page = queue_page(owner, asked(sort=sort))
        while True:
            for entry in page.entries:
                met += [entry.card.operation.pk] if entry.card else members(entry.group.key)
            if not page.next_query:
                break
            chosen = data.draw(st.lists(st.sampled_from(made), max_size=4, unique=True)) if made else []
            Operation.objects.pending().filter(pk__in=of(chosen)).update(
                status="rejected", reject_code="REJECTED_BY_PERSON", decided_by=owner, decided_at=timezone.now()
            )
            page = queue_page(owner, next_of(page))
        assert len(met) == len(set(met))
        assert set(of(Operation.objects.pending())) <= set(met)
        transaction.set_rollback(True)


def test_what_comes_meanwhile_waits_for_the_next_time(owner, pending):
    """Else it could take its group to a place that one has passed."""
    first = pending(queue.PAGE_SIZE, kind="rewrite_note")
    second = pending(2)
    page = queue_page(owner, asked(sort="risk"))
    assert ids(page) == of(first)
    pending(kind="rewrite_note", confidence=0.1)
    page = queue_page(owner, next_of(page))
    assert ids(page) == of(second)
    assert page.before == queue.PAGE_SIZE


def test_the_number_of_statements_does_not_grow(owner, pending, workspace, notes, connection_queries):
    def more(count):
        written = create_notes(
            workspace, [NewNote(f"N{uuid4()}", "Text.\n", f"many/{uuid4()}.md") for _ in range(count)], cause=by(owner)
        )
        pending(count, notes=written)
        pending(count, kind="retag_note", change_key=f"+{uuid4()}"[:20], notes=written)

    more(2)
    few = connection_queries(lambda: queue_page(owner, asked()))
    for _ in range(6):
        more(3)
    page = queue_page(owner, asked())
    assert sum(bool(entry.group) for entry in page.entries) > 5
    assert connection_queries(lambda: queue_page(owner, asked())) == few
    assert connection_queries(lambda: queue_page(owner, asked(sort="risk", folder="many", kind="retag_note"))) <= few
