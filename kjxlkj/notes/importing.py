"""A vault comes in: what its files say becomes what the notes say, and nothing is written that is so already.

A file is about the live note that has its path. Only where there is none, and the file comes from our own export,
does the id in the manifest tell (a note without a path was given one for the archive).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from kjxlkj.errors import DomainError, Invalid
from kjxlkj.notes.attachments import Content, content_of, delete_attachments, save_attachments, store
from kjxlkj.notes.batches import batches
from kjxlkj.notes.cause import Cause
from kjxlkj.notes.checks import check_path
from kjxlkj.notes.dead_links import dead_links
from kjxlkj.notes.files import read_file
from kjxlkj.notes.import_report import ImportReport
from kjxlkj.notes.imported_file import ImportedFile
from kjxlkj.notes.models import Attachment, CauseKind, Note
from kjxlkj.notes.services import NewNote, NoteChange, change_notes, create_notes
from kjxlkj.notes.sources import AUTO, Lost, Source, recognised, source_named, wanted
from kjxlkj.notes.vault import (
    AttachmentFile,
    Entry,
    EntryFault,
    Limits,
    NoteFile,
    Refused,
    Skipped,
    look_into,
    read_vault,
)
from kjxlkj.workspaces.models import User, Workspace
from kjxlkj.workspaces.roles import Right, require

# Large enough that a transaction's own cost is not seen, small enough that its texts are not seen in the memory.
CHUNK = 500
CHUNK_CHARACTERS = 16 * 1024 * 1024

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _ReadAttachment:
    path: str
    content: Content


_Read = ImportedFile | _ReadAttachment | Refused | Skipped | Lost


def import_vault(
    workspace: Workspace,
    path: Path,
    *,
    actor: User,
    source: str = AUTO,
    delete_missing: bool = False,
    dry_run: bool = False,
    on_progress: Callable[[int], object] = lambda count: None,
) -> ImportReport:
    """Bring the folder or zip at `path` into the workspace. Whole chunks of files commit one after another.

    `source` names what it is (`notes.sources`), or has it recognised. `on_progress` is told how many more files are
    done. Raises `Invalid` SOURCE_UNKNOWN, VAULT_INCOMPLETE and `VaultError` before anything is written, and
    errors of `roles.require`. What cannot be taken is in the report, and stops nothing else.
    """
    require(actor, workspace, Right.MANAGE)
    limits = Limits(note_bytes=settings.NOTE_BODY_MAX_BYTES, attachment_bytes=settings.ATTACHMENT_MAX_BYTES)
    work = _Import(workspace, Cause(CauseKind.IMPORT, actor, reason=f"import of {path.name}"), dry_run)
    entries = work.entries(path, source_named(source), limits)
    if delete_missing:
        work.check_whole()
    read = map(work.read, entries)
    for chunk in batches(read, most=CHUNK, room=CHUNK_CHARACTERS, weight=_length):
        work.take(chunk)
        on_progress(len(chunk))
    if delete_missing:
        work.delete_missing()
    work.tell_dead_links()
    return work.report


class _Import:
    def __init__(self, workspace: Workspace, cause: Cause, dry_run: bool) -> None:
        self.report = ImportReport()
        self._workspace = workspace
        self._cause = cause
        self._dry_run = dry_run
        self._paths: set[str] = set()
        self._refused: set[str] = set()
        self._ids: set[UUID] = set()
        self._parts_refused: list[str] = []

    def entries(self, path: Path, source: Source | None, limits: Limits) -> Iterator[Entry | Lost]:
        """What the source makes of the vault's files; None has it recognised."""
        contents = look_into(path, wanted, limits)
        sign = ""
        if source is None:
            source, sign = recognised(contents)
        self.report.source, self.report.sign = source, sign
        if any(source.shape.is_part(name) for name in contents.names):
            contents = look_into(path, wanted, limits, source.shape)
        self._parts_refused = sorted(filter(source.shape.is_part, contents.refused))
        return source.carry(contents, read_vault(path, limits, source.shape))

    def check_whole(self) -> None:
        """Raises `Invalid` VAULT_INCOMPLETE: which files a part would have held cannot be told."""
        if self._parts_refused:
            raise Invalid(
                "VAULT_INCOMPLETE",
                f"A part could not be read: nothing is deleted. Export {', '.join(self._parts_refused)} again, or "
                "import without deleting what has no file.",
            )

    def read(self, entry: Entry | Lost) -> _Read:
        """All that needs the file: an attachment's is open until the next one only."""
        if isinstance(entry, Skipped | Lost):
            return entry
        # A file that cannot be taken is there nevertheless: its note is not one without a file.
        self._paths.add(entry.path)
        if isinstance(entry, Refused):
            self._refused.add(entry.path)
            return entry
        try:
            check_path(entry.path)
            if isinstance(entry, NoteFile):
                return ImportedFile(entry.path, entry.text, read_file(entry.path, entry.text), entry.recorded or {})
            return self._read_attachment(entry)
        except DomainError as error:
            return Refused(entry.path, error.code, error.message)
        except EntryFault as fault:  # the file is another one than it was when it was found
            return Refused(entry.path, fault.code, fault.reason)
        except OSError as error:
            return Refused(entry.path, "UNREADABLE", f"It cannot be read or stored: {error.strerror}.")

    def _read_attachment(self, entry: AttachmentFile) -> _ReadAttachment:
        content = content_of(entry.open)
        if not self._dry_run:
            content = store(content, entry.open)
        if content.size > settings.ATTACHMENT_MAX_BYTES:
            reason = f"It has grown over the limit for an attachment, {settings.ATTACHMENT_MAX_BYTES:,} bytes."
            raise EntryFault("TOO_LARGE", reason)
        return _ReadAttachment(entry.path, content)

    def take(self, chunk: Sequence[_Read]) -> None:
        """Write what differs of one chunk of files."""
        self.report.skipped += sum(isinstance(read, Skipped) for read in chunk)
        self.report.refused += (read for read in chunk if isinstance(read, Refused))
        self.report.lost += (read for read in chunk if isinstance(read, Lost))
        self._take_notes([read for read in chunk if isinstance(read, ImportedFile)])
        self._take_attachments([read for read in chunk if isinstance(read, _ReadAttachment)])

    def _take_notes(self, reads: Sequence[ImportedFile]) -> None:
        present = self._present(reads)
        created: list[tuple[str, NewNote]] = []
        changed: list[tuple[str, NoteChange]] = []
        for read in reads:
            self.report.warnings += ((read.path, warning) for warning in read.said.warnings)
            note = present.get(read.path)
            try:
                if note is None:
                    created.append((read.path, read.new_note()))
                elif values := read.differing(note):
                    changed.append((read.path, NoteChange(note.id, note.version, values)))
                else:
                    self.report.unchanged += 1
            except DomainError as error:
                self.report.refused.append(Refused(read.path, error.code, error.message))
        self.report.changed += self._write(changed, self._change)
        self.report.created += self._write(created, self._create)

    def _present(self, reads: Sequence[ImportedFile]) -> dict[str, Note]:
        """The live notes that the files are about, by the files' paths.

        An archive of ours tells ids too, but they count for notes without a path alone: where a note moved, its former
        path may be another note's by now, and one file would be written over what the other says.
        """
        live = Note.objects.live().filter(workspace=self._workspace)
        present = {note.path: note for note in live.filter(path__in=[read.path for read in reads])}
        ids = {read.recorded_id: read.path for read in reads if read.recorded and read.path not in present}
        if ids:
            pathless = live.filter(id__in=ids.keys() - {None}, path="")
            present.update((ids[note.id], note) for note in pathless)
        self._ids.update(note.id for note in present.values())
        return present

    def _create(self, news: Sequence[NewNote]) -> object:
        return create_notes(self._workspace, news, cause=self._cause)

    def _change(self, changes: Sequence[NoteChange]) -> object:
        return change_notes(self._workspace.id, changes, cause=self._cause)

    def _write(self, items: Sequence[tuple[str, T]], write: Callable[[Sequence[T]], object]) -> int:
        """Write them all; where one is refused (somebody was quicker), halve until it stands alone and is told of."""
        if self._dry_run or not items:
            return len(items)
        try:
            write([item for _, item in items])
        except DomainError as error:
            if len(items) > 1:
                middle = len(items) // 2
                return self._write(items[:middle], write) + self._write(items[middle:], write)
            self.report.refused.append(Refused(items[0][0], error.code, error.message))
            return 0
        return len(items)

    def _take_attachments(self, reads: Sequence[_ReadAttachment]) -> None:
        live = Attachment.objects.live().filter(workspace=self._workspace, path__in=[read.path for read in reads])
        present = dict(live.values_list("path", "sha256"))
        differing = [(read.path, read.content) for read in reads if present.get(read.path) != read.content.sha256]
        if not self._dry_run:
            save_attachments(self._workspace.id, differing)
        self.report.attachments_stored += len(differing)
        self.report.attachments_unchanged += len(reads) - len(differing)

    def delete_missing(self) -> None:
        """Notes that have a path which no file has any more, and attachments likewise."""
        if not self._paths:
            raise Invalid("VAULT_EMPTY", "There is no file at all: nothing is deleted. Check the path.")
        notes = Note.objects.live().filter(workspace=self._workspace).exclude(path="")
        now = timezone.now()
        missing = [
            (path, NoteChange(note_id, version, {"deleted_at": now}))
            for note_id, path, version in notes.values_list("id", "path", "version")
            if not self._has_file(path) and note_id not in self._ids
        ]
        for chunk in batches(missing, most=CHUNK, room=0, weight=lambda item: 0):
            self.report.deleted += self._write(chunk, self._change)
        files = Attachment.objects.live().filter(workspace=self._workspace).values_list("id", "path")
        unseen = [attachment_id for attachment_id, path in files if not self._has_file(path)]
        if not self._dry_run:
            delete_attachments(self._workspace.id, unseen)
        self.report.attachments_deleted += len(unseen)

    def _has_file(self, path: str) -> bool:
        """Or may have one: what is in a folder that could not be read is not known."""
        if path in self._paths:
            return True
        while self._refused and (path := path.rpartition("/")[0]):
            if path in self._refused:
                return True
        return False

    def tell_dead_links(self) -> None:
        """What the notes of these files link to and nothing is. A dry run cannot know."""
        if not self._dry_run:
            self.report.lost += dead_links(self._workspace.id, self._paths)


def _length(read: _Read) -> int:
    return len(read.text) if isinstance(read, ImportedFile) else 0
