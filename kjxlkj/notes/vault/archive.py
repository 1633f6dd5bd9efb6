"""The files of a zip. What its headers say is checked while it is read."""

import io
import lzma
import re
import stat
import struct
import zlib
from collections.abc import Iterator
from functools import partial
from typing import IO, BinaryIO, cast
from zipfile import BadZipFile, ZipFile, ZipInfo

from kjxlkj.notes.vault.entries import MIB, EntryFault, Found, Limits, Refused, Skipped, checked_path, is_skipped, shown

_UTF8_NAME = 0x800
_ENCRYPTED = 0x1
_DRIVE = re.compile(r"[A-Za-z]:")
_PLAIN_MODES = {0, stat.S_IFREG, stat.S_IFDIR}

DAMAGE = (BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError, ValueError, OverflowError)
"""What the standard library raises over bytes that are not what they should be."""


class Budget:
    """What an archive may still inflate to, over all that is read from it."""

    def __init__(self, packed: int, limits: Limits) -> None:
        self._left = min(limits.inflated_bytes, max(limits.ratio_from, limits.ratio * packed))

    def spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise EntryFault(
                "ZIP_BOMB",
                "The archive inflates to far more than its size. If you trust it, unpack it and import the folder.",
            )


class _Share:
    """One entry's part of the budget. What was inflated once costs nothing when it is read again."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._most = 0

    def read_to(self, position: int) -> None:
        self._budget.spend(max(0, position - self._most))
        self._most = max(position, self._most)


def files_of_archive(archive: ZipFile, budget: Budget, limits: Limits) -> Iterator[Found | Refused | Skipped]:
    """In the order of their paths. A second entry of the same name is refused."""
    seen: set[str] = set()
    for path, info in sorted(((_name(info), info) for info in archive.infolist()), key=lambda pair: pair[0]):
        if info.is_dir():
            continue
        try:
            _check_name(path, limits)
            if is_skipped(path):
                yield Skipped(path)
                continue
            _check_kind(info)
            if path in seen:
                raise EntryFault("DUPLICATE_NAME", "The archive holds this name twice; the first one is taken.")
            seen.add(path)
        except EntryFault as fault:
            yield Refused(shown(path), fault.code, fault.reason)
            continue
        yield Found(path, info.file_size, partial(_open, archive, info, _Share(budget)))


def _name(info: ZipInfo) -> str:
    """As it was written. Many tools write UTF-8 without saying so."""
    if info.flag_bits & _UTF8_NAME or info.orig_filename.isascii():
        return info.orig_filename
    raw = info.orig_filename.encode("cp437")
    return raw.decode("utf-8", "surrogateescape")


def _check_name(path: str, limits: Limits) -> None:
    checked_path(path, limits)
    if "\\" in path or _DRIVE.match(path):
        raise EntryFault("PATH_UNSAFE", "Its path has a backslash or a drive letter. Pack it with `/` between names.")


def _check_kind(info: ZipInfo) -> None:
    if info.flag_bits & _ENCRYPTED:
        raise EntryFault("ENCRYPTED", "It is encrypted. Pack it without a password.")
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        raise EntryFault("SYMLINK_OUTSIDE", "It is a symbolic link. Put a copy in its place.")
    if kind not in _PLAIN_MODES:
        raise EntryFault("SPECIAL_FILE", "It is a pipe, socket or device, not a file. Remove it.")


def _open(archive: ZipFile, info: ZipInfo, share: _Share) -> BinaryIO:
    share.read_to(0)
    try:
        stream = archive.open(info)
    except (NotImplementedError, RuntimeError) as fault:
        raise EntryFault(
            "PACKING_UNKNOWN", f"It is packed in a way that cannot be read: {fault}. Use deflate."
        ) from fault
    except DAMAGE as fault:
        raise _damaged(fault) from fault
    return cast("BinaryIO", io.BufferedReader(_Counted(stream, share), MIB // 4))


class _Counted(io.RawIOBase):
    def __init__(self, stream: IO[bytes], share: _Share) -> None:
        self._stream = stream
        self._share = share
        self._position = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # what BufferedReader gives
        try:
            data = self._stream.read(len(buffer))
        except DAMAGE as fault:
            raise _damaged(fault) from fault
        self._position += len(data)
        self._share.read_to(self._position)
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()


def _damaged(fault: Exception) -> EntryFault:
    return EntryFault("DAMAGED", f"It is damaged in the archive ({fault}). Make the archive anew.")
