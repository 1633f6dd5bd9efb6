"""Any condition goes through the builder and comes out with the same meaning, no deeper and no larger."""

import json
from itertools import product
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from automation.forms import declarations
from kjxlkj.notes.filters import VOCABULARY, condition_faults

words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8).filter(str.strip)
tags = st.text("abcß-/ü", min_size=1, max_size=5).filter(lambda text: text.strip("-/"))
VALUES = {
    "text": words,
    "tag": words,
    "folder": st.just("") | words,
    "tags": st.lists(tags | words, min_size=1, max_size=3),
    "boolean": st.booleans(),
    "number": st.integers(0, 10**9 - 1),
    "days": st.integers(1, 36_500),
    "time": st.dates().map(str) | st.datetimes().map(lambda time: f"{time.isoformat()}Z"),
    "pairs": st.dictionaries(
        words, words | st.integers(-99, 10**9) | st.just(1.5) | st.booleans(), min_size=1, max_size=2
    ),
}


def values(word):
    return st.sampled_from(word.choices) if word.input == "choice" else VALUES[word.input]


few = st.lists(st.sampled_from(list(VOCABULARY)), max_size=2, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: values(VOCABULARY[name]) for name in names})
)


def joined(inner):
    lists = st.lists(inner, min_size=1, max_size=3)
    joints = {"all": lists, "any": lists, "not": inner}
    alone = st.sampled_from(list(joints)).flatmap(lambda key: st.fixed_dictionaries({key: joints[key]}))
    together = st.tuples(few, st.fixed_dictionaries({}, optional=joints)).map(lambda both: {**both[0], **both[1]})
    return alone | together


trees = st.recursive(few, joined, max_leaves=20).filter(lambda tree: not condition_faults(tree))


def holds(tree, facts):
    def one(key, value):
        if key in {"all", "any"}:
            return {"all": all, "any": any}[key](holds(item, facts) for item in value)
        return not holds(value, facts) if key == "not" else facts[atom(key, value)]

    return all(one(key, value) for key, value in tree.items())


def atom(word, value):
    if isinstance(value, dict):  # compared as texts
        value = {key: json.dumps(each) if isinstance(each, bool) else str(each) for key, each in value.items()}
    return word, json.dumps(value, sort_keys=True)


def atoms(tree):
    found = set()
    for key, value in tree.items():
        if key in {"all", "any"}:
            found = found.union(*map(atoms, value))
        else:
            found |= atoms(value) if key == "not" else {atom(key, value)}
    return found


def assert_same(tree, other):
    names = sorted(atoms(tree) | atoms(other))
    if len(names) <= 8:
        worlds = list(product([True, False], repeat=len(names)))
    else:
        chance = Random(0)
        worlds = [[chance.random() < share for _ in names] for share in (0.1, 0.5, 0.5, 0.9) for _ in range(60)]
    for world in worlds:
        facts = dict(zip(names, world, strict=True))
        assert holds(tree, facts) == holds(other, facts), (tree, other, facts)


def measured(tree):
    """Depth and nodes, as `condition_faults` counts them."""
    depth, nodes = 1, 1
    for key, value in tree.items():
        if key in {"all", "any", "not"}:
            inner = [measured(item) for item in ([value] if key == "not" else value)]
            depth = max([depth, *(1 + each[0] for each in inner)])
            nodes += sum(each[1] for each in inner)
        else:
            nodes += 1
    return depth, nodes


@pytest.fixture
def builder(visit, owner, workspace):
    """Takes a tree through the modules: as built again untouched, and with each of its fields told anew."""
    page = visit(owner)
    page.goto("/admin/automation/rule/add/")
    page.evaluate(
        """async declared => {
          const { ConditionBuilder } = await import("/static/kjxlkj/rules/condition.js");
          const { build, measure, readJson } = await import("/static/kjxlkj/rules/tree.js");
          window.through = text => {
            const tree = readJson(text);
            let touched = null;
            const place = document.body.appendChild(document.createElement("div"));
            const builder = new ConditionBuilder(place, declared, changed => touched = changed);
            builder.show(tree);
            const built = build(builder.root).tree;
            for (const field of place.querySelectorAll(".value"))
              field.dispatchEvent(new Event(field.tagName === "SELECT" ? "change" : "input"));
            const kept = place.querySelectorAll(".other").length;
            const rows = place.querySelectorAll(".row").length;
            place.remove();
            return { built, touched: touched ?? built, measured: measure(tree), kept, rows };
          };
        }""",
        declarations(owner),
    )
    return lambda tree: page.evaluate("text => window.through(text)", json.dumps(tree))


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(tree=trees)
def test_trees_keep_their_meaning(builder, tree):
    shown = builder(tree)
    assert condition_faults(shown["built"]) == []
    assert_same(tree, shown["built"])
    assert_same(tree, shown["touched"])
    assert all(new <= old for new, old in zip(measured(shown["built"]), measured(tree), strict=True))
    assert tuple(shown["measured"].values()) == measured(tree)
    # What says nothing, such as an empty group in another, may be left out at the second time only.
    assert_same(tree, builder(shown["built"])["built"])


def test_every_word_has_a_field(builder):
    examples = {"tags": ["a"], "pairs": {"a": "b"}, "boolean": True, "number": 5, "days": 5, "time": "2026-01-01"}
    for name, word in VOCABULARY.items():
        shown = builder({name: word.choices[0] if word.choices else examples.get(word.input, "a")})
        assert (shown["rows"], shown["kept"]) == (1, 0), name


def test_what_is_as_deep_as_it_may_be_stays_so(builder):
    tree = {"tag": "a"}
    for _ in range(6):
        tree = {"tag": "b", "any": [tree], "all": [{"any": [{"tag": "c"}, {}], "tag": "d"}]}
    assert measured(tree)[0] == 8
    shown = builder(tree)
    assert condition_faults(shown["built"]) == []
    assert_same(tree, shown["built"])
