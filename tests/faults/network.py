"""Several hosts on one machine: network namespaces with a cable each, or else processes that can be frozen."""

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import psutil

from tests.faults.running import Running

LOOPBACK = "127.0.0.1"


class Namespaces:
    """Each host in a network namespace of its own; its cable to the database can be unplugged."""

    def __init__(self, names: Sequence[str]) -> None:
        run, subnet = secrets.token_hex(2), f"198.18.{secrets.randbelow(256)}"
        self._namespaces = {name: f"kjxlkj-{run}-{name}" for name in names}
        self._cables = {name: f"kjx{run}{name}" for name in names}
        self._subnets = {name: (f"{subnet}.{4 * n + 1}", f"{subnet}.{4 * n + 2}") for n, name in enumerate(names)}

    def make(self) -> None:
        for name, namespace in self._namespaces.items():
            near, far = self._subnets[name]
            _ip("netns", "add", namespace)
            _ip("link", "add", self._cables[name], "type", "veth", "peer", "name", "eth0", "netns", namespace)
            _ip("address", "add", f"{near}/30", "dev", self._cables[name])
            _ip("link", "set", self._cables[name], "up")
            _ip("-netns", namespace, "address", "add", f"{far}/30", "dev", "eth0")
            _ip("-netns", namespace, "link", "set", "eth0", "up")

    def remove(self) -> None:
        for name, namespace in self._namespaces.items():
            for command in (["link", "delete", self._cables[name]], ["netns", "delete", namespace]):
                with suppress(OSError, subprocess.CalledProcessError):  # it was not made
                    _ip(*command)

    def address(self, name: str) -> str:
        """Where the database is found from that host."""
        return self._subnets[name][0]

    def prefix(self, name: str) -> list[str]:
        return ["ip", "netns", "exec", self._namespaces[name]]

    def cut(self, name: str, host: Running) -> None:
        _ip("link", "set", self._cables[name], "down")

    def heal(self, name: str, host: Running) -> None:
        _ip("link", "set", self._cables[name], "up")


class Processes:
    """Hosts are supervisors with all that they start; one that is cut off is frozen."""

    def make(self) -> None:
        pass

    def remove(self) -> None:
        pass

    def address(self, name: str) -> str:
        return LOOPBACK

    def prefix(self, name: str) -> list[str]:
        return []

    def cut(self, name: str, host: Running) -> None:
        for process in self._processes(host):
            with suppress(psutil.NoSuchProcess):
                process.suspend()

    def heal(self, name: str, host: Running) -> None:
        for process in self._processes(host):
            with suppress(psutil.NoSuchProcess):
                process.resume()

    def _processes(self, host: Running) -> list[psutil.Process]:
        # First who would start others.
        return [psutil.Process(host.process.pid), *host.processes()]


Network = Namespaces | Processes


@contextmanager
def network_of(*names: str) -> Iterator[Network]:
    """With `KJXLKJ_FAULTS_NETWORK=processes` never of namespaces."""
    network: Network = Namespaces(names)
    if os.environ.get("KJXLKJ_FAULTS_NETWORK") == "processes" or not _can_make(network):
        network = Processes()
    print(f"hosts are {type(network).__name__.lower()}")
    try:
        yield network
    finally:
        network.remove()


def _can_make(network: Network) -> bool:
    if shutil.which("ip") is None:
        return False
    try:
        network.make()
    except subprocess.CalledProcessError as error:
        print(f"no network namespaces here: {error.stderr}")
        network.remove()
        return False
    return True


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
