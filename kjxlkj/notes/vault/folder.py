"""The files of a folder. Nothing outside it is opened, and nothing that is not a plain file."""

import os
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

from kjxlkj.notes.vault.entries import EntryFault, Found, Limits, Refused, Skipped, checked_path, is_skipped, shown


def files_of_folder(root: Path, limits: Limits) -> Iterator[Found | Refused | Skipped]:
    """In the order of their paths. A link to a file within the folder is read as that file."""
    real_root = Path(os.path.realpath(root))
    pending = _children(real_root, "")
    while pending:
        entry, path = pending.pop()
        try:
            checked_path(path, limits)
            if _is_hidden(entry, path):
                yield Skipped(path)
            elif entry.is_dir(follow_symlinks=False):
                pending += _children(entry.path, f"{path}/")
            else:
                yield _found(entry, path, real_root)
        except EntryFault as fault:
            yield Refused(shown(path), fault.code, fault.reason)
        except OSError as fault:
            yield Refused(shown(path), "UNREADABLE", _unreadable(fault).reason)


def open_file(path: str) -> BinaryIO:
    """Never waits for a pipe, and never follows a link that has taken the file's place."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as fault:
        raise _unreadable(fault) from fault
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _special()
    return os.fdopen(descriptor, "rb")


def _children(folder: str | Path, prefix: str) -> list[tuple["os.DirEntry[str]", str]]:
    """Last first, as they will be popped. A folder sorts as what it is in a path: with its slash."""
    with os.scandir(folder) as entries:
        children = [(entry, prefix + entry.name) for entry in entries]

    def place(child: tuple["os.DirEntry[str]", str]) -> str:
        return child[1] + ("/" if child[0].is_dir(follow_symlinks=False) else "")

    return sorted(children, key=place, reverse=True)


def _is_hidden(entry: "os.DirEntry[str]", path: str) -> bool:
    """A hidden folder is entered, for it may hold notes, unless it belongs to a tool."""
    return is_skipped(f"{path}/x.md" if entry.is_dir(follow_symlinks=False) else path)


def _found(entry: "os.DirEntry[str]", path: str, root: Path) -> Found:
    target = entry.path
    if entry.is_symlink():
        target = os.path.realpath(entry.path)
        _check_target(Path(target), root)
    status = os.stat(target, follow_symlinks=False)
    if not stat.S_ISREG(status.st_mode):
        raise _special()
    return Found(path, status.st_size, partial(open_file, target))


def _check_target(target: Path, root: Path) -> None:
    if target.is_symlink():
        raise EntryFault("SYMLINK_LOOP", "It links to itself. Remove it.")
    if target.is_relative_to(root) and target.is_dir():
        raise EntryFault("SYMLINK_FOLDER", "It links to a folder, whose notes are read where they are.")
    if not target.is_relative_to(root) or is_skipped(str(target.relative_to(root))):
        raise EntryFault("SYMLINK_OUTSIDE", "It links to something outside the vault. Put a copy in its place.")


def _unreadable(fault: OSError) -> EntryFault:
    return EntryFault("UNREADABLE", f"It cannot be read: {fault.strerror}. Mend its permissions, or remove it.")


def _special() -> EntryFault:
    return EntryFault("SPECIAL_FILE", "It is a pipe, socket or device, not a file. Remove it.")
