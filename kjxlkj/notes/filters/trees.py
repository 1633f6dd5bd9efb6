"""Conditions: trees of words. Their faults, their schema, their SQL."""

from collections.abc import Mapping
from functools import reduce
from operator import and_, or_
from typing import Any

from django.db.models import Q

from kjxlkj.errors import Fault, Faulty
from kjxlkj.notes.filters.values import BadValue
from kjxlkj.notes.filters.words import VOCABULARY

MAX_DEPTH = 8
MAX_NODES = 100


class ConditionInvalid(Faulty):
    """A condition that means nothing."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("RULE_INVALID", faults)


def condition_faults(tree: Any, path: str = "$") -> list[Fault]:
    """Every fault of `tree`, in reading order; empty for a good one."""
    faults: list[Fault] = []
    count = _walk(tree, path, 1, faults)
    if count > MAX_NODES:
        faults.append(Fault(path, f"has {count} nodes; at most {MAX_NODES}. Split the rule."))
    return faults


def condition_q(tree: Mapping[str, Any]) -> Q:
    """One `Q` over `Note` for a tree. Raises `ConditionInvalid`."""
    faults = condition_faults(tree)
    if faults:
        raise ConditionInvalid(faults)
    return node_q(tree)


def words_in(tree: Mapping[str, Any]) -> set[str]:
    """The words that a tree without faults speaks in."""
    words = set()
    for key, value in tree.items():
        if key in VOCABULARY:
            words.add(key)
        else:
            words.update(*map(words_in, [value] if key == "not" else value))
    return words


def condition_schema() -> dict[str, Any]:
    """JSON schema of a condition, for editors. Depth and size it cannot say, nor whether a date is in the calendar."""
    reference = "#/$defs/condition"
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$ref": reference,
        "$defs": {"condition": node_schema(reference)},
    }


def node_schema(reference: str) -> dict[str, Any]:
    """The schema of one node of a tree, wherever it is kept: `reference` leads there."""
    inner = {"$ref": reference}
    several = {"type": "array", "items": inner, "minItems": 1}
    words = {name: {"title": word.label, **word.schema} for name, word in VOCABULARY.items()}
    return {
        "type": "object",
        "description": "Notes for which everything in it holds; {} is every note.",
        "properties": {"all": several, "any": several, "not": inner, **words},
        "additionalProperties": False,
    }


def _walk(node: Any, path: str, depth: int, faults: list[Fault]) -> int:
    if not isinstance(node, dict):
        faults.append(Fault(path, "expected an object."))
        return 1
    if depth > MAX_DEPTH:
        faults.append(Fault(path, f"nested deeper than {MAX_DEPTH}. Flatten it."))
        return 1
    nodes = 1
    for key, value in node.items():
        where = f"{path}.{key}"
        if key in {"all", "any"}:
            nodes += _walk_list(value, where, depth, faults)
        elif key == "not":
            nodes += _walk(value, where, depth + 1, faults)
        elif key in VOCABULARY:
            nodes += 1
            try:
                VOCABULARY[key].takes.read(value)
            except BadValue as error:
                faults.append(Fault(where, f"{error}."))
        else:
            faults.append(Fault(where, f"unknown. Use all, any, not, {', '.join(VOCABULARY)}."))
    return nodes


def _walk_list(value: Any, path: str, depth: int, faults: list[Fault]) -> int:
    if not isinstance(value, list) or not value:
        faults.append(Fault(path, "expected a list of conditions that is not empty."))
        return 1
    return sum(_walk(item, f"{path}[{i}]", depth + 1, faults) for i, item in enumerate(value))


def node_q(node: Mapping[str, Any]) -> Q:
    """The condition of a node that has no faults."""
    condition = Q()
    for key, value in node.items():
        condition &= part_q(key, value)
    return condition


def part_q(key: str, value: Any) -> Q:
    """What one name of a node asks for. An empty `Q` holds for every note."""
    if key == "all":
        return reduce(and_, map(node_q, value))
    if key == "any":
        return _any(value)
    if key == "not":
        inner = node_q(value)
        # The negation of "every note" is no note; an empty ~Q() would mean every note again.
        return ~inner if inner else Q(pk__in=[])
    return VOCABULARY[key].condition(value)


def _any(items: list[Mapping[str, Any]]) -> Q:
    parts = [node_q(item) for item in items]
    if not all(parts):
        return Q()  # one of them holds for every note
    return reduce(or_, parts)
