"""Bringing a folder to what the workspace says. Written is what differs, removed is what was ours.

Ours is a plain file that the folder's manifest lists. Everything else there is somebody else's and is left alone.
The next manifest grows beside the files, each line before its file: cut off at any moment, it and the former one
together list all that is ours, and the next export repairs the rest.
"""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count, islice
from operator import attrgetter
from typing import IO, Any

from exports.comparing import Change, Comparison, time_of
from exports.contents import BATCH, File, Planned, in_batches
from exports.former import ASIDE, JOURNAL, Former
from exports.manifest import END, MANIFEST, STAGE, Record, Records, head
from exports.tree import Tree


@dataclass(slots=True)
class Outcome:
    written: int = 0
    unchanged: int = 0
    removed: int = 0
    changed_by_hand: list[str] = field(default_factory=list)
    """Files of ours that somebody had changed, and that were written anew or removed nevertheless."""


class Update:
    def __init__(
        self,
        tree: Tree,
        former: Former,
        comparison: Comparison,
        read_files: Callable[[Sequence[Planned]], list[File]],
    ) -> None:
        self._tree = tree
        self._former = former
        self._comparison = comparison
        self._read_files = read_files
        self._outcome = Outcome(unchanged=comparison.unchanged)

    def tell(self) -> Outcome:
        """What `write` would do."""
        for record in self._comparison.gone:
            self._count_gone(record)
        for batch in self._batches():
            for change, file in batch:
                self._is_there(change, change.planned.source.sha256 or file.sha256())
        return self._outcome

    def write(self, about: Mapping[str, Any], count: int, on_progress: Callable[[int], object]) -> Outcome:
        """`count` files are there afterwards; `on_progress` is told how many were looked at."""
        first = head(about, count)
        for planned in self._comparison.touched:
            self._tree.set_time(planned.path, time_of(planned.source))
        former = self._former
        if self._comparison.changes or self._comparison.dropped or former.is_mended or former.head != first:
            with self._journal() as file:
                file.write(first)
                self._write(file, on_progress)
                file.write(END)
        self._tidy()
        return self._outcome

    def _write(self, file: IO[bytes], on_progress: Callable[[int], object]) -> None:
        lines = _Lines(file, self._former, self._comparison.dropped)
        stages = self._stages()
        for record in self._comparison.gone:
            self._count_gone(record)
            self._tree.remove(record["path"])
        for batch in self._batches():
            on_progress(self._outcome.unchanged + self._outcome.written)
            staged = []
            for name, (change, content) in zip(stages, batch, strict=False):
                record, is_staged = self._staged(name, change, content)
                lines.add(change.place, record)
                staged += [(name, change.planned.path)] * is_staged
            file.flush()
            os.fsync(file.fileno())
            for name, path in staged:
                self._tree.place(name, path)
        lines.add_rest()

    def _staged(self, name: str, change: Change, file: File) -> tuple[Record, bool]:
        """Its line for the manifest; the file is now in its place, or under `name` (which the second tells)."""
        path, source = change.planned.path, change.planned.source
        sha256 = source.sha256 or file.sha256()
        is_there = self._is_there(change, sha256)
        if is_there:
            size = os.path.getsize(self._tree.at(path))
        else:
            sha256, size = self._tree.write(name, file.pieces())
        self._tree.set_time(path if is_there else name, time_of(source))
        return {**file.record, "path": path, "sha256": sha256, "size": size}, not is_there

    def _stages(self) -> list[str]:
        """Where the files of a batch are written before they are in their places: the same in each export."""
        names = (f"{STAGE}/{number}" for number in count())
        return list(islice((name for name in names if not self._tree.is_folder(name)), BATCH))

    def _is_there(self, change: Change, sha256: str) -> bool:
        path, former = change.planned.path, change.former
        present = self._tree.sha256(path)
        if present == sha256:
            self._outcome.unchanged += 1
            return True
        self._outcome.written += 1
        if former and present not in {None, former["sha256"]}:
            self._outcome.changed_by_hand.append(path)
        return False

    def _count_gone(self, record: Record) -> None:
        present = self._tree.sha256(record["path"])
        self._outcome.removed += present is not None
        if present not in {None, record["sha256"]}:
            self._outcome.changed_by_hand.append(record["path"])

    def _batches(self) -> Iterator[list[tuple[Change, File]]]:
        for batch in in_batches(self._comparison.changes, attrgetter("planned.weight")):
            yield list(zip(batch, self._read_files([change.planned for change in batch]), strict=True))

    @contextmanager
    def _journal(self) -> Iterator[IO[bytes]]:
        """The next manifest, which takes the place of the former at the end."""
        os.makedirs(self._tree.at(STAGE), exist_ok=True)
        if self._former.is_mended:
            # What an export that was cut off had done is kept before the journal that tells of it begins anew.
            with self._manifest(ASIDE) as file:
                self._former.file.seek(0)
                shutil.copyfileobj(self._former.file, file)
        with self._manifest(JOURNAL) as file:
            yield file

    def _tidy(self) -> None:
        """What an export that was cut off may have left, too."""
        if self._tree.status(STAGE):
            for name in self._stages():
                if self._tree.is_file(name):
                    os.unlink(self._tree.at(name))
            with suppress(OSError):  # somebody else can have something there
                os.rmdir(self._tree.at(STAGE))

    @contextmanager
    def _manifest(self, name: str) -> Iterator[IO[bytes]]:
        with self._tree.new_file(name) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        self._tree.place(name, MANIFEST)


class _Lines:
    """Those of the next manifest: new ones, and between them those of the former one that stay."""

    def __init__(self, file: IO[bytes], former: Former, dropped: set[int]) -> None:
        self._records = Records(file)
        self._former = enumerate(former.lines())
        self._place = 0
        self._dropped = dropped

    def add(self, place: int, record: Record) -> None:
        self._copy(islice(self._former, place - self._place))
        self._place = place
        self._records.add(record)

    def add_rest(self) -> None:
        self._copy(self._former)

    def _copy(self, lines: Iterable[tuple[int, bytes]]) -> None:
        for number, line in lines:
            if number not in self._dropped:
                self._records.add_line(line)
