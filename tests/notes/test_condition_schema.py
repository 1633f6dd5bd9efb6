"""The schema of conditions: what it accepts has no faults, and what has none it accepts."""

import jsonschema
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from kjxlkj.notes.filters import VOCABULARY, BadValue, condition_faults, condition_schema
from tests.notes.conditions import SAMPLES, TREES

SCHEMA = condition_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

# What a schema cannot say: which texts are a date, or a tag once they are normalised, and what cannot be stored.
_BEYOND = ("expected a date", "expected a tag", "no NUL", "nested deeper", "nodes; at most")

_ODD = [
    "", " ", "\x1f", "\n", "a", "a,b", "#", "/", "markdown", "2026-05-31", "true", "x" * 500, "x" * 501, None, True,
    0, 1, 1.0, 0.5, -1, 36_500, 36_501, 10**9 - 1, 10**9, 10**40, [], [""], ["a"], ["a", " "], ["a", 1], {},
    {"": "x"}, {"a": ""}, {"a": " "}, {"a": "b", "c": 1, "d": 0.5, "e": False}, {"a": None}, {"a": {}}, {"a": ["b"]},
]  # fmt: skip
_VALUES = st.one_of(
    st.sampled_from(_ODD),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
)
_ANY_VALUE = st.recursive(
    _VALUES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)
_GOOD_OR_NOT = st.sampled_from(sorted(SAMPLES)).flatmap(
    lambda name: st.tuples(st.just(name), st.sampled_from(SAMPLES[name]) | _ANY_VALUE)
)
_NODES = st.lists(
    _GOOD_OR_NOT | st.tuples(st.sampled_from(["all", "any", "not", "colour", "Tag"]), _ANY_VALUE), max_size=3
).map(dict)
_ALMOST = st.recursive(
    _NODES,
    lambda inner: st.fixed_dictionaries(
        {}, optional={"not": inner, "any": st.lists(inner, max_size=3), "all": st.lists(inner, max_size=3)}
    ),
    max_leaves=5,
)


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@given(tree=TREES)
def test_a_good_condition_is_accepted(tree):
    assert condition_faults(tree) == []
    VALIDATOR.validate(tree)


@settings(max_examples=1000, deadline=None)
@given(tree=_ALMOST | _ANY_VALUE)
@example(tree={"body_contains": "x" * 501})
@example(tree={"body_contains": "\0"})
def test_the_schema_and_the_faults_agree(tree):
    faults = [fault for fault in condition_faults(tree) if not any(told in fault.message for told in _BEYOND)]
    assume(len(faults) == len(condition_faults(tree)) or not faults)
    assert VALIDATOR.is_valid(tree) == (not faults), faults


@pytest.mark.parametrize("name", VOCABULARY)
def test_each_words_schema_and_its_reader_agree(name):
    """On what any word takes, and on what none does."""
    word = VOCABULARY[name]
    validator = jsonschema.Draft202012Validator(dict(word.schema))
    for value in [*_ODD, *(value for values in SAMPLES.values() for value in values)]:
        try:
            word.takes.read(value)
        except BadValue as error:
            assert not validator.is_valid(value) or any(told in str(error) for told in _BEYOND), value
        else:
            assert validator.is_valid(value), value


@pytest.mark.parametrize("name", VOCABULARY)
def test_a_word_takes_from_a_parameter_what_it_takes_in_json(name):
    takes = VOCABULARY[name].takes
    for value in SAMPLES[name]:
        if (text := _parameter(value)) is not None:
            assert _same(takes.read(takes.from_text(text)), takes.read(value))


def _same(one, other):
    """Of a key the values that it may have are in no order."""
    if isinstance(one, dict):
        one, other = ({key: set(map(str, found)) for key, found in pairs.items()} for pairs in (one, other))
    return one == other


def _parameter(value):
    """Lists and pairs with commas between; what has a comma in it needs JSON, and there it has none."""
    if isinstance(value, dict):
        pairs = [f"{key}={_parameter(item)}" for key, item in value.items()]
        return None if "[" in pairs[0] else ",".join(pairs)
    if isinstance(value, list):
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)
