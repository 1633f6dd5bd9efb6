"""Why a condition holds for a note, or does not: a verdict on each part of it, in one query."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet, Value
from django.db.models.expressions import Combinable

from kjxlkj.notes.filters.aspects import Aspect
from kjxlkj.notes.filters.trees import ConditionInvalid, condition_faults, node_q, part_q
from kjxlkj.notes.filters.words import VOCABULARY
from kjxlkj.notes.models import Note

_JOINTS = {"all": "all of these", "any": "any of these"}
_NOT = ("no note", "not this")


@dataclass(frozen=True, slots=True)
class Verdict:
    """On one part of a condition. `value` is what of the note decided it; of `all`, `any` and `not`: nothing."""

    path: str
    depth: int
    label: str
    holds: bool
    value: str = ""


@dataclass(frozen=True, slots=True)
class _Part:
    path: str
    depth: int
    label: str
    condition: Q
    aspect: Aspect | None = None
    value: Any = None

    def told(self, found: Mapping[int, Any]) -> str:
        return self.aspect.told(found[id(self.aspect)], self.value) if self.aspect else ""


def explain(notes: QuerySet[Note], tree: Mapping[str, Any], path: str = "$") -> list[Verdict]:
    """Verdicts on `tree` and all its parts, in reading order, for the one note in `notes`; empty if there is none.

    The first is on the whole of it. Raises `ConditionInvalid`.
    """
    if faults := condition_faults(tree, path):
        raise ConditionInvalid(faults)
    parts = list(_node(tree, path, 0))
    columns: list[Combinable] = [_is_true(part.condition) for part in parts]
    # Two words that are decided on the same thing read it once.
    aspects = list({id(part.aspect): part.aspect for part in parts if part.aspect}.values())
    columns += [aspect.expression for aspect in aspects]
    row = notes.order_by().values_list(*columns).first()
    if row is None:
        return []
    found = dict(zip(map(id, aspects), row[len(parts) :], strict=True))
    return [
        Verdict(part.path, part.depth, part.label, bool(holds), part.told(found))
        for part, holds in zip(parts, row, strict=False)
    ]


def _is_true(condition: Q) -> Combinable:
    return ExpressionWrapper(condition, BooleanField()) if condition else Value(value=True)


def _node(node: Mapping[str, Any], path: str, depth: int) -> Iterator[_Part]:
    """An object with one name is that name's part; with several, they are parts of it."""
    if len(node) != 1:
        yield _Part(path, depth, _JOINTS["all"] if node else "every note", node_q(node))
        depth += 1
    for key, value in node.items():
        yield from _part(key, value, f"{path}.{key}", depth)


def _part(key: str, value: Any, path: str, depth: int) -> Iterator[_Part]:
    condition = part_q(key, value)
    if word := VOCABULARY.get(key):
        yield _Part(path, depth, f"{word.label}: {word.takes.tell(value)}", condition, word.aspect, value)
        return
    if key == "not":
        # An object inside is at the same path: it has no verdict but the opposite of this.
        label = _NOT[len(value)] if len(value) < 2 else "not all of these"
        yield _Part(path, depth, label, condition)
        for name, item in value.items():
            yield from _part(name, item, f"{path}.{name}", depth + 1)
        return
    yield _Part(path, depth, _JOINTS[key], condition)
    for index, item in enumerate(value):
        yield from _node(item, f"{path}[{index}]", depth + 1)
