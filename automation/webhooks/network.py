"""Connections of webhooks: only to addresses that are allowed, and all of one delivery within one deadline."""

import socket
import ssl
from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import Any

import httpcore

from automation.webhooks.addresses import why_forbidden
from kjxlkj.errors import DomainError


class Deadline:
    """Timeouts for single reads let a server that sends a byte now and then hold its caller for ever."""

    def __init__(self, seconds: float) -> None:
        self._at = monotonic() + seconds

    def left(self) -> float:
        """Seconds, more than none. Raises TimeoutError."""
        left = self._at - monotonic()
        if left <= 0:
            raise TimeoutError("the time is over")
        return left


class Network(httpcore.NetworkBackend):
    """Resolves a name once, judges all its addresses, and connects to one of those: what was judged is what is used.

    Whoever checks a name first and connects to it afterwards may be told another address the second time.
    """

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Raises `DomainError` WEBHOOK_ADDRESS_FORBIDDEN, OSError."""
        found = _resolve(host, port, self._deadline.left())
        for _, address in found:
            if reason := why_forbidden(host, ip_address(str(address[0]).partition("%")[0])):
                raise DomainError(
                    "WEBHOOK_ADDRESS_FORBIDDEN",
                    f"{host}: {reason}, and rules may not reach it. Nothing was sent. An operator can allow it by "
                    "KJXLKJ_WEBHOOK_ALLOW.",
                )
        return _Stream(self._connect(found), self._deadline)

    def _connect(self, found: Sequence[tuple[int, tuple[Any, ...]]]) -> socket.socket:
        """An address that is silent leaves the others their share of the time."""
        fault: OSError | None = None
        for tried, (family, address) in enumerate(found):
            connection = socket.socket(family, socket.SOCK_STREAM)
            try:
                connection.settimeout(self._deadline.left() / (len(found) - tried))
                connection.connect(address)
            except OSError as error:
                connection.close()
                fault = error
            else:
                return connection
        raise fault or OSError("the name has no address")


def _resolve(host: str, port: int, seconds: float) -> list[tuple[int, tuple[Any, ...]]]:
    """Address families and socket addresses. On a thread, for the system's resolver knows no deadline."""
    answers: SimpleQueue[list[tuple[int, tuple[Any, ...]]] | OSError] = SimpleQueue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            answers.put(error if isinstance(error, OSError) else OSError(str(error)))
        else:
            answers.put([(int(family), address) for family, _, _, _, address in found])

    Thread(target=ask, name="resolver", daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except Empty:
        raise TimeoutError(f"{host} could not be resolved in time") from None
    if isinstance(answer, OSError):
        raise answer
    return answer


class _Stream(httpcore.NetworkStream):
    """A connection whose every step ends at the deadline, whatever httpcore asks for."""

    def __init__(self, connection: socket.socket, deadline: Deadline) -> None:
        self._connection = connection
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self._connection.settimeout(self._deadline.left())
        return self._connection.recv(max_bytes)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._connection.settimeout(self._deadline.left())
        try:
            self._connection.sendall(buffer)
        except TimeoutError:
            raise
        except OSError as error:
            # Who refuses a request before having read it all has answered all the same: httpcore then looks.
            raise httpcore.WriteError(str(error)) from error

    def close(self) -> None:
        self._connection.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """For the name in the URL, whatever address it was resolved to."""
        self._connection.settimeout(self._deadline.left())
        return _Stream(ssl_context.wrap_socket(self._connection, server_hostname=server_hostname), self._deadline)
