"""What is known of the export before: the files in a folder that are ours, by its manifest."""

import io
import json
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import IO

from exports.manifest import END, MANIFEST, SCHEMA, STAGE, Record, Records, head, lines, read_head
from exports.tree import Tree
from kjxlkj.errors import Conflict

JOURNAL = f"{STAGE}/{MANIFEST}"
"""The next manifest, as it grows: a file's line is in it before the file is in its place."""
ASIDE = f"{STAGE}/former.json"
"""A former manifest that was mended, on its way to its place."""


_decode = json.JSONDecoder().raw_decode


class Disordered(Exception):
    """A manifest is not laid out as we lay it out."""


class Former:
    """A manifest as it is read, line by line, as often as it is needed."""

    def __init__(self, file: IO[bytes], *, is_mended: bool = False) -> None:
        """Raises ValueError where the first line is not as we write it."""
        self.file = file
        self.is_mended = is_mended
        """It is not what stands in the folder, but what ought to."""
        self.about = read_head(file)

    @property
    def head(self) -> bytes:
        self.file.seek(0)
        return self.file.readline().rstrip(b"\n")

    def lines(self) -> Iterator[bytes]:
        self.file.seek(0)
        self.file.readline()
        return lines(self.file)

    def records(self) -> Iterator[Record]:
        """Raises Disordered unless there is a line for each file, in the order of the paths."""
        last = ""
        for line in self.lines():
            try:
                record = _checked(_decode(line.decode())[0])
            except ValueError as error:
                raise Disordered from error
            path = record["path"]
            if path <= last:
                raise Disordered
            last = path
            yield record


def read_former(tree: Tree, about: Mapping[str, str], *, is_disordered: bool = False) -> Former:
    """Of a folder without a manifest one that lists nothing. Changes nothing.

    `about`: what the next manifest will tell of the workspace. `is_disordered`: another program has laid it out, or
    merged two. Raises `Conflict` EXPORT_MANIFEST_UNREADABLE, EXPORT_MANIFEST_NEWER, EXPORT_OTHER_WORKSPACE.
    """
    try:
        former = _read(tree, is_disordered=is_disordered)
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError, Disordered) as error:
        raise Conflict(
            "EXPORT_MANIFEST_UNREADABLE",
            f"{tree.at(MANIFEST)} is damaged, or not a manifest of ours: which files are ours cannot be told. "
            "Bring back the manifest that the last export wrote, or choose another folder.",
        ) from error
    if former.about["kjxlkj"] != SCHEMA:
        raise Conflict(
            "EXPORT_MANIFEST_NEWER",
            f"{tree.at(MANIFEST)} was written by another version, {former.about.get('tool')}. Export with that one.",
        )
    name = "workspace_id" if "workspace_id" in former.about else "workspace"  # which former versions told alone
    if former.about.get(name, about[name]) != about[name]:
        raise Conflict(
            "EXPORT_OTHER_WORKSPACE",
            f"{tree.root} holds the export of another workspace, {former.about.get('workspace')}. "
            "Choose another folder.",
        )
    return former


def _read(tree: Tree, *, is_disordered: bool) -> Former:
    has_journal = tree.is_file(JOURNAL)
    status = tree.status(MANIFEST)
    if status is None:
        former = _made({}, [])
    elif stat.S_ISREG(status.st_mode):
        former = _opened(tree, is_disordered=is_disordered or has_journal)
    else:
        raise ValueError("not a file")
    return _with_journal(tree, former) if has_journal else former


def _opened(tree: Tree, *, is_disordered: bool) -> Former:
    file = open(tree.at(MANIFEST), "rb")  # noqa: SIM115  # read again and again while the export runs
    if not is_disordered:
        with suppress(ValueError):
            former = Former(file)
            if "kjxlkj" in former.about:
                return former
    file.seek(0)
    about = json.load(file)
    records = {_checked(record)["path"]: record for record in about.pop("files")}
    if "kjxlkj" not in about:
        raise ValueError("somebody else's")
    return _made(about, [records[path] for path in sorted(records)], is_mended=True)


def _with_journal(tree: Tree, former: Former) -> Former:
    """With what an export that was cut off has put in its place. What it had not come to is not ours."""
    with open(tree.at(JOURNAL), "rb") as file:
        ours = {record["path"]: record for record in former.records()}
        about = dict(former.about)
        with suppress(ValueError, Disordered):  # up to where it was cut off
            journal = Former(file)
            about |= journal.about
            for record in journal.records():
                path = record["path"]
                if record != ours.get(path) and tree.sha256(path) == record["sha256"]:
                    ours[path] = record
    # Parts of it may be another version's: without a tool, texts are made again and compared.
    return _made({**about, "tool": ""}, [ours[path] for path in sorted(ours)], is_mended=True)


def _made(about: Record, records: Sequence[Record], *, is_mended: bool = False) -> Former:
    file = io.BytesIO()
    file.write(head(about, len(records)))
    written = Records(file)
    for record in records:
        written.add(record)
    file.write(END)
    file.seek(0)
    former = Former(file, is_mended=is_mended)
    former.about |= about  # `head` tells of our own format
    return former


def _checked(record: object) -> Record:
    if isinstance(record, dict) and isinstance(record.get("path"), str) and isinstance(record.get("sha256"), str):
        return record
    raise ValueError("not the record of a file")  # as json has it: the fault is in a file
