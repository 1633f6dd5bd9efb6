"""Making a block say something else, and leaving every line alone that does not speak of it.

Values are replaced where they stand; nothing is emitted anew. An edit is believed only when what it made reads
back as wanted, every other key as before. Else the whole value of the key is written again, and where that will
not do either (another key refers to it by an anchor), the block stays as it is and the manifest of an archive
alone tells the truth.
"""

import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from kjxlkj.notes.front_matter.mapping import Entry, Mapping, MappingError, Node, read_mapping
from kjxlkj.notes.front_matter.reading import (
    ALIAS_KEYS,
    MAX_TITLE,
    TAG_KEYS,
    Parsed,
    content_of,
    entries_of,
    labels_of,
    line_end,
    one_line,
    parse,
    pieces_of,
)
from kjxlkj.notes.front_matter.scalar import write_scalar
from kjxlkj.notes.tags import MAX_TAG_CHARACTERS, normalise_tag

_PROPERTIES = re.compile(r"(?:[&!]\S*[ \t]+)+")
_DASH = re.compile(r"[ ]*-[ ]+\Z")
_COMMA = re.compile(r"\s*,\s*\Z")


@dataclass(frozen=True, slots=True)
class _Wanted:
    title: str
    tags: list[str]
    aliases: list[str]
    default_title: str

    def title_is(self, parsed: Parsed) -> bool:
        title = _title(self.title)
        return title == parsed.title or (not parsed.title and title == _title(self.default_title))

    def tags_are(self, parsed: Parsed) -> bool:
        return set(parsed.tags) == set(self.tags)

    def aliases_are(self, parsed: Parsed) -> bool:
        return set(parsed.aliases) == {one_line(alias) for alias in self.aliases}

    def is_said_by(self, parsed: Parsed) -> bool:
        return parsed.readable and self.title_is(parsed) and self.tags_are(parsed) and self.aliases_are(parsed)

    def others(self, before: Parsed, now: Parsed) -> dict[str, Any]:
        """What `now` says under the keys that have no part in a change of what `before` said."""
        touched = ("title",) * (not self.title_is(before))
        touched += TAG_KEYS * (not self.tags_are(before)) + ALIAS_KEYS * (not self.aliases_are(before))
        return {key: value for key, value in now.metadata.items() if key.casefold() not in touched}


def render(
    front_matter: str,
    *,
    title: str,
    tags: list[str],
    aliases: list[str],
    default_title: str,
    newline: str = "\n",
) -> str:
    """The block that says title, tags (in normal form) and aliases: verbatim if it does so already.

    `default_title` is what a reader would take where the block names no title; `newline` ends the lines of a
    block that has to be made. A block that cannot be read is returned as it is.
    """
    wanted = _Wanted(title, tags, aliases, default_title)
    parsed = parse(front_matter)
    if not parsed.readable or wanted.is_said_by(parsed):
        return front_matter
    opening, content, closing = content_of(front_matter)
    if not opening:
        opening, closing = f"{front_matter}---{newline}", f"---{newline}"
    edited = _Edit(opening, content, closing).made_to_say(wanted)
    said = parse(edited)
    if wanted.is_said_by(said) and wanted.others(parsed, said) == wanted.others(parsed, parsed):
        return edited
    return front_matter


