"""Settings of actions: what a schema allows, and every fault with its path."""

import pytest

from automation.actions import actions
from automation.schema import choices, schema_faults, settings_faults

SCHEMA = {
    "type": "object",
    "required": ["url"],
    "properties": {
        "url": {"type": "string", "minLength": 1, "maxLength": 20},
        "mode": {"enum": ["fast", "slow"], "default": "fast"},
        "kinds": {
            "type": ["array", "null"],
            "items": {"oneOf": [{"const": "a", "title": "An A"}, {"const": "b"}]},
            "minItems": 1,
        },
        "count": {"type": ["integer", "null"], "minimum": 1, "maximum": 9},
        "share": {"type": "number", "minimum": 0, "maximum": 1},
        "loud": {"type": "boolean"},
        "delete": {"const": False, "description": "nothing is ever deleted"},
        "scope": {"type": "object", "format": "condition"},
        "inner": {"type": "object", "properties": {"text": {"type": "string"}}},
        "empty": {"type": "object"},
    },
}


def told(value):
    return {fault.path: fault.message for fault in schema_faults(value, SCHEMA, "$")}


@pytest.mark.parametrize(
    "value",
    [
        {"url": "x"},
        {"url": "x", "mode": "slow", "kinds": ["a", "b"], "count": 9, "share": 0.5, "loud": True, "delete": False},
        {"url": "x", "kinds": None, "count": None, "share": 1, "scope": {"any": [{"tag": "a"}, {}]}},
        {"url": "x", "inner": {"text": ""}, "empty": {}},
    ],
)
def test_what_is_allowed(value):
    assert told(value) == {}


@pytest.mark.parametrize(
    ("value", "path", "message"),
    [
        ([], "$", "expected an object."),
        (None, "$", "expected an object."),
        ({}, "$.url", "is missing. Give it."),
        ({"url": ""}, "$.url", "expected a text of 1 to 20 characters."),
        ({"url": "x" * 21}, "$.url", "expected a text of 1 to 20 characters."),
        ({"url": "\0"}, "$.url", "expected a text of 1 to 20 characters."),
        ({"url": "\ud800"}, "$.url", "expected a text of 1 to 20 characters."),
        ({"url": "x", "mode": "quick"}, "$.mode", "expected one of: fast, slow."),
        ({"url": "x", "mode": []}, "$.mode", "expected one of: fast, slow."),
        ({"url": "x", "kinds": []}, "$.kinds", "expected a list that is not empty or null."),
        ({"url": "x", "kinds": ["a", "c"]}, "$.kinds[1]", "expected one of: a, b."),
        ({"url": "x", "count": 0}, "$.count", "expected a whole number from 1 to 9 or null."),
        ({"url": "x", "count": 1.0}, "$.count", "expected a whole number from 1 to 9 or null."),
        ({"url": "x", "count": True}, "$.count", "expected a whole number from 1 to 9 or null."),
        ({"url": "x", "share": 1.5}, "$.share", "expected a number from 0 to 1."),
        ({"url": "x", "loud": 1}, "$.loud", "expected true or false."),
        ({"url": "x", "delete": True}, "$.delete", "expected false: nothing is ever deleted."),
        ({"url": "x", "delete": 0}, "$.delete", "expected false: nothing is ever deleted."),
        ({"url": "x", "scope": {"any": [{"tog": 1}]}}, "$.scope.any[0].tog", "unknown. Use all, any, not"),
        ({"url": "x", "scope": []}, "$.scope", "expected an object."),
        ({"url": "x", "inner": {"text": 3}}, "$.inner.text", "expected a text"),
        ({"url": "x", "odd": 1}, "$.odd", "unknown. Use one of: url, mode"),
        ({"url": "x", "empty": {"odd": 1}}, "$.empty.odd", "unknown. There are no settings here."),
        ({"url": "x", "api_key": "s"}, "$.api_key", "no keys in rules"),
    ],
)
def test_what_is_not(value, path, message):
    found = told(value)
    assert list(found) == [path]
    assert found[path].startswith(message)


def test_all_faults_are_told_at_once():
    assert set(told({"mode": 1, "count": 0, "x": 1})) == {"$.url", "$.mode", "$.count", "$.x"}


def test_the_kind_of_an_action_is_none_of_its_settings():
    assert settings_faults(SCHEMA)({"kind": "k", "url": "x"}) == []
    assert settings_faults(SCHEMA)({"kind": "k"})[0].path == "action_json.url"


def test_choices_have_names():
    assert choices(SCHEMA["properties"]["kinds"]["items"]) == [("a", "An A"), ("b", "b")]


def test_every_action_accepts_what_its_schema_gives_by_default():
    """A form that is saved as it opens is refused only for what a person has to fill in."""
    registered = list(actions())
    assert "librarian_structure" in {action.kind for action in registered}
    for action in registered:
        required = set(action.schema.get("required", ()))
        faults = action.faults({"kind": action.kind, **_defaults(action.schema)})
        assert {fault.path.removeprefix("action_json.") for fault in faults} <= required


def _defaults(schema):
    found = {}
    for name, each in schema.get("properties", {}).items():
        if each.get("type") == "object" and each.get("properties"):
            found[name] = _defaults(each)
        elif "default" in each or "const" in each:
            found[name] = each.get("default", each.get("const"))
    return found
