"""How work tells the benchmark that it has begun: by a datagram, which costs every contender the same and no database.

The time is one host's monotonic clock, which all of its processes share.
"""

import os
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

_LISTENER = "KJXLKJ_BENCH_LISTENER"


@cache
def _sender() -> socket.socket:
    return socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)


def tell_begun(number: int) -> None:
    now = time.monotonic()
    _sender().sendto(f"{number} {now!r}".encode(), os.environ[_LISTENER])


class Signs:
    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener

    def begun(self, number: int, patience: float = 120.0) -> float:
        """When job `number` began, from now on. What other jobs tell meanwhile is not heard."""
        deadline = time.monotonic() + patience
        while (left := deadline - time.monotonic()) > 0:
            self._listener.settimeout(left)
            try:
                told, at = self._listener.recv(100).split()
            except TimeoutError:
                break
            if int(told) == number:
                return float(at)
        raise RuntimeError(f"Job {number} has not begun within {patience:.0f} s.")


@contextmanager
def signs() -> Iterator[Signs]:
    """Listens, for processes that are started within."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        path = Path(folder) / "begun"
        listener.bind(str(path))
        os.environ[_LISTENER] = str(path)
        try:
            yield Signs(listener)
        finally:
            del os.environ[_LISTENER]
