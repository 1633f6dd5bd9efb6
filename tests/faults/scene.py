"""A database and the hosts that work on it: what the matrix and the soak strike at, and mend."""

import random
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from tests.faults.running import Running
from tests.faults.server import Server

GRACE_SECONDS = 3.0  # as in tests.faults.settings
# What an orderly end may take beyond that on a machine that is busy with other tests.
MERCY_SECONDS = 12.0


class Scene:
    def __init__(self, server: Server, chances: random.Random, folder: Path, names: Sequence[str]) -> None:
        self.server = server
        self.chances = chances
        self._folder = folder
        self.hosts = {name: self._start(name) for name in names}
        self.violations: list[str] = []
        self._fallen: list[Running] = []
        self._frozen: list[psutil.Process] = []

    def _start(self, name: str) -> Running:
        environment = {"DATABASE_URL": self.server.url, "KJXLKJ_LOG_LEVEL": "INFO"}
        return Running(environment, log=self._folder / f"{name}.log")

    def watch(self) -> None:
        """Remember whatever runs now, so that it can be looked for at the end."""
        for host in self.hosts.values():
            host.processes()

    def freeze(self, processes: Sequence[psutil.Process]) -> None:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
        self._frozen += processes

    def mend(self) -> None:
        """What nobody but a person could: start the database, start killed supervisors, plug cables in."""
        for process in self._frozen:
            with suppress(psutil.NoSuchProcess):
                process.resume()
        self._frozen.clear()
        self.server.start()
        for name, host in self.hosts.items():
            status = host.process.poll()
            if status is None:
                continue
            if status != -signal.SIGKILL:
                self.violations.append(f"the supervisor of {name} ended by itself with {status}")
            self._fallen.append(host)
            self.hosts[name] = self._start(name)

    def stop(self) -> None:
        """In order: in time, with success, and nothing is left."""
        for name, host in self.hosts.items():
            status, seconds, _ = host.stop(GRACE_SECONDS + MERCY_SECONDS)
            print(f"{name} ended with {status}, {seconds:.1f} s after SIGTERM", flush=True)
            if status != 0:
                self.violations.append(f"{name} did not end in order: {status} after {seconds:.1f} s")
        for host in [*self.hosts.values(), *self._fallen]:
            self.violations += [f"left behind: {process}" for process in host.left_behind()]

    def end(self) -> None:
        for host in [*self.hosts.values(), *self._fallen]:
            host.end()

    def told(self, about: str) -> list[str]:
        """What the hosts have logged about something."""
        return [line for host in self.hosts.values() for line in host.told().splitlines() if about in line]

    def verdict(self) -> int:
        """The exit status; with violations, what led to them."""
        for violation in self.violations:
            print(f"VIOLATION {violation}")
        if self.violations:
            for name, host in self.hosts.items():
                print(f"\n--- the last of what {name} told ---")
                print("\n".join(host.told().splitlines()[-200:]))
        print("all held" if not self.violations else f"{len(self.violations)} violations", flush=True)
        return 1 if self.violations else 0


@contextmanager
def scene_of(server: Server, chances: random.Random, *names: str) -> Iterator[Scene]:
    with TemporaryDirectory(prefix="kjxlkj-hosts-") as folder:
        scene = Scene(server, chances, Path(folder), names)
        try:
            yield scene
        finally:
            scene.end()
