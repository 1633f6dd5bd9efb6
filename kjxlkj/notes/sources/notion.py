"""Notion's “Markdown & CSV” export: every page and database bears an id in its name, and comes in parts."""

import posixpath
import re
from collections.abc import Iterator
from functools import partial
from urllib.parse import unquote

from kjxlkj.notes.files import default_title
from kjxlkj.notes.front_matter import split
from kjxlkj.notes.markdown import first_heading
from kjxlkj.notes.sources.labels import Hashtag, noted
from kjxlkj.notes.sources.relinking import Relinking
from kjxlkj.notes.sources.source import Lines, Lost, Source, carried, kept_apart
from kjxlkj.notes.vault import AttachmentFile, Contents, Entry, NoteFile, Shape, is_note

_ID = re.compile(r"(.*\S)[ -]([0-9a-f]{32})((?:_all)?(?:\.[^.]*)?)", re.DOTALL)
_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_PART = re.compile(rf"(?:^|/)(?:{_UUID}_)?(?:Export(?:Block)?-{_UUID}(?:-Part-\d+)?|Part-\d+)\.zip$")
_TOP = re.compile(rf"Export-{_UUID}")
_PROPERTY = re.compile(r"([^\W\d_][^:\n]{0,80}): (.*)")
_TAG_KEYS = frozenset({"tag", "tags", "topics", "keywords"})
_ADDRESS = re.compile(r"https://(?:www\.)?notion\.(?:so|site)/[^\s)>\]]{0,300}?([0-9a-f]{32})\b[^\s)>\]]{0,300}")
_HTML = re.compile(r"""<(?:img|a|video|audio|source)\b[^<>]*?\s(?:src|href)\s*=\s*["']([^"':]+)["']""", re.IGNORECASE)


def _is_part(path: str) -> bool:
    return _PART.search(path) is not None


def _sign(contents: Contents) -> str:
    part = next((name for name in contents.names if _is_part(name)), None)
    if part is not None and not any(is_note(name) for name in contents.names):
        return part
    notes = [posixpath.basename(name) for name in contents.names if is_note(name)]
    named = [name for name in notes if _ID.fullmatch(name)]
    return named[0] if named and 2 * len(named) >= len(notes) else ""


def _carry(contents: Contents, entries: Iterator[Entry]) -> Iterator[Entry | Lost]:
    places = without_ids(contents.names)
    ids = {found[2] for name in contents.names if (found := _ID.fullmatch(posixpath.basename(name)))}
    for entry in carried(entries, places, partial(_page, Relinking(places), ids)):
        yield entry
        if isinstance(entry, AttachmentFile) and entry.path.endswith(".csv"):
            what = "A table of a database is kept as a file; the pages of its rows are notes, its views are not here."
            yield Lost(entry.path, None, "DATABASE_KEPT", what)
        elif isinstance(entry, AttachmentFile) and entry.path.endswith(".html") and entry.path != "index.html":
            what = "A page in HTML is kept as a file. Export again as “Markdown & CSV” to have it as a note."
            yield Lost(entry.path, None, "HTML_KEPT", what)


def without_ids(names: list[str]) -> dict[str, str]:
    """Where each file goes: ids leave names of files and folders wherever the names differ without them."""
    folders: dict[str, str] = {"": ""}
    children: dict[str, set[str]] = {}
    for name in names:
        for path in _with_parents(name):
            children.setdefault(posixpath.dirname(path), set()).add(path)
    files = set(names)
    for parent in sorted(children):
        inner = {posixpath.basename(path) for path in children[parent] if path in children}
        for old, new in kept_apart({old: _stripped(old) for old in inner}).items():
            folders[posixpath.join(parent, old)] = posixpath.join(folders[parent], new)
    tops = {name.partition("/")[0] for name in names}
    if len(tops) == 1 and _TOP.fullmatch(top := tops.pop()):
        folders = {old: new.removeprefix(folders[top]).lstrip("/") for old, new in folders.items()}
    places: dict[str, str] = {}
    for parent in children:
        mine = kept_apart({posixpath.basename(p): _stripped(posixpath.basename(p)) for p in children[parent] & files})
        places.update((posixpath.join(parent, old), posixpath.join(folders[parent], new)) for old, new in mine.items())
    return places


def _with_parents(path: str) -> Iterator[str]:
    while path:
        yield path
        path = posixpath.dirname(path)


def _stripped(name: str) -> str:
    found = _ID.fullmatch(name)
    return found[1] + found[3] if found else name


def _page(links: Relinking, ids: set[str], note: NoteFile, place: str) -> Iterator[NoteFile | Lost]:
    front_matter, body = split(note.text)
    title, tags = _head(body, place, len(front_matter))
    yield from noted(note, place, links.of(note.text, note.path, place), title=title, tags=tags)
    lines = Lines(note.text)
    for address in _ADDRESS.finditer(note.text):
        if address[1] in ids:
            what = f"{address[0][:200]} leads to Notion, though the page is here."
            yield Lost(place, lines.at(address.start()), "NOTION_ADDRESS", what)
    for html in _HTML.finditer(body):
        if links.file(unquote(html[1]), note.path) is not None:
            what = f"A link in HTML keeps the path that the file had in the export: {html[1][:200]}"
            yield Lost(place, lines.at(len(front_matter) + html.start()), "HTML_LINK", what)


def _head(body: str, place: str, above: int) -> tuple[str, list[Hashtag]]:
    """The title from the heading at the top, and the tags of the properties below it."""
    lines = body.splitlines(keepends=True)
    start = next((number for number, line in enumerate(lines) if line.strip()), 0)
    if not lines or not lines[start].startswith("# "):
        return default_title(place), []
    tags: list[Hashtag] = []
    position = above + sum(map(len, lines[: start + 1]))
    seen = False
    for line in lines[start + 1 :]:
        found = _PROPERTY.fullmatch(line.strip())
        if (seen or line.strip()) and not found:
            break
        seen = seen or found is not None
        if found and found[1].strip().lower() in _TAG_KEYS:
            tags += [Hashtag(label.strip(), position) for label in found[2].split(",") if label.strip()]
        position += len(line)
    return first_heading(lines[start]) or default_title(place), tags


NOTION = Source("notion", "an export of Notion", _sign, _carry, Shape(is_part=_is_part))
