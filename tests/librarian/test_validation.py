"""Which proposals stand, and with which code the others are refused."""

import pytest

from kjxlkj.notes.cause import by
from kjxlkj.notes.services import delete_note, update_note
from librarian.plan import Plan
from librarian.services import Decision, review
from tests.librarian.conftest import op

pytestmark = pytest.mark.django_db


def codes(operations):
    return [operation.reject_code or operation.status for operation in operations]


def test_good_proposals_of_every_kind_wait_for_people(check, notes):
    operations = check(
        op("retitle_note", notes["beta"], title="Beta notes"),
        op("retag_note", notes["alpha"], tags=("one", "Two Words")),
        op("relink_note", notes["alpha"], links=[("Beta", "Beta"), ("Gamma plan", "docs/gamma")]),
        op("rewrite_note", notes["gamma"], body_markdown="New plans.\n"),
        op("create_note", target_path="docs/new.md", title="New", body_markdown="x"),
        op("defer", notes["beta"]),
    )
    assert codes(operations) == ["pending"] * 6
    assert [operation.index for operation in operations] == list(range(6))
    assert operations[1].tags == ["one", "two-words"]
    assert operations[0].base_version == 1


def test_a_target_may_be_named_by_path(check, notes):
    by_path = op("retitle_note", target_path="docs/beta.md", title="B")
    assert check(by_path)[0].target_note == notes["beta"]


@pytest.mark.parametrize(
    ("proposal", "code"),
    [
        (lambda n: op("retitle_note", title="x", target_path="nowhere.md"), "TARGET_UNKNOWN"),
        (lambda n: op("retitle_note", n["alpha"], title="Alpha"), "NO_CHANGE"),
        (lambda n: op("retitle_note", n["alpha"], title="  "), "INVALID_FIELD"),
        (lambda n: op("retitle_note", n["alpha"], title="x" * 201), "INVALID_FIELD"),
        (lambda n: op("retag_note", n["alpha"], tags=("One",)), "NO_CHANGE"),
        (lambda n: op("rewrite_note", n["gamma"], body_markdown="Plans.\n"), "NO_CHANGE"),
        (lambda n: op("relink_note", n["alpha"], links=[("Beta", "Delta")]), "LINK_TARGET_UNKNOWN"),
        (lambda n: op("relink_note", n["alpha"], links=[("Zeta", "Beta")]), "LINK_TEXT_MISSING"),
        (lambda n: op("relink_note", n["beta"], links=[("Beta", "Beta")]), "LINK_TEXT_MISSING"),
        (lambda n: op("relink_note", n["alpha"], body_markdown="Something [[Beta]] else.\n"), "NOT_ONLY_LINKS"),
        (
            lambda n: op("relink_note", n["alpha"], body_markdown="Alpha talks of [[Betta|Beta]] and of Gamma plan.\n"),
            "LINK_TARGET_UNKNOWN",
        ),
        (lambda n: op("create_note", target_path="alpha.md", title="A", body_markdown="x"), "PATH_TAKEN"),
        (lambda n: op("create_note", target_path="../alpha.md", title="A", body_markdown="x"), "INVALID_FIELD"),
    ],
)
def test_a_bad_proposal_is_kept_with_a_code_and_a_reason(check, notes, proposal, code):
    operation = check(proposal(notes))[0]
    assert (operation.status, operation.reject_code) == ("rejected", code)
    assert operation.reject_reason


def test_a_relink_by_body_may_change_nothing_but_links(check, notes):
    body = "Alpha talks of [[Beta]] and of Gamma plan.\n"
    assert codes(check(op("relink_note", notes["alpha"], body_markdown=body))) == ["pending"]


def test_the_rule_bounds_kinds_tags_and_number(check, notes):
    retitle = op("retitle_note", notes["beta"], title="B")
    retag = op("retag_note", notes["alpha"], tags=("one", "two"))
    assert codes(check(retitle, plan=Plan(kinds=frozenset({"retag_note"})))) == ["KIND_NOT_ALLOWED"]
    assert codes(check(retitle, excess=True)) == ["TOO_MANY_OPERATIONS"]
    closed = Plan(taxonomy=("three",), taxonomy_closed=True)
    assert codes(check(retag, plan=closed)) == ["TAG_NOT_IN_TAXONOMY"]
    assert codes(check(retag, plan=Plan(taxonomy=("Two",), taxonomy_closed=True))) == ["pending"]
    create = op("create_note", target_path="n.md", title="N", body_markdown="x", tags=("Five",))
    assert codes(check(create, plan=closed)) == ["TAG_NOT_IN_TAXONOMY"]
    assert check(create)[0].tags == ["five"]


