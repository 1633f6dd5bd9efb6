"""Writing an archive of Markdown that is the same to the byte for the same notes, and unpacks on every system."""

import hashlib
import json
import re
import shutil
import tempfile
import unicodedata
import zipfile
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import IO, Any, NamedTuple, Self

from kjxlkj.notes.vault import is_note, is_skipped

SCHEMA = 1
MANIFEST = "manifest.json"

_LEVEL = 6
_TIME = (1980, 1, 1, 0, 0, 0)
"""The earliest that a zip can hold: when a note was written is in the manifest, not in the bytes of its entry."""
_MODE = 0o100644 << 16
_SPOOL = 1024 * 1024

_NAME_BYTES = 255
_MARK_BYTES = 16
"""Room for what tells colliding names apart."""
_ILLEGAL = re.compile(r'[<>:"|?*\\\x00-\x1f\x7f]')
_RESERVED = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])\s*(?:\.|\Z)", re.IGNORECASE)
_TITLE_CHARACTERS = 80


class Wanted(NamedTuple):
    """A file that is to be in an archive, under the path that it has in its workspace (which may be empty)."""

    key: str
    path: str
    title: str = ""
    is_note: bool = True


class ArchiveWriter:
    """A zip with a manifest as its last entry. Entries come in the order of their paths.

    Left by an exception, it writes no manifest and no directory: what is there then is not a zip.
    """

    def __init__(self, target: IO[bytes], about: Mapping[str, Any] | None = None) -> None:
        """`about` stands at the head of the manifest; a time in it would make every archive another one."""
        self._zip = zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL)
        self._about = dict(about or {})
        self._records = tempfile.SpooledTemporaryFile(_SPOOL)  # noqa: SIM115  # closed by __exit__
        self._last = ""
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with self._records:
                if kind is None:
                    self._write_manifest()
                    self._zip.close()
        finally:
            self._zip.fp = None  # else its finaliser writes a directory, and what is torn looks whole

    def add(self, path: str, content: bytes | Iterable[bytes], record: Mapping[str, Any] | None = None) -> str:
        """The sha256 of the content. `record` joins path, size and sha256 in the manifest.

        Raises ValueError for a path that is not behind the one before it.
        """
        if path <= self._last:
            raise ValueError(f"{path!r} must come before {self._last!r}")
        self._last = path
        size, digest = self._write(path, content)
        line = {**(record or {}), "path": path, "sha256": digest, "size": size}
        self._records.write(b",\n" if self._count else b"\n")
        self._records.write(_json(line).encode())
        self._count += 1
        return digest

    def _write(self, path: str, content: bytes | Iterable[bytes]) -> tuple[int, str]:
        info = _entry(path)
        if isinstance(content, bytes):
            self._zip.writestr(info, content, compresslevel=_LEVEL)
            return len(content), hashlib.sha256(content).hexdigest()
        size, digest = 0, hashlib.sha256()
        with self._zip.open(info, "w", force_zip64=True) as entry:
            for chunk in content:
                size += len(chunk)
                digest.update(chunk)
                entry.write(chunk)
        return size, digest.hexdigest()

    def _write_manifest(self) -> None:
        head = _json({**self._about, "kjxlkj": SCHEMA, "count": self._count})
        self._records.seek(0)
        with self._zip.open(_entry(MANIFEST), "w", force_zip64=True) as entry:
            entry.write(f'{head[:-1]}, "files": ['.encode())
            shutil.copyfileobj(self._records, entry, _SPOOL)
            entry.write(b"\n]}\n")


def export_paths(files: Iterable[Wanted]) -> dict[str, str]:
    """The path in the archive of each key: different ones even where case and Unicode form do not count.

    A path that every system allows and that nothing collides with stays as it is. Of those that collide the first
    in the order of code points keeps its name; the others are marked with a digest of their own path, so that
    neither the order of the files nor their ids matter.
    """
    candidates = sorted((_candidate(file), file.path, file.key) for file in files)
    candidates.sort(key=lambda candidate: candidate[0] != candidate[1])
    folders = {folder for path, _, _ in candidates for folder in _folders(_fold(path))}
    taken = {_fold(MANIFEST)}
    paths: dict[str, str] = {}
    for candidate, path, key in candidates:
        name, attempt = candidate, 0
        while (folded := _fold(name)) in taken or folded in folders:
            name = _marked_path(candidate, f"{path}\0{attempt}" if attempt else path)
            attempt += 1
        taken.add(folded)
        paths[key] = name
    return paths


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _entry(path: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(path, _TIME)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.create_system = 3  # Unix, wherever it is written
    info.external_attr = _MODE
    return info


def _candidate(file: Wanted) -> str:
    path = file.path or _path_of_title(file.title, file.key)
    if file.is_note and not is_note(path):
        path += ".md"
    return "/".join(_legal(name, file.is_note) for name in path.split("/"))


def _path_of_title(title: str, key: str) -> str:
    words = " ".join(_ILLEGAL.sub(" ", title).replace("/", " ").split())
    return f"{words[:_TITLE_CHARACTERS].strip(' .~_') or 'note'} {key[-12:]}.md"


def _legal(name: str, in_note_path: bool) -> str:
    """The name, if Linux, macOS, Windows and our own import all take it; else a legal one marked as made from it."""
    legal = _ILLEGAL.sub("_", name)
    if legal != legal.rstrip(" .") or not legal:
        legal = legal.rstrip(" .") + "_"
    if _RESERVED.match(legal) or is_skipped(f"{legal}/x{'.md' if in_note_path else ''}"):
        legal = f"_{legal}"
    return name if legal == name and len(name.encode()) <= _NAME_BYTES else _marked(legal, name)


def _marked(name: str, origin: str) -> str:
    """`name` with a digest of `origin` before its extension, cut where it would be too long."""
    stem, dot, extension = name.rpartition(".")
    if not dot or len(extension.encode()) > _MARK_BYTES:
        stem, dot, extension = name, "", ""
    room = _NAME_BYTES - _MARK_BYTES - len(extension.encode())
    stem = stem.encode()[:room].decode(errors="ignore").rstrip(" .")
    return f"{stem}~{hashlib.sha256(origin.encode()).hexdigest()[:8]}{dot}{extension}"


def _marked_path(path: str, origin: str) -> str:
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}{_marked(name, origin)}"


def _fold(path: str) -> str:
    """Equal for paths that a file system without regard to case or Unicode form takes for one."""
    if path.isascii():
        return path.lower()
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", path).casefold())


def _folders(path: str) -> Iterable[str]:
    while path := path.rpartition("/")[0]:
        yield path
