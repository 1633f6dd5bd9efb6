"""Writing an archive of Markdown that is the same to the byte for the same notes, and unpacks on every system."""

import hashlib
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import IO, Any, Self

from exports.manifest import END, MANIFEST, Records, head

_LEVEL = 6
_TIME = (1980, 1, 1, 0, 0, 0)
"""The earliest that a zip can hold: when a note was written is in the manifest, not in the bytes of its entry."""
_MODE = 0o100644 << 16
_SPOOL = 1024 * 1024


class ArchiveWriter:
    """A zip with a manifest as its last entry. Entries come in the order of their paths.

    Left by an exception, it writes no manifest and no directory: what is there then is not a zip.
    """

    def __init__(self, target: IO[bytes], about: Mapping[str, Any] | None = None) -> None:
        """`about` stands at the head of the manifest; a time in it would make every archive another one."""
        self._zip = zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL)
        self._about = dict(about or {})
        self._spool = tempfile.SpooledTemporaryFile(_SPOOL)  # noqa: SIM115  # closed by __exit__
        self._records = Records(self._spool)
        self._last = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with self._spool:
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
        self._records.add({**(record or {}), "path": path, "sha256": digest, "size": size})
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
        self._spool.seek(0)
        with self._zip.open(_entry(MANIFEST), "w", force_zip64=True) as entry:
            entry.write(head(self._about, self._records.count))
            shutil.copyfileobj(self._spool, entry, _SPOOL)
            entry.write(END)


def _entry(path: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(path, _TIME)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.create_system = 3  # Unix, wherever it is written
    info.external_attr = _MODE
    return info
