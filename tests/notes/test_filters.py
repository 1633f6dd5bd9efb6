"""The filter vocabulary: SQL and a plain reading of each word agree on any tree, and faults are told by their path."""

import pytest
from hypothesis import HealthCheck, given, settings

from kjxlkj.notes.filters import MAX_NODES, VOCABULARY, ConditionInvalid, condition_faults, condition_q, explain
from kjxlkj.notes.models import Note
from tests.notes.conditions import PLAIN, SAMPLES, TREES, Links, holds, make_notes


@pytest.fixture
def notes(workspace, owner):
    return make_notes(workspace, owner)


def test_every_word_has_a_plain_reading_here():
    assert PLAIN.keys() == SAMPLES.keys() == VOCABULARY.keys()


@pytest.mark.django_db
@pytest.mark.parametrize("name", SAMPLES)
def test_each_word_means_what_its_plain_reading_means_and_its_negation_the_opposite(notes, name):
    links = Links()
    for value in SAMPLES[name]:
        meant = {note.title for note in notes if PLAIN[name](note, value, links)}
        assert _found({name: value}) == meant, value
        assert _found({"not": {name: value}}) == {note.title for note in notes} - meant, value


@pytest.mark.django_db
def test_every_word_tells_the_notes_apart(notes):
    """Or the tests above would show nothing."""
    for name, values in SAMPLES.items():
        assert any(0 < len(_found({name: value})) < len(notes) for value in values), name


@pytest.mark.django_db
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=TREES)
def test_sql_and_the_plain_reading_agree_on_any_tree(notes, tree):
    links = Links()
    assert condition_faults(tree) == []
    assert _found(tree) == {note.title for note in notes if holds(note, tree, links)}


def _found(tree):
    return set(Note.objects.filter(condition_q(tree)).values_list("title", flat=True))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("tree", "all_of_them"),
    [({}, True), ({"not": {}}, False), ({"any": [{}, {"tag": "zz"}]}, True), ({"not": {"not": {}}}, True)],
)
def test_the_empty_condition_holds_for_every_note(notes, tree, all_of_them):
    assert Note.objects.filter(condition_q(tree)).count() == (len(notes) if all_of_them else 0)


@pytest.mark.parametrize(
    ("tree", "path"),
    [([], "$"), ("x", "$"), (None, "$"), ({"all": {}}, "$.all"), ({"any": []}, "$.any"), ({"not": []}, "$.not"),
     ({"colour": 1}, "$.colour"), ({"all": [{}, {"tag": 5}]}, "$.all[1].tag"), ({"tag": ""}, "$.tag"),
     ({"tag": "#"}, "$.tag"), ({"tag_any": []}, "$.tag_any"), ({"tag_any": "a,b"}, "$.tag_any"),
     ({"untagged": "maybe"}, "$.untagged"), ({"untagged": "true"}, "$.untagged"), ({"untagged": 1}, "$.untagged"),
     ({"min_length": -1}, "$.min_length"), ({"min_length": True}, "$.min_length"),
     ({"min_length": "1"}, "$.min_length"),
     ({"min_length": 1.5}, "$.min_length"), ({"min_length": float("inf")}, "$.min_length"),
     ({"min_length": float("nan")}, "$.min_length"), ({"min_length": 10**9}, "$.min_length"),
     ({"kind": ["markdown"]}, "$.kind"), ({"created_since": "2026-13-01"}, "$.created_since"),
     ({"created_since": "9999-12-31T23:59:59-23:00"}, "$.created_since"),
     ({"created_within_days": 0}, "$.created_within_days"), ({"title_contains": "a\0"}, "$.title_contains"),
     ({"title_contains": "\ud800"}, "$.title_contains"), ({"title_contains": "x" * 501}, "$.title_contains"),
     ({"metadata_equals": {}}, "$.metadata_equals"), ({"metadata_equals": {"a": None}}, "$.metadata_equals"),
     ({"metadata_equals": {"a": [1]}}, "$.metadata_equals"),
     ({"metadata_equals": {"a": float("inf")}}, "$.metadata_equals"),
     ({"metadata_equals": {"a\0": 1}}, "$.metadata_equals"), ({"metadata_equals": "a=b"}, "$.metadata_equals")],
)  # fmt: skip
def test_a_fault_is_told_by_its_path(tree, path):
    assert [fault.path for fault in condition_faults(tree)] == [path]
    with pytest.raises(ConditionInvalid) as caught:
        condition_q(tree)
    assert caught.value.details["faults"][0]["path"] == path


