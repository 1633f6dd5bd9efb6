"""A folder as the target of an export: whether it can be one, and nobody else's meanwhile."""

import fcntl
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from exports.comparing import Comparison
from exports.contents import File, Planned, in_batches
from exports.former import ASIDE, JOURNAL
from exports.manifest import STAGE
from exports.tree import Tree
from kjxlkj.errors import Conflict, Invalid

_TAKEN_SHOWN = 5


@contextmanager
def held(root: Path, *, dry_run: bool) -> Iterator[Tree]:
    """The folder, made if need be; nobody else exports into it meanwhile.

    Raises `Invalid` EXPORT_TARGET_NOT_A_FOLDER, EXPORT_FOLDER_UNWRITABLE; `Conflict` EXPORT_FOLDER_BUSY.
    """
    if root.exists() and not root.is_dir():
        raise Invalid("EXPORT_TARGET_NOT_A_FOLDER", f"{root} is a file. Name a folder, or an archive ending in .zip.")
    if dry_run:
        yield Tree(root)
        return
    try:
        root.mkdir(exist_ok=True)
        if not os.access(root, os.W_OK | os.X_OK):
            raise PermissionError(13, os.strerror(13))
        descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise Invalid(
            "EXPORT_FOLDER_UNWRITABLE",
            f"{root} cannot be written to: {error.strerror}. Mend its permissions, or choose another folder.",
        ) from error
    try:
        _lock(descriptor, root)
        yield Tree(root)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, root: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Conflict("EXPORT_FOLDER_BUSY", f"Another export into {root} is under way. Wait for its end.") from error


def check_places(tree: Tree, comparison: Comparison, read_files: Callable[[Sequence[Planned]], list[File]]) -> None:
    """Raises `Conflict` EXPORT_PATH_TAKEN where something that is not ours stands in the way.

    A file with the very bytes that are to be there does not: it is ours from now on.
    """
    taken = set(comparison.taken)
    for batch in in_batches(comparison.strangers):
        taken.update(file.path for file in read_files(batch) if tree.sha256(file.path) != file.sha256())
    status = tree.status(STAGE)
    if status and not stat.S_ISDIR(status.st_mode):
        taken.add(STAGE)
    taken.update(name for name in (ASIDE, JOURNAL) if tree.is_folder(name))
    if taken:
        shown = sorted(taken)[:_TAKEN_SHOWN]
        more = f" and {len(taken) - len(shown)} more" if len(taken) > len(shown) else ""
        raise Conflict(
            "EXPORT_PATH_TAKEN",
            f"{tree.root} holds what no export wrote where files are to be: {', '.join(shown)}{more}. "
            "Move it away, or choose another folder.",
            {"paths": sorted(taken)},
        )
