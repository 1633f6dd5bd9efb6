"""What a note's fields may hold: each check returns the clean value or refuses it by name, fault and remedy."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.conf import settings

from kjxlkj.errors import TooLarge, field_error
from kjxlkj.notes.front_matter import split
from kjxlkj.notes.models import NoteKind
from kjxlkj.notes.tags import normalise_tags

TITLE_MAX = 200
# A B-tree entry holds 2,704 bytes at the most, and a path shares it with two UUIDs.
PATH_MAX_BYTES = 1024
# As for the files of a vault: what is done for each folder of a path stays little.
PATH_MAX_NAMES = 64


def _text(field: str, value: object) -> str:
    if not isinstance(value, str):
        raise field_error(field, f"{field}: expected text.")
    if "\0" in value:
        raise field_error(field, f"{field}: holds a NUL character at position {value.index(chr(0))}. Remove it.")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise field_error(
            field, f"{field}: not valid Unicode at position {error.start} (a lone surrogate). Remove it."
        ) from error
    return value


def check_title(value: object) -> str:
    title = " ".join(_text("title", value).split())
    if not title:
        raise field_error("title", "title: empty. Give the note a title.")
    if len(title) > TITLE_MAX:
        raise field_error("title", f"title: {len(title)} characters; at most {TITLE_MAX}. Shorten it.")
    return title


def check_body(value: object) -> str:
    body = _text("body", value)
    size = len(body.encode())
    if size > settings.NOTE_BODY_MAX_BYTES:
        raise TooLarge(
            "PAYLOAD_TOO_LARGE",
            f"body: {size:,} bytes; at most {settings.NOTE_BODY_MAX_BYTES:,}. Split the note.",
            {"field": "body", "size": size, "limit": settings.NOTE_BODY_MAX_BYTES},
        )
    return body


def check_path(value: object) -> str:
    path = _text("path", value)
    parts = path.split("/")
    if path and (path.startswith("/") or "\\" in path or any(part in {"", ".", ".."} for part in parts)):
        raise field_error(
            "path",
            f"path: “{path}” is not a relative file path. Use folder/name.md, without . or .. and without \\.",
        )
    if any(ord(letter) < 32 for letter in path):
        raise field_error("path", "path: holds a control character. Remove it.")
    if len(parts) > PATH_MAX_NAMES:
        raise field_error("path", f"path: {len(parts)} names; at most {PATH_MAX_NAMES}. Move the note further up.")
    if len(path.encode()) > PATH_MAX_BYTES:
        raise field_error("path", f"path: longer than {PATH_MAX_BYTES} bytes. Shorten it.")
    return path


def check_tags(value: object) -> list[str]:
    if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
        raise field_error("tags", "tags: expected a list of labels.")
    return normalise_tags(_text("tags", tag) for tag in value)


def check_aliases(value: object) -> list[str]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise field_error("aliases", "aliases: expected a list of names.")
    names = [" ".join(_text("aliases", name).split())[:TITLE_MAX] for name in value]
    return list(dict.fromkeys(name for name in names if name))


def check_kind(value: object) -> str:
    if value not in NoteKind.values:
        raise field_error("kind", f"kind: “{value}” is unknown. Use one of: {', '.join(NoteKind.values)}.")
    return str(value)


def check_front_matter(value: object) -> str:
    text = _text("front_matter", value)
    if len(text.encode()) > settings.NOTE_BODY_MAX_BYTES:
        raise TooLarge("PAYLOAD_TOO_LARGE", "front_matter: larger than a note may be.", {"field": "front_matter"})
    if text and split(text) != (text, ""):
        # Anything else would come back from an archive as a part of the body.
        raise field_error(
            "front_matter", "front_matter: not a YAML block. Begin with a line --- and end with one, nothing behind it."
        )
    return text


CHECKS: dict[str, Callable[[object], Any]] = {
    "path": check_path,
    "title": check_title,
    "body": check_body,
    "front_matter": check_front_matter,
    "tags": check_tags,
    "aliases": check_aliases,
    "kind": check_kind,
}
