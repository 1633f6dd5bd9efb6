"""A workspace's notes and attachments as one archive of files: one snapshot of the database, streamed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import IO, Any, NamedTuple
from uuid import UUID

from django.db import connection, transaction

from exports.archive import ArchiveWriter, Wanted, export_paths
from kjxlkj.errors import NotFound
from kjxlkj.notes.attachments import CHUNK_BYTES
from kjxlkj.notes.files import file_of
from kjxlkj.notes.filters import condition_q
from kjxlkj.notes.models import Attachment, Note, NoteKind
from kjxlkj.workspaces.models import Workspace

# Files whose texts are in memory at the same time.
_BATCH = 100
_COLUMNS = ("id", "version", "kind", "path", "title", "body", "front_matter", "tags", "aliases", "metadata")


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


def write_archive(
    target: IO[bytes],
    workspace: Workspace,
    condition: Mapping[str, Any],
    on_progress: Callable[[int, int], object] = lambda done, total: None,
) -> Summary:
    """Write the live notes that meet `condition`, and all attachments, as they are at one moment.

    The same state gives the same bytes. `on_progress(done, total)` is called between notes and may raise.
    Raises `ConditionInvalid`, `NotFound` ATTACHMENT_CONTENT_MISSING.
    """
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            # However long it takes while others write; and nothing here could write.
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        return _Export(workspace, condition).write(target, on_progress)


class _File(NamedTuple):
    """What `ArchiveWriter.add` takes."""

    path: str
    content: bytes | Iterator[bytes]
    record: Mapping[str, Any]


class _Export:
    def __init__(self, workspace: Workspace, condition: Mapping[str, Any]) -> None:
        self._workspace = workspace
        self._notes = Note.objects.live().filter(condition_q(condition), workspace=workspace)
        self._attachments = Attachment.objects.live().filter(workspace=workspace)
        self._summary = Summary()

    def write(self, target: IO[bytes], on_progress: Callable[[int, int], object]) -> Summary:
        order = self._order()
        about = {"tool": f"kjxlkj {_version()}", "workspace": self._workspace.slug}
        with ArchiveWriter(target, about) as archive:
            for start in range(0, len(order), _BATCH):
                on_progress(start, len(order))
                for file in self._files(order[start : start + _BATCH]):
                    archive.add(*file)
        on_progress(len(order), len(order))
        return self._summary

    def _order(self) -> list[tuple[str, UUID]]:
        """Where each note and attachment goes, in the order of the archive: names alone, no texts."""
        wanted = [Wanted(str(key), path, title) for key, path, title in self._notes.values_list("id", "path", "title")]
        wanted += (Wanted(str(key), path, is_note=False) for key, path in self._attachments.values_list("id", "path"))
        paths = export_paths(wanted)
        return sorted((path, UUID(key)) for key, path in paths.items())

    def _files(self, batch: Sequence[tuple[str, UUID]]) -> list[_File]:
        ids = [key for _, key in batch]
        notes = {row.id: row for row in self._notes.filter(id__in=ids).values_list(*_COLUMNS, named=True)}
        attachments = self._attachments.in_bulk([key for key in ids if key not in notes])
        return [
            self._note(path, notes[key]) if key in notes else self._attachment(path, attachments[key])
            for path, key in batch
        ]

    def _note(self, path: str, note: Any) -> _File:
        text, untold = file_of(note)
        record: dict[str, Any] = {"id": str(note.id), "version": note.version, **untold}
        if path != note.path:
            record["original_path"] = note.path
        if note.kind != NoteKind.MARKDOWN:
            record["kind"] = note.kind
        self._summary.notes += 1
        self._summary.edited += text != note.front_matter + note.body
        self._summary.told_by_manifest += bool(untold)
        return _File(path, text.encode(), record)

    def _attachment(self, path: str, attachment: Attachment) -> _File:
        self._summary.attachments += 1
        record = {"original_path": attachment.path} if path != attachment.path else {}
        return _File(path, _pieces(attachment), record)


def _pieces(attachment: Attachment) -> Iterator[bytes]:
    try:
        file = attachment.file.open("rb")
    except FileNotFoundError as error:
        raise NotFound(
            "ATTACHMENT_CONTENT_MISSING",
            f"The content of {attachment.path} is missing from the storage. Import it again, or delete it.",
        ) from error
    with file:
        while piece := file.read(CHUNK_BYTES):
            yield piece


def _version() -> str:
    try:
        return version("kjxlkj")
    except PackageNotFoundError:
        return "0"
