"""What goes out: which files there are to be, in which order, and what is in them. Reads, and writes nothing."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from struct import Struct
from typing import Any, NamedTuple, TypeVar, cast
from uuid import UUID

from django.db import connection
from django.db.models import BigIntegerField, Case, F, Func, IntegerField, Value, When
from django.db.models.functions import Least

from exports.paths import Wanted, export_paths
from kjxlkj.errors import Conflict, NotFound
from kjxlkj.notes.attachments import CHUNK_BYTES
from kjxlkj.notes.batches import batches
from kjxlkj.notes.files import file_of
from kjxlkj.notes.filters import condition_q
from kjxlkj.notes.models import Attachment, Note, NoteKind
from kjxlkj.storing import storage_faults
from kjxlkj.workspaces.models import Workspace

# Files whose texts are in memory at the same time, and how much of text that may be.
BATCH = 100
_UNIT = 64 * 1024
_BATCH_UNITS = 8 * 1024 * 1024 // _UNIT
# By hand: what Django does for each id of a list takes longer than to pack its note.
_TEXTS = """
SELECT id, path, title, body, front_matter, tags, aliases, metadata, kind FROM notes_note WHERE id = ANY(%s)
"""
_CHANGED = Func(
    F("updated_at"),
    template="(EXTRACT(epoch FROM %(expressions)s) * 1000000)::bigint",
    output_field=BigIntegerField(),
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SOURCE = Struct("<16sqIB")
# Told without reading the texts. A byte is enough, and more would not be small.
_WEIGHT = Least(
    (Func(F("body"), function="octet_length") + Func(F("front_matter"), function="octet_length")) / _UNIT,
    255,
    output_field=IntegerField(),
)
# The title names the file of a note without a path; the others need not come along.
_NAME = Case(When(path="", then=F("title")), default=Value(""))


@dataclass(slots=True)
class Summary:
    notes: int = 0
    attachments: int = 0
    edited: int = 0
    """Notes whose front matter had to be changed from what was imported."""
    told_by_manifest: int = 0
    """Notes with a title, tags or aliases that their front matter cannot carry."""

    def as_json(self) -> dict[str, int]:
        return asdict(self)


class Source(NamedTuple):
    """A note or attachment, as it stands in the snapshot."""

    id: bytes
    changed: int
    """Microseconds since 1970."""
    version: int = 0
    """Of a note."""
    sha256: str = ""
    """Of an attachment: a note has none before its text is made."""
    weight: int = 0
    """Of a note's text, in units of 64 KiB."""

    def packed(self) -> bytes:
        return _SOURCE.pack(self.id, self.changed, self.version, self.weight) + bytes.fromhex(self.sha256)

    @property
    def updated_at(self) -> str:
        return (_EPOCH + timedelta(microseconds=self.changed)).isoformat()


class Planned(NamedTuple):
    path: str
    packed: bytes
    """The source: a quarter of the memory, and a plan is all that grows with the number of notes."""

    @property
    def source(self) -> Source:
        key, changed, version, weight = _SOURCE.unpack_from(self.packed)
        return Source(key, changed, version, self.packed[_SOURCE.size :].hex(), weight)

    @property
    def weight(self) -> int:
        return self.packed[_SOURCE.size - 1]


T = TypeVar("T")


def in_batches(items: Iterable[T], weight: Callable[[T], int] = attrgetter("weight")) -> Iterator[list[T]]:
    """As many as may have their texts in memory at the same time."""
    return batches(items, most=BATCH, room=_BATCH_UNITS, weight=weight)


class File(NamedTuple):
    path: str
    content: bytes | Iterator[bytes]
    record: Mapping[str, Any]
    """What the manifest says beside path, size and sha256."""

    def pieces(self) -> Iterable[bytes]:
        return [self.content] if isinstance(self.content, bytes) else self.content

    def sha256(self) -> str:
        """Reads an attachment through."""
        digest = hashlib.sha256()
        for piece in self.pieces():
            digest.update(piece)
        return digest.hexdigest()


