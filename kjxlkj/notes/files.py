"""A note and its file: what a file's text says about the note, and the text that says it."""

from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Protocol

from kjxlkj.notes import front_matter as yaml_block
from kjxlkj.notes.checks import TITLE_MAX, check_aliases

_PLAIN_KEYS = frozenset({"title", "tags", "aliases"})


class Filed(Protocol):
    """What makes a note's file; a `Note` or a row with these columns."""

    path: Any
    title: Any
    body: Any
    front_matter: Any
    tags: Any
    aliases: Any
    metadata: Any


@dataclass(frozen=True, slots=True)
class ReadFile:
    """What a file says, in the fields of a note."""

    title: str
    body: str
    front_matter: str
    tags: list[str]
    aliases: list[str]
    metadata: dict[str, Any]
    warnings: list[str] = field(default_factory=list)


def read_file(path: str, text: str) -> ReadFile:
    """Raises errors of `notes.checks` for what a note cannot hold."""
    front_matter, body = yaml_block.split(text)
    parsed = yaml_block.parse(front_matter)
    title, tags, aliases = _names(parsed, path)
    return ReadFile(title, body, front_matter, tags, aliases, parsed.metadata, parsed.warnings)


def file_of(note: Filed) -> tuple[str, dict[str, Any]]:
    """The text of the note's file, and those of title, tags and aliases that the text does not tell.

    Front matter stays verbatim, or is edited as little as the note's title and labels ask for. Where it cannot be
    edited (it is no YAML, say), the text tells less than the note.
    """
    text = note.front_matter + note.body
    if yaml_block.split(text) == (note.front_matter, note.body):
        if _tells_plainly(note):
            return text, {}
        parsed = yaml_block.recall(note.metadata) or yaml_block.parse(note.front_matter)
        if not _untold(note, parsed):
            return text, {}
    front_matter = yaml_block.render(
        note.front_matter,
        title=note.title,
        tags=note.tags,
        aliases=note.aliases,
        default_title=default_title(note.path),
        newline="\r\n" if "\r\n" in note.body else "\n",
    )
    text = yaml_block.join(front_matter, note.body)
    if yaml_block.split(text)[1] != note.body:
        # It grew over the size up to which a block is one, and would come back as text.
        text = yaml_block.join(note.front_matter, note.body)
    return text, _untold(note, yaml_block.parse(yaml_block.split(text)[0]))


def _tells_plainly(note: Filed) -> bool:
    """Whether the block says of title and labels, under their usual keys, to the letter what the note says.

    Saves most notes a closer look: their forms are normal, and normal forms are read as they stand.
    """
    says = note.metadata
    if any(key.casefold() in yaml_block.NAMED and key not in _PLAIN_KEYS for key in says):
        return False
    title = says["title"] if "title" in says else default_title(note.path)
    labels = (says.get("tags", []), says.get("aliases", []))
    return bool(title == note.title and labels == (note.tags, note.aliases))


def default_title(path: str) -> str:
    """What a note is called whose front matter names no title: as its file, without the suffix."""
    stem = PurePosixPath(path).stem
    return (" ".join(stem.split()) or " ".join(path.split()))[:TITLE_MAX].rstrip()


def _names(parsed: yaml_block.Parsed, path: str) -> tuple[str, list[str], list[str]]:
    return parsed.title or default_title(path), parsed.tags, check_aliases(parsed.aliases)


def _untold(note: Filed, parsed: yaml_block.Parsed) -> dict[str, Any]:
    title, tags, aliases = _names(parsed, note.path)
    untold: dict[str, Any] = {}
    if title != note.title:
        untold["title"] = note.title
    if tags != note.tags:
        untold["tags"] = note.tags
    if set(aliases) != set(note.aliases):
        untold["aliases"] = note.aliases
    return untold
