"""Writing an archive of Markdown that is the same to the byte for the same notes, and unpacks on every system."""

import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import IO, Any, Self

from exports.manifest import END, MANIFEST, Records, head
from exports.zipping import ZipStream

_SPOOL = 1024 * 1024


class ArchiveWriter:
    """A zip with a manifest as its last entry. Entries come in the order of their paths.

    Left by an exception, it writes no manifest and no directory: what is there then is not a zip.
    """

    def __init__(self, target: IO[bytes], about: Mapping[str, Any] | None = None) -> None:
        """`about` stands at the head of the manifest; a time in it would make every archive another one."""
        self._zip = ZipStream(target)
        self._about = dict(about or {})
        self._spool = tempfile.SpooledTemporaryFile(_SPOOL)  # noqa: SIM115  # closed by __exit__
        self._records = Records(self._spool)
        self._last = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._spool, self._zip:
            if kind is None:
                self._zip.add_pieces(MANIFEST, self._manifest())
                self._zip.write_directory()

    def add(self, path: str, content: bytes | Iterable[bytes], record: Mapping[str, Any] | None = None) -> str:
        """The sha256 of the content. `record` joins path, size and sha256 in the manifest.

        Raises ValueError for a path that is not behind the one before it.
        """
        if path <= self._last:
            raise ValueError(f"{path!r} must come before {self._last!r}")
        self._last = path
        if isinstance(content, bytes):
            self._zip.add(path, content)
            size, digest = len(content), hashlib.sha256(content).hexdigest()
        else:
            seen = _Seen(content)
            self._zip.add_pieces(path, seen)
            size, digest = seen.size, seen.sha256.hexdigest()
        self._records.add({**(record or {}), "path": path, "sha256": digest, "size": size})
        return digest

    def _manifest(self) -> Iterator[bytes]:
        self._spool.seek(0)
        yield head(self._about, self._records.count)
        while piece := self._spool.read(_SPOOL):
            yield piece
        yield END


class _Seen:
    """Pieces, with the size and digest of what has passed."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.size = 0
        self.sha256 = hashlib.sha256()
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self.size += len(piece)
            self.sha256.update(piece)
            yield piece
