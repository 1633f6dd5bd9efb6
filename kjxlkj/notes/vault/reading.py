"""From files to entries."""

import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from kjxlkj.notes.front_matter.reading import MAX_BLOCK, split
from kjxlkj.notes.vault.archive import DAMAGE, Budget, files_of_archive
from kjxlkj.notes.vault.entries import (
    MIB,
    AttachmentFile,
    Entry,
    EntryFault,
    Found,
    Limits,
    NoteFile,
    Refused,
    Shape,
    Skipped,
    VaultError,
    checked_path,
    shown,
)
from kjxlkj.notes.vault.folder import files_of_folder, open_file
from kjxlkj.notes.vault.parts import with_parts

MANIFEST = "manifest.json"
MAX_MANIFEST = 256 * MIB
_MAX_BLOCK_BYTES = 4 * MAX_BLOCK + 64
"""A block's limit is in characters; its opening and closing lines come on top."""

_MAX_PEEKED = 64 * 1024
_MAX_PEEKED_ALL = 64 * MIB

Records = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Contents:
    """A vault at a glance."""

    names: list[str]
    """Of all files, those that are left out or refused too, in the order of reading."""
    texts: Mapping[str, str]
    is_export: bool
    """Whether it bears a manifest of our own."""
    refused: frozenset[str] = frozenset()
    """Names of what cannot be read at all."""


def read_vault(path: Path, limits: Limits | None = None, shape: Shape | None = None) -> Iterator[Entry]:
    """The notes and attachments of a folder or zip. Raises VaultError, at once, where there is neither.

    Names are kept as they are, a single folder at the top too. Where our own export left a manifest, entries bear
    the path that it says they had before the export, and the manifest is not one of them.
    """
    limits, shape = limits or Limits(), shape or Shape()
    archive = _opened(path, limits)
    return _entries(path, archive, limits, shape)


def look_into(
    path: Path, wanted: Callable[[str], bool], limits: Limits | None = None, shape: Shape | None = None
) -> Contents:
    """What there is, by its paths alone, and the text of the few small files that are `wanted`.

    Raises VaultError as `read_vault` does.
    """
    limits, shape = limits or Limits(), shape or Shape()
    names, texts, refused, is_export, left = [], {}, set(), False, _MAX_PEEKED_ALL
    with _files(path, _opened(path, limits), limits, shape) as files:
        for file in files:
            names.append(file.path)
            if isinstance(file, Refused):
                refused.add(file.path)
            elif isinstance(file, Found) and file.path == MANIFEST:
                is_export = _records(file) is not None
            elif isinstance(file, Found) and left > 0 and wanted(file.path):
                texts[file.path] = _peeked(file)
                left -= len(texts[file.path])
    return Contents(names, texts, is_export, frozenset(refused))


def _peeked(file: Found) -> str:
    try:
        with file.open() as stream:
            return stream.read(_MAX_PEEKED).decode(errors="replace")
    except (EntryFault, OSError):
        return ""


def _opened(path: Path, limits: Limits) -> zipfile.ZipFile | None:
    """The archive at the path; None where it is a folder."""
    if path.is_dir():
        try:
            os.scandir(path).close()
        except OSError as fault:
            raise VaultError("VAULT_UNREADABLE", f"{path} cannot be listed. Mend its permissions.") from fault
        return None
    if not path.exists():
        raise VaultError("VAULT_NOT_FOUND", f"There is nothing at {path}. Give the path of a folder or a zip.")
    try:
        archive = zipfile.ZipFile(path)
    except PermissionError as fault:
        raise VaultError("VAULT_UNREADABLE", f"{path} cannot be read. Mend its permissions.") from fault
    except (*DAMAGE, NotImplementedError) as fault:
        raise VaultError(
            "VAULT_NOT_A_ZIP", f"{path} is neither a folder nor a whole zip ({fault}). Pack it again as a zip."
        ) from fault
    count = len(archive.infolist())
    if count > limits.entries:
        archive.close()
        raise VaultError("VAULT_TOO_LARGE", f"{path} holds {count} entries; the limit is {limits.entries}. Split it.")
    return archive


@contextmanager
def _files(
    path: Path, archive: zipfile.ZipFile | None, limits: Limits, shape: Shape
) -> Iterator[Iterator[Found | Refused | Skipped]]:
    if archive is None:
        yield with_parts(files_of_folder(path, limits), shape.is_part, None, limits)
        return
    with archive:
        budget = Budget(path.stat().st_size, limits)
        yield with_parts(files_of_archive(archive, budget, limits), shape.is_part, budget, limits)