def test_one_field_of_a_note_is_changed_once_in_a_run(check, notes):
    operations = check(
        op("retitle_note", notes["beta"], title="B"),
        op("retitle_note", notes["beta"], title="C"),
        op("retag_note", notes["beta"], tags=("x",)),
        op("relink_note", notes["alpha"], links=[("Beta", "Beta")]),
        op("rewrite_note", notes["alpha"], body_markdown="y"),
    )
    assert codes(operations) == ["pending", "FIELD_TAKEN", "pending", "pending", "FIELD_TAKEN"]


def test_a_note_that_was_deleted_meanwhile_is_found_out_at_review(propose, notes, owner):
    operation = propose(op("retitle_note", notes["beta"], title="B"))[0]
    delete_note(notes["beta"], base_version=1, cause=by(owner))
    outcome = review([Decision(operation.id, "apply")], actor=owner)[0]
    assert outcome.status == "pending"
    assert outcome.code in {"NOTE_NOT_FOUND", "VERSION_CONFLICT"}


def test_what_a_person_rejected_is_not_proposed_again_until_the_note_changes(propose, check, notes, owner, run):
    proposal = op("retitle_note", notes["beta"], title="B")
    first = propose(proposal)[0]
    assert codes(check(proposal)) == ["ALREADY_PENDING"]
    review([Decision(first.id, "reject", "no")], actor=owner)
    assert codes(check(proposal)) == ["REJECTED_BEFORE"]
    update_note(notes["beta"], base_version=1, cause=by(owner), body="other text")
    assert codes(check(proposal)) == ["REJECTED_BEFORE"]
    update_note(notes["beta"], base_version=2, cause=by(owner), title="Renamed")
    assert codes(check(proposal)) == ["pending"]


def test_what_was_rejected_before_takes_no_field_from_what_is_new(propose, check, notes, owner):
    rejected, new = (op("retitle_note", notes["beta"], title=title) for title in ("B", "C"))
    review([Decision(propose(rejected)[0].id, "reject", "no")], actor=owner)
    assert codes(check(rejected, new)) == ["REJECTED_BEFORE", "pending"]


def test_checking_takes_the_same_queries_for_one_and_for_many(check, notes, django_assert_num_queries):
    link = op("relink_note", notes["alpha"], links=[("Beta", "Beta")])
    one = op("create_note", target_path="new.md", title="New", body_markdown="x")
    more = [op("create_note", target_path=f"{i}.md", title="New", body_markdown="x") for i in range(40)]
    more += [op("retag_note", notes["alpha"], tags=(f"t{i}",)) for i in range(40)]
    for proposals in ([link, one], [link, *more]):
        with django_assert_num_queries(4):  # the sources, names, paths, earlier proposals
            check(*proposals)


def test_the_same_change_to_several_notes_has_the_same_key(check, notes):
    found = check(
        op("retag_note", notes["alpha"], tags=("one", "billing")),
        op("retag_note", notes["beta"], tags=("billing",)),
        op("retag_note", notes["gamma"], tags=("billing",)),
        op("relink_note", notes["alpha"], links=[("Beta", "Beta")]),
        op("retitle_note", notes["alpha"], title="A"),
    )
    assert [each.change_key for each in found] == ["+billing", "+billing", "+billing -plan", "Beta → Beta", ""]


def test_what_is_refused_or_takes_too_many_words_is_like_no_other(check, notes):
    many = tuple(f"a-tag-with-a-long-name-{number}" for number in range(20))
    refused, long = check(op("retag_note", notes["alpha"], tags=("one",)), op("retag_note", notes["beta"], tags=many))
    assert refused.reject_code == "NO_CHANGE"
    assert (refused.change_key, long.change_key, long.status) == ("", "", "pending")


@pytest.mark.parametrize("kind", ["rewrite_note", "relink_note"])
def test_a_note_keeps_its_line_ends(check, notes, owner, kind):
    update_note(notes["beta"], base_version=1, cause=by(owner), body="# Beta\r\n\r\nAlpha is near.\r\n")
    (found,) = check(op(kind, notes["beta"], body_markdown="# Beta\n\n[[Alpha]] is near.\n"))
    assert (found.status, found.body_markdown) == ("pending", "# Beta\r\n\r\n[[Alpha]] is near.\r\n")
