"""Conditions, read plainly: what each word means in Python, values for each, and notes on which they differ."""

import re
from collections import defaultdict
from datetime import UTC, datetime, timedelta

from django.db.models import F
from django.utils import timezone
from hypothesis import strategies as st

from kjxlkj.notes import services
from kjxlkj.notes.cause import by
from kjxlkj.notes.models import Note, NoteLink
from kjxlkj.notes.services import NewNote
from kjxlkj.notes.tags import normalise_tag

# --- Notes ----------------------------------------------------------------------------------------

_OPEN = '---\nstatus: open\n"a b": 1\n---\n'
_ODD = (
    "---\nstatus: [open, done]\n0: zero\nyear: 2024\ndraft: true\nno: 'false'\nratio: 1.5\nnothing:\n"
    "Status: OPEN\nnested: {status: open}\nÄ: ö\n---\n"
)
_NEWS = [
    NewNote("alpha", "one", "in/a.md", ["a"]),
    NewNote("beta", "[[alpha]]", "in/deep/b.md", ["a", "b"], front_matter=_OPEN),
    NewNote("Alpha gamma", "x" * 30, "in.md", ["c"]),
    NewNote("50% o_o \\", "100% Äpfel", "100%/c.md", ["a/b"]),
    NewNote("itself", "[[itself]]", "", []),
    NewNote("lonely", "", "", ["b"], kind="settings"),
    NewNote("dangling", "[[nowhere]] gamma", "x/y.md", [], front_matter="---\nstatus:\n---\n"),
    NewNote("both", "[[beta]] [[lonely heart]]", "IN/Z.md", ["A", "c"]),
    NewNote("äPFEL und Σοφός", "ä" * 10 + "🍎", "in/ä/ö.md", ["Ä/Öl", "ab"], front_matter=_ODD),
    NewNote("old", "[[gone]] and [[beta]] [[beta]]", "old/a.md", ["a/b/c", "a_b"]),
    NewNote("ancient", "beta\nBETA", "old.md", ["a%", "%"]),
    NewNote("gone", "[[alpha]]", "in/gone.md", ["a"], front_matter=_OPEN),
]
_DAYS_AGO = {"old": 10, "ancient": 400}


def make_notes(workspace, owner):
    """As the database has them: some old, one of them deleted, which keeps its tags and loses its links."""
    notes = {note.title: note for note in services.create_notes(workspace, _NEWS, cause=by(owner))}
    services.delete_note(notes["gone"], base_version=1, cause=by(owner))
    for title, days in _DAYS_AGO.items():
        then = timezone.now() - timedelta(days=days)
        Note.objects.filter(title=title).update(created_at=then, updated_at=then, version=F("version") + 1)
    return list(Note.objects.filter(workspace=workspace))


# --- Meaning --------------------------------------------------------------------------------------


class Links:
    """Who links to whom, without links to oneself."""

    def __init__(self):
        self.out, self.into = defaultdict(set), defaultdict(set)
        rows = NoteLink.objects.filter(target__isnull=False).values_list("source", "target", "target__path")
        for source, target, path in rows:
            if source != target:
                self.out[source].add(path)
                self.into[target].add(source)


def _capitals(text):
    """Letter by letter, as PostgreSQL compares without regard to case: ß stays one letter."""
    return "".join(letter.upper() if len(letter.upper()) == 1 else letter for letter in text)


def _says(metadata, key, value):
    """Whether YAML has made a number or a flag of it does not matter, but null is no value, and a list no item."""
    found = metadata.get(key)
    return isinstance(found, str | int | float) and _number(found) == _number(value)


def _number(value):
    if isinstance(value, bool):
        return str(value).lower()
    try:
        return float(value)
    except ValueError:
        return value


def _within(moment, days):
    return moment >= timezone.now() - timedelta(days=days)


