import math
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from librarian.models import Operation
from librarian.reviewing_time import LONGEST_SECONDS, characters_between
from librarian.services import Decision, review
from librarian.undoing import undo
from tests.librarian.conftest import op


@pytest.fixture
def operation(propose, notes):
    return propose(op("retitle_note", notes["beta"], title="Better"))[0]


def decided(operation, actor, **how):
    (outcome,) = review([Decision(operation.id, **how)], actor=actor)
    assert not outcome.code
    operation.refresh_from_db()
    return operation


@pytest.mark.django_db
def test_a_decision_keeps_how_it_was_made_and_for_how_long_it_was_looked_at(operation, editor):
    decided(operation, editor, decision="apply", via="key", seconds=12.5)
    assert operation.via == "key"
    assert abs(operation.decided_at - operation.shown_at - timedelta(seconds=12.5)) < timedelta(seconds=1)


@pytest.mark.django_db
@pytest.mark.parametrize(("given", "kept"), [(-3.0, 0.0), (1e9, LONGEST_SECONDS)])
def test_times_that_cannot_be_are_bounded(operation, editor, given, kept):
    decided(operation, editor, decision="reject", via="click", seconds=given)
    assert abs(operation.decided_at - operation.shown_at - timedelta(seconds=kept)) < timedelta(seconds=1)


@pytest.mark.django_db
@pytest.mark.parametrize("seconds", [None, math.nan, math.inf])
def test_what_nobody_measured_is_not_made_up(operation, editor, seconds):
    assert decided(operation, editor, decision="reject", seconds=seconds).shown_at is None


@pytest.mark.django_db
def test_the_characters_that_a_reviewer_edits_are_counted(operation, editor):
    decided(operation, editor, decision="apply", edits={"title": "Best"})
    assert operation.edited_characters == len("Better") + len("Best")


@pytest.mark.django_db
def test_an_edit_that_changes_nothing_counts_for_none(operation, editor):
    assert decided(operation, editor, decision="apply", edits={"title": "Better"}).edited_characters is None


@pytest.mark.django_db
def test_nothing_is_kept_where_the_instance_does_not_measure(operation, editor, settings):
    settings.REVIEW_TIMES = False
    decided(operation, editor, decision="apply", via="key", seconds=1.0, edits={"title": "Best"})
    assert (operation.via, operation.shown_at, operation.edited_characters) == ("", None, None)


@pytest.mark.django_db
def test_nothing_is_left_of_a_rejection_that_was_taken_back(operation, editor):
    decided(operation, editor, decision="reject", via="key", seconds=2.0, reject_reason="Slip")
    undo([operation], actor=editor)
    kept = Operation.objects.values_list("status", "via", "shown_at", "decided_at", "reject_code", "reject_reason")
    assert kept.get() == ("pending", "", None, None, "", "")


@given(st.text(max_size=60), st.text(max_size=60))
def test_only_texts_that_differ_have_characters_between_them(old, new):
    between = characters_between(old, new)
    assert (between == 0) == (old == new)
    assert between <= len(old) + len(new)


@pytest.mark.django_db
def test_no_page_asks_for_what_the_instance_does_not_measure(propose, notes, editor, client, settings):
    propose(*(op("retag_note", note, tags=(*note.tags, "same")) for note in notes.values()))
    propose(op("retitle_note", notes["beta"], title="Better"))
    client.force_login(editor, backend="django.contrib.auth.backends.ModelBackend")
    for measured in (True, False):
        settings.REVIEW_TIMES = measured
        for address in ("/admin/review/", "/admin/review/together/?kind=retag_note"):
            page = client.get(address).content.decode()
            assert ('name="seconds"' in page, 'name="via"' in page) == (measured, measured)