class _Edit:
    """One block while it is changed; positions are read again after each change."""

    def __init__(self, opening: str, content: str, closing: str) -> None:
        self._opening, self._text, self._closing = opening, content, closing
        self._newline = line_end(opening)
        self._whole_values = False

    def made_to_say(self, wanted: _Wanted) -> str:
        steps: list[tuple[Callable[[Parsed], bool], Callable[[], None]]] = [
            (wanted.title_is, lambda: self._set_title(_title(wanted.title))),
            (wanted.tags_are, lambda: self._set_labels(TAG_KEYS, wanted.tags, _usable_tag)),
            (wanted.aliases_are, lambda: self._set_labels(ALIAS_KEYS, wanted.aliases, one_line)),
        ]
        for is_said_by, change in steps:
            before = self._text
            for self._whole_values in (False, True):
                if is_said_by(parse(self._block)):
                    break
                self._text = before
                with suppress(MappingError):  # whatever is wrong shows when the block is read again
                    change()
        return self._block

    @property
    def _block(self) -> str:
        return self._opening + self._text + self._closing

    def _splice(self, start: int, end: int, text: str) -> None:
        self._text = self._text[:start] + text + self._text[end:]

    def _set_title(self, title: str) -> None:
        mapping = read_mapping(self._text)
        entry = next(entries_of(mapping, ("title",)), None)
        if entry is None:
            self._add_entry(mapping, "title", title)
        elif entry.value.kind == "scalar" and not self._whole_values:
            self._set_scalar(entry.value, title, mapping.style == "flow")
        else:
            self._set_value(entry, write_scalar(title, "", flow=True))

    def _set_labels(self, keys: tuple[str, ...], wanted: list[str], normal: Callable[[str], str]) -> None:
        """`normal` gives "" for a label that does not count and so stays as it is."""
        mapping = read_mapping(self._text)
        entries = list(entries_of(mapping, keys))
        present = {normal(label.text) for entry in entries for label in labels_of(entry)}
        added = [label for label in dict.fromkeys(wanted) if normal(label) not in present]
        allowed = {"", *map(normal, wanted)}
        if not entries:
            self._add_entry(mapping, keys[0], added)
        for place in range(len(entries)):
            mapping = read_mapping(self._text)
            entry = list(entries_of(mapping, keys))[place]
            self._edit_labels(mapping, entry, lambda text: normal(text) in allowed, added if place == 0 else [])

    def _edit_labels(self, mapping: Mapping, entry: Entry, keep: Callable[[str], bool], added: list[str]) -> None:
        labels = labels_of(entry)
        kept = [label.text for label in labels if keep(label.text)]
        if len(kept) == len(labels) and not added:
            return
        node = entry.value
        kind = "" if self._whole_values else node.kind
        if kind == "sequence":
            dropped = [label.node for label in labels if label.node and not keep(label.text)]
            (self._edit_flow if node.style == "flow" else self._edit_lines)(node, dropped, added)
        elif kind == "scalar" and node.value is None:
            self._start_list(entry, added)
        elif kind == "scalar" and (line := _one_line_list(entry, keep, added)) is not None:
            self._set_scalar(node, line, mapping.style == "flow")
        else:
            self._set_value(entry, f"[{', '.join(write_scalar(text, flow=True) for text in [*kept, *added])}]")

    def _edit_lines(self, node: Node, dropped: list[Node], added: list[str]) -> None:
        """A list with one item a line."""
        last = node.items[-1]
        dash = self._text[self._line_start(last.start) : last.start]
        if _DASH.match(dash):
            lines = "".join(f"{dash}{write_scalar(text, last.style)}{self._newline}" for text in added)
            after = self._line_after(last.last)
            self._splice(after, after, lines)
        for item in reversed(dropped):
            self._splice(self._line_start(item.start), self._line_after(item.last), "")

    def _edit_flow(self, node: Node, dropped: list[Node], added: list[str]) -> None:
        """A list in brackets: each item that stays keeps what stands between it and the one before."""
        items = node.items
        gaps = ["", *(self._text[one.end : two.start] for one, two in pairwise(items))]
        gone = {item.start for item in dropped}
        kept = [(gap, item) for gap, item in zip(gaps, items, strict=False) if item.start not in gone]
        gap = gaps[-1] if _COMMA.match(gaps[-1]) else ", "
        style = items[-1].style if items else ""
        pieces = [(gap, self._text[item.start : item.end]) for gap, item in kept]
        pieces += [(gap, write_scalar(text, style, flow=True)) for text in added]
        start = items[0].start if items else self._text.index("[", self._after_properties(node)) + 1
        end = items[-1].end if items else start
        self._splice(start, end, "".join(gap + text for gap, text in pieces)[len(pieces[0][0]) if pieces else 0 :])

    def _start_list(self, entry: Entry, added: list[str]) -> None:
        """A key without a value gets a list."""
        indent = self._text[self._line_start(entry.key.start) : entry.key.start]
        after = self._line_after(entry.value)
        self._splice(after, after, self._list_lines(indent, added))

    def _add_entry(self, mapping: Mapping, key: str, value: str | list[str]) -> None:
        """A title comes first, anything else last."""
        if mapping.style == "flow":
            brace = self._text.index("{", mapping.start) + 1
            comma = ", " if mapping.entries else ""
            self._splice(brace, brace, f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}{comma}")
            return
        first = mapping.entries[0].key.start if mapping.entries else 0
        indent = self._text[self._line_start(first) : first] if mapping.entries else ""
        place = 0 if isinstance(value, str) else len(self._text)
        line = f" {write_scalar(value)}{self._newline}" if isinstance(value, str) else self._newline
        items = "" if isinstance(value, str) else self._list_lines(indent, value)
        self._splice(place, place, f"{indent}{key}:{line}{items}")

    def _list_lines(self, indent: str, texts: list[str]) -> str:
        return "".join(f"{indent}  - {write_scalar(text)}{self._newline}" for text in texts)

    def _set_scalar(self, node: Node, text: str, flow: bool) -> None:
        """In the style it has; its anchor and tag stay."""
        start, end = self._after_properties(node), self._end(node)
        written = write_scalar(text, node.style, flow=flow) if text or node.style else ""
        space = " " if written and not self._text[start - 1].isspace() else ""
        tail = self._newline if node.style in {"|", ">"} and end == len(self._text) else ""
        self._splice(start, end, space + written + tail)

    def _set_value(self, entry: Entry, written: str) -> None:
        """Whatever it was."""
        has_properties = entry.value.kind != "alias" and _PROPERTIES.match(self._text, entry.value.start)
        colon = self._text.index(":", entry.key.end) + 1
        start = has_properties.end() if has_properties else colon
        self._splice(start, max(start, self._end(entry.value.last)), f" {written}")

    def _after_properties(self, node: Node) -> int:
        """Behind its anchor and tag."""
        properties = _PROPERTIES.match(self._text, node.start, self._end(node))
        return properties.end() if properties else node.start

    def _end(self, node: Node) -> int:
        """A block scalar claims the empty lines behind it."""
        return node.start + len(self._text[node.start : node.end].rstrip()) if node.style in {"|", ">"} else node.end

    def _line_start(self, position: int) -> int:
        return self._text.rfind("\n", 0, position) + 1

    def _line_after(self, node: Node) -> int:
        newline = self._text.find("\n", self._end(node))
        return newline + 1 if newline >= 0 else len(self._text)


def _one_line_list(entry: Entry, keep: Callable[[str], bool], added: list[str]) -> str | None:
    """The one-line list without what is not kept and with what is added; None where no line would read as that."""
    pieces, joiner = pieces_of(entry.key.text, entry.value.text)
    kept = [piece for piece in pieces if keep(piece.strip())]
    rest = joiner.join(kept).strip()
    line = (", " if joiner == "," else joiner).join([*filter(None, [rest]), *added])
    reads = [piece.strip() for piece in pieces_of(entry.key.text, line)[0]]
    wanted = [piece.strip() for piece in [*kept, *added]]
    return line if [*filter(None, reads)] == [*filter(None, wanted)] else None


def _title(text: str) -> str:
    return one_line(text)[:MAX_TITLE].rstrip()


def _usable_tag(text: str) -> str:
    tag = normalise_tag(text)
    return tag if len(tag) <= MAX_TAG_CHARACTERS else ""