PLAIN = {
    "folder": lambda n, v, links: n.path.startswith(v.strip("/") + "/") if v else "/" not in n.path,
    "path_prefix": lambda n, v, links: n.path.startswith(v),
    "tag": lambda n, v, links: normalise_tag(v) in n.tags,
    "tag_any": lambda n, v, links: bool(set(map(normalise_tag, v)) & set(n.tags)),
    "tag_all": lambda n, v, links: set(map(normalise_tag, v)) <= set(n.tags),
    "tag_under": lambda n, v, links: any(f"{tag}/".startswith(f"{normalise_tag(v)}/") for tag in n.tags),
    "untagged": lambda n, v, links: (not n.tags) == v,
    "title_contains": lambda n, v, links: _capitals(v) in _capitals(n.title),
    "body_contains": lambda n, v, links: _capitals(v) in _capitals(n.body),
    # Honest only for words that no ending is stripped from; what else a search finds is for tests of the search.
    "text": lambda n, v, links: v in re.findall(r"\w+", f"{n.title} {n.body}".lower()),
    "kind": lambda n, v, links: n.kind == v,
    "has_metadata": lambda n, v, links: v in n.metadata,
    "lacks_metadata": lambda n, v, links: v not in n.metadata,
    "metadata_equals": lambda n, v, links: all(_says(n.metadata, key, value) for key, value in v.items()),
    "min_length": lambda n, v, links: len(n.body) >= v,
    "max_length": lambda n, v, links: len(n.body) <= v,
    "created_since": lambda n, v, links: n.created_at >= datetime.fromisoformat(v),
    "updated_since": lambda n, v, links: n.updated_at >= datetime.fromisoformat(v),
    "created_within_days": lambda n, v, links: _within(n.created_at, v),
    "updated_within_days": lambda n, v, links: _within(n.updated_at, v),
    "links_to": lambda n, v, links: v in links.out[n.id],
    "linked": lambda n, v, links: bool(links.into[n.id]) == v,
    "orphan": lambda n, v, links: (not links.into[n.id] and not links.out[n.id]) == v,
}


def holds(note, tree, links):
    return all(_part(note, key, value, links) for key, value in tree.items())


def _part(note, key, value, links):
    if key == "all":
        return all(holds(note, item, links) for item in value)
    if key == "any":
        return any(holds(note, item, links) for item in value)
    if key == "not":
        return not holds(note, value, links)
    return PLAIN[key](note, value, links)


# --- Trees ----------------------------------------------------------------------------------------

_TIMES = [(datetime.now(UTC) + timedelta(days=days)).isoformat() for days in (365, -5, -365, -10_000)]
SAMPLES = {
    "folder": ["", "in", "in/deep", "in/", "/in/ä", "100%", "no", "IN"],
    "path_prefix": ["in", "i", "in/d", "100%", "_", "x", "in/ä"],
    "tag": ["a", "A", "b", "ab", "a/b", "#a b", "ä/öl", "Ä/ÖL", "%", "a%"],
    "tag_any": [["a"], ["A", "no"], ["c", "a/b"], ["ä/öl", "%"]],
    "tag_all": [["a"], ["a", "b"], ["B", "A"], ["a", "no"]],
    "tag_under": ["a", "A", "a/b", "b", "ä", "Ä/öl", "%", "a_", "öl", "a/b/c"],
    "untagged": [True, False],
    "title_contains": ["ALPHA", "o", "%", "_", "\\", "beta", "äp", "ÄP", "σοφ", "ΣΟΦΌς", "ß"],
    "body_contains": ["[[", "Ä", "x", "%", "a\nb", "🍎", "beta"],
    "text": ["alpha", "beta", "gamma", "nothing"],
    "kind": ["markdown", "settings"],
    "has_metadata": ["status", "a b", "no", "0", "nothing", "nested", "Ä"],
    "lacks_metadata": ["status", "no", "0", "nothing"],
    "metadata_equals": [
        *({"status": value} for value in ("open", "OPEN", "null", "done", '["open", "done"]')),
        {"a b": 1}, {"a b": "1"}, {"year": 2024}, {"year": 2024.0}, {"year": "2024"}, {"draft": True},
        {"draft": "true"}, {"draft": "yes"}, {"no": False}, {"ratio": "1.5"}, {"ratio": 1.5}, {"0": "zero"},
        {"nothing": "null"},
        {"nested": "open"}, {"Ä": "ö"}, {"status": "open", "a b": 1}, {"status": "open", "a b": 2}, {"missing": "x"},
    ],
    "min_length": [0, 1, 3, 11, 30, 31],
    "max_length": [0, 3, 11, 29, 30],
    "created_since": _TIMES,
    "updated_since": _TIMES,
    "created_within_days": [1, 9, 11, 500, 36_500],
    "updated_within_days": [1, 9, 11, 500, 36_500],
    "links_to": ["in/a.md", "in/deep/b.md", "no.md", "in/gone.md", "IN/A.md"],
    "linked": [True, False],
    "orphan": [True, False],
}  # fmt: skip
_LEAF = st.sampled_from(sorted(SAMPLES)).flatmap(
    lambda name: st.fixed_dictionaries({name: st.sampled_from(SAMPLES[name])})
)
_LEAVES = st.lists(_LEAF, max_size=3).map(lambda leaves: {k: v for leaf in leaves for k, v in leaf.items()})
TREES = st.recursive(
    _LEAVES,
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "not": inner,
            "any": st.lists(inner, min_size=1, max_size=3),
            "all": st.lists(inner, min_size=1, max_size=3),
        },
    ),
    max_leaves=8,
)
