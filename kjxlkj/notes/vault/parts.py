"""Zips inside a vault that are parts of it, as some programs write their exports: their files stand where they do."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from shutil import copyfileobj
from typing import BinaryIO, cast
from zipfile import ZipFile

from kjxlkj.notes.vault.archive import DAMAGE, Budget, files_of_archive
from kjxlkj.notes.vault.entries import MIB, EntryFault, Found, Limits, Refused, Skipped, checked_path, shown

_MEMORY = 8 * MIB


def with_parts(
    files: Iterator[Found | Refused | Skipped], is_part: Callable[[str], bool], budget: Budget | None, limits: Limits
) -> Iterator[Found | Refused | Skipped]:
    """The files, and in the place of each part the files in it, for as long as the next one is not asked for.

    What the parts of an archive hold counts into that archive's `budget`; one on the disk has its own. Zips within a
    part are files like any other. A second file of the same name is refused.
    """
    seen: set[str] = set()
    count = _Count(limits)
    for file in files:
        if isinstance(file, Found) and is_part(file.path):
            inner = _files_of_part(file, budget or Budget(file.size, limits), count, limits)
        else:
            inner = iter((file,))
        for each in inner:
            if isinstance(each, Found) and each.path in seen:
                reason = "Another part holds a file of this name; the first one is taken."
                yield Refused(shown(each.path), "DUPLICATE_NAME", reason)
                continue
            seen.add(each.path)
            yield each


class _Count:
    """Of the entries of all parts together."""

    def __init__(self, limits: Limits) -> None:
        self._most = self._left = limits.entries

    def spend(self, entries: int) -> None:
        self._left -= entries
        if self._left < 0:
            raise EntryFault("VAULT_TOO_LARGE", f"The parts hold more than {self._most} files. Split it.")


def _files_of_part(part: Found, budget: Budget, count: _Count, limits: Limits) -> Iterator[Found | Refused | Skipped]:
    folder = part.path.rpartition("/")[0]
    with ExitStack() as opened:
        try:
            archive = opened.enter_context(ZipFile(_seekable(part, opened)))
            count.spend(len(archive.infolist()))
        except EntryFault as fault:
            yield Refused(shown(part.path), fault.code, fault.reason)
            return
        except (*DAMAGE, NotImplementedError) as fault:
            yield Refused(shown(part.path), "DAMAGED", f"It is no whole zip ({fault}). Export it again.")
            return
        for file in files_of_archive(archive, budget, limits):
            yield _below(folder, file, limits)


def _seekable(part: Found, opened: ExitStack) -> BinaryIO:
    stream = opened.enter_context(part.open())
    if stream.seekable():
        return stream
    copy = opened.enter_context(tempfile.SpooledTemporaryFile(_MEMORY))  # noqa: SIM115  with the others
    copyfileobj(stream, copy, MIB)
    return cast("BinaryIO", copy)


def _below(folder: str, file: Found | Refused | Skipped, limits: Limits) -> Found | Refused | Skipped:
    if not folder:
        return file
    path = f"{folder}/{file.path}"
    try:
        return replace(file, path=checked_path(path, limits) if isinstance(file, Found) else path)
    except EntryFault as fault:
        return Refused(shown(path), fault.code, fault.reason)
