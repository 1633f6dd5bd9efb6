"""A zip as it is streamed out, whose memory does not grow with its entries.

Python's zipfile keeps the directory of what it writes in memory, and takes longer over small entries than over
packing them. The format is PKWARE's APPNOTE; sizes and places over 4 GiB and many entries are told as it says (zip64).
"""

import tempfile
import zlib
from collections.abc import Iterable
from shutil import copyfileobj
from struct import Struct
from typing import IO, Self

_LEVEL = 6
_SPOOL = 1024 * 1024
_MAX32, _MAX16 = 0xFFFFFFFF, 0xFFFF
_UTF8 = 0x800
_DEFLATED = 8
_VERSION, _VERSION_64 = 20, 45
_UNIX = 3 << 8
_DATE = 1 << 5 | 1
"""1980-01-01, the earliest that a zip can hold: when a note was written is in the manifest, not in its entry."""
_MODE = 0o100644 << 16

# signature, version, flags, method, time, date, crc, packed, size, length of name, length of extra
_LOCAL = Struct("<4s5H3L2H")
# signature, version made by, version, flags, …, length of comment, disk, internal and external attributes, place
_CENTRAL = Struct("<4s6H3L5H2L")
_END = Struct("<4s4H2LH")
_END_64 = Struct("<4sQ2H2L4Q")
_LOCATOR = Struct("<4sLQL")


class ZipStream:
    """Entries one after the other, then the directory. What has none is not a zip."""

    def __init__(self, target: IO[bytes]) -> None:
        self._target = target
        self._place = 0
        self._count = 0
        self._directory = tempfile.SpooledTemporaryFile(_SPOOL)  # noqa: SIM115  # closed by __exit__

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *fault: object) -> None:
        self._directory.close()

    def add(self, name: str, content: bytes) -> None:
        packer = _packer()
        packed = packer.compress(content) + packer.flush()
        self._write_header(name, zlib.crc32(content), len(packed), len(content))
        self._write(packed)

    def add_pieces(self, name: str, pieces: Iterable[bytes]) -> None:
        """Packed aside first, for its header tells what came of it."""
        packer, crc, size = _packer(), 0, 0
        with tempfile.SpooledTemporaryFile(_SPOOL) as packed:
            for piece in pieces:
                crc, size = zlib.crc32(piece, crc), size + len(piece)
                packed.write(packer.compress(piece))
            packed.write(packer.flush())
            length = packed.tell()
            packed.seek(0)
            self._write_header(name, crc, length, size)
            copyfileobj(packed, self._target, _SPOOL)
            self._place += length

    def write_directory(self) -> None:
        start, length = self._place, self._directory.tell()
        self._directory.seek(0)
        copyfileobj(self._directory, self._target, _SPOOL)
        if self._count >= _MAX16 or start >= _MAX32 or length >= _MAX32:
            counts = (self._count, self._count, length, start)
            self._write(_END_64.pack(b"PK\x06\x06", _END_64.size - 12, _UNIX | _VERSION_64, _VERSION_64, 0, 0, *counts))
            self._write(_LOCATOR.pack(b"PK\x06\x07", 0, start + length, 1))
        count = min(self._count, _MAX16)
        self._write(_END.pack(b"PK\x05\x06", 0, 0, count, count, min(length, _MAX32), min(start, _MAX32), 0))

    def _write_header(self, name: str, crc: int, packed: int, size: int) -> None:
        raw = name.encode()
        flags = 0 if name.isascii() else _UTF8
        extra = _extra_64(size, packed) if max(size, packed) >= _MAX32 else b""
        about = (flags, _DEFLATED, 0, _DATE, crc)
        short = (_MAX32, _MAX32) if extra else (packed, size)
        place = self._place
        version = _VERSION_64 if extra else _VERSION
        self._write(_LOCAL.pack(b"PK\x03\x04", version, *about, *short, len(raw), len(extra)) + raw + extra)
        if place >= _MAX32:
            extra = _extra_64(*((size, packed) if extra else ()), place)
            version, place = _VERSION_64, _MAX32
        head = _CENTRAL.pack(
            b"PK\x01\x02", _UNIX | version, version, *about, *short, len(raw), len(extra), 0, 0, 0, _MODE, place
        )
        self._directory.write(head + raw + extra)
        self._count += 1

    def _write(self, data: bytes) -> None:
        self._target.write(data)
        self._place += len(data)


def _extra_64(*values: int) -> bytes:
    """What a header has no room for, in the order in which the format wants it."""
    return Struct(f"<2H{len(values)}Q").pack(1, 8 * len(values), *values)


def _packer() -> "zlib._Compress":
    return zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
