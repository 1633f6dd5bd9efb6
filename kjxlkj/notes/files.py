"""A note and its file: what a file's text says about the note, and the text that says it."""

from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from kjxlkj.notes import front_matter as yaml_block
from kjxlkj.notes.checks import TITLE_MAX
from kjxlkj.notes.models import Note


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
    front_matter, body = yaml_block.split(text)
    parsed = yaml_block.parse(front_matter)
    return ReadFile(
        title=parsed.title or default_title(path),
        body=body,
        front_matter=front_matter,
        tags=parsed.tags,
        aliases=parsed.aliases,
        metadata=parsed.metadata,
        warnings=parsed.warnings,
    )


def file_text(note: Note) -> str:
    """Front matter and body: verbatim as they came, or edited as little as the note's title and tags ask for."""
    front_matter = yaml_block.render(
        note.front_matter,
        title=note.title,
        tags=note.tags,
        aliases=note.aliases,
        default_title=default_title(note.path),
        newline="\r\n" if "\r\n" in note.body else "\n",
    )
    return yaml_block.join(front_matter, note.body)


def default_title(path: str) -> str:
    """What a note is called whose front matter names no title: as its file, without the suffix."""
    return " ".join(PurePosixPath(path).stem.split())[:TITLE_MAX].rstrip() or path[:TITLE_MAX]
