"""Tags that stand in a text, and how many of them a note can have."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from kjxlkj.notes import front_matter as yaml_block
from kjxlkj.notes.checks import TITLE_MAX
from kjxlkj.notes.files import default_title
from kjxlkj.notes.scanner import READ_TOKEN, WIKILINK, Scanner
from kjxlkj.notes.sources.source import Lines, Lost
from kjxlkj.notes.tags import MAX_TAG_CHARACTERS, MAX_TAGS, normalise_tag
from kjxlkj.notes.vault import NoteFile

_BEFORE = r"(?:^|(?<=[\s(,;]))"
_TAG = re.compile(_BEFORE + r"#((?![+=/&.^-])[^\s#,;:!?()\[\]{}<>\"'`*|\\]+)", re.MULTILINE)
# `#several words#`: closed at once behind its last letter, and of nothing that looks like prose.
_TAG_OF_WORDS = re.compile(_BEFORE + r"#(\w(?:[\w /&._-]*\w)?)#(?![\w#])", re.MULTILINE)

# Tags that are named where many are told of.
_TOLD = 10


class Hashtag(NamedTuple):
    label: str
    position: int


def hashtags(body: str, *, bracketed: bool = False, of_words: bool = False) -> list[Hashtag]:
    """Tags that stand in prose; code, comments and links hold none, and a number alone is none.

    `bracketed`: also `#[[two words]]`. `of_words`: also `#two words#`.
    """
    if not re.search(r"#[^\s#]", body):
        return []
    scanner = Scanner(body, READ_TOKEN).run()
    free, found = scanner.masked(), []
    if bracketed:
        links = (link for link in scanner.links if link.re is WIKILINK and body[link.start() - 1 : link.start()] == "#")
        found += [Hashtag(link[1].strip(), link.start() - 1) for link in links]
    if of_words:
        found += [Hashtag(match[1], match.start()) for match in _TAG_OF_WORDS.finditer(free)]
        free = _TAG_OF_WORDS.sub(lambda match: " " * len(match[0]), free)
    found += [Hashtag(match[1].rstrip("./-_"), match.start()) for match in _TAG.finditer(free)]
    return sorted(
        (tag for tag in found if re.search(r"[^\W\d_]|[^\x00-\x7f]", tag.label)), key=lambda tag: tag.position
    )


def noted(
    note: NoteFile, place: str, text: str, *, title: str, tags: Sequence[Hashtag], aliases: Iterable[str] = ()
) -> Iterator[NoteFile | Lost]:
    """The note at its place, with `text` for its own and what its source said of it beside its front matter, which
    goes first; and what is over the limits of a note. Positions of `tags` are in the whole text."""
    said = yaml_block.parse(yaml_block.split(note.text)[0])
    names: dict[str, Any] = {"aliases": [*said.aliases, *aliases]}
    title = " ".join(title.replace("\0", "").split()) or default_title(place)
    if said.title is None:
        names["title"] = title[:TITLE_MAX].rstrip()
        if len(title) > TITLE_MAX:
            what = f"The title has {len(title)} characters; the first {TITLE_MAX} are used."
            yield Lost(place, None, "TITLE_CUT", what)
    usable, over = set(said.tags), []
    for tag in tags:
        label = normalise_tag(tag.label)
        if not label or label in usable:
            continue
        if len(label) > MAX_TAG_CHARACTERS or len(usable) == MAX_TAGS:
            over.append(tag)
        else:
            usable.add(label)
    if over:
        some = ", ".join(dict.fromkeys(f"#{tag.label[:MAX_TAG_CHARACTERS]}" for tag in over[:_TOLD]))
        limit = f"a note has at most {MAX_TAGS} tags of {MAX_TAG_CHARACTERS} characters"
        line = Lines(note.text).at(over[0].position)
        yield Lost(place, line, "TAG_OVER_LIMIT", f"Not all tags are tags here, for {limit}: {some}")
    yield NoteFile(place, text, {**names, "tags": sorted(usable)})
