"""A note's text with the addresses of our own pages in its links, for the renderer of previews."""

import re

from django.urls import reverse

from kjxlkj.notes.markdown import ParsedLink, parse_links
from kjxlkj.notes.models import Note, NoteLink
from kjxlkj.notes.serving import is_picture

_MOST = 200
# What stands where Obsidian says how large a picture is.
_SIZE = re.compile(r"\d+(?:x\d+)?\Z")

Edit = tuple[int, int, str]


def with_addresses(text: str, note: Note) -> str:
    """The beginning of the note's text, its links leading to the pages of what they mean and its pictures to where
    they are served. Only what its own workspace holds gets an address."""
    pieces, pos = [], 0
    for start, end, new in sorted(_edits(text, note)):
        if start >= pos:
            pieces += [text[pos:start], new]
            pos = end
    return "".join(pieces) + text[pos:]


def _edits(text: str, note: Note) -> list[Edit]:
    stored = note.links.order_by("position").select_related("attachment")[:_MOST]
    edits: list[Edit] = []
    for link, row in zip(parse_links(text), stored, strict=False):
        if link.raw != row.raw:
            break  # a fence or comment cut off before its end
        if row.target_id and link.kind in ("wikilink", "markdown"):
            edits += _linked(link, reverse("admin:notes_note_change", args=[row.target_id]))
        elif row.attachment_id:
            edits += _attached(link, row)
    return edits


def _attached(link: ParsedLink, row: NoteLink) -> list[Edit]:
    attachment = row.attachment
    assert attachment is not None  # noqa: S101  for the type checker: its id is there
    if link.kind in ("embed", "image") and is_picture(attachment.path, attachment.size):
        return _linked(link, reverse("admin:notes_attachment_picture", args=[attachment.pk]), mark="!")
    return _linked(link, reverse("admin:notes_attachment_change", args=[attachment.pk]))


def _linked(link: ParsedLink, address: str, mark: str = "") -> list[Edit]:
    """As a Markdown link to the address; of one that is so already, no more than the destination changes."""
    if link.destination is not None:
        start, end = link.destination
        unmarked = [(link.start, link.start + 1, "")] if link.kind == "image" and not mark else []
        return [*unmarked, (start, end, address)]
    shown = link.text if link.text and not (mark and _SIZE.match(link.text)) else link.target
    shown = shown.replace("[", "\\[").replace("]", "\\]")
    return [(link.start, link.end, f"{mark}[{shown}]({address})")]
