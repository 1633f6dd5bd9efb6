"""The files of a folder that is exported into. A link is never followed, and what it leads to is never touched."""

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, Any

from kjxlkj.notes.attachments import CHUNK_BYTES

Record = Mapping[str, Any]


class Tree:
    """Paths are those of the manifest: relative, with `/` between names."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._prefix = f"{root}{os.sep}"
        self._blocked = cache(self._first_that_is_no_folder)

    def at(self, path: str) -> str:
        return self._prefix + path

    def status(self, path: str) -> os.stat_result | None:
        """Of what is there, a link itself included."""
        try:
            return os.lstat(self._prefix + path)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def is_file(self, path: str) -> bool:
        """A plain one, under a path without links."""
        status = None if self.blocked(path) else self.status(path)
        return status is not None and stat.S_ISREG(status.st_mode)

    def is_folder(self, path: str) -> bool:
        status = self.status(path)
        return status is not None and stat.S_ISDIR(status.st_mode)

    def blocked(self, path: str) -> str | None:
        """What stands where a folder of the path would have to be."""
        return self._blocked(path.rpartition("/")[0])

    def _first_that_is_no_folder(self, folder: str) -> str | None:
        end = 0
        while end < len(folder):
            end = folder.find("/", end + 1) if "/" in folder[end + 1 :] else len(folder)
            status = self.status(folder[:end])
            if status is None:
                return None
            if not stat.S_ISDIR(status.st_mode):
                return folder[:end]
        return None

    def sha256(self, path: str) -> str | None:
        """None where there is no plain file."""
        status = self.status(path)
        if status is None or not stat.S_ISREG(status.st_mode):
            return None
        with open(self._prefix + path, "rb") as file:
            digest = hashlib.sha256()
            while piece := file.read(CHUNK_BYTES):
                digest.update(piece)
        return digest.hexdigest()

    def holds(self, path: str, record: Record, status: os.stat_result | None, time: int) -> bool:
        """Whether the file is as recorded. It is read only where its time tells that somebody touched it."""
        if status is None or not stat.S_ISREG(status.st_mode) or status.st_size != record.get("size"):
            return False
        return status.st_mtime_ns == time or self.sha256(path) == record["sha256"]

    def set_time(self, path: str, time: int) -> None:
        os.utime(self._prefix + path, ns=(time, time))

    def new_file(self, path: str) -> IO[bytes]:
        """In the place of what is there. Where that is a link, of either kind, what it leads to stays as it is."""
        with suppress(FileNotFoundError):
            os.unlink(self._prefix + path)
        return open(self._prefix + path, "xb")

    def write(self, path: str, content: Iterable[bytes]) -> tuple[str, int]:
        """sha256 and size of what was written."""
        digest, size = hashlib.sha256(), 0
        with self.new_file(path) as file:
            for piece in content:
                digest.update(piece)
                size += file.write(piece)
        return digest.hexdigest(), size

    def place(self, source: str, path: str) -> None:
        """Move the file to where it belongs, in place of the former one, or of empty folders."""
        try:
            os.replace(self._prefix + source, self._prefix + path)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(self._prefix + path), exist_ok=True)
            os.replace(self._prefix + source, self._prefix + path)
        except IsADirectoryError:
            for folder, _, _ in os.walk(self._prefix + path, topdown=False):
                os.rmdir(folder)
            os.replace(self._prefix + source, self._prefix + path)

    def remove(self, path: str) -> None:
        """The file, and the folders that it leaves empty."""
        with suppress(FileNotFoundError):
            os.unlink(self._prefix + path)
        with suppress(OSError):
            while path := path.rpartition("/")[0]:
                os.rmdir(self._prefix + path)

    def everything_below(self, folder: str) -> Iterator[str]:
        """All that is no folder."""
        for path, folders, files in os.walk(self._prefix + folder):
            inside = os.path.relpath(path, self.root).replace(os.sep, "/")
            yield from (f"{inside}/{name}" for name in files)
            yield from (f"{inside}/{name}" for name in folders if os.path.islink(os.path.join(path, name)))
