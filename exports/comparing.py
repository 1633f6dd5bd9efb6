"""What of an export a folder does not hold yet, by the manifest of the one before. Reads, and writes nothing."""

import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from exports.contents import Planned, Source
from exports.former import Former
from exports.manifest import Record
from exports.tree import Tree
from kjxlkj.notes.vault import is_skipped


class Change(NamedTuple):
    """A file whose content has to be looked at."""

    place: int
    """How many lines of the former manifest stand before its own."""
    planned: Planned
    former: Record | None


@dataclass(slots=True)
class Comparison:
    unchanged: int = 0
    touched: list[Planned] = field(default_factory=list)
    """Unchanged, but their time is not that of the note any more."""
    changes: list[Change] = field(default_factory=list)
    gone: list[Record] = field(default_factory=list)
    """Files of ours that are not to be there any more."""
    dropped: set[int] = field(default_factory=set)
    """Lines of the former manifest that are not in the next one as they are."""
    strangers: list[Planned] = field(default_factory=list)
    """Where a file stands that is not ours."""
    taken: list[str] = field(default_factory=list)
    """What stands where files or folders are to be."""


def compare(plan: Sequence[Planned], former: Former, tool: str, tree: Tree) -> Comparison:
    found = Comparison()
    is_same_tool = former.about.get("tool") == tool
    obstacles: list[tuple[str, Planned]] = []
    for number, planned, record in _pairs(plan, former.records()):
        if planned is None:
            found.dropped.add(number)
            found.gone += _ours(record, tree)
            continue
        path, source = planned.path, planned.source
        obstacle = tree.blocked(path)
        status = None if obstacle else tree.status(path)
        if status and not (record and stat.S_ISREG(status.st_mode)):
            obstacle = path
        if obstacle:
            obstacles.append((obstacle, planned))
        elif (
            status
            and record
            and _is_known(source, record, status.st_mtime_ns, is_same_tool, is_mended=former.is_mended)
            and tree.holds(path, record, status, time_of(source))
        ):
            found.unchanged += 1
            found.touched += [planned] * (status.st_mtime_ns != time_of(source))
            continue
        if record:
            found.dropped.add(number)
        found.changes.append(Change(number, planned, record))
    _judge(obstacles, found, tree)
    return found


def time_of(source: Source) -> int:
    """Of the file, in nanoseconds: when the note was written. It tells later whether somebody touched the file."""
    return source.changed * 1000


def _pairs(plan: Sequence[Planned], records: Iterator[Record]) -> Iterator[tuple[int, Planned | None, Record | None]]:
    """Both in the order of their paths, side by side where the path is the same; with the number of the record."""
    number, record = 0, next(records, None)
    for planned in plan:
        while record and record["path"] < planned.path:
            yield number, None, record
            number, record = number + 1, next(records, None)
        if record and record["path"] == planned.path:
            yield number, planned, record
            number, record = number + 1, next(records, None)
        else:
            yield number, planned, None
    while record:
        yield number, None, record
        number, record = number + 1, next(records, None)


def _is_known(source: Source, record: Record, time: int, is_same_tool: bool, *, is_mended: bool) -> bool:
    """Whether the content is the recorded one. A note's version is not enough: a database that was set back counts
    anew. When it was written tells, by the time of the file (`time`) or, if that was touched, by the record.

    A mended manifest may list a file under its former name and its new one, of which the disk makes no difference:
    with the former it goes, and has to be looked for again (notes are anyway, for want of a tool).
    """
    if source.sha256:
        return not is_mended and record["sha256"] == source.sha256 and not {"id", "original_path"} & record.keys()
    return (
        is_same_tool
        and record.get("version") == source.version
        and str(record.get("id")).replace("-", "") == source.id.hex()
        and (time == time_of(source) or record.get("updated_at") == source.updated_at)
    )


def _ours(record: Record | None, tree: Tree) -> Iterator[Record]:
    """The record, if its file may be removed. A manifest can be brought in from elsewhere: it is not trusted."""
    path = record["path"] if record else ""
    is_legal = not is_skipped(path) and not {"", ".", ".."} & set(path.split("/")) and "\0" not in path
    with suppress(OSError, ValueError):  # a name that the system cannot take is no file's
        if record and is_legal and not tree.blocked(path):
            status = tree.status(path)
            if status is None or stat.S_ISREG(status.st_mode):
                yield record


def _judge(obstacles: Sequence[tuple[str, Planned]], found: Comparison, tree: Tree) -> None:
    """Whether what stands in the way will be gone, or is the same file, or has to be told of."""
    gone = {record["path"]: tree.status(record["path"]) for record in found.gone} if obstacles else {}
    # On a disk without regard to case a former path and a new one may be one file.
    files = {(status.st_dev, status.st_ino) for status in gone.values() if status}
    for obstacle, planned in obstacles:
        status = tree.status(obstacle)
        if status is None:
            continue
        if stat.S_ISDIR(status.st_mode):
            if not all(path in gone for path in tree.everything_below(obstacle)):
                found.taken.append(obstacle)
        elif stat.S_ISREG(status.st_mode):
            if (status.st_dev, status.st_ino) in files:
                continue
            if obstacle == planned.path:
                found.strangers.append(planned)
            else:
                found.taken.append(obstacle)
        else:
            found.taken.append(obstacle)
