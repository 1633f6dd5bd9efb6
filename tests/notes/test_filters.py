"""The filter vocabulary: SQL and a plain reading of each word agree on any tree, and faults are told by their path."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kjxlkj.notes import services
from kjxlkj.notes.cause import by
from kjxlkj.notes.filters import MAX_NODES, VOCABULARY, ConditionInvalid, condition_faults, condition_q
from kjxlkj.notes.models import Note, NoteLink
from kjxlkj.notes.services import NewNote

# --- A plain reading ------------------------------------------------------------------------------


def _linked(note):
    return NoteLink.objects.filter(target=note).exclude(source=note).exists()


def _links(note):
    return NoteLink.objects.filter(source=note, target__isnull=False).exclude(target=note).exists()


def _within(moment, days):
    return moment >= timezone.now() - timedelta(days=days)


def _says(value):
    return value if isinstance(value, str) else json.dumps(value)


PLAIN = {
    "folder": lambda n, v: n.path.startswith(v.strip("/") + "/") if v else "/" not in n.path,
    "path_prefix": lambda n, v: n.path.startswith(v),
    "tag": lambda n, v: v in n.tags,
    "tag_any": lambda n, v: bool(set(v) & set(n.tags)),
    "tag_all": lambda n, v: set(v) <= set(n.tags),
    "untagged": lambda n, v: (not n.tags) == v,
    "title_contains": lambda n, v: v.lower() in n.title.lower(),
    "body_contains": lambda n, v: v.lower() in n.body.lower(),
    "text": lambda n, v: v in re.findall(r"\w+", f"{n.title} {n.body}".lower()),
    "kind": lambda n, v: n.kind == v,
    "has_metadata": lambda n, v: v in n.metadata,
    "lacks_metadata": lambda n, v: v not in n.metadata,
    "min_length": lambda n, v: len(n.body) >= v,
    "max_length": lambda n, v: len(n.body) <= v,
    "created_since": lambda n, v: n.created_at >= datetime.fromisoformat(v),
    "updated_since": lambda n, v: n.updated_at >= datetime.fromisoformat(v),
    "created_within_days": lambda n, v: _within(n.created_at, v),
    "updated_within_days": lambda n, v: _within(n.updated_at, v),
    "linked": lambda n, v: _linked(n) == v,
    "tag_under": lambda n, v: any(tag == v or tag.startswith(f"{v}/") for tag in n.tags),
    "metadata_equals": lambda n, v: all(_says(n.metadata.get(key)) == _says(value) for key, value in v.items()),
    "links_to": lambda n, v: NoteLink.objects.filter(source=n, target__path=v).exclude(target=n).exists(),
    "orphan": lambda n, v: (not _linked(n) and not _links(n)) == v,
}


def holds(note, tree):
    for key, value in tree.items():
        if key == "all":
            good = all(holds(note, item) for item in value)
        elif key == "any":
            good = any(holds(note, item) for item in value)
        elif key == "not":
            good = not holds(note, value)
        else:
            good = PLAIN[key](note, value)
        if not good:
            return False
    return True


# --- Trees ----------------------------------------------------------------------------------------

TAGS = st.sampled_from(["a", "b", "c", "a/b"])
NEXT_YEAR, LAST_YEAR = (datetime.now(UTC) + timedelta(days=days) for days in (365, -365))
TIMES = st.sampled_from([NEXT_YEAR.isoformat(), LAST_YEAR.isoformat()])
WORDS = {
    "folder": st.sampled_from(["", "in", "in/deep", "in/", "100%", "no"]),
    "path_prefix": st.sampled_from(["in", "i", "in/d", "100%", "_", "x"]),
    "tag": TAGS,
    "tag_any": st.lists(TAGS, min_size=1, max_size=3),
    "tag_all": st.lists(TAGS, min_size=1, max_size=2),
    "untagged": st.booleans(),
    "title_contains": st.sampled_from(["ALPHA", "o", "%", "_", "\\", "beta"]),
    "body_contains": st.sampled_from(["[[", "Ä", "x", "%"]),
    "text": st.sampled_from(["alpha", "beta", "gamma", "nothing"]),
    "kind": st.sampled_from(["markdown", "settings"]),
    "has_metadata": st.sampled_from(["status", "a b", "no"]),
    "lacks_metadata": st.sampled_from(["status", "no"]),
    "min_length": st.integers(0, 40),
    "max_length": st.integers(0, 40),
    "created_since": TIMES,
    "updated_since": TIMES,
    "created_within_days": st.sampled_from([1, 1000]),
    "updated_within_days": st.sampled_from([1, 1000]),
    "linked": st.booleans(),
    "tag_under": TAGS,
    "metadata_equals": st.dictionaries(
        st.sampled_from(["status", "a b", "no"]), st.sampled_from(["open", "1", 1, True, "null"]), min_size=1
    ),
    "links_to": st.sampled_from(["in/a.md", "in/deep/b.md", "no.md"]),
    "orphan": st.booleans(),
}
LEAF = st.sampled_from(sorted(WORDS)).flatmap(lambda name: st.fixed_dictionaries({name: WORDS[name]})) | st.just({})
TREES = st.recursive(
    LEAF
    | st.lists(LEAF, min_size=2, max_size=3).map(lambda leaves: {k: v for leaf in leaves for k, v in leaf.items()}),
    lambda inner: (
        st.fixed_dictionaries({"any": st.lists(inner, min_size=1, max_size=3)})
        | st.fixed_dictionaries({"all": st.lists(inner, min_size=1, max_size=3)})
        | st.fixed_dictionaries({"not": inner})
        | st.fixed_dictionaries({"not": inner, "any": st.lists(inner, min_size=1, max_size=2)})
    ),
    max_leaves=8,
)


@pytest.fixture
def notes(workspace, owner):
    matter = '---\nstatus: open\n"a b": 1\n---\n'
    news = [
        NewNote("alpha", "one", "in/a.md", ["a"]),
        NewNote("beta", "[[alpha]]", "in/deep/b.md", ["a", "b"], front_matter=matter),
        NewNote("Alpha gamma", "x" * 30, "in.md", ["c"]),
        NewNote("50% o_o \\", "100% Äpfel", "100%/c.md", ["a/b"]),
        NewNote("itself", "[[itself]]", "", []),
        NewNote("lonely", "", "", ["b"], kind="settings"),
        NewNote("dangling", "[[nowhere]] gamma", "x/y.md", [], front_matter="---\nstatus:\n---\n"),
        NewNote("both", "[[beta]] [[lonely heart]]", "IN/Z.md", ["A", "c"]),
    ]
    return services.create_notes(workspace, news, cause=by(owner))


def test_every_word_has_a_plain_reading_here():
    assert PLAIN.keys() == WORDS.keys() == VOCABULARY.keys()


@pytest.mark.django_db
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=TREES)
def test_sql_and_the_plain_reading_agree(notes, tree):
    assert condition_faults(tree) == []
    found = set(Note.objects.filter(condition_q(tree)).values_list("title", flat=True))
    assert found == {note.title for note in notes if holds(note, tree)}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("tree", "all_of_them"), [({}, True), ({"not": {}}, False), ({"any": [{}, {"tag": "zz"}]}, True)]
)
def test_the_empty_condition_holds_for_every_note(notes, tree, all_of_them):
    assert Note.objects.filter(condition_q(tree)).count() == (len(notes) if all_of_them else 0)


@pytest.mark.parametrize(
    ("tree", "path"),
    [([], "$"), ("x", "$"), (None, "$"), ({"all": {}}, "$.all"), ({"any": []}, "$.any"), ({"not": []}, "$.not"),
     ({"colour": 1}, "$.colour"), ({"all": [{}, {"tag": 5}]}, "$.all[1].tag"), ({"tag": ""}, "$.tag"),
     ({"tag": "#"}, "$.tag"), ({"tag_any": []}, "$.tag_any"), ({"untagged": "maybe"}, "$.untagged"),
     ({"min_length": -1}, "$.min_length"), ({"min_length": True}, "$.min_length"),
     ({"min_length": 1.5}, "$.min_length"),
     ({"kind": ["markdown"]}, "$.kind"), ({"created_since": "2026-13-01"}, "$.created_since"),
     ({"created_within_days": 0}, "$.created_within_days"), ({"title_contains": "a\0"}, "$.title_contains"),
     ({"title_contains": "\ud800"}, "$.title_contains"), ({"title_contains": "x" * 501}, "$.title_contains")],
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
