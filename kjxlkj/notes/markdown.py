"""Reading and linking Markdown bodies: which links stand there, how targets are found, where one may go.

Pure functions, linear in the length of the body. Offsets are characters of the body as given.

How a link finds its note: every note is filed under `note_keys`, every link asks for `link_key`, and the two
are compared for equality, so that resolving is one join. Wikilinks ask for a name (`name_key`), which matches
path, stem, title and aliases; the lowest rank wins. Relative Markdown links ask for “/” + path, which only
paths match.
"""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote

from kjxlkj.notes.scanner import (
    HEADING_TOKEN,
    HIDDEN,
    MARKDOWN_LINK,
    MASK_TOKEN,
    READ_TOKEN,
    WIKILINK,
    Scanner,
)

INDEX_STEMS = frozenset({"index", "_index", "readme"})
LinkKind = Literal["wikilink", "embed", "markdown", "image"]

_EXTERNAL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+:|//|[#?]|$")
_NOTE_SUFFIX = re.compile(r"\.(?:md|markdown)$")
# As Logseq writes a link with a text of its own: [text]([[page]]).
_NAMED = re.compile(r"\[\[([^\[\]#|]+)\]\]")
_SPACES = re.compile(r"\s+")
_ESCAPED = re.compile(r"\\([^\w\s])")
# Alternatives begin with a plain character for speed, as in the scanner.
_NOT_SHOWN = re.compile(r"<[a-zA-Z/!?][^<>]*+>|https?://[^\s<>]+|www\.[^\s<>]+|\{\{[^{}\n]*\}\}|#(?<![^\s>]#)#*[ \t]")
_EMPHASIS = re.compile(r"\*\**|~~|==|_(?<!\w_)_*|__*(?!\w)")
# Scripts written without spaces between words: a boundary may stand between any two characters.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")


@dataclass(frozen=True, slots=True)
class ParsedLink:
    raw: str
    kind: LinkKind
    target: str
    """As written (percent-decoded in Markdown links), without the heading."""
    heading: str
    text: str
    """What the link shows if that is not its target."""
    start: int
    end: int
    destination: tuple[int, int] | None = None
    """Of a Markdown link: where its path stands in the body, without the heading."""


class LinkPlacementError(ValueError):
    """A link cannot be put where it was asked for; `text` is the text it was to be put around."""

    def __init__(self, text: str, why: str) -> None:
        super().__init__(f"“{text}” {why}")
        self.text = text


def mask(text: str, *, links: bool = True) -> str:
    """The text, equally long, with NUL wherever no link may be proposed: code, comments, math, raw HTML,
    URLs, headings, definitions, inline fields, templating, callout markers, hashtags and (unless `links` is
    false) the links that stand already."""
    return Scanner(text, MASK_TOKEN, hide_links=links).run().masked()


def parse_links(body: str) -> list[ParsedLink]:
    """Links and embeds that point into the vault, in the order they stand. Code and comments hold none."""
    if "[" not in body:
        return []
    found: list[ParsedLink] = []
    for match in Scanner(body, READ_TOKEN).run().links:
        found += _parsed(match)
    return found


def _parsed(match: re.Match[str]) -> Iterator[ParsedLink]:
    raw, shows = match[0], match[1]
    embedded = raw[0] == "!"
    kind: LinkKind
    if match.re is WIKILINK:
        if shows.strip():
            kind = "embed" if embedded else "wikilink"
            heading, text = (match[2] or "").strip(), (match[3] or "").strip()
            yield ParsedLink(raw, kind, shows.strip(), heading, text, match.start(), match.end())
        return
    destination = match[2] or match[3] or ""
    if named := _NAMED.fullmatch(destination):
        yield ParsedLink(raw, "wikilink", named[1].strip(), "", shows.strip(), match.start(), match.end())
    elif not _EXTERNAL.match(destination):
        kind = "image" if embedded else "markdown"
        start = match.start(2 if match[2] else 3)
        written = (start, start + len(re.split(r"[#?]", destination, maxsplit=1)[0]))
        path, _, fragment = _ESCAPED.sub(r"\1", destination).partition("#")
        path = unquote(path.partition("?")[0])
        yield ParsedLink(raw, kind, path, unquote(fragment), shows.strip(), match.start(), match.end(), written)
    if "[" in shows:
        for inner in MARKDOWN_LINK.finditer(match.string, match.start(1), match.end(1)):
            yield from _parsed(inner)


def name_key(name: str) -> str:
    """The form in which names are compared: regardless of case, Unicode form, white space and note suffix."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
    key = _SPACES.sub(" ", folded.replace("\\", "/")).strip()
    return _NOTE_SUFFIX.sub("", key)


def link_key(link: ParsedLink, source_path: str) -> str:
    """What to look up for a link that stands in the note at `source_path`. See the module's docstring."""
    target = link.target.replace("\\", "/")
    if link.kind in ("wikilink", "embed") and not target.startswith(("./", "../")):
        return name_key(target)
    folder = "" if target.startswith("/") else posixpath.dirname(source_path.replace("\\", "/"))
    # Joined below an absolute root, so that “..” cannot climb out of the vault.
    path = posixpath.normpath(posixpath.join("/", folder, target.lstrip("/")))
    return name_key(path.replace("//", "/"))


