"""What an operation would change, in the shape a reviewer reads: pure functions over texts already loaded."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.utils.safestring import SafeString

from kjxlkj.errors import DomainError
from kjxlkj.notes.markdown import ParsedLink, name_key, parse_links, plain_text
from kjxlkj.notes.models import Note
from kjxlkj.notes.tags import normalise_tag
from librarian.diff import Hunk, hunks, only_whitespace_changed, word_diff
from librarian.effects import values_of
from librarian.models import Operation, OperationKind
from librarian.preview import render_preview

# Rendering costs some seconds for the largest text; nobody reads that much on a card.
MOST_PREVIEWED = 50_000

# How much of a sentence is shown on each side of a link.
_AROUND = 160

_BLOCK_EDGE = re.compile(r"\n[ \t>]*\n|\n[ \t>]*(?=[-*+][ \t]|\d+[.)][ \t]|#|\|)")
_SENTENCE_END = re.compile(r"[.!?…][)\]”\"']*\s+|[。！？]")
_BLOCK_MARK = re.compile(r"\A[\s>]*(?:[-*+]\s+|\d+[.)]\s+|#+\s+)?(?:\[[ xX]\]\s+)?")


@dataclass(frozen=True, slots=True)
class Chip:
    tag: str
    state: str
    """added, removed or kept."""

    @property
    def sign(self) -> str:
        return {"added": "+", "removed": "−", "kept": ""}[self.state]


@dataclass(frozen=True, slots=True)
class Target:
    note_id: UUID
    title: str
    path: str


@dataclass(frozen=True, slots=True)
class LinkInSentence:
    before: str
    text: str
    after: str
    target: str
    """As proposed."""
    found: Target | None


@dataclass(frozen=True, slots=True)
class Change:
    """One of these parts, as a rule. `problem` says why the operation does not fit the note as it is now."""

    titles: tuple[str, str] | None = None
    chips: Sequence[Chip] = ()
    links: Sequence[LinkInSentence] = ()
    hunks: Sequence[Hunk] = ()
    whitespace_only: bool = False
    preview: SafeString | None = None
    is_preview_cut: bool = False
    question: str = ""
    problem: str = ""


def change_of(
    operation: Operation,
    note: Note | None,
    *,
    targets: Mapping[str, Target],
    base_tags: Sequence[str] | None = None,
) -> Change:
    """The change that `operation` makes to `note`, a note with the fields that the kind speaks of.

    `targets` are the notes that its links mean, by name key. `base_tags`: see `librarian.effects.values_of`.
    """
    match operation.kind:
        case OperationKind.CREATE:
            chips = [Chip(tag, "added") for tag in operation.tags or []]
            return Change(
                titles=("", operation.title or operation.target_path),
                chips=chips,
                **_previewed(operation.body_markdown),
            )
        case OperationKind.DEFER:
            return Change(question=operation.body_markdown.strip() or operation.reason)
    if note is None:
        return _as_proposed(operation, "The note is not there.", targets)
    try:
        values = values_of(operation, note, base_tags=base_tags)
    except DomainError as error:
        return _as_proposed(operation, error.message, targets)
    if "title" in values:
        return Change(titles=(note.title, values["title"]))
    if "tags" in values:
        return Change(chips=tag_chips(note.tags, values["tags"]))
    new = values.get("body", note.body)
    if operation.kind == OperationKind.RELINK and operation.links:
        return Change(links=list(_links_in_sentences(note.body, new, targets)))
    return body_change(note.body, new)


def body_change(old: str, new: str) -> Change:
    return Change(hunks=hunks(word_diff(old, new)), whitespace_only=only_whitespace_changed(old, new))


def tag_chips(old: Collection[str], new: Collection[str]) -> list[Chip]:
    """What is added first, then what goes, then what stays."""
    before, after = set(old), set(new)
    return [
        *(Chip(tag, "added") for tag in sorted(after - before)),
        *(Chip(tag, "removed") for tag in sorted(before - after)),
        *(Chip(tag, "kept") for tag in sorted(before & after)),
    ]


def _as_proposed(operation: Operation, problem: str, targets: Mapping[str, Target]) -> Change:
    """Without a text to compare with: the bare proposal."""
    match operation.kind:
        case OperationKind.RETITLE:
            return Change(titles=("", operation.title), problem=problem)
        case OperationKind.RETAG:
            return Change(chips=[Chip(normalise_tag(tag), "kept") for tag in operation.tags or []], problem=problem)
        case OperationKind.RELINK if operation.links:
            links = [
                LinkInSentence("", link["text"], "", link["target"], targets.get(name_key(link["target"])))
                for link in operation.links
            ]
            return Change(links=links, problem=problem)
    return Change(**_previewed(operation.body_markdown), problem=problem)


def _previewed(text: str) -> dict[str, Any]:
    return {"preview": render_preview(text[:MOST_PREVIEWED]), "is_preview_cut": len(text) > MOST_PREVIEWED}


# --- Links ------------------------------------------------------------------------------------------


def _links_in_sentences(old: str, new: str, targets: Mapping[str, Target]) -> Iterator[LinkInSentence]:
    for link in _added_links(old, new):
        before, after = sentence_around(new, link.start, link.end)
        yield LinkInSentence(before, link.text or link.target, after, link.target, targets.get(name_key(link.target)))


def _added_links(old: str, new: str) -> Iterator[ParsedLink]:
    """The links of `new` that are not in `old`, where they alone differ: old ones are moved by what came before."""
    standing = {(link.start, link.raw) for link in parse_links(old)}
    shift = 0
    for link in parse_links(new):
        if (link.start - shift, link.raw) in standing:
            continue
        shift += len(link.raw) - len(link.text or link.target)
        yield link


def sentence_around(body: str, start: int, end: int) -> tuple[str, str]:
    """What the sentence says before and after body[start:end], as plain text on one line."""
    before, after = body[max(0, start - 8 * _AROUND) : start], body[end : end + 8 * _AROUND]
    edges = [match.end() for match in _BLOCK_EDGE.finditer(before)]
    before = before[edges[-1] :] if edges else before
    edge = _BLOCK_EDGE.search(after)
    after = after[: edge.start()] if edge else after
    before = _BLOCK_MARK.sub("", before)
    ends = [match.end() for match in _SENTENCE_END.finditer(before)]
    before = before[ends[-1] :] if ends else before
    finish = _SENTENCE_END.search(after)
    after = after[: finish.end()] if finish else after
    return _shortened_left(_plain(before)), _shortened_right(_plain(after))


def _plain(text: str) -> str:
    """On one line, as it reads; a space at an edge stays, for it parts the text from the linked words."""
    return re.sub(r"\s+", " ", plain_text(text))


def _shortened_left(text: str) -> str:
    return "… " + text[-_AROUND:].partition(" ")[2] if len(text) > _AROUND else text


def _shortened_right(text: str) -> str:
    return text[:_AROUND].rpartition(" ")[0] + " …" if len(text) > _AROUND else text