def test_all_faults_are_told_at_once():
    tree = {"all": [{"colour": 1}, {"not": {"tag": 1}}], "kind": "exe"}
    assert [fault.path for fault in condition_faults(tree)] == ["$.all[0].colour", "$.all[1].not.tag", "$.kind"]


def nested(depth):
    tree = {"tag": "a"}
    for _ in range(depth - 1):
        tree = {"not": tree}
    return tree


def test_depth_and_size_are_bounded():
    assert condition_faults(nested(8)) == []
    assert "deeper than 8" in condition_faults(nested(9))[0].message
    assert condition_faults(nested(500))
    assert condition_faults({"any": [{"tag": "a"}] * ((MAX_NODES - 1) // 2)}) == []
    assert "nodes" in condition_faults({"any": [{"tag": "a"}] * MAX_NODES})[0].message


# --- Verdicts -------------------------------------------------------------------------------------


@pytest.mark.django_db
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=TREES)
def test_the_first_verdict_is_the_conditions_and_every_part_has_one(notes, tree):
    links = Links()
    for note in notes[::4]:
        verdicts = explain(Note.objects.filter(pk=note.pk), tree)
        assert verdicts[0].holds == holds(note, tree, links)
        assert len({verdict.path for verdict in verdicts}) == len(verdicts)
        for verdict in verdicts:
            assert verdict.holds == holds(note, _at(tree, verdict.path), links)


def _at(tree, path):
    """The part of a tree at a JSON path, as a tree."""
    at, key = tree, "["
    for key in path.replace("[", ".[").split(".")[1:]:
        at = at[int(key[1:-1])] if key.startswith("[") else at[key]
    return at if key.startswith("[") else {key: at}


@pytest.mark.django_db
def test_a_verdict_tells_on_what_it_was_decided(notes, django_assert_num_queries):
    beta = Note.objects.filter(title="beta")
    tree = {
        "folder": "in",
        "any": [{"tag_any": ["x", "b"]}, {"title_contains": "no"}, {"min_length": 3, "linked": True}],
        "not": {"metadata_equals": {"status": "open"}},
        "links_to": "in/a.md",
    }
    with django_assert_num_queries(1):
        verdicts = explain(beta, tree, "condition_json")
    assert [(v.path.removeprefix("condition_json"), v.depth, v.label, v.holds, v.value) for v in verdicts] == [
        ("", 0, "all of these", False, ""),
        (".folder", 1, "in folder: “in”", True, "in/deep/b.md"),
        (".any", 1, "any of these", True, ""),
        (".any[0].tag_any", 2, "has any of the tags: x, b", True, "a, b"),
        (".any[1].title_contains", 2, "title contains: “no”", False, "“beta”"),
        (".any[2]", 2, "all of these", True, ""),
        (".any[2].min_length", 3, "text at least this long: 3", True, "9 characters"),
        (".any[2].linked", 3, "is linked to by a note: yes", True, "links from 2 notes: IN/Z.md, old/a.md"),
        (".not", 1, "not this", False, ""),
        (".not.metadata_equals", 2, "front matter says: status = open", True, "status: open"),
        (".links_to", 1, "links to the note at: “in/a.md”", True, "links to 1 note: in/a.md"),
    ]


@pytest.mark.django_db
def test_every_word_can_be_explained_of_every_note(notes):
    trees = [{name: value} for name, values in SAMPLES.items() for value in values]
    for note in notes:
        for start in range(0, len(trees), 45):
            verdicts = explain(Note.objects.filter(pk=note.pk), {"any": trees[start : start + 45]})
            assert all(verdict.value for verdict in verdicts[1:])
            assert all(": " in verdict.label for verdict in verdicts[1:])


@pytest.mark.django_db
def test_of_no_note_and_of_a_bad_condition_nothing_is_explained(workspace):
    assert explain(Note.objects.none(), {"tag": "a"}) == []
    with pytest.raises(ConditionInvalid):
        explain(Note.objects.all(), {"tag": 1})
