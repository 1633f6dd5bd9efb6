"""The body of a reply, piece by piece, and never more of it than is allowed, packed or not."""

import zlib
from collections.abc import Callable


class TooMuch(Exception):
    """More than is taken."""


class Unreadable(Exception):
    """Packed in a way that is not understood."""


class Body:
    def __init__(self, most: int) -> None:
        self._most = most
        self._bytes = bytearray()
        self._unpack: Callable[[bytes, int], bytes] = lambda piece, room: piece[:room]

    def packed_as(self, encoding: str) -> None:
        """Nothing but “identity” was asked for; there are servers, and proxies before them, that do not heed it."""
        match encoding.strip().lower():
            case "" | "identity":
                return
            case "gzip" | "x-gzip" | "deflate":
                self._unpack = zlib.decompressobj(zlib.MAX_WBITS | 32).decompress
            case _:
                raise Unreadable(f"Content-Encoding {encoding[:50]!r}")

    def add(self, piece: bytes) -> None:
        try:
            # One byte more than is taken tells that there is more.
            self._bytes += self._unpack(piece, self._most + 1 - len(self._bytes))
        except zlib.error as error:
            raise Unreadable(str(error)) from error
        if len(self._bytes) > self._most:
            raise TooMuch

    @property
    def text(self) -> str:
        return self._bytes.decode("utf-8-sig", errors="replace")
