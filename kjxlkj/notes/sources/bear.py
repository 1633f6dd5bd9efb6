"""Bear: one bundle for each note, or Markdown with folders of files; tags stand in the text."""

import json
import re
from collections.abc import Iterator
from functools import partial
from typing import Any

from kjxlkj.notes.files import default_title
from kjxlkj.notes.front_matter import split
from kjxlkj.notes.markdown import first_heading
from kjxlkj.notes.sources.labels import Hashtag, hashtags, noted
from kjxlkj.notes.sources.relinking import Relinking
from kjxlkj.notes.sources.source import Lost, Source, carried, kept_apart
from kjxlkj.notes.vault import Contents, Entry, NoteFile, Shape, is_note

_BUNDLE = re.compile(r"((?:.*/)?([^/]+))\.textbundle/(.+)", re.DOTALL)
_TEXT = re.compile(r"text\.(?:md|markdown|txt)")
_PACK = re.compile(r"\.textpack$")
_LEFT_OUT = {
    "trashed": ("TRASHED", "It was in Bear's trash, and is left out."),
    "encrypted": ("ENCRYPTED_NOTE", "It is locked in Bear, and is left out. Unlock it there and export again."),
}
_ARCHIVED = ("ARCHIVED", "It was in Bear's archive; here it is a note like any other.")


def _is_note(path: str) -> bool:
    bundle = _BUNDLE.fullmatch(path)
    return is_note(path) if bundle is None else _TEXT.fullmatch(bundle[3]) is not None


def _is_about(path: str) -> bool:
    """Whether the file is a bundle's own account of itself."""
    bundle = _BUNDLE.fullmatch(path)
    return bundle is not None and bundle[3] == "info.json"


def _sign(contents: Contents) -> str:
    notes = [name for name in contents.names if _is_note(name)]
    bundles = [found for name in notes if (found := _BUNDLE.fullmatch(name))]
    return f"{bundles[0][2]}.textbundle" if bundles and 2 * len(bundles) >= len(notes) else ""


def _carry(contents: Contents, entries: Iterator[Entry]) -> Iterator[Entry | Lost]:
    places: dict[str, str | None] = {**kept_apart({name: _place(name) for name in contents.names})}
    places.update((name, None) for name in contents.names if _is_about(name))
    left_out: set[str] = set()
    for name, text in contents.texts.items():
        if not _is_about(name):
            continue
        folder, about = name.removesuffix("info.json"), _told(text)
        said = next((said for key, said in _LEFT_OUT.items() if about.get(key)), None)
        if said:
            yield Lost(_place(f"{folder}text.md"), None, *said)
            left_out.add(folder)
        elif about.get("archived"):
            yield Lost(_place(f"{folder}text.md"), None, *_ARCHIVED)
    places.update((name, None) for name in contents.names if _bundle_of(name) in left_out)
    for name in contents.names:
        if _PACK.search(name):
            yield Lost(name, None, "TEXTPACK_KEPT", "A packed bundle is kept as a file. Unpack it and import it again.")
    yield from carried(entries, places, partial(_note, Relinking(places)))


def _place(name: str) -> str:
    """A note beside the folder of its files, as Bear lays them out in its plain export."""
    bundle = _BUNDLE.fullmatch(name)
    if bundle is None:
        return name
    if _TEXT.fullmatch(bundle[3]):
        return f"{bundle[1]}.md"
    return f"{bundle[1]}/{bundle[3].removeprefix('assets/')}"


def _bundle_of(name: str) -> str:
    bundle = _BUNDLE.fullmatch(name)
    return name.removesuffix(bundle[3]) if bundle else ""


def _told(text: str) -> dict[str, Any]:
    try:
        about = json.loads(text).get("net.shinyfrog.bear")
    except (ValueError, AttributeError, RecursionError):
        return {}
    return about if isinstance(about, dict) else {}


def _note(links: Relinking, note: NoteFile, place: str) -> Iterator[NoteFile | Lost]:
    front_matter, body = split(note.text)
    tags = [Hashtag(label, len(front_matter) + position) for label, position in hashtags(body, of_words=True)]
    text = links.of(note.text, note.path, place)
    return noted(note, place, text, title=first_heading(body) or default_title(place), tags=tags)


BEAR = Source("bear", "an export of Bear", _sign, _carry, Shape(is_note=_is_note), _is_about)
