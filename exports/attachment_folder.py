"""Attachments beside a backup: a folder of their contents, each once, under its sha256."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from django.core.files.storage import default_storage

from kjxlkj.errors import Invalid
from kjxlkj.notes.attachments import CHUNK_BYTES, Content, content_of, is_stored, store
from kjxlkj.notes.models import Attachment
from kjxlkj.storing import whole_file


def _contents() -> Iterator[tuple[Content, str]]:
    """Of every workspace, each once, with one of its paths."""
    live = Attachment.objects.live().order_by("sha256", "path").distinct("sha256")
    for sha256, size, path in live.values_list("sha256", "size", "path").iterator():
        yield Content(sha256, size), path


def _place(folder: Path, content: Content) -> Path:
    return folder / content.sha256[:2] / content.sha256


def copy_out(folder: Path) -> tuple[int, list[str]]:
    """Copy what the folder lacks. Returns how many were copied, and the paths of those that the storage lacks.

    Each is there whole or not at all: what was cut off goes on where it was.
    """
    copied, missing = 0, []
    for content, path in _contents():
        place = _place(folder, content)
        if place.exists() and place.stat().st_size == content.size:
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            with default_storage.open(content.name) as source, whole_file(place) as target:
                shutil.copyfileobj(source, target, CHUNK_BYTES)
        except FileNotFoundError:
            missing.append(path)
        else:
            copied += 1
    return copied, missing


def bring_back(folder: Path | None) -> tuple[int, list[str]]:
    """Store what the storage lacks and the folder has. Returns how many, and the paths of those that are nowhere.

    Raises `Invalid` ATTACHMENT_DAMAGED: the folder has another content than that which was backed up.
    """
    brought, missing = 0, []
    for content, path in _contents():
        if is_stored(content):
            continue
        place = folder and _place(folder, content)
        if place is None or not place.is_file():
            missing.append(path)
        else:
            _store(content, place)
            brought += 1
    return brought, missing


def _store(content: Content, place: Path) -> None:
    found = content_of(lambda: place.open("rb"))
    if found != content:
        raise Invalid(
            "ATTACHMENT_DAMAGED",
            f"{place} has {found.size:,} bytes with the sha256 {found.sha256}. Take it out of the folder, or put "
            "another copy in its place.",
        )
    store(content, lambda: place.open("rb"))
