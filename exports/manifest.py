"""The manifest of an export: JSON with a line for each file, in the order of their paths."""

import json
from collections.abc import Iterator, Mapping
from typing import IO, Any

SCHEMA = 1
MANIFEST = "manifest.json"
STAGE = ".kjxlkj"
"""A folder in the target. It is there while an export runs, or after one that was cut off."""
END = b"\n]}\n"

Record = dict[str, Any]

_json = json.JSONEncoder(ensure_ascii=False, sort_keys=True).encode


def head(about: Mapping[str, Any], count: int) -> bytes:
    return f'{_json({**about, "kjxlkj": SCHEMA, "count": count})[:-1]}, "files": ['.encode()


class Records:
    """Writes the lines of the files."""

    def __init__(self, file: IO[bytes]) -> None:
        self.count = 0
        self._file = file

    def add(self, record: Mapping[str, Any]) -> None:
        self.add_line(_json(record).encode())

    def add_line(self, line: bytes) -> None:
        self._file.write(b",\n" if self.count else b"\n")
        self._file.write(line)
        self.count += 1


def read_head(file: IO[bytes]) -> Record:
    """What stands before the files. Raises ValueError where the first line is not as `head` writes it."""
    about: Record = json.loads(file.readline().rstrip(b"\r\n") + END)
    del about["files"]
    return about


def lines(file: IO[bytes]) -> Iterator[bytes]:
    """The lines of the files, behind the first; the last may be torn where the manifest was cut off."""
    for line in file:
        if line.startswith(b"{"):
            yield line.rstrip(b",\r\n")
