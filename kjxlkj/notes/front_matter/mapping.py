"""A block of YAML read as one mapping: JSON-safe values, and where each of them stands in the text.

libyaml's events are read directly. They carry positions, so that an edit can touch one value and leave every
other byte alone, and they let sharing, depth and size be bounded before anything is built (“billion laughs”).

Plain scalars follow the core schema of YAML 1.2 for null, booleans and decimal numbers. Everything else is the
text that was written: `yes`, `12:30`, `2024-01-01`, `007`, `1e10` (a commit) and `.nan` mean what they say.
"""

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

MAX_DEPTH = 32
MAX_SLOW = 16 * 1024
"""Characters that the parser in Python is asked to read where the one in C refuses."""
MAX_EXPANDED = 1_000_000
"""Characters and nodes after aliases are expanded."""

_CONSTANTS: dict[str, bool | None] = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
_CONSTANTS |= dict.fromkeys(("true", "True", "TRUE"), True) | dict.fromkeys(("false", "False", "FALSE"), False)
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})\Z")
_FLOAT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)?\.[0-9]+(?:[eE][-+]?[0-9]{1,3})?\Z")
# Escapes can write what no database holds: NUL, and halves of surrogate pairs.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_TEXT_TAG = "tag:yaml.org,2002:str"


class MappingError(ValueError):
    """The block cannot be read as a mapping; the message says where and why."""


@dataclass(slots=True)
class Node:
    """A value in the text: `start` and `end` are character offsets, its anchor and tag included."""

    kind: Literal["scalar", "sequence", "mapping", "alias"]
    start: int
    end: int
    value: Any
    text: str = ""
    style: str = ""
    """'', ', ", | or > of a scalar; "flow" or "block" of a collection."""
    items: list["Node"] = field(default_factory=list)
    """Members of a sequence; keys and values by turns of a mapping; an alias has those of its target."""

    @property
    def last(self) -> "Node":
        """The leaf that ends it; a block collection's own end lies behind the comments that follow it."""
        return self.items[-1].last if self.style == "block" and self.items else self


@dataclass(slots=True)
class Entry:
    key: Node
    value: Node


@dataclass(slots=True)
class Mapping:
    entries: list[Entry]
    style: str = "block"
    start: int = 0

    @property
    def value(self) -> dict[str, Any]:
        return {entry.key.text: entry.value.value for entry in self.entries}


def read_mapping(text: str, first_line: int = 1) -> Mapping:
    """Raises MappingError where the text is not one mapping (an empty text is an empty one).

    `first_line` is what messages call the text's first line.
    """
    from ruamel.yaml.cyaml import CParser  # type: ignore[attr-defined]  # made in C, without a stub
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        return _Composer(text, CParser(text).get_event, first_line).document()
    except MarkedYAMLError as fault:
        if (mapping := _read_slowly(text)) is not None:
            return mapping
        line = first_line + (fault.problem_mark.line if fault.problem_mark else 0)
        raise MappingError(f"line {line}: {fault.problem}") from fault
    except YAMLError as fault:
        raise MappingError(str(fault).splitlines()[0]) from fault
    except UnicodeEncodeError as fault:
        raise MappingError("it holds half of a surrogate pair") from fault


def _read_slowly(text: str) -> Mapping | None:
    """libyaml refuses a colon in a plain scalar within brackets ([12:30], [https://…]); YAML 1.2 does not."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    if len(text) > MAX_SLOW:
        return None
    try:
        return _Composer(text, iter(YAML(typ="safe", pure=True).parse(text)).__next__, 1).document()
    except (YAMLError, MappingError):
        return None


class _Composer:
    def __init__(self, text: str, next_event: Callable[[], Any], first_line: int) -> None:
        self._text = text
        self._next = next_event
        self._first_line = first_line
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._expanded = 0

    def document(self) -> Mapping:
        self._next()  # the stream's start
        if type(self._next()).__name__ == "StreamEndEvent":
            return Mapping([])
        root = self._node(self._next(), 0)
        if root is not None and root.kind == "scalar" and root.text == "" and not root.style:
            return Mapping([])
        if root is None or root.kind != "mapping":
            raise MappingError("it is not a list of “key: value” lines")
        self._next()  # the document's end
        if type(self._next()).__name__ != "StreamEndEvent":
            raise MappingError("it holds more than one document")
        pairs = zip(root.items[::2], root.items[1::2], strict=True)
        return Mapping([self._entry(key, value) for key, value in pairs], root.style, root.start)

    def _entry(self, key: Node, value: Node) -> Entry:
        if value.start == value.end:  # the two parsers place what is not there differently
            value.start = value.end = self._text.find(":", key.end) + 1
        return Entry(key, value)

    def _node(self, event: Any, depth: int) -> Node | None:
        """None stands for the end of the collection that is being read."""
        kind = type(event).__name__
        before = self._expanded
        if kind == "ScalarEvent":
            node = self._scalar(event)
        elif kind == "AliasEvent":
            return self._alias(event)
        elif kind in {"SequenceEndEvent", "MappingEndEvent"}:
            return None
        else:
            node = self._collection(event, "sequence" if kind == "SequenceStartEvent" else "mapping", depth)
        if event.anchor:
            self._anchors[event.anchor] = (node, self._expanded - before)
        return node

    def _scalar(self, event: Any) -> Node:
        text = _UNSTORABLE.sub("\ufffd", event.value)
        self._grow(1 + len(text))
        value = _resolve(text) if event.implicit[0] and event.tag != _TEXT_TAG else text
        style = event.style or ""
        return Node("scalar", event.start_mark.index, event.end_mark.index, value, text, style)

    def _alias(self, event: Any) -> Node:
        if event.anchor not in self._anchors:
            raise MappingError(
                f"line {self._first_line + event.start_mark.line}: nothing is called &{event.anchor} before it"
            )
        target, weight = self._anchors[event.anchor]
        self._grow(weight)
        start, end = event.start_mark.index, event.end_mark.index
        return Node("alias", start, end, target.value, target.text, target.style, target.items)

    def _collection(self, event: Any, kind: Literal["sequence", "mapping"], depth: int) -> Node:
        if depth >= MAX_DEPTH:
            raise MappingError(f"line {self._first_line + event.start_mark.line}: it is nested deeper than {MAX_DEPTH}")
        self._grow(1)
        items: list[Node] = []
        while (node := self._node(closing := self._next(), depth + 1)) is not None:
            items.append(node)
        values: Any = [item.value for item in items]
        if kind == "mapping":
            for key in items[::2]:
                key.text = _key(key)
            values = dict(zip((key.text for key in items[::2]), values[1::2], strict=True))
        style = "flow" if event.flow_style else "block"
        return Node(kind, event.start_mark.index, closing.end_mark.index, values, "", style, items)

    def _grow(self, weight: int) -> None:
        self._expanded += weight
        if self._expanded > MAX_EXPANDED:
            raise MappingError(f"its aliases expand to more than {MAX_EXPANDED} characters")


def _key(node: Node) -> str:
    return json.dumps(node.value, ensure_ascii=False) if isinstance(node.value, list | dict) else node.text


def _resolve(text: str) -> Any:
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[0] not in "0123456789+-.":
        return text
    if _INTEGER.match(text):
        return int(text)
    if _FLOAT.match(text) and len(text) <= 32 and math.isfinite(number := float(text)):
        return number
    return text
