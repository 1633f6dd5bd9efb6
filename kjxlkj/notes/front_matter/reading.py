"""Taking the block off a text, and what it says."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kjxlkj.notes.front_matter.mapping import Entry, Mapping, MappingError, Node, read_mapping
from kjxlkj.notes.tags import MAX_TAG_CHARACTERS, MAX_TAGS, normalise_tag

MAX_BLOCK = 256 * 1024
"""Characters. A longer “block” is a text between two horizontal rules."""
MAX_TITLE = 200

TAG_KEYS = ("tags", "tag", "topics", "keywords")
"""In the order in which a new tag chooses its place."""
WORD_KEYS = frozenset({"tags", "tag"})
"""Their one-line form parts at blanks where it has no comma; topics and keywords are phrases."""
ALIAS_KEYS = ("aliases", "alias")
NAMED = frozenset({"title", *TAG_KEYS, *ALIAS_KEYS})

_OPEN = re.compile(r"\ufeff?---[ \t]*\r?\n")
_CLOSE = re.compile(r"^(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.MULTILINE)
_LIKE_A_MAPPING = re.compile(
    r"(?:[ \t]*(?:\#[^\n]*)?\r?\n)*"  # blank lines and comments, and then
    r"(?:\Z|[ ]*(?:\?\s|\{(?![{%])|(?!-\s)[^\s#{?][^\n]*?:(?=\s)))"  # nothing, `? `, `{` or `key:`
)


@dataclass(slots=True)
class Parsed:
    metadata: dict[str, Any] = field(default_factory=dict)
    """JSON-safe: texts, numbers, booleans, null, lists and mappings; dates are texts."""
    title: str | None = None
    """None where the block names none; "" where it says so."""
    tags: list[str] = field(default_factory=list)
    aliases: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    readable: bool = True
    """False where there is a block that is not a YAML mapping."""


class Label(NamedTuple):
    """One tag or alias as it is spelled; `node` is None where it is part of a one-line list."""

    text: str
    node: Node | None


def split(text: str) -> tuple[str, str]:
    """(front matter, body), whose sum is the text. A lone byte order mark counts as front matter.

    What stands between two `---` and does not begin like `key: value` is text between two horizontal rules.
    """
    opening = _OPEN.match(text)
    closing = _CLOSE.search(text, opening.end()) if opening else None
    if opening and closing and closing.start() - opening.end() <= MAX_BLOCK:
        content = text[opening.end() : closing.start()]
        if _LIKE_A_MAPPING.match(content):
            return text[: closing.end()], text[closing.end() :]
    start = 1 if text.startswith("\ufeff") else 0
    return text[:start], text[start:]


def join(front_matter: str, body: str) -> str:
    """The text of a file from which `split` gives the body back, whatever it begins with."""
    if front_matter.strip("\ufeff") and body and not front_matter.endswith("\n"):
        front_matter += line_end(front_matter)
    text = front_matter + body
    if split(text)[1] == body:
        return text
    return f"{front_matter}---\n---\n{body}"


def parse(front_matter: str) -> Parsed:
    """What a block says. What cannot be used stays in the text and is named in the warnings."""
    try:
        mapping = read_mapping(content_of(front_matter)[1], first_line=2)
    except MappingError as fault:
        warning = f"The front matter is kept as text, for it is not YAML that can be read: {fault}."
        return Parsed(warnings=[warning], readable=False)
    warnings = [f"The key “{key}” stands there more than once; the last one counts." for key in _repeated(mapping)]
    return Parsed(
        metadata=mapping.value,
        title=_title(mapping, warnings),
        tags=_tags(mapping, warnings),
        aliases=_aliases(mapping),
        warnings=warnings,
    )


def recall(metadata: dict[str, Any]) -> Parsed | None:
    """What `parse` said of the block that has this metadata, without reading YAML again (and without its warnings).

    None where the values alone do not tell: a number as a tag, say, counts as it is spelled.
    """
    named = {key: value for key, value in metadata.items() if key.casefold() in NAMED}
    nodes = [_node(value) for value in named.values()]
    if None in nodes or len({key.casefold() for key in named}) < len(named):
        return None
    entries = [Entry(_text_node(key), node) for key, node in zip(named, nodes, strict=True) if node]
    mapping = Mapping(entries)
    return Parsed(metadata=metadata, title=_title(mapping, []), tags=_tags(mapping, []), aliases=_aliases(mapping))


def _node(value: Any) -> Node | None:
    if value is None or isinstance(value, str):
        return _text_node(value)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return Node("sequence", 0, 0, value, items=[_text_node(item) for item in value])
    return None


def _text_node(value: str | None) -> Node:
    return Node("scalar", 0, 0, value, text=value or "")


def content_of(front_matter: str) -> tuple[str, str, str]:
    """(opening line, YAML, closing line); all empty where there is no block."""
    opening = _OPEN.match(front_matter)
    closing = _CLOSE.search(front_matter, opening.end()) if opening else None
    if not opening or not closing:
        return "", "", ""
    start, end = opening.end(), closing.start()
    return front_matter[:start], front_matter[start:end], front_matter[end:]


def one_line(text: str) -> str:
    return " ".join(text.split())


def line_end(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def entries_of(mapping: Mapping, keys: Iterable[str]) -> Iterator[Entry]:
    """The entries that count (of repeated keys the last), in the order of `keys`, case set aside."""
    last = {entry.key.text: entry for entry in mapping.entries}
    named = [(name.casefold(), entry) for name, entry in last.items()]
    for key in keys:
        for name, entry in named:
            if name == key:
                yield entry


def labels_of(entry: Entry) -> list[Label]:
    """The labels of a tag or alias key: a list, or one line that commas or blanks part."""
    if isinstance(entry.value.value, dict):
        return []
    if isinstance(entry.value.value, list):
        return [Label(item.text, item) for item in entry.value.items if item.value is not None and item.text]
    text = entry.value.text if entry.value.value is not None else ""
    return [Label(piece.strip(), None) for piece in pieces_of(entry.key.text, text)[0] if piece.strip()]


def pieces_of(key: str, text: str) -> tuple[list[str], str]:
    """The pieces of a one-line list, and what joins them."""
    if "," not in text and key.casefold() in WORD_KEYS and len(words := text.split()) > 1:
        return words, " "
    return text.split(","), ","


def _repeated(mapping: Mapping) -> list[str]:
    counts = Counter(entry.key.text for entry in mapping.entries)
    return [name for name, count in counts.items() if count > 1]


def _title(mapping: Mapping, warnings: list[str]) -> str | None:
    entry = next(entries_of(mapping, ("title",)), None)
    if entry is None or entry.value.value is None:
        return None
    if isinstance(entry.value.value, list | dict):
        warnings.append("The title is not a text; it is left as it is.")
        return None
    title = one_line(entry.value.text)
    if len(title) > MAX_TITLE:
        warnings.append(f"The title has {len(title)} characters; the first {MAX_TITLE} are used.")
    return title[:MAX_TITLE].rstrip()


def _tags(mapping: Mapping, warnings: list[str]) -> list[str]:
    labels = [label.text for entry in entries_of(mapping, TAG_KEYS) for label in labels_of(entry)]
    tags = {normalise_tag(label): label for label in labels}
    long = [label for tag, label in tags.items() if len(tag) > MAX_TAG_CHARACTERS]
    if long:
        some = "one label is" if len(long) == 1 else f"{len(long)} labels are"
        warnings.append(f"No tag, for {some} longer than {MAX_TAG_CHARACTERS} characters: “{long[0][:80]}”.")
    usable = [tag for tag in tags if 0 < len(tag) <= MAX_TAG_CHARACTERS]
    if len(usable) > MAX_TAGS:
        warnings.append(f"There are {len(usable)} tags; the first {MAX_TAGS} are used.")
    return sorted(usable[:MAX_TAGS])


def _aliases(mapping: Mapping) -> list[str]:
    labels = (label for entry in entries_of(mapping, ALIAS_KEYS) for label in labels_of(entry))
    return list(dict.fromkeys(text for label in labels if (text := one_line(label.text))))