class Contents:
    """Of one transaction; raises `ConditionInvalid` for a filter that is none."""

    def __init__(self, workspace: Workspace, condition: Mapping[str, Any]) -> None:
        self.summary = Summary()
        self._notes = Note.objects.live().filter(condition_q(condition), workspace=workspace).order_by()
        self._attachments = Attachment.objects.live().filter(workspace=workspace).order_by()

    def plan(self) -> list[Planned]:
        """All files in the order of their paths: names alone, no texts."""
        plan = export_paths(self.wanted())
        for number, (path, packed) in enumerate(plan):
            plan[number] = Planned(path, packed)  # in place: twice the names would not be small
        return cast("list[Planned]", plan)

    def wanted(self) -> Iterator[Wanted]:
        for key, changed, version, path, title, weight in self._notes.values_list(
            "id", _CHANGED, "version", "path", _NAME, _WEIGHT
        ).iterator():
            source = Source(key.bytes, changed, version, weight=weight)
            yield Wanted(source.packed(), path, title, "" if path else str(key))
        for key, changed, sha256, path in self._attachments.values_list("id", _CHANGED, "sha256", "path").iterator():
            yield Wanted(Source(key.bytes, changed, sha256=sha256).packed(), path, is_note=False)

    def files(self, batch: Sequence[Planned]) -> list[File]:
        sources = [planned.source for planned in batch]
        notes = _texts([UUID(bytes=source.id) for source in sources if source.version])
        attachments = Attachment.objects.in_bulk([UUID(bytes=source.id) for source in sources if not source.version])
        return [
            self._note(path, source, notes[UUID(bytes=source.id)])
            if source.version
            else self._attachment(path, attachments[UUID(bytes=source.id)])
            for (path, _), source in zip(batch, sources, strict=True)
        ]

    def _note(self, path: str, source: Source, note: "_Note") -> File:
        text, untold = file_of(note)
        record: dict[str, Any] = {
            "id": str(UUID(bytes=source.id)),
            "version": source.version,
            "updated_at": source.updated_at,
        }
        record |= untold
        if path != note.path:
            record["original_path"] = note.path
        if note.kind != NoteKind.MARKDOWN:
            record["kind"] = note.kind
        self.summary.notes += 1
        self.summary.edited += text != note.front_matter + note.body
        self.summary.told_by_manifest += bool(untold)
        return File(path, text.encode(), record)

    def _attachment(self, path: str, attachment: Attachment) -> File:
        self.summary.attachments += 1
        record = {"original_path": attachment.path} if path != attachment.path else {}
        return File(path, _pieces(attachment), record)


@dataclass(slots=True)
class _Note:
    path: str
    title: str
    body: str
    front_matter: str
    tags: list[str]
    aliases: list[str]
    metadata: dict[str, Any]
    kind: str


def _texts(ids: Sequence[UUID]) -> dict[UUID, _Note]:
    if not ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_TEXTS, [list(ids)])
        return {
            key: _Note(path, title, body, front_matter, tags, aliases, json.loads(metadata), kind)
            for key, path, title, body, front_matter, tags, aliases, metadata, kind in cursor.fetchall()
        }


def _pieces(attachment: Attachment) -> Iterator[bytes]:
    """Raises `NotFound` ATTACHMENT_CONTENT_MISSING, `StorageFault`; after the last one `Conflict`
    ATTACHMENT_CONTENT_DAMAGED."""
    digest = hashlib.sha256()
    try:
        with storage_faults(), attachment.file.open("rb") as file:
            while piece := file.read(CHUNK_BYTES):
                digest.update(piece)
                yield piece
    except FileNotFoundError as error:
        raise NotFound(
            "ATTACHMENT_CONTENT_MISSING",
            f"The content of {attachment.path} is missing from the storage. Import it again, or delete it.",
        ) from error
    if digest.hexdigest() != attachment.sha256:
        raise Conflict(
            "ATTACHMENT_CONTENT_DAMAGED",
            f"The content of {attachment.path} is damaged in the storage. Remove {attachment.file.name} from there and "
            "import the file again, or delete the attachment.",
        )
