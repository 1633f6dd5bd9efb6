"""Names for files that every system takes: legal, and apart where case and Unicode form do not count."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from operator import itemgetter
from typing import Any, NamedTuple

from exports.manifest import MANIFEST, STAGE
from kjxlkj.notes.vault import is_note, is_skipped

_NAME_BYTES = 255
_PATH_BYTES = 1000
"""What our own import takes, less room for a mark. A longer path is replaced by its last name alone."""
_MARK_BYTES = 16
"""Room for what tells colliding names apart."""
_ILLEGAL = re.compile(r'[<>:"|?*\\\x00-\x1f\x7f]')
_RESERVED = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])\s*(?:\.|\Z)", re.IGNORECASE)
_TITLE_CHARACTERS = 80
_OURS = {MANIFEST, STAGE}
"""What no folder of notes can be: the manifest has the name, or an export works there."""
_PLAIN = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9 _.-]{0,250}[A-Za-z0-9_-])?(?:/|\Z))+")
"""What needs no closer look: letters and digits at the ends of names."""
_RESERVED_SOMEWHERE = re.compile(r"(?:^|/)(?:con|prn|aux|nul|com|lpt|__macosx|thumbs|desktop)", re.IGNORECASE)


class Wanted(NamedTuple):
    """A file that is to go out, under the path that it has in its workspace (which may be empty)."""

    key: Any
    path: str
    title: str = ""
    id: str = ""
    """Title and id make the name of a note without a path."""
    is_note: bool = True


def export_paths(files: Iterable[Wanted]) -> list[tuple[str, Any]]:
    """The path in the export of each key, in their order: different ones even where case and Unicode form do not count.

    A path that every system allows and that nothing collides with stays as it is. Of those that collide the first
    in the order of code points keeps its name; the others are marked with a digest of their own path, so that
    neither the order of the files nor their ids matter.
    """
    # What has a legal name keeps it before what would be renamed to it.
    candidates = sorted(((path := _candidate(file)) != file.path, path, file.path, file.key) for file in files)
    parents = {_fold(path.rpartition("/")[0]) for _, path, _, _ in candidates}
    folders = {folder for parent in parents for folder in _folders(parent)}
    taken = {_fold(MANIFEST)}
    paths: list[tuple[str, Any]] = []
    candidates.reverse()
    while candidates:  # each leaves the memory as its name enters it
        _, candidate, path, key = candidates.pop()
        name, attempt = candidate, 0
        while (folded := _fold(name)) in taken or folded in folders:
            name = _marked_path(candidate, f"{path}\0{attempt}" if attempt else path)
            attempt += 1
        taken.add(folded)
        paths.append((name, key))
    paths.sort(key=itemgetter(0))
    return paths


def _candidate(file: Wanted) -> str:
    path = file.path or _path_of_title(file.title, file.id)
    if file.is_note and not is_note(path):
        path += ".md"
    elif not file.is_note and is_note(path):
        path += ".file"  # under its own name it would come back as a note
    top, slash, below = path.partition("/")
    if slash and _fold(top) in _OURS:
        path = f"{_marked(top, top)}/{below}"
    if not (_PLAIN.fullmatch(path) and not _RESERVED_SOMEWHERE.search(path)):
        path = "/".join(_legal(name, file.is_note) for name in path.split("/"))
    if len(path.encode()) > _PATH_BYTES:
        return _marked(path.rpartition("/")[2], file.path)
    return path


def _path_of_title(title: str, note_id: str) -> str:
    words = " ".join(_ILLEGAL.sub(" ", title).replace("/", " ").split())
    return f"{words[:_TITLE_CHARACTERS].strip(' .~_') or 'note'} {note_id[-12:]}.md"


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
        lower = path.lower()
        return path if path == lower else lower  # not the same twice in memory
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", path).casefold())


def _folders(path: str) -> Iterable[str]:
    """The folder and all that it is in."""
    while path:
        yield path
        path = path.rpartition("/")[0]
