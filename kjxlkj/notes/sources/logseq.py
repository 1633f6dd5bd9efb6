"""Logseq: pages and journals, with properties as `key:: value` and slashes of names spelled for file systems."""

import posixpath
import re
from collections.abc import Iterator, Mapping
from functools import partial
from urllib.parse import unquote

from kjxlkj.notes.front_matter import split
from kjxlkj.notes.scanner import READ_TOKEN, Scanner
from kjxlkj.notes.sources.journal import title_of_day
from kjxlkj.notes.sources.labels import Hashtag, hashtags, noted
from kjxlkj.notes.sources.relinking import Relinking
from kjxlkj.notes.sources.source import Lines, Lost, Source, carried, kept_apart
from kjxlkj.notes.vault import AttachmentFile, Contents, Entry, NoteFile, is_note

_CONFIG = re.compile(r"(?:^|/)logseq/config\.edn$")
_SETTING = re.compile(r'^[^;\n"]*?:(journal/[\w-]+|[\w-]+-directory)\s+"([^"\n]*)"', re.MULTILINE)
_PROPERTY = re.compile(r"([^\s:#`\[\]{}-][^:\n]*?)::(?:\s+(.*))?")
_LABEL = re.compile(r'#?\[\[([^\[\]]+)\]\]|"([^"]+)"|#?([^,\[\]#"]+)')
_SUFFIX = re.compile(r"\.(?:md|markdown)$", re.IGNORECASE)
_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
# Bounded, so that a line of many beginnings without an end is read in one go.
_LOST = [
    ("BLOCK_REFERENCE", re.compile(rf"(\(\({_UUID}\)\))"), "A reference to a block stays text."),
    ("EMBED_KEPT", re.compile(r"(\{\{embed\b[^{}\n]{0,200})"), "An embed stays text."),
    (
        "QUERY_KEPT",
        re.compile(r"(\{\{query\b[^{}\n]{0,200}|^[ \t]*(?:- )?#\+BEGIN_QUERY)", re.M),
        "A query stays text.",
    ),
]
_KEPT = {
    "org": ("ORG_KEPT", "An Org file is kept as a file, for it is not Markdown."),
    "whiteboard": ("WHITEBOARD_KEPT", "A whiteboard is kept as a file; it is not shown here."),
}


def _sign(contents: Contents) -> str:
    config = next((name for name in contents.names if _CONFIG.search(name)), None)
    if config is None:
        return ""
    root = config.removesuffix("logseq/config.edn")
    folders = [
        folder for folder in ("journals", "pages") if any(n.startswith(f"{root}{folder}/") for n in contents.names)
    ]
    return f"{config} beside {' and '.join(folders)}" if folders else ""


def _carry(contents: Contents, entries: Iterator[Entry]) -> Iterator[Entry | Lost]:
    config = next((name for name in contents.names if _CONFIG.search(name)), "logseq/config.edn")
    graph = _Graph(config.removesuffix("logseq/config.edn"), dict(_SETTING.findall(contents.texts.get(config, ""))))
    places: dict[str, str | None] = {**kept_apart({name: graph.place(name) for name in contents.names})}
    # Settings, and former versions of pages that would come back as pages.
    places.update((name, None) for name in contents.names if name.startswith(f"{graph.root}logseq/"))
    for entry in carried(entries, places, partial(_page, graph, Relinking(places))):
        yield entry
        if isinstance(entry, AttachmentFile) and (kept := graph.kept(entry.path)):
            yield Lost(entry.path, None, *kept)


class _Graph:
    def __init__(self, root: str, settings: Mapping[str, str]) -> None:
        self.root = root
        self._pages = f"{root}{settings.get('pages-directory', 'pages')}/"
        self._journals = f"{root}{settings.get('journals-directory', 'journals')}/"
        self._whiteboards = f"{root}{settings.get('whiteboards-directory', 'whiteboards')}/"
        self._day = settings.get("journal/file-name-format", "yyyy_MM_dd")
        self._title = settings.get("journal/page-title-format", "MMM do, yyyy")

    def place(self, name: str) -> str:
        """A page's namespaces as folders."""
        if not (name.startswith(self._pages) and is_note(name)):
            return name
        inner = re.sub(r"___|%2[fF]", "/", name.removeprefix(self._pages))
        stem = _SUFFIX.sub("", inner)
        sound = all(part.strip() and part not in {".", ".."} for part in stem.split("/"))
        return self._pages + inner if sound else name

    def title(self, name: str) -> str:
        stem = _SUFFIX.sub("", posixpath.basename(name))
        if name.startswith(self._journals):
            return title_of_day(stem, self._day, self._title) or stem
        return unquote(stem.replace("___", "/"))

    def kept(self, path: str) -> tuple[str, str] | None:
        if path.endswith(".org"):
            return _KEPT["org"]
        return _KEPT["whiteboard"] if path.startswith(self._whiteboards) else None


def _page(graph: _Graph, links: Relinking, note: NoteFile, place: str) -> Iterator[NoteFile | Lost]:
    front_matter, body = split(note.text)
    properties = page_properties(body)
    start = len(front_matter)
    tags = [Hashtag(label, start) for label in labels_of(properties.get("tags", ""))]
    tags += [Hashtag(label, start + position) for label, position in hashtags(body, bracketed=True)]
    aliases = [label for key in ("alias", "aliases") for label in labels_of(properties.get(key, ""))]
    title = properties.get("title") or graph.title(note.path)
    text = links.of(note.text, note.path, place)
    yield from noted(note, place, text, title=title, tags=tags, aliases=aliases)
    yield from _lost(note.text, body, place)


def _lost(text: str, body: str, place: str) -> Iterator[Lost]:
    if "((" not in body and "{{" not in body and "#+" not in body:
        return
    free = Scanner(body, READ_TOKEN, hide_links=False).run().masked()
    above, lines = len(text) - len(body), Lines(text)
    for code, pattern, what in _LOST:
        for match in pattern.finditer(free):
            yield Lost(place, lines.at(above + match.start(1)), code, f"{what} {match[1]}")


def page_properties(body: str) -> dict[str, str]:
    """The `key:: value` lines at the top: a page's own. Keys in lower case; the first of a key counts."""
    found: dict[str, str] = {}
    for line in body.removeprefix("\ufeff").split("\n"):
        stripped = line.strip()
        if not stripped and not found:
            continue
        match = _PROPERTY.fullmatch(stripped if found else stripped.removeprefix("- "))
        if not match:
            break
        found.setdefault(match[1].strip().lower(), (match[2] or "").strip())
    return found


def labels_of(value: str) -> list[str]:
    """The pages that a property names: `a, [[b c]], #d`."""
    found = (next(filter(None, match.groups())).strip() for match in _LABEL.finditer(value))
    return [label for label in found if label]


LOGSEQ = Source("logseq", "a Logseq graph", _sign, _carry, wanted=lambda path: _CONFIG.search(path) is not None)
