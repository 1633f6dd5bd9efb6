"""The settings of an action, declared once as a JSON schema: its form, its description and its faults come from it.

The part of JSON Schema that is read: `type` (one, or one and "null"), `const`, `enum`, `oneOf` of named constants,
`minimum`, `maximum`, `minLength`, `maxLength`, `minItems`, `items`, `properties`, `required`. Nothing but the
`properties` is allowed in an object. The format "condition" is a condition over notes.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from kjxlkj.errors import Fault
from kjxlkj.notes.filters import condition_faults
from kjxlkj.parser import unstorable

Schema = Mapping[str, Any]
_ENDLESS = 10**9


def settings_faults(schema: Schema) -> Callable[[Mapping[str, Any]], list[Fault]]:
    """What an `Action` with this schema needs as its `faults`."""
    return lambda action_json: schema_faults(
        {name: value for name, value in action_json.items() if name != "kind"}, schema, "action_json"
    )


def schema_faults(value: Any, schema: Schema, path: str) -> list[Fault]:
    """Everything about `value` that is not as `schema` says, each with its JSON path."""
    kinds = [schema["type"]] if isinstance(schema.get("type"), str) else list(schema.get("type", ()))
    if value is None and "null" in kinds:
        return []
    expected = _check(value, schema, path, next((kind for kind in kinds if kind != "null"), ""))
    if isinstance(expected, str):
        return [Fault(path, f"expected {expected}{' or null' if 'null' in kinds else ''}.")] if expected else []
    return expected


def choices(schema: Schema) -> list[tuple[Any, str]]:
    """The values that a schema lists, each with its name for people; empty if it lists none."""
    if "oneOf" in schema:
        return [(each["const"], each.get("title", str(each["const"]))) for each in schema["oneOf"]]
    return [(value, str(value)) for value in schema.get("enum", ())]


def _check(value: Any, schema: Schema, path: str, kind: str) -> list[Fault] | str:
    """What is expected instead of `value`, empty if it is good; or the faults within it."""
    if "const" in schema:
        good = value == schema["const"] and isinstance(value, type(schema["const"]))
        why = schema.get("description", "").rstrip(".")
        return "" if good else f"{json.dumps(schema['const'])}{f': {why}' if why else ''}"
    if listed := choices(schema):
        return "" if value in [each for each, _ in listed] else f"one of: {', '.join(str(each) for each, _ in listed)}"
    if kind in _WITHIN:
        return _WITHIN[kind](value, schema, path)
    return _ALONE[kind](value, schema)


# --- What holds other values ----------------------------------------------------------------------


def _object(value: Any, schema: Schema, path: str) -> list[Fault] | str:
    if not isinstance(value, dict):
        return "an object"
    if schema.get("format") == "condition":
        return condition_faults(value, path)
    properties = schema.get("properties", {})
    faults = [
        Fault(f"{path}.{name}", "is missing. Give it.") for name in schema.get("required", ()) if name not in value
    ]
    for name, item in value.items():
        where = f"{path}.{name}"
        if name in properties:
            faults += schema_faults(item, properties[name], where)
        elif "key" in name.lower() or "token" in name.lower().split("_"):
            faults.append(Fault(where, "no keys in rules: they come from the server's environment."))
        else:
            known = f"Use one of: {', '.join(properties)}." if properties else "There are no settings here."
            faults.append(Fault(where, f"unknown. {known}"))
    return faults


def _array(value: Any, schema: Schema, path: str) -> list[Fault] | str:
    least = schema.get("minItems", 0)
    if not isinstance(value, list) or len(value) < least:
        return "a list that is not empty" if least else "a list"
    return [
        fault
        for place, item in enumerate(value)
        for fault in schema_faults(item, schema.get("items", {}), f"{path}[{place}]")
    ]


_WITHIN: dict[str, Callable[[Any, Schema, str], list[Fault] | str]] = {"object": _object, "array": _array}


# --- What stands alone ----------------------------------------------------------------------------


def _string(value: Any, schema: Schema) -> str:
    least, most = schema.get("minLength", 0), schema.get("maxLength", _ENDLESS)
    if isinstance(value, str) and least <= len(value) <= most and not unstorable(value):
        return ""
    return f"a text of {least:,} to {most:,} characters" if least else f"a text of at most {most:,} characters"


def _number(value: Any, schema: Schema, *, whole: bool = False) -> str:
    least, most = schema.get("minimum", -_ENDLESS), schema.get("maximum", _ENDLESS)
    good = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if good and least <= value <= most:
        return ""
    return f"a {'whole ' if whole else ''}number from {least:,} to {most:,}"


def _integer(value: Any, schema: Schema) -> str:
    return _number(value, schema, whole=True)


def _boolean(value: Any, schema: Schema) -> str:
    return "" if isinstance(value, bool) else "true or false"


_ALONE: dict[str, Callable[[Any, Schema], str]] = {
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
}