def note_keys(path: str, title: str, aliases: Iterable[str]) -> list[tuple[str, int]]:
    """Every key under which a note is found, with its rank: 0 path, 1 stem, 2 title, 3 alias. A folder's own
    page (index, _index, readme) is also found by the folder's path and name. No key twice."""
    keys: dict[str, int] = {}
    path_key = name_key(path).strip("/")
    if path_key:
        folder, _, stem = path_key.rpartition("/")
        paths, stems = [path_key], [stem]
        if stem in INDEX_STEMS and folder:
            paths.append(folder)
            stems.append(folder.rpartition("/")[2])
        for key in paths:
            keys.setdefault("/" + key, 0)
            keys.setdefault(key, 0)
        for key in stems:
            keys.setdefault(key, 1)
    for rank, name in [(2, title), *((3, alias) for alias in aliases)]:
        key = name_key(name)
        if key:
            keys.setdefault(key, rank)
    return list(keys.items())


def attachment_keys(path: str) -> list[str]:
    """Every key under which a file beside the notes is found, the surest first: its path, then its name."""
    key = name_key(path).strip("/")
    return list(dict.fromkeys(["/" + key, key, key.rpartition("/")[2]]))


def first_heading(body: str) -> str | None:
    """The visible text of the first heading, of either form and any level, that is not empty."""
    for start, end in Scanner(body, HEADING_TOKEN).headings():
        text = _SPACES.sub(" ", plain_text(body[start:end])).strip()
        if text:
            return text
    return None


def plain_text(body: str) -> str:
    """What reads as prose: links as shown, inline code bare; no fenced code, comments, tags or URLs."""
    scanner = Scanner(body, READ_TOKEN).run()
    code = {start: ticks for start, _, ticks in scanner.code}
    links = {match.start(): match for match in scanner.links}
    pieces, pos = [], 0
    for start, end in scanner.hidden:
        pieces.append(body[pos:start])
        if start in code:
            pieces.append(body[start + code[start] : end - code[start]])
        elif start in links:
            pieces.append(_shown(links[start]))
        else:
            pieces.append(" ")
        pos = end
    pieces.append(body[pos:])
    return _ESCAPED.sub(r"\1", _EMPHASIS.sub("", _NOT_SHOWN.sub(" ", "".join(pieces))))


def _shown(link: re.Match[str]) -> str:
    if link.re is WIKILINK:
        return link[3] or link[1] or link[2] or ""
    return MARKDOWN_LINK.sub(r"\1", link[1])


def stands_alone(text: str, start: int, end: int) -> bool:
    """Whether text[start:end] is whole words: not part of a longer word, of a compound or of a path."""
    before, after = text[start - 1 : start], text[end : end + 1]
    if before and (before.isalnum() or before in "_-/@.\\#") and not _joins(before, text[start]):
        return False
    if after == ".":
        return not text[end + 1 : end + 2].isalnum()
    return not (after and (after.isalnum() or after in "_-/@\\") and not _joins(text[end - 1], after))


def _joins(left: str, right: str) -> bool:
    return bool(_UNSPACED.match(left) or _UNSPACED.match(right))


def can_be_target(name: str) -> bool:
    """Whether `[[name]]` reads back as a link to `name`."""
    return bool(name) and name == name.strip() and not any(c in name for c in "[]|#\\\n\r\x00")


def insert_links(body: str, links: Sequence[tuple[str, str]]) -> str:
    """Put each (text, target) as a wikilink around the first free occurrence of the text.

    Raises LinkPlacementError if a text does not stand free in the body, or it or its target cannot be linked.
    """
    plain = free = mask(body)
    spans: list[tuple[int, int, str]] = []
    for text, target in links:
        if not can_be_target(target):
            raise LinkPlacementError(text, f"cannot be linked: “{target}” is no possible link target")
        if not text.strip() or any(c in text for c in "[]|\n\r\x00"):
            raise LinkPlacementError(text, "cannot be the text of a link")
        start = find_free(free, text)
        if start < 0:
            raise LinkPlacementError(text, "does not stand in the note as plain, unlinked text")
        end = start + len(text)
        spans.append((start, end, target))
        free = free[:start] + HIDDEN * (end - start) + free[end:]
    for start, end, target in sorted(spans, reverse=True):
        bar = "\\|" if _in_table(plain, start) else "|"
        text = body[start:end]
        link = f"[[{text}]]" if text == target else f"[[{target}{bar}{text}]]"
        body = body[:start] + link + body[end:]
    return body


def find_free(free: str, text: str) -> int:
    """Where `text` first stands alone in a masked body; -1 if nowhere."""
    at = free.find(text)
    while at >= 0 and not stands_alone(free, at, at + len(text)):
        at = free.find(text, at + 1)
    return at


def _in_table(plain: str, at: int) -> bool:
    """Whether a bar stands on the line: inside a table a link's own bar is escaped, or it would end the cell."""
    end = plain.find("\n", at)
    return plain.rfind("|", plain.rfind("\n", 0, at) + 1, end if end >= 0 else len(plain)) >= 0


def strip_links(body: str) -> str:
    """The body with each link into the vault replaced by what it shows; embeds, images and URLs stay."""
    pieces, pos = [], 0
    for link in parse_links(body):
        if link.kind in ("wikilink", "markdown") and link.start >= pos:
            pieces += [body[pos : link.start], link.text or link.target]
            pos = link.end
    return "".join(pieces) + body[pos:]


def only_links_differ(old: str, new: str) -> bool:
    """Whether two bodies read the same apart from which words are linked into the vault, and where to."""
    return strip_links(old) == strip_links(new)
