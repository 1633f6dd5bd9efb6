"""Obsidian: our own idea of a vault, so that files come as they are; what its plugins make of them does not."""

import posixpath
import re
from collections.abc import Iterator

from kjxlkj.notes.front_matter import split
from kjxlkj.notes.markdown import parse_links
from kjxlkj.notes.sources.labels import hashtags
from kjxlkj.notes.sources.source import Lines, Lost, Source
from kjxlkj.notes.vault import AttachmentFile, Contents, Entry, NoteFile

_SETTINGS = re.compile(r"(?:^|/)\.obsidian(?:/|$)")
_QUERY = re.compile(r"^[ \t>]*(?:```|~~~)[ \t]*(dataview|dataviewjs|tasks|query|base)\b", re.MULTILINE)
_KEPT = {
    ".canvas": ("CANVAS_KEPT", "A canvas is kept as a file; it is not shown here, and its cards are no notes."),
    ".base": ("BASE_KEPT", "A base is kept as a file; it is not shown here."),
}


def _sign(contents: Contents) -> str:
    return ".obsidian" if any(_SETTINGS.search(name) for name in contents.names) else ""


def _carry(contents: Contents, entries: Iterator[Entry]) -> Iterator[Entry | Lost]:
    for entry in entries:
        yield entry
        if isinstance(entry, NoteFile):
            yield from _lost(entry)
        elif isinstance(entry, AttachmentFile) and (kept := _KEPT.get(posixpath.splitext(entry.path)[1])):
            yield Lost(entry.path, None, *kept)


def _lost(note: NoteFile) -> Iterator[Lost]:
    front_matter, body = split(note.text)
    above, lines = len(front_matter), Lines(note.text)
    if "#^" in body:
        for link in parse_links(body):
            if link.heading.startswith("^"):
                line = lines.at(above + link.start)
                yield Lost(note.path, line, "BLOCK_REFERENCE", f"{link.raw[:200]} leads to its note, not to the block.")
    for query in _QUERY.finditer(body):
        line = lines.at(above + query.start(1))
        yield Lost(note.path, line, "QUERY_KEPT", f"A {query[1]} query is kept as text; nothing runs it here.")
    if tags := hashtags(body):
        some = ", ".join(dict.fromkeys(f"#{tag.label}" for tag in tags[:10]))
        what = f"Hashtags stay text; tags are those of the front matter: {some}"
        yield Lost(note.path, lines.at(above + tags[0].position), "HASHTAGS_KEPT", what)


OBSIDIAN = Source("obsidian", "an Obsidian vault", _sign, _carry)
