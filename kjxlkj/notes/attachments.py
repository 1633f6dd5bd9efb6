"""The files beside the notes. Their content lies once in the storage, under its own sha256."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO
from uuid import UUID

from django.core.files.storage import default_storage
from django.db import transaction
from django.utils import timezone

from kjxlkj.notes.index import lock_links, reindex_attachments
from kjxlkj.notes.markdown import attachment_keys
from kjxlkj.notes.models import Attachment
from kjxlkj.storing import keep, staged, storage_faults

CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Content:
    sha256: str
    size: int

    @property
    def name(self) -> str:
        """In the storage."""
        return f"attachments/{self.sha256[:2]}/{self.sha256}"


def content_of(open_file: Callable[[], BinaryIO]) -> Content:
    """Reads the file through."""
    with open_file() as file:
        return _digest(_pieces(file))


def store(content: Content, open_file: Callable[[], BinaryIO]) -> Content:
    """Have the content in the storage; call it outside of transactions. Returns what was read while storing.

    Raises `StorageFault`, and what opening and reading the file raises.
    """
    with storage_faults():
        if is_stored(content):
            return content
    with open_file() as source, storage_faults(), staged() as target:
        stored = _digest(_written(_pieces(source), target.write))
        keep(target, stored.name)
    return stored


def is_stored(content: Content) -> bool:
    """Whether the storage has it. A file of another size is damaged, and counts for none."""
    try:
        return default_storage.size(content.name) == content.size
    except FileNotFoundError:
        return False


@transaction.atomic
def save_attachments(workspace_id: UUID, contents: Sequence[tuple[str, Content]]) -> None:
    """Have the files (path and stored content) in the workspace, in place of what had their paths."""
    if not contents:
        return
    now = timezone.now()
    lock_links(workspace_id)
    Attachment.objects.bulk_create(
        [
            Attachment(
                workspace_id=workspace_id,
                path=path,
                sha256=content.sha256,
                size=content.size,
                file=content.name,
                keys=attachment_keys(path),
                created_at=now,
                updated_at=now,
            )
            for path, content in contents
        ],
        update_conflicts=True,
        unique_fields=["workspace", "path"],
        update_fields=["sha256", "size", "file", "keys", "updated_at", "deleted_at"],
    )
    reindex_attachments(workspace_id, [path for path, _ in contents])


@transaction.atomic
def delete_attachments(workspace_id: UUID, ids: Sequence[UUID]) -> None:
    """Softly: the next import of the same path brings the row back."""
    if not ids:
        return
    now = timezone.now()
    lock_links(workspace_id)
    gone = Attachment.objects.live().filter(workspace_id=workspace_id, id__in=ids)
    paths = list(gone.values_list("path", flat=True))
    gone.update(deleted_at=now, updated_at=now)
    reindex_attachments(workspace_id, paths)


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(CHUNK_BYTES):
        yield piece


def _written(pieces: Iterator[bytes], write: Callable[[bytes], int]) -> Iterator[bytes]:
    for piece in pieces:
        write(piece)
        yield piece


def _digest(pieces: Iterator[bytes]) -> Content:
    sha256, size = hashlib.sha256(), 0
    for piece in pieces:
        sha256.update(piece)
        size += len(piece)
    return Content(sha256.hexdigest(), size)
