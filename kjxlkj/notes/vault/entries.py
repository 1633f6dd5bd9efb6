"""What a vault can hold, which of it is taken, and within which limits."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from kjxlkj.errors import Invalid

MIB = 1024 * 1024

_NOTE = re.compile(r"\.(?:md|markdown)\Z", re.IGNORECASE)
_TOOLS = frozenset(
    {".git", ".hg", ".svn", ".obsidian", ".trash", ".stfolder", ".stversions", ".venv", ".idea", ".vscode"}
)
_LITTER_NAMES = frozenset({"__macosx", ".ds_store", "thumbs.db", "desktop.ini"})
_LITTER = ("._", ".#", "~$")
"""What macOS, Emacs and office programs leave beside a file while it is open or copied."""


class VaultError(Invalid):
    """The whole folder or archive cannot be read."""


@dataclass(frozen=True, slots=True)
class Limits:
    note_bytes: int = MIB
    """Of the body; the front matter has a limit of its own."""
    attachment_bytes: int = 100 * MIB
    path_characters: int = 1024
    name_bytes: int = 255
    depth: int = 64
    """Names in a path: what is done for each folder of it stays little."""
    entries: int = 500_000
    inflated_bytes: int = 8 * 1024 * MIB
    """Of a whole archive, counted while it is read."""
    ratio: int = 100
    """Inflated to packed size of a whole archive, once more than `ratio_from` came out; prose packs 2 to 10 times."""
    ratio_from: int = 64 * MIB


@dataclass(frozen=True, slots=True)
class NoteFile:
    path: str
    text: str
    """As it stands in the file, byte order mark and line ends included."""
    recorded: Mapping[str, Any] | None = None
    """What an export's manifest says of it (id, version, …); of a file that was edited since, the id alone."""


@dataclass(frozen=True, slots=True)
class AttachmentFile:
    path: str
    size: int
    open: Callable[[], BinaryIO] = field(repr=False, compare=False)
    """Can be called until the next entry is asked for."""


@dataclass(frozen=True, slots=True)
class Refused:
    path: str
    code: str
    reason: str
    """Fault and remedy, for a person."""


class EntryFault(Exception):
    """An entry cannot be taken."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Found:
    """A file of the source, before it is known whether it can be taken."""

    path: str
    size: int
    open: Callable[[], BinaryIO]
    """Raises EntryFault, as reading from it may."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file or folder of a tool, or hidden and not a note: left out without complaint, but counted."""

    path: str


Entry = NoteFile | AttachmentFile | Refused | Skipped


def is_note(path: str) -> bool:
    return _NOTE.search(path) is not None


def _no_part(path: str) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Shape:
    """How the program that wrote a vault lays it out."""

    is_note: Callable[[str], bool] = is_note
    is_part: Callable[[str], bool] = _no_part
    """Whether it is a zip whose files belong in its place."""


def is_skipped(path: str) -> bool:
    """Notes are taken even from hidden places (`.github/x.md`, `...md`), other hidden files are not."""
    names = path.casefold().split("/")
    if any(name in _TOOLS or name in _LITTER_NAMES or name.startswith(_LITTER) for name in names):
        return True
    return not is_note(path) and any(name.startswith(".") for name in names)


def checked_path(path: str, limits: Limits) -> str:
    """The path, or EntryFault where it leads out of the vault or could not be stored."""
    try:
        path.encode()
    except UnicodeEncodeError:
        raise EntryFault("NAME_NOT_UTF8", "Its name is not UTF-8. Rename it.") from None
    names = path.split("/")
    if "\0" in path or any(name in {"", ".", ".."} for name in names):
        raise EntryFault("PATH_UNSAFE", "Its path is absolute or leads out of the vault. Pack it with a relative path.")
    if len(names) > limits.depth:
        raise EntryFault(
            "PATH_TOO_DEEP", f"Its path has {len(names)} names; at most {limits.depth}. Move it further up."
        )
    if len(path) > limits.path_characters or any(len(name.encode()) > limits.name_bytes for name in names):
        raise EntryFault(
            "NAME_TOO_LONG",
            f"Its path is longer than {limits.path_characters} characters or one name in it longer than "
            f"{limits.name_bytes} bytes. Shorten it.",
        )
    return path


def shown(path: str) -> str:
    """A path that can be stored and printed, whatever bytes it was made of."""
    return path.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