def _entries(path: Path, archive: zipfile.ZipFile | None, limits: Limits, shape: Shape) -> Iterator[Entry]:
    """`records` is None where there is no manifest of ours."""
    records = _records(_manifest(path, archive, limits))
    given: set[tuple[type[Entry], str]] = set()
    with _files(path, archive, limits, shape) as files:
        for file in files:
            if not isinstance(file, Found):
                yield file
            elif records is None or file.path != MANIFEST:
                entry = _taken(file, (records or {}).get(file.path, {}), limits, shape, check=archive is not None)
                # A note and a file beside it may bear one path: the archive has them under two.
                name = (type(entry), entry.path)
                if not isinstance(entry, Refused) and name in given:
                    reason = f"The manifest gives {entry.path} to two files."
                    entry = Refused(shown(file.path), "DUPLICATE_NAME", reason)
                given.add(name)
                yield entry


def _manifest(path: Path, archive: zipfile.ZipFile | None, limits: Limits) -> Found | None:
    if archive is not None:
        files = files_of_archive(archive, Budget(path.stat().st_size, limits), limits)
        return next((file for file in files if isinstance(file, Found) and file.path == MANIFEST), None)
    manifest = path / MANIFEST
    is_there = manifest.is_file() and not manifest.is_symlink()
    return Found(MANIFEST, manifest.stat().st_size, partial(open_file, str(manifest))) if is_there else None


def _taken(
    file: Found, record: Mapping[str, Any], limits: Limits, shape: Shape, *, check: bool
) -> NoteFile | AttachmentFile | Refused:
    path = file.path
    try:
        original = record.get("original_path")
        path = checked_path(original if original and isinstance(original, str) else file.path, limits)
        if shape.is_note(file.path):
            return _note(path, file, record, limits)
        return _attachment(path, file, limits, check)
    except EntryFault as fault:
        return Refused(shown(path), fault.code, fault.reason)
    except OSError as fault:
        return Refused(shown(path), "UNREADABLE", f"It cannot be read: {fault.strerror}. Look at its disk.")


def _note(path: str, file: Found, record: Mapping[str, Any], limits: Limits) -> NoteFile:
    with file.open() as stream:
        data = stream.read(limits.note_bytes + _MAX_BLOCK_BYTES + 1)
    if len(data) > limits.note_bytes + _MAX_BLOCK_BYTES:
        raise _too_large("note", limits.note_bytes)
    text = _decoded(data)
    if len(data) > limits.note_bytes and len(split(text)[1].encode()) > limits.note_bytes:
        raise _too_large("note", limits.note_bytes)
    is_as_recorded = "sha256" in record and hashlib.sha256(data).hexdigest() == record["sha256"]
    if is_as_recorded or "id" not in record:
        return NoteFile(path, text, record if is_as_recorded else None)
    return NoteFile(path, text, {"id": record["id"]})


def _attachment(path: str, file: Found, limits: Limits, check: bool) -> AttachmentFile:
    """`check` reads it through: what an archive's header says is not known to be true before that."""
    if file.size > limits.attachment_bytes:
        raise _too_large("attachment", limits.attachment_bytes)
    if check:
        with file.open() as stream:
            while stream.read(MIB):
                pass
    return AttachmentFile(path, file.size, file.open)


def _decoded(data: bytes) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError as fault:
        looks = " (it looks like UTF-16)" if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else ""
        raise EntryFault("BAD_UTF8", f"It is not UTF-8 at byte {fault.start}{looks}. Save it as UTF-8.") from fault
    if "\0" in text:
        raise EntryFault("NUL", f"It holds a NUL character at byte {data.index(0)}. Remove it, or save it as UTF-8.")
    return text


def _too_large(kind: str, limit: int) -> EntryFault:
    return EntryFault("TOO_LARGE", f"It is larger than the limit for a {kind}, {limit:,} bytes. Split it.")


def _records(manifest: Found | None) -> Records | None:
    """What an export of ours recorded, by path in the archive; None where the file is somebody else's."""
    if manifest is None or manifest.size > MAX_MANIFEST:
        return None
    try:
        with manifest.open() as stream:
            data = json.load(stream)
        if not isinstance(data, dict) or "kjxlkj" not in data:
            return None
        files = data.get("files")
        return {file["path"]: file for file in files} if isinstance(files, list) else {}
    except (EntryFault, OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
